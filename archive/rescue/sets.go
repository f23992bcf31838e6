package rescue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/odarchive/odarchive/archive/disc"
	"github.com/odarchive/odarchive/archive/discset"
)

// parity is a parity disc that is open, or a folder with a set's parity.
type parity struct {
	*disc.Disc
	set    *discset.Set
	files  map[int]io.ReaderAt // by number of the parity image
	checks io.ReaderAt
}

// parity takes a disc up that has no description: a parity disc says what it is in set.json.
func (r *Restore) parity(d *disc.Disc) error {
	b, err := d.Small(discset.SetName)
	if err != nil {
		return errForeign
	}
	s, err := discset.ReadSet(b)
	if err != nil {
		return err
	}
	p := &parity{Disc: d, set: s, files: map[int]io.ReaderAt{}}
	if p.checks, err = readerAt(d, discset.ChecksName); err != nil {
		return err
	}
	sums, err := d.Small(discset.SumsName)
	for i := range s.Parities {
		name := discset.ParityName(i) // where all of a set lie in one folder
		if err == nil && bytes.Contains(sums, fmt.Appendf(nil, "%v  %s\n", s.Parities[i].SHA256, discset.ParityFile)) {
			name = discset.ParityFile
		}
		if f, err := readerAt(d, name); err == nil {
			p.files[i] = f
		}
	}
	if len(p.files) == 0 {
		return errors.New("it is a parity disc, and its parity can't be found")
	}
	r.parities = append(r.parities, p)
	return nil
}

func readerAt(d *disc.Disc, name string) (io.ReaderAt, error) {
	f, err := d.File(name)
	if err != nil {
		return nil, err
	}
	if at, ok := f.(io.ReaderAt); ok {
		return at, nil
	}
	return nil, fmt.Errorf("%s can't be read from its middle on", name)
}

// rebuild opens discs that are lost, and with damaged also those that are damaged, as the rest of their set gives them back. It says
// whether there are any that were not open before.
func (r *Restore) rebuild(ctx context.Context, damaged bool) (some bool) {
	done := map[string]bool{}
	for _, p := range r.parities {
		if done[p.set.ID] {
			continue
		}
		done[p.set.ID] = true
		some = r.rebuildSet(ctx, p.set, damaged) || some
	}
	return some
}

func (r *Restore) rebuildSet(ctx context.Context, s *discset.Set, damaged bool) (some bool) {
	g := s.Geometry
	recovery := &discset.Recovery{Set: s, Images: make([]io.ReaderAt, g.Data+g.Parity)}
	parities := 0
	for _, p := range r.parities {
		if p.set.ID != s.ID || p.set.Checks != s.Checks {
			continue
		}
		for i, f := range p.files {
			if recovery.Images[g.Data+i] == nil {
				recovery.Images[g.Data+i] = f
				parities++
			}
		}
		if recovery.Checks == nil {
			if c, err := discset.OpenChecks(s, p.checks); err == nil {
				recovery.Checks = c
			} else {
				r.doubt(p.Where, err)
			}
		}
	}
	var wanted []discset.Member
	var lost []string
	for _, m := range s.Members {
		given := false
		for _, d := range r.discs {
			if d.Info.ImageID != m.ImageID || d.of != "" {
				given = given || d.Info.ImageID == m.ImageID // it is being rebuilt already
				continue
			}
			if sectors, n := d.Sectors(); sectors != nil && n >= m.Sectors {
				recovery.Images[m.Index] = sectors
			}
			given = given || !d.troubled || !damaged
		}
		if recovery.Images[m.Index] == nil {
			lost = append(lost, m.Label)
		}
		if !given {
			wanted = append(wanted, m)
		}
	}
	if len(lost) > parities {
		r.once(s.ID, fmt.Errorf("of its discs %s are not given as images or devices, and %d with parity are: with %d more, what is on them could be rebuilt",
			strings.Join(lost, ", "), parities, len(lost)-parities))
		return false
	}
	for _, m := range wanted {
		v := recovery.Reader(ctx, m.Index)
		v.Rebuilt = &r.report.Rebuilt
		where := fmt.Sprintf("%s, rebuilt from set %s", m.Label, s.ID)
		d, err := disc.New(ctx, where, v, m.Sectors, r.Side)
		if err == nil && (d.Info == nil || d.Info.ImageID != m.ImageID) {
			err = errors.New("it is another disc")
		}
		if err != nil {
			r.once(s.ID, fmt.Errorf("%s: %w", m.Label, err))
			continue
		}
		r.add(d)
		r.discs[len(r.discs)-1].of = s.ID
		some = true
	}
	return some
}

// once notes a doubt about a set that may come up with every disc that is given.
func (r *Restore) once(set string, err error) {
	where := "set " + set
	if !slices.ContainsFunc(r.report.Doubts, func(d Doubt) bool { return d.Disc == where && d.Err.Error() == err.Error() }) {
		r.doubt(where, err)
	}
}

// Sets returns the sets of discs whose parity would give back what is on lost discs, as far as discs that were read say so, and of which
// no parity was given: UUIDs in ascending order.
func (r *Restore) Sets() (ids []string) {
	for _, d := range r.seen {
		if d.Parity != nil && !slices.Contains(ids, d.Parity.Set) && !slices.ContainsFunc(r.parities, func(p *parity) bool { return p.set.ID == d.Parity.Set }) {
			ids = append(ids, d.Parity.Set)
		}
	}
	slices.Sort(ids)
	return ids
}
