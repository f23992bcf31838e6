package ecc

import (
	"bytes"
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
	caught int64
	sums   sums
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
	return &Reader{h: h, codec: c, source: source, report: Report{Header: h}, sums: sums{h: &h, source: source}}, nil
}

// Report tells of the rows that had to be repaired so far; those asked for twice count twice.
func (r *Reader) Report() Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.report
}

// Caught returns how many sectors ReadCheckedAt has found to be other than they were written, without the source having said so, and
// has set right.
func (r *Reader) Caught() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.caught
}

// ReadAt implements io.ReaderAt over the data sectors. Bytes that can't be brought back are a LostError, after those before them.
func (r *Reader) ReadAt(p []byte, off int64) (int, error) { return r.readAt(p, off, false) }

// ReadCheckedAt is ReadAt for bytes that nothing else proves, or that are known to be wrong, such as those of a content with a wrong
// hash: it compares each sector with its CRC and repairs those that differ. The CRCs lie in another place of the image, and 48 MiB of
// them are kept, which is all that a BD of 25 GB has: the first sectors of a layer cost two reads there, the same ones of other
// layers none.
func (r *Reader) ReadCheckedAt(p []byte, off int64) (int, error) { return r.readAt(p, off, true) }

// Check holds sectors that have been read, from sector first on, against their CRCs. It returns those that are not what was written,
// and those of which that can't be said because their CRC can't be read, both as places in b and in ascending order.
// ReadCheckedAt gives them as they were.
func (r *Reader) Check(b []byte, first int64) (wrong, unknown []int64, err error) {
	n := int64(len(b)) / sectorSize
	if len(b)%sectorSize != 0 || first < 0 || first+n > r.h.Data {
		return nil, nil, fmt.Errorf("check sectors %d to %d of %d: there are none such", first, first+n, r.h.Data)
	}
	return r.sums.check(b, first)
}

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
	if err = r.source.read(b, first, func(i int) { bad = append(bad, int64(i)) }); err != nil {
		return 0, err
	}
	for i := range len(b) / sectorSize {
		if IsDead(row(b, i)) {
			bad = append(bad, int64(i))
		}
	}
	slices.Sort(bad)
	var wrong []int64
	if check {
		failed, unknown, err := r.sums.check(b, first)
		if err != nil {
			return 0, err
		}
		wrong = slices.Concat(failed, unknown)
		slices.Sort(wrong)
		silent := func(i int64) bool { _, known := slices.BinarySearch(bad, i); return !known }
		wrong = slices.DeleteFunc(wrong, func(i int64) bool { return !silent(i) })
		bad = append(bad, wrong...)
		slices.Sort(bad)
	}
	bad = slices.Compact(bad)
	if len(bad) == 0 {
		return int64(len(b)) / sectorSize, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.repair(b, first, bad, wrong)
}

// repair repairs the sectors at bad of b, those of adjacent rows together. Those of them that are in wrong were read without a word.
func (r *Reader) repair(b []byte, first int64, bad, wrong []int64) (good int64, err error) {
	if r.window == nil {
		r.window = newWindow(&r.h, r.codec, r.source, int(min(kernelRows, r.h.Layer)))
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
			is, was := w.plain(int(sector/r.h.Layer), k), row(b, int(bad[i]))
			if _, silent := slices.BinarySearch(wrong, bad[i]); silent && !bytes.Equal(is, was) {
				r.caught++
			}
			copy(was, is)
		}
	}
	return int64(len(b)) / sectorSize, nil
}
