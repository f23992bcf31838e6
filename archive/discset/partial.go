package discset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
)

// errNotHad is of a sector that a partial image doesn't have.
var errNotHad = errors.New("the sector is not had")

// Without returns image without some of its sectors, in runs in ascending order that don't overlap: whoever reads one of those gets an error, and
// what lies before it. Several goroutines may read it when they may read image.
func Without(image io.ReaderAt, bad []Run) io.ReaderAt { return &without{image, bad} }

type without struct {
	io.ReaderAt
	bad []Run
}

func (w *without) ReadAt(p []byte, off int64) (int, error) {
	first := off / sectorSize
	i, _ := slices.BinarySearchFunc(w.bad, first, func(r Run, s int64) int {
		if r.First+r.Count <= s {
			return -1
		}
		return 1
	})
	if i == len(w.bad) || w.bad[i].First*sectorSize >= off+int64(len(p)) {
		return w.ReaderAt.ReadAt(p, off)
	}
	n, err := w.ReaderAt.ReadAt(p[:max(w.bad[i].First*sectorSize-off, 0)], off)
	if err != nil {
		return n, err
	}
	return n, fmt.Errorf("sector %d: %w", max(w.bad[i].First, first), errNotHad)
}

// Packed returns an image of which only rows are had, runs in ascending order that don't overlap: packed has them one behind the other. All
// others are errors.
func Packed(packed io.ReaderAt, rows []Run) io.ReaderAt {
	p := &rowsOf{packed, rows, make([]int64, len(rows))}
	at := int64(0)
	for i, r := range rows {
		p.at[i] = at
		at += r.Count * sectorSize
	}
	return p
}

type rowsOf struct {
	packed io.ReaderAt
	rows   []Run
	at     []int64 // bytes of packed, by run
}

func (r *rowsOf) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		at := off + int64(n)
		i, _ := slices.BinarySearchFunc(r.rows, at/sectorSize, func(run Run, s int64) int {
			if run.First+run.Count <= s {
				return -1
			}
			return 1
		})
		if i == len(r.rows) || r.rows[i].First*sectorSize > at {
			return n, fmt.Errorf("sector %d: %w", at/sectorSize, errNotHad)
		}
		run := r.rows[i]
		part := p[n:min(int64(len(p)), int64(n)+(run.First+run.Count)*sectorSize-at)]
		k, err := r.packed.ReadAt(part, r.at[i]+at-run.First*sectorSize)
		n += k
		if k < len(part) {
			return n, err
		}
	}
	return n, nil
}

// Join joins runs in ascending order that lie so close together, gap sectors or fewer between them, that reading on is quicker than seeking; and
// of those that remain, those that lie closest, until they are at most most, which is at least 1.
func Join(runs []Run, gap int64, most int) []Run {
	if len(runs) > most {
		gaps := make([]int64, 0, len(runs))
		for i := 1; i < len(runs); i++ {
			gaps = append(gaps, runs[i].First-runs[i-1].First-runs[i-1].Count)
		}
		slices.Sort(gaps)
		gap = max(gap, gaps[len(runs)-most-1])
	}
	var joined []Run
	for _, r := range runs {
		if n := len(joined); n > 0 && r.First-joined[n-1].First-joined[n-1].Count <= gap {
			joined[n-1].Count = r.First + r.Count - joined[n-1].First
		} else {
			joined = append(joined, r)
		}
	}
	return joined
}

// Fill computes runs of an image, in ascending order, from the other images, and writes them to out in their places. No more of the others is
// read than the rows of the windows in which something is bad. It returns a LostError for those sectors that can't be had, and
// are zero in out then. Without checksums what was computed is only as right as the other images: the hash of the whole has to say so.
// Progress is told of bytes.
func (r *Recovery) Fill(ctx context.Context, index int, out io.WriterAt, runs []Run, progress Progress) (*Found, error) {
	all, lost := r.found(), &LostError{Index: index}
	var b []byte
	done := int64(0)
	// Bad sectors of one block are computed in one go.
	for _, near := range Join(runs, blockSectors, max(len(runs), 1)) {
		for first, end := near.First, near.First+near.Count; first < end; {
			n := min(end-first, int64(r.stripe())-first%blockSectors)
			b = slices.Grow(b[:0], int(n)*sectorSize)[:n*sectorSize]
			f, err := r.ReadSectors(ctx, index, b, first)
			all.Rebuilt, all.Worst = all.Rebuilt+f.Rebuilt, max(all.Worst, f.Worst)
			if l, ok := errors.AsType[*LostError](err); ok {
				for _, run := range l.Named {
					lost.add(run.First, run.Count)
				}
			} else if err != nil {
				return all, err
			}
			for len(runs) > 0 && runs[0].First < first+n {
				from, to := max(runs[0].First, first), min(runs[0].First+runs[0].Count, first+n)
				if _, err := out.WriteAt(b[(from-first)*sectorSize:(to-first)*sectorSize], from*sectorSize); err != nil {
					return all, fmt.Errorf("write image %d: %w", index, err)
				}
				done += (to - from) * sectorSize
				if runs[0].First+runs[0].Count > to {
					break
				}
				runs = runs[1:]
			}
			first += n
			if progress != nil {
				progress(done)
			}
		}
	}
	if lost.Sectors > 0 {
		return all, lost
	}
	return all, nil
}
