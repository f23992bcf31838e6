package ecc

import (
	"fmt"
	"io"
	"slices"
	"sync"
)

// LostError is of a sector that can't be read and can't be repaired.
type LostError struct{ Sector int64 }

func (e *LostError) Error() string { return fmt.Sprintf("sector %d: %v", e.Sector, ErrLost) }
func (e *LostError) Unwrap() error { return ErrLost }

// Reader reads the data of a damaged image as if it were whole: it serves what the source gives, and repairs what it doesn't from
// the other sectors of the rows concerned, which are all that it reads besides. Its methods may be called by several
// goroutines; repairs are made one at a time.
type Reader struct {
	h      Header
	codec  *codec
	source Source

	mu     sync.Mutex
	window *window
	report Report
}

// NewReader returns a reader of an image with the header that Find found, or that is known from elsewhere.
func NewReader(source Source, h Header) (*Reader, error) {
	if err := h.Validate(); err != nil {
		return nil, fmt.Errorf("read through damage: %w", err)
	}
	c, err := newCodec(h.Roots())
	if err != nil {
		return nil, fmt.Errorf("read through damage: %w", err)
	}
	return &Reader{h: h, codec: c, source: source, report: Report{Header: h}}, nil
}

// Report tells of the rows that had to be repaired so far; those asked for twice count twice.
func (r *Reader) Report() Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.report
}

// ReadAt implements io.ReaderAt over the data sectors. Bytes that can't be brought back are a LostError, after those before them.
func (r *Reader) ReadAt(p []byte, off int64) (int, error) { return r.readAt(p, off, false) }

// ReadCheckedAt is ReadAt for bytes that have been read and are known to be wrong, such as those of a content with a wrong hash:
// it compares each sector with its CRC and repairs those that differ. That takes two reads in other places for each run
// of sectors, when all is well.
func (r *Reader) ReadCheckedAt(p []byte, off int64) (int, error) { return r.readAt(p, off, true) }

// batch is how many sectors are read at a time.
const batch = 512

func (r *Reader) readAt(p []byte, off int64, check bool) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("read at byte %d: negative", off)
	}
	size := (r.h.Data-1)*sectorSize + int64(r.h.Last)
	buffer := make([]byte, min(batch*sectorSize, (len(p)/sectorSize+2)*sectorSize))
	for n < len(p) {
		at := off + int64(n)
		if at >= size {
			return n, io.EOF
		}
		first := at / sectorSize
		want := int64(len(p)-n) + at%sectorSize
		sectors := min(int64(len(buffer)), (want+sectorSize-1)/sectorSize*sectorSize, (r.h.Data-first)*sectorSize) / sectorSize
		b := buffer[:sectors*sectorSize]
		gone, err := r.fill(b, first, check)
		whole := b
		if err != nil {
			whole = b[:gone*sectorSize]
		}
		whole = whole[:min(int64(len(whole)), size-first*sectorSize)]
		if skip := at % sectorSize; skip < int64(len(whole)) {
			n += copy(p[n:], whole[skip:])
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// fill reads sectors of the data, repaired where they must be. With an error, only so many at the beginning are good.
func (r *Reader) fill(b []byte, first int64, check bool) (good int64, err error) {
	var bad []int64
	if err := r.source.read(b, first, func(i int) { bad = append(bad, int64(i)) }); err != nil {
		return 0, err
	}
	for i := range len(b) / sectorSize {
		if IsDead(row(b, i)) {
			bad = append(bad, int64(i))
		}
	}
	if check {
		wrong, err := r.wrong(b, first)
		if err != nil {
			return 0, err
		}
		bad = append(bad, wrong...)
	}
	slices.Sort(bad)
	bad = slices.Compact(bad)
	if len(bad) == 0 {
		return int64(len(b)) / sectorSize, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.repair(b, first, bad)
}

// repair repairs the sectors at bad of b, those of adjacent rows together.
func (r *Reader) repair(b []byte, first int64, bad []int64) (good int64, err error) {
	if r.window == nil {
		_, rows := share(1, layers+r.codec.roots, r.h.Geometry)
		r.window = newWindow(&r.h, r.codec, r.source, rows)
	}
	w := r.window
	for i := 0; i < len(bad); {
		top := (first + bad[i]) % r.h.Layer
		end := i + 1
		for end < len(bad) && bad[end]-bad[i] < int64(len(w.found)) && top+bad[end]-bad[i] < r.h.Layer {
			end++
		}
		if err := w.examine(top, int(bad[end-1]-bad[i])+1); err != nil {
			return bad[i], err
		}
		r.report.tally(w)
		for ; i < end; i++ {
			sector := first + bad[i]
			k := int(sector%r.h.Layer - top)
			if w.verdicts[k] != proven {
				return bad[i], &LostError{sector}
			}
			copy(row(b, int(bad[i])), w.plain(int(sector/r.h.Layer), k))
		}
	}
	return int64(len(b)) / sectorSize, nil
}

// wrong returns the sectors of b that fail their CRC, or have none that can be read.
func (r *Reader) wrong(b []byte, first int64) (wrong []int64, err error) {
	n := int64(len(b)) / sectorSize
	crc := r.h.crcLayer()
	var blocks []byte
	for i := int64(0); i < n; {
		// The CRCs of sectors side by side are in blocks side by side, until a layer ends.
		s := first + i
		layer, top := int(s/r.h.Layer), s%r.h.Layer
		run := min(n-i, r.h.Layer-top)
		before := top - 1
		if top == 0 {
			before, run = r.h.Layer-1, 1
		}
		blocks = append(blocks[:0], make([]byte, run*sectorSize)...)
		if err := r.source.read(blocks, r.h.sector(crc, before), func(int) {}); err != nil {
			return nil, err
		}
		for k := range int(run) {
			block := row(blocks, k)
			if !r.h.ours(block) || checksum(row(b, int(i)+k)) != le.Uint32(block[4*layer:]) {
				wrong = append(wrong, i+int64(k))
			}
		}
		i += run
	}
	return wrong, nil
}
