package rebuild

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/odarchive/odarchive/internal/found"
	"github.com/odarchive/odarchive/library"
)

// Placer is a Catalogue that takes in where discs lie. It is asked when Finish has drawn its conclusions.
type Placer interface {
	// Slots settles what slots of a library hold, and returns how many.
	Slots(ctx context.Context, library string, slots []library.FoundSlot) (settled int, err error)
}

// Machine is what a survey has found in the slots of a library.
type Machine struct {
	Library string
	Slots   []library.FoundSlot
}

// Machines returns what the surveys of robots in and below places have found. The error names what can't be read; the rest was.
func Machines(places []string) (all []Machine, err error) {
	var bad []error
	for _, p := range places {
		info, err := os.Stat(p)
		if err != nil || !info.IsDir() || IsDisc(p) {
			continue // Places has an opinion of it
		}
		bad = append(bad, filepath.WalkDir(p, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.IsDir() {
				return err
			}
			name, slots, err := found.Read(path)
			if errors.Is(err, found.ErrNone) {
				return nil
			}
			if err != nil {
				bad = append(bad, err)
			}
			m := Machine{Library: name}
			for _, s := range slots {
				m.Slots = append(m.Slots, slotOf(s))
			}
			all = append(all, m)
			return nil
		}))
	}
	return all, errors.Join(bad...)
}

func slotOf(s found.Slot) library.FoundSlot {
	x := library.FoundSlot{Slot: s.Slot, Unit: s.Unit, Medium: s.Medium, Capacity: s.Capacity, MediaID: s.MediaID}
	switch s.State {
	case found.Ours:
		x.Image = s.Image
	case found.Blank:
		x.Blank = true
	case found.Empty:
		x.Empty = true
	case found.Spent:
		x.Note = "a disc whose burn was broken off is here"
	case found.Unreadable:
		x.Note = "a disc that can't be read is here"
	default:
		x.Note = "a disc that odarchive did not write is here"
	}
	return x
}

// place puts discs where they were found.
func (r *Rebuild) place(ctx context.Context) error {
	c, ok := r.Catalogue.(Placer)
	if !ok {
		return nil
	}
	for _, m := range r.Machines {
		n, err := c.Slots(ctx, m.Library, m.Slots)
		if err != nil {
			if r.Catalogue.Fatal(ctx, err) {
				return err
			}
			r.doubt(fmt.Sprintf("survey of library %q", m.Library), err)
		}
		r.result.Settled += n
	}
	return nil
}
