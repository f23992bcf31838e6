package discset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/odarchive/odarchive/archive"
)

// Source is an image to add.
type Source struct {
	Member // its hash may be zero: then it is what is read
	Image  io.ReaderAt
}

// Progress is told how many bytes of images have been read. It is called by one goroutine at a time.
type Progress func(bytes int64)

// Add adds images to the set: all of them, or none when it fails. One that is in the set already is passed over. An image's hash is
// checked (ErrHash) before anything becomes the set's, and one that is there under another name is refused (ErrTwice). Images that are added together cost one pass over the parity.
func (a *Accumulator) Add(ctx context.Context, sources []Source, progress Progress) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.add(ctx, sources, progress); err != nil {
		return fmt.Errorf("add to set %s: %w", a.j.Set, err)
	}
	return nil
}

func (a *Accumulator) add(ctx context.Context, sources []Source, progress Progress) error {
	fresh, err := a.fresh(sources)
	if err != nil || len(fresh) == 0 {
		return err
	}
	sums, err := a.encode(ctx, fresh, progress)
	if err != nil {
		return errors.Join(err, a.tidy())
	}
	if err := a.twice(fresh, sums); err != nil {
		return errors.Join(err, a.tidy())
	}
	old := a.j.Generation
	j := a.j
	j.Generation++
	j.Members = slices.Clone(j.Members)
	for i, s := range fresh {
		j.Members = append(j.Members, memberJSON{s.Index, s.ImageID, s.Label, s.Sectors, sums[i], s.DiscSectors})
	}
	slices.SortFunc(j.Members, func(a, b memberJSON) int { return a.Index - b.Index })
	a.crash("parity written")
	if err := a.commit(j); err != nil {
		return errors.Join(err, a.tidy())
	}
	for i := range a.j.Parity {
		if old > 0 {
			a.crash("old parity")
			if err := errors.Join(a.root.Remove(parityName(old, i)), a.root.Remove(checksName(old, i))); err != nil {
				return err
			}
		}
	}
	return nil
}

// twice finds an image that is about to become two members: one that is lost would be two lost.
func (a *Accumulator) twice(fresh []Source, sums []archive.Hash) error {
	known := map[archive.Hash]int{}
	for _, m := range a.members() {
		known[m.SHA256] = m.Index
	}
	for i, s := range fresh {
		if index, there := known[sums[i]]; there {
			return fmt.Errorf("image %s (%s) as number %d is what number %d is: %w", s.ImageID, s.Label, s.Index, index, ErrTwice)
		}
		known[sums[i]] = s.Index
	}
	return nil
}

// fresh returns those of sources that the set has not.
func (a *Accumulator) fresh(sources []Source) (fresh []Source, err error) {
	g := Geometry{a.j.Data, a.j.Parity}
	members := a.members()
	for _, s := range sources {
		if err := s.validate(g); err != nil {
			return nil, err
		}
		known := false
		for _, m := range members {
			if m.Index != s.Index && m.ImageID != s.ImageID {
				continue
			}
			same := m.Index == s.Index && m.ImageID == s.ImageID && m.Sectors == s.Sectors
			if !same || s.SHA256 != (archive.Hash{}) && m.SHA256 != (archive.Hash{}) && s.SHA256 != m.SHA256 {
				return nil, fmt.Errorf("image %s as number %d: number %d is image %s: %w", s.ImageID, s.Index, m.Index, m.ImageID, ErrConflict)
			}
			known = true
		}
		if !known {
			fresh = append(fresh, s)
			members = append(members, s.Member)
		}
	}
	if len(fresh) > 0 && a.j.Sealed != nil {
		return nil, ErrSealed
	}
	return fresh, nil
}
