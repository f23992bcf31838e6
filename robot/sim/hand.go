package sim

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/odarchive/odarchive/robot/drive/file"
)

// What a person does to the library by hand, while the door of the unit may be open or not: nobody asks the robot.

// OpenDoor opens the door of a unit: it stops taking commands.
func (l *Library) OpenDoor(u int) error {
	if u < 1 || u > len(l.units) {
		return fmt.Errorf("open the door of unit %d: %w", u, errNoSuchUnit)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.units[u-1].doorOpen = true
	l.log.Info("door opened", "unit", u)
	return nil
}

// CloseDoor closes it; the unit initialises, and says so once.
func (l *Library) CloseDoor(ctx context.Context, u int) error {
	if u < 1 || u > len(l.units) {
		return fmt.Errorf("close the door of unit %d: %w", u, errNoSuchUnit)
	}
	if err := l.initialise(ctx, u); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.units[u-1].doorOpen = false
	l.units[u-1].news = true
	l.log.Info("door closed", "unit", u)
	return nil
}

// Swap exchanges what lies in two slots.
func (l *Library) Swap(a, b int) error {
	return l.change(func(s *state) error {
		x, okX := s.Slots[a]
		y, okY := s.Slots[b]
		delete(s.Slots, a)
		delete(s.Slots, b)
		if okX {
			s.Slots[b] = x
		}
		if okY {
			s.Slots[a] = y
		}
		l.log.Info("discs swapped by hand", "slots", []int{a, b})
		return nil
	})
}

// Remove takes the disc out of a slot and returns which it was.
func (l *Library) Remove(slot int) (disc string, err error) {
	err = l.change(func(s *state) error {
		var ok bool
		if disc, ok = s.Slots[slot]; !ok {
			return fmt.Errorf("remove the disc of slot %d: %w", slot, errEmptySlot)
		}
		delete(s.Slots, slot)
		l.log.Info("disc removed by hand", "slot", slot, "disc", disc)
		return nil
	})
	return disc, err
}

// Put puts a disc into an empty slot.
func (l *Library) Put(slot int, disc string) error {
	return l.change(func(s *state) error {
		if _, ok := s.Slots[slot]; ok {
			return fmt.Errorf("put disc %s into slot %d: %w", disc, slot, errOccupied)
		}
		s.Slots[slot] = disc
		l.log.Info("disc put in by hand", "slot", slot, "disc", disc)
		return nil
	})
}

// Lay lays a disc into an empty player by hand, or takes out the one that is there when disc is empty.
func (l *Library) Lay(player int, disc string) error {
	return l.change(func(s *state) error {
		if disc == "" {
			if free, err := file.Release(driveDir(l.dir, player)); err != nil || !free {
				return errors.Join(err, errClamped)
			}
			delete(s.Players, player)
			return nil
		}
		home, err := strconv.Atoi(disc)
		if _, full := s.Players[player]; full || err != nil {
			return fmt.Errorf("lay disc %s into player %d: %w", disc, player, errors.Join(err, errOccupied))
		}
		s.Players[player] = held{disc, home}
		return insert(l.dir, player, disc, false)
	})
}

// Status is what a look inside shows.
type Status struct {
	Slots     map[int]string `json:"slots"`
	Players   map[int]string `json:"players"`
	Transport map[int]string `json:"transport"`
	Floor     []string       `json:"floor,omitempty"`
	Moves     int            `json:"moves"`
	// Refused counts acts that physics forbids: a disc into an occupied place, two discs in one drive.
	Refused int `json:"refused"`
}

// Status looks inside.
func (l *Library) Status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	names := func(m map[int]held) map[int]string {
		out := map[int]string{}
		for _, k := range slices.Sorted(maps.Keys(m)) {
			out[k] = m[k].Disc
		}
		return out
	}
	var floor []string
	for _, h := range l.state.Floor {
		floor = append(floor, h.Disc)
	}
	return Status{Floor: floor, Slots: maps.Clone(l.state.Slots), Players: names(l.state.Players), Transport: names(l.state.Transport), Moves: l.state.Moves, Refused: l.state.Refused}
}
