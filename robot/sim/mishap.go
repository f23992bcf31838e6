package sim

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/odarchive/odarchive/robot/drive/file"
)

// What can happen to a disc on its way, whatever protocol is spoken. The names are those of faults.
const (
	mishapHeld    = "held"    // the hand does not let go of it
	mishapDrop    = "drop"    // it falls off the hand, to the floor of the machine
	mishapCrooked = "crooked" // it is set down, and lies crooked: it can't be read, and not be gripped again
	mishapDoor    = "door"    // somebody opens the door while the hand has it
	mishapPower   = "power"   // the power is cut while the hand has it, and comes back
	mishapClamp   = "clamp"   // the drive does not let go of it, or its tray does not open
)

// Mishaps are the physical faults of a machine with slots; one with piles has "two" besides: a second disc sticks below the one that
// is picked.
var Mishaps = []string{mishapHeld, mishapDrop, mishapCrooked, mishapDoor, mishapPower, mishapClamp}

var (
	errHeld    = errors.New("the hand does not let go of the disc")
	errDropped = errors.New("the disc has fallen")
	errCrooked = errors.New("the disc lies crooked")
	errOpened  = errors.New("the door was opened in the middle")
	errPower   = errors.New("the power was cut")
)

// crookedName is a folder in a drive's that is no disc: what the drive sees of one that lies crooked, or of two at once.
const crookedName = "crooked"

// mishap lets something happen to the disc on a unit's transport. The caller goes on when it returns nil.
func (l *Library) mishap(fault string, u int) error {
	switch fault {
	case mishapHeld:
		return errHeld
	case mishapDrop:
		return l.change(func(s *state) error {
			s.Floor = append(s.Floor, s.Transport[u])
			delete(s.Transport, u)
			return writeThen(l.dir, s, errDropped)
		})
	case mishapDoor:
		if err := l.OpenDoor(u); err != nil {
			return err
		}
		return errOpened
	case mishapPower:
		return errPower
	}
	return nil
}

// writeThen writes the state, and returns err when that succeeded.
func writeThen(dir string, s *state, err error) error {
	if failed := writeState(dir, s); failed != nil {
		return failed
	}
	return err
}

// insert lays a disc into a drive's folder, straight or crooked.
func insert(dir string, drive int, disc string, crooked bool) error {
	folder, to := driveDir(dir, drive), filepath.Join(dir, "discs", disc)
	if crooked {
		to = filepath.Join(folder, crookedName)
		if err := os.MkdirAll(to, 0o755); err != nil {
			return err
		}
	}
	return file.Insert(folder, to)
}

// Tidy is a person who opens every door, picks up what has fallen, empties the hands, lays straight what lies crooked, puts every
// disc that was none of these into its own slot, and closes the doors: the units initialise, and say so once.
func (l *Library) Tidy(ctx context.Context) error {
	err := l.change(func(s *state) error {
		for player, h := range s.Players {
			if !s.Crooked[h.Disc] {
				continue
			}
			if free, err := file.Release(driveDir(l.dir, player)); err != nil || !free {
				return errors.Join(err, errClamped)
			}
			if err := insert(l.dir, player, h.Disc, false); err != nil {
				return err
			}
		}
		s.Crooked = nil
		for hand, h := range s.Transport {
			s.Floor = append(s.Floor, h)
			delete(s.Transport, hand)
		}
		for _, h := range s.Floor {
			if other, taken := s.Slots[h.Home]; taken {
				return fmt.Errorf("slot %d has disc %s: %w", h.Home, other, errOccupied)
			}
			s.Slots[h.Home] = h.Disc
		}
		s.Floor = nil
		return nil
	})
	for u := range l.units {
		if err == nil {
			err = errors.Join(l.OpenDoor(u+1), l.CloseDoor(ctx, u+1))
		}
	}
	return err
}
