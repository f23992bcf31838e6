package excerpt

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
)

// ahead is how many sectors are read at a time where somebody reads on and on. Elsewhere no more are than somebody wants: whoever looks here and
// there for something needs little of what lies behind.
const ahead = 32

// Recorder reads a disc and keeps what it reads. It is an io.ReaderAt over the disc, for several goroutines; the disc is read by one at a
// time, in whole sectors, and each of its sectors once.
type Recorder struct {
	// Fatal says which errors of the disc mean that all is over, and not that a sector can't be read; nil means none. After one, nothing is
	// read any more.
	Fatal func(error) bool

	disc    io.ReaderAt
	sectors int64
	file    *os.File

	mu     sync.Mutex
	runs   []run // ascending
	next   int64 // sector of the file to write
	onward int64 // sector behind the one that was read last
	bad    map[int64]error
	failed error
	buf    []byte
}

// NewRecorder returns a recorder of the first sectors sectors of a disc that writes into f, which must be empty.
func NewRecorder(f *os.File, disc io.ReaderAt, sectors int64) (*Recorder, error) {
	head := make([]byte, sectorSize)
	copy(head, magic)
	if _, err := f.WriteAt(head, 0); err != nil {
		return nil, fmt.Errorf("begin excerpt %s: %w", f.Name(), err)
	}
	return &Recorder{disc: disc, sectors: sectors, file: f, next: 1, bad: map[int64]error{}, buf: make([]byte, ahead*sectorSize)}, nil
}

// Failed returns the error after which nothing was read any more: one that is fatal, or of the file.
func (r *Recorder) Failed() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

// Bytes returns how many bytes are kept.
func (r *Recorder) Bytes() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return (r.next - 1) * sectorSize
}

// ReadAt follows io.ReaderAt. A sector that can't be read is the disc's own error, with every byte before it delivered.
func (r *Recorder) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("read at %d: negative offset", off)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for n < len(p) {
		at := off + int64(n)
		sector := at / sectorSize
		if sector >= r.sectors {
			return n, io.EOF
		}
		kept, ok := find(r.runs, sector)
		if !ok {
			want := (at%sectorSize + int64(len(p)-n) + sectorSize - 1) / sectorSize
			if err := r.fetch(sector, want); err != nil {
				return n, err
			}
			continue
		}
		part := p[n:]
		part = part[:min(int64(len(part)), (kept.first+kept.count)*sectorSize-at)]
		k, err := r.file.ReadAt(part, (kept.at-kept.first)*sectorSize+at)
		n += k
		if k < len(part) {
			return n, r.fail(err)
		}
	}
	return n, nil
}

// Take keeps all that another excerpt of the disc has. What could not be read then is not tried again.
func (r *Recorder) Take(x *Excerpt) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for s := range x.bad {
		r.bad[s] = &UnreadableError{s}
	}
	for _, from := range x.runs {
		for s := from.first; s < from.first+from.count; s += ahead {
			b := r.buf[:min(ahead, from.first+from.count-s)*sectorSize]
			if _, err := x.ReadAt(b, s*sectorSize); err != nil {
				return r.fail(err)
			}
			if err := r.keep(s, b); err != nil {
				return err
			}
		}
	}
	return nil
}

// fetch reads from a sector on that is not kept, and of which so many are wanted, and keeps what comes.
func (r *Recorder) fetch(sector, want int64) error {
	if r.failed != nil {
		return r.failed
	}
	if err := r.bad[sector]; err != nil {
		return err
	}
	count := min(ahead, r.sectors-sector)
	if sector != r.onward {
		count = min(count, want)
	}
	for s := sector + 1; s < sector+count; s++ {
		if _, kept := find(r.runs, s); kept || r.bad[s] != nil {
			count = s - sector
		}
	}
	n, err := r.disc.ReadAt(r.buf[:count*sectorSize], sector*sectorSize)
	whole := int64(n) / sectorSize
	if whole > 0 {
		r.onward = sector + whole
		return r.keep(sector, r.buf[:whole*sectorSize])
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	if r.Fatal != nil && r.Fatal(err) {
		return r.fail(err)
	}
	r.bad[sector] = err
	return err
}

// keep writes sectors that are not kept yet into the file.
func (r *Recorder) keep(first int64, b []byte) error {
	if _, err := r.file.WriteAt(b, r.next*sectorSize); err != nil {
		return r.fail(err)
	}
	count := int64(len(b)) / sectorSize
	i, _ := slices.BinarySearchFunc(r.runs, run{first: first}, byFirst)
	if before := i - 1; i > 0 && r.runs[before].first+r.runs[before].count == first && r.runs[before].at+r.runs[before].count == r.next {
		r.runs[before].count += count
	} else {
		r.runs = slices.Insert(r.runs, i, run{first, count, r.next})
	}
	r.next += count
	return nil
}

func (r *Recorder) fail(err error) error {
	if r.failed == nil {
		r.failed = err
	}
	return r.failed
}

// Finish makes the file an excerpt, durably. Nothing is read through the recorder afterwards.
func (r *Recorder) Finish(about About) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed != nil {
		return fmt.Errorf("finish excerpt %s: %w", r.file.Name(), r.failed)
	}
	r.failed = errors.New("the excerpt is finished")
	if err := finish(r.file, r.sectors, r.runs, slices.Sorted(maps.Keys(r.bad)), about); err != nil {
		return fmt.Errorf("finish excerpt %s: %w", r.file.Name(), err)
	}
	return nil
}
