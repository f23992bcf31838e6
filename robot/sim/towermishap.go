package sim

import (
	"errors"
	"fmt"
	"slices"

	"github.com/odarchive/odarchive/robot/drive/file"
)

// mishapTwo is that a second disc sticks below the one that is picked from a pile.
const mishapTwo = "two"

// errShut is a tray that does not open.
var errShut = errors.New("there is no tray")

// suffer has the next act to which it can happen suffer a mishap; an empty one takes that back.
func (t *Tower) suffer(mishap string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mishap = mishap
}

// happens says whether a mishap is due, and that it has happened. The caller holds t.mu.
func (t *Tower) happens(mishap string) bool {
	if t.mishap != mishap {
		return false
	}
	t.mishap = ""
	return true
}

// slip is what can happen to a disc in the hand before it is set down. The caller holds t.mu.
func (t *Tower) slip(s *towerState) error {
	switch {
	case t.happens(mishapHeld):
		return errHeld
	case t.happens(mishapPower):
		return errPower
	case t.happens(mishapDoor):
		t.door, t.opened = true, true
		return errOpened
	case t.happens(mishapDrop):
		s.Floor, s.Hand = append(s.Floor, s.Hand), ""
		return errDropped
	}
	return nil
}

// Lay lays a disc from the top of a bin on an empty drive's tray by hand, or with bin 0 takes the disc that is there away onto the floor.
func (t *Tower) Lay(drive, bin int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &t.state
	if bin == 0 {
		if free, err := file.Release(driveDir(t.dir, drive)); err != nil || !free {
			return errors.Join(err, errClamped)
		}
		s.Floor = append(s.Floor, s.Drives[drive])
		delete(s.Drives, drive)
		return writeJSON(t.dir, s)
	}
	pile := s.Bins[bin-1]
	if s.Drives[drive] != "" || len(pile) == 0 {
		return fmt.Errorf("lay a disc of bin %d into drive %d: %w", bin, drive, errOccupied)
	}
	s.Drives[drive], s.Bins[bin-1] = pile[len(pile)-1], pile[:len(pile)-1]
	return errors.Join(insert(t.dir, drive, s.Drives[drive], false), writeJSON(t.dir, s))
}

// TakeAway takes all discs of a bin away by hand, onto the floor.
func (t *Tower) TakeAway(bin int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &t.state
	s.Floor, s.Bins[bin-1] = append(s.Floor, s.Bins[bin-1]...), nil
	return writeJSON(t.dir, s)
}

// Tidy is a person who picks up what has fallen or is in the hand, lays all that on the first bin with room, straightens what lies crooked,
// and closes the door.
func (t *Tower) Tidy() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &t.state
	t.door, t.mishap = false, ""
	for drive, disc := range s.Drives {
		if !s.Crooked[disc] && s.Under[drive] == "" {
			continue
		}
		if free, err := file.Release(driveDir(t.dir, drive)); err != nil || !free {
			return errors.Join(err, errClamped)
		}
		if err := insert(t.dir, drive, disc, false); err != nil {
			return err
		}
		s.Floor = append(s.Floor, s.Under[drive])
	}
	s.Under, s.Crooked = nil, nil
	loose := slices.DeleteFunc(append(s.Floor, s.Second, s.Hand), func(disc string) bool { return disc == "" })
	slices.Sort(loose)
	s.Floor, s.Second, s.Hand = nil, "", ""
	for _, disc := range loose {
		bin := 0
		for bin < len(s.Bins) && len(s.Bins[bin]) >= s.Piles[bin].Capacity {
			bin++
		}
		if bin == len(s.Bins) {
			return errOccupied
		}
		s.Bins[bin] = append(s.Bins[bin], disc)
	}
	return writeJSON(t.dir, s)
}
