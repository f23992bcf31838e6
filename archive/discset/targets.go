package discset

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"github.com/odarchive/odarchive/archive"
)

// targets are images that are being written anew.
type targets struct {
	set     *Set
	indexes []int
	out     map[int]io.Writer
	sums    map[int]hash.Hash
	lost    map[int]*LostError
	sectors int64 // of the longest
}

func (r *Recovery) targets(out map[int]io.Writer) (*targets, error) {
	t := &targets{set: r.Set, out: out, sums: map[int]hash.Hash{}, lost: map[int]*LostError{}}
	for i := range out {
		if i < 0 || i >= len(r.Images) || r.Set.sectors(i) == 0 {
			return nil, fmt.Errorf("it has no image %d", i)
		}
		t.indexes = append(t.indexes, i)
		t.sums[i], t.lost[i] = sha256.New(), &LostError{Index: i}
		t.sectors = max(t.sectors, r.Set.sectors(i))
	}
	slices.Sort(t.indexes)
	return t, nil
}

func (t *targets) write(w *window) error {
	for _, i := range t.indexes {
		b := w.data[i][:w.inside(i)*sectorSize]
		for s := range w.inside(i) {
			t.lost[i].judge(w, i, s)
			if !w.good[i][s] {
				clear(b[s*sectorSize : (s+1)*sectorSize])
			}
		}
		t.sums[i].Write(b)
		if _, err := t.out[i].Write(b); err != nil {
			return fmt.Errorf("write image %d: %w", i, err)
		}
	}
	return nil
}

// end says what became of each image.
func (t *targets) end() error {
	var all []error
	for _, i := range t.indexes {
		if t.lost[i].Sectors > 0 {
			all = append(all, t.lost[i])
		} else if sum := archive.Hash(t.sums[i].Sum(nil)); sum != t.set.sum(i) {
			all = append(all, fmt.Errorf("image %d was rebuilt as %v, want %v: %w", i, sum, t.set.sum(i), ErrHash))
		}
	}
	return errors.Join(all...)
}
