// Package sim is a simulated robot library: the physics of discs, slots, players and pickers, kept in a folder, and beside it the
// protocols that real robots speak. It is written from the protocol's manual pages and shares no code with the drivers that talk
// to it, so that a misreading in one can't cancel out in the other.
package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/odarchive/odarchive/robot/drive/file"
)

// Shape is how a library is built. It never changes once its folder has been made.
type Shape struct {
	Units          int `json:"units"`
	SlotsPerUnit   int `json:"slots_per_unit"`
	PlayersPerUnit int `json:"players_per_unit"`
}

// Motion is how long the mechanism takes, in real time at speed 1.
type Motion struct {
	Carry time.Duration // slot to player or back
	Init  time.Duration // after power-up or when the door was open
}

// DefaultMotion is a Pioneer-like picker: 6 s a move, 20 s to initialise.
var DefaultMotion = Motion{Carry: 6 * time.Second, Init: 20 * time.Second}

// Faster returns m with a clock that runs n times as fast; 0 takes no time at all.
func (m Motion) Faster(n float64) Motion {
	if n == 0 {
		return Motion{}
	}
	return Motion{Carry: time.Duration(float64(m.Carry) / n), Init: time.Duration(float64(m.Init) / n)}
}

// state is where every disc is. It is written to disk before and after each act, so that a killed process finds its discs again.
type state struct {
	Shape     Shape          `json:"shape"`
	Slots     map[int]string `json:"slots"`     // number in the library → disc; an empty slot is not there
	Players   map[int]held   `json:"players"`   // number in the library → disc
	Transport map[int]held   `json:"transport"` // unit → disc on its way
	Moves     int            `json:"moves"`
	// Floor is what has fallen, and Crooked which discs lie crooked where they are.
	Floor   []held          `json:"floor,omitempty"`
	Crooked map[string]bool `json:"crooked,omitempty"`
	Refused int             `json:"refused"` // physically impossible acts
}

type held struct {
	Disc string `json:"disc"`
	Home int    `json:"home"` // the slot that it came from
}

func (s *state) clone() state {
	c := *s
	c.Slots, c.Players, c.Transport, c.Crooked = maps.Clone(s.Slots), maps.Clone(s.Players), maps.Clone(s.Transport), maps.Clone(s.Crooked)
	return c
}

// Library is the physical library. Its methods may be called by several goroutines.
type Library struct {
	dir    string
	motion Motion
	log    *slog.Logger

	mu    sync.Mutex
	state state
	units []unit // by unit-1
}

// unit is a mechanism's state that a power cut loses.
type unit struct {
	doorOpen bool
	moving   bool
	news     bool // it was initialised anew, and the host has not been told yet
}

// Errors of the mechanism.
var (
	errEmptySlot  = errors.New("no disc in the slot")
	errElsewhere  = errors.New("the slot's disc is in another player")
	errDoor       = errors.New("the door is open")
	errClamped    = errors.New("the player does not let go of the disc")
	errOccupied   = errors.New("the slot is occupied")
	errNothing    = errors.New("no disc in the player")
	errMoving     = errors.New("the mechanism is moving")
	errNoSuchUnit = errors.New("there is no such unit")
)

const stateName = "state.json"

// Create makes the folder of a library of that shape, with blank discs in the first blanks slots. It does nothing when the folder
// holds a library already.
func Create(dir string, shape Shape, medium file.Medium, blanks int) error {
	if shape.Units < 1 || shape.Units > 2 || shape.SlotsPerUnit < 1 || shape.SlotsPerUnit > 999 || shape.PlayersPerUnit < 1 || shape.PlayersPerUnit > 2 {
		return fmt.Errorf("make library %s: %d units of %d slots and %d players: want 1 or 2 units, 1 to 999 slots, 1 or 2 players", dir, shape.Units, shape.SlotsPerUnit, shape.PlayersPerUnit)
	}
	if _, err := os.Stat(filepath.Join(dir, stateName)); err == nil {
		return nil
	}
	s := state{Shape: shape, Slots: map[int]string{}, Players: map[int]held{}, Transport: map[int]held{}}
	for slot := 1; slot <= min(blanks, shape.Units*shape.SlotsPerUnit); slot++ {
		id := fmt.Sprintf("%04d", slot)
		if err := file.NewDisc(filepath.Join(dir, "discs", id), medium); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		s.Slots[slot] = id
	}
	for player := 1; player <= shape.Units*shape.PlayersPerUnit; player++ {
		if err := os.MkdirAll(driveDir(dir, player), 0o755); err != nil {
			return fmt.Errorf("make library %s: %w", dir, err)
		}
	}
	return writeState(dir, &s)
}

func driveDir(dir string, player int) string { return filepath.Join(dir, "drives", fmt.Sprint(player)) }

func writeState(dir string, s *state) error {
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("write %s: %w", stateName, err)
	}
	temp := filepath.Join(dir, stateName+".new")
	f, err := os.Create(temp)
	if err != nil {
		return fmt.Errorf("write %s: %w", stateName, err)
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(temp, filepath.Join(dir, stateName))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", stateName, err)
	}
	return nil
}

// Open powers the library in dir up: every unit initialises, and what lies on a transport goes back to where it belongs.
func Open(dir string, motion Motion, log *slog.Logger) (*Library, error) {
	b, err := os.ReadFile(filepath.Join(dir, stateName))
	if err != nil {
		return nil, fmt.Errorf("open library %s: %w", dir, err)
	}
	l := &Library{dir: dir, motion: motion, log: log}
	if err := json.Unmarshal(b, &l.state); err != nil {
		return nil, fmt.Errorf("open library %s: %s: %w", dir, stateName, err)
	}
	l.units = make([]unit, l.state.Shape.Units)
	// What the folders of the players hold must be what the state says: an act may have been cut off between the two.
	for player := 1; player <= l.state.Shape.Units*l.state.Shape.PlayersPerUnit; player++ {
		link := filepath.Join(driveDir(dir, player), file.DiscLink)
		h, holds := l.state.Players[player]
		to, err := os.Readlink(link)
		switch {
		case err == nil && (!holds || filepath.Base(to) != h.Disc):
			if free, err := file.Release(driveDir(dir, player)); err != nil || !free {
				return nil, fmt.Errorf("open library %s: player %d holds on to a disc: %w", dir, player, errors.Join(err, errClamped))
			}
			fallthrough
		case err != nil && holds:
			if holds {
				if err := file.Insert(driveDir(dir, player), filepath.Join(dir, "discs", h.Disc)); err != nil {
					return nil, err
				}
			}
		}
	}
	return l, nil
}

// PowerUp initialises all units and returns when they are ready.
func (l *Library) PowerUp(ctx context.Context) error {
	for u := range l.units {
		if err := l.initialise(ctx, u+1); err != nil {
			return err
		}
	}
	return nil
}

// initialise returns what lies on a unit's transport to its home and forgets what a power cut forgets.
func (l *Library) initialise(ctx context.Context, u int) error {
	if err := pause(ctx, l.motion.Init); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.units[u-1].moving = false
	h, ok := l.state.Transport[u]
	if !ok {
		return nil
	}
	if _, taken := l.state.Slots[h.Home]; taken {
		l.state.Refused++
		return fmt.Errorf("initialise unit %d: slot %d: %w", u, h.Home, errOccupied)
	}
	delete(l.state.Transport, u)
	l.state.Slots[h.Home] = h.Disc
	l.log.Info("disc returned", "unit", u, "disc", h.Disc, "slot", h.Home)
	return writeState(l.dir, &l.state)
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// unitOf returns the unit of a player.
func (l *Library) unitOf(player int) int { return (player-1)/l.state.Shape.PlayersPerUnit + 1 }

// begin takes a unit's mechanism, for one movement at a time.
func (l *Library) begin(u int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.units[u-1].doorOpen:
		return errDoor
	case l.units[u-1].moving:
		return errMoving
	}
	l.units[u-1].moving = true
	return nil
}

func (l *Library) end(u int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.units[u-1].moving = false
}

// change alters the state under its lock and writes it.
func (l *Library) change(f func(s *state) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := f(&l.state); err != nil {
		return err
	}
	return writeState(l.dir, &l.state)
}

// fetch carries the disc of a slot into a player, which must be empty. The mechanism must be taken. Fault is a mishap, or none.
func (l *Library) fetch(ctx context.Context, slot, player int, fault string) error {
	u := l.unitOf(player)
	err := l.change(func(s *state) error {
		if _, full := s.Transport[u]; full { // which nobody can ask it
			return errHandFull
		}
		disc, ok := s.Slots[slot]
		if !ok {
			for _, h := range s.Players {
				if h.Home == slot {
					return errElsewhere
				}
			}
			return errEmptySlot
		}
		if _, full := s.Players[player]; full {
			s.Refused++
			return errOccupied
		}
		delete(s.Slots, slot)
		s.Transport[u] = held{disc, slot}
		return nil
	})
	if err != nil {
		return err
	}
	if err := errors.Join(pause(ctx, l.motion.Carry), l.mishap(fault, u)); err != nil {
		return err
	}
	return l.change(func(s *state) error {
		h := s.Transport[u]
		if err := insert(l.dir, player, h.Disc, fault == mishapCrooked); err != nil {
			return err
		}
		if fault == mishapCrooked {
			s.Crooked = map[string]bool{h.Disc: true}
		}
		delete(s.Transport, u)
		s.Players[player] = h
		s.Moves++
		l.log.Info("disc loaded", "disc", h.Disc, "slot", slot, "player", player)
		return nil
	})
}

// putBack carries the disc of a player to its home. The mechanism must be taken. Fault is a mishap, or none.
func (l *Library) putBack(ctx context.Context, player int, fault string) error {
	u := l.unitOf(player)
	err := l.change(func(s *state) error {
		if _, full := s.Transport[u]; full { // which nobody can ask it
			return errHandFull
		}
		h, ok := s.Players[player]
		if !ok {
			return errNothing
		}
		if _, taken := s.Slots[h.Home]; taken {
			s.Refused++
			return errOccupied
		}
		if s.Crooked[h.Disc] || fault == mishapClamp {
			return errClamped
		}
		free, err := file.Release(driveDir(l.dir, player))
		if err != nil {
			return err
		}
		if !free {
			return errClamped
		}
		delete(s.Players, player)
		s.Transport[u] = h
		return nil
	})
	if err != nil {
		return err
	}
	if err := errors.Join(pause(ctx, l.motion.Carry), l.mishap(fault, u)); err != nil {
		return err
	}
	return l.change(func(s *state) error {
		h := s.Transport[u]
		delete(s.Transport, u)
		s.Slots[h.Home] = h.Disc
		s.Moves++
		l.log.Info("disc put back", "disc", h.Disc, "slot", h.Home, "player", player)
		return nil
	})
}

// Holds returns the slot from which the disc in a player came; 0 when it is empty.
func (l *Library) holds(player int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.Players[player].Home
}

// Shape returns how the library is built.
func (l *Library) Shape() Shape { return l.state.Shape }
