package rebuild

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/odarchive/odarchive/archive/discset"
	"github.com/odarchive/odarchive/archive/survey"
)

// lost takes in the images of which no disc was read and that the other discs of their sets give back.
func (r *Rebuild) lost(ctx context.Context) error {
	absent, err := r.Catalogue.Absent(ctx)
	if err != nil {
		return err
	}
	for len(absent) > 0 {
		n := 1
		for n < len(absent) && absent[n].Set == absent[0].Set {
			n++
		}
		if err := r.fromSet(ctx, absent[:n]); err != nil {
			if r.Catalogue.Fatal(ctx, err) {
				return err
			}
			r.doubt("set "+absent[0].Set, err)
		}
		absent = absent[n:]
	}
	return nil
}

// fromSet takes in the absent images of one set.
func (r *Rebuild) fromSet(ctx context.Context, absent []survey.Member) (err error) {
	places, description, err := r.Catalogue.Places(ctx, absent[0].Set)
	if err != nil {
		return err
	}
	set, err := discset.ReadSet(description)
	if err != nil {
		return err
	}
	// As many parity files as there are images missing are needed.
	missing := 0
	for _, m := range set.Members {
		if _, here := places[m.Index]; !here {
			missing++
		}
	}
	if parity := len(places) + missing - len(set.Members); parity < missing {
		return nil // nothing can be had
	}
	discs := map[int]*survey.Disc{}
	var files []io.Closer
	defer func() {
		for _, f := range files {
			err = errors.Join(err, f.Close())
		}
	}()
	for index, place := range places {
		f, err := open(place)
		if err != nil {
			r.doubt(place, err)
			continue
		}
		files = append(files, f)
		d, err := survey.Open(ctx, f, f.sectors)
		if err != nil {
			r.doubt(place, err)
			continue
		}
		discs[index] = d
	}
	rec, unfit := survey.Recover(set, discs)
	for index, err := range unfit {
		r.doubt(places[index], err)
	}
	for _, m := range set.Members {
		for _, a := range absent {
			if a.Index != m.Index {
				continue
			}
			place := fmt.Sprintf("set %s", set.ID)
			d, err := survey.OpenMember(rec.Reader(ctx, m.Index), &m)
			if err == nil && d.ImageID != m.ImageID {
				err = fmt.Errorf("image %d of it says that it is %s and not %s", m.Index, d.ImageID, m.ImageID)
			}
			if err == nil {
				err = r.take(ctx, d, place, true, func(err error) { r.doubt(place, err) })
			}
			if err != nil {
				return fmt.Errorf("image %s: %w", m.Label, err)
			}
			r.result.Discs = append(r.result.Discs, Disc{Place: place, Image: d.ImageID, Label: d.Label, Vault: d.Vault, Lost: true})
		}
	}
	return nil
}
