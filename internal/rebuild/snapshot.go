package rebuild

import (
	"context"
	"errors"
	"io"
	"io/fs"

	"github.com/odarchive/odarchive/archive/snapshot"
	"github.com/odarchive/odarchive/archive/survey"
)

// Teller is a Catalogue that takes in what parity discs carry of the old one: what no disc says of itself. It is asked when Finish has
// drawn its conclusions.
type Teller interface {
	Snapshots(ctx context.Context, open []func() (io.ReadCloser, error)) (*survey.Told, error)
}

// snapshots gives the catalogue the snapshots on the parity discs that were read. What is damaged is doubted.
func (r *Rebuild) snapshots(ctx context.Context) error {
	c, ok := r.Catalogue.(Teller)
	if !ok {
		return nil
	}
	var places []string
	var all []func() (io.ReadCloser, error)
	for _, place := range r.parity {
		f, err := openSnapshot(ctx, place)
		if errors.Is(err, fs.ErrNotExist) { // the first parity discs had none
			continue
		} else if err != nil {
			r.doubt(place, err)
			continue
		}
		f.Close()
		places = append(places, place)
		all = append(all, func() (io.ReadCloser, error) { return openSnapshot(ctx, place) })
	}
	if len(all) == 0 {
		return nil
	}
	told, err := c.Snapshots(ctx, all)
	if err != nil {
		return err
	}
	for i, place := range places {
		if err := told.Doubts[i]; err != nil {
			r.doubt(place, err)
		}
	}
	r.result.Told = told
	return nil
}

// opened is the snapshot on a disc that is open.
type opened struct {
	fs.File
	disc io.Closer
}

func (o *opened) Close() error { return errors.Join(o.File.Close(), o.disc.Close()) }

func openSnapshot(ctx context.Context, place string) (io.ReadCloser, error) {
	f, err := open(place)
	if err != nil {
		return nil, err
	}
	d, err := survey.Open(ctx, f, f.sectors)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	file, err := d.File(snapshot.Name)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &opened{file, f}, nil
}
