package survey

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/snapshot"
)

// Rehearse reads all of a disc that a catalogue is put together from, as a rebuild does, and keeps nothing: whoever records what is read of the disc
// meanwhile, from Open on, can rebuild from the record. The lists of archives for which known says so are left out: another disc gave them.
// It returns the archives whose lists are whole, and what could not be read or makes no sense; the rest was read. It ends early with ctx.
func (d *Disc) Rehearse(ctx context.Context, known func(*catalogue.Archive) bool) (whole []catalogue.Archive, doubts []error) {
	if d.Set != nil {
		return nil, d.rehearseParity()
	}
	for i := range d.Archives {
		a := &d.Archives[i]
		if ctx.Err() != nil {
			return whole, append(doubts, ctx.Err())
		}
		if known(a) {
			continue
		}
		if err := d.list(ctx, a); err != nil {
			doubts = append(doubts, fmt.Errorf("archive %s: %w", a.ID, err))
			continue
		}
		whole = append(whole, *a)
	}
	err := d.carried(ctx)
	if errors.Is(err, ErrOrder) {
		err = d.carried(ctx)
	}
	if err != nil {
		doubts = append(doubts, err)
	}
	return whole, doubts
}

// list reads the disc's list of an archive.
func (d *Disc) list(ctx context.Context, a *catalogue.Archive) error {
	r, err := d.Manifest(a.ID)
	if err != nil {
		return err
	}
	defer r.Close()
	m := catalogue.NewManifestReader(r)
	for _, err := range m.Entries() {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
	}
	if m.Hash() != a.RootHash {
		return fmt.Errorf("its manifest has the hash %v, the disc says %v", m.Hash(), a.RootHash)
	}
	return nil
}

func (d *Disc) carried(ctx context.Context) error {
	for _, err := range d.Extents() {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *Disc) rehearseParity() (doubts []error) {
	if _, err := d.Checksums(); err != nil {
		doubts = append(doubts, err)
	}
	if _, err := d.ParityReader(); err != nil { // where it lies, not what it holds
		doubts = append(doubts, err)
	}
	f, err := d.File(snapshot.Name)
	if errors.Is(err, fs.ErrNotExist) { // the first parity discs had none
		return doubts
	}
	if err == nil {
		_, err = snapshot.Read(f, nil)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		doubts = append(doubts, err)
	}
	return doubts
}

// Own returns how many sectors from the first on the disc has before the contents of archives: all that it says of itself lies there.
func (d *Disc) Own() (int64, error) {
	if d.Set != nil {
		return 0, nil
	}
	return d.first()
}
