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
	"slices"
	"sync"
	"time"

	"github.com/odarchive/odarchive/robot/drive/file"
)

// Pile is how a bin of a Tower is built.
type Pile struct {
	Capacity int `json:"capacity"`
	Discs    int `json:"discs"` // blank ones in it when the tower is new
}

// Tower is a machine with piles: bins of which the hand reaches the top, drives, one hand. It enforces physics, and counts what was
// asked of it against them. Its methods may be called by several goroutines; it moves for one at a time.
type Tower struct {
	dir   string
	carry time.Duration
	log   *slog.Logger

	moving sync.Mutex // held while the hand moves
	mu     sync.Mutex // of what follows
	state  towerState
	door   bool   // open
	opened bool   // the door was, and the host has not been told
	mishap string // that the next act suffers to which it can happen
}

type towerState struct {
	Piles  []Pile         `json:"piles"`
	Bins   [][]string     `json:"bins"` // from the bottom to the top
	Drives map[int]string `json:"drives"`
	Hand   string         `json:"hand"`
	// Second is a disc that sticks below the one in the hand, and Under one below that in a drive.
	Second  string          `json:"second,omitempty"`
	Under   map[int]string  `json:"under,omitempty"`
	Crooked map[string]bool `json:"crooked,omitempty"`
	Floor   []string        `json:"floor"` // fallen
	Moves   int             `json:"moves"`
	Refused int             `json:"refused"`
}

var (
	errEmptyBin = errors.New("no disc in the bin")
	errHandFull = errors.New("the hand has a disc already")
	errHand     = errors.New("the hand has no disc")
	errTray     = errors.New("a disc lies on the tray already")
)

// CreateTower makes the folder of a tower with blank discs. It does nothing when the folder holds one already.
func CreateTower(dir string, piles []Pile, drives int, medium file.Medium) error {
	if _, err := os.Stat(filepath.Join(dir, stateName)); err == nil {
		return nil
	}
	s := towerState{Piles: piles, Bins: make([][]string, len(piles)), Drives: map[int]string{}}
	disc := 0
	for i, p := range piles {
		for range p.Discs {
			disc++
			id := fmt.Sprintf("%04d", disc)
			if err := file.NewDisc(filepath.Join(dir, "discs", id), medium); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
			s.Bins[i] = append(s.Bins[i], id)
		}
	}
	for d := 1; d <= drives; d++ {
		if err := os.MkdirAll(driveDir(dir, d), 0o755); err != nil {
			return fmt.Errorf("make tower %s: %w", dir, err)
		}
	}
	return writeJSON(dir, s)
}

// OpenTower powers the tower in dir up. Carry is how long the hand takes from place to place.
func OpenTower(dir string, carry time.Duration, log *slog.Logger) (*Tower, error) {
	b, err := os.ReadFile(filepath.Join(dir, stateName))
	if err != nil {
		return nil, fmt.Errorf("open tower %s: %w", dir, err)
	}
	t := &Tower{dir: dir, carry: carry, log: log}
	if err := json.Unmarshal(b, &t.state); err != nil {
		return nil, fmt.Errorf("open tower %s: %w", dir, err)
	}
	return t, nil
}

// act is one movement. Physics that forbid it are counted.
func (t *Tower) act(ctx context.Context, what string, f func(s *towerState) error) error {
	t.moving.Lock()
	defer t.moving.Unlock()
	if err := pause(ctx, t.carry); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.door {
		return errDoor
	}
	if err := f(&t.state); err != nil {
		return errors.Join(err, writeJSON(t.dir, t.state)) // it may have fallen
	}
	t.state.Moves++
	t.log.Info(what)
	return writeJSON(t.dir, t.state)
}

// refuse counts an act against physics.
func (s *towerState) refuse(err error) error {
	s.Refused++
	return err
}

// TakeBin grabs the top disc of a bin.
func (t *Tower) TakeBin(ctx context.Context, bin int) error {
	return t.act(ctx, fmt.Sprint("grab from bin ", bin), func(s *towerState) error {
		pile := s.Bins[bin-1]
		switch {
		case s.Hand != "":
			return s.refuse(errHandFull)
		case len(pile) == 0:
			return errEmptyBin
		case s.Crooked[pile[len(pile)-1]]:
			return errCrooked
		}
		s.Hand, pile = pile[len(pile)-1], pile[:len(pile)-1]
		if t.happens(mishapTwo) && len(pile) > 0 {
			s.Second, pile = pile[len(pile)-1], pile[:len(pile)-1]
		}
		s.Bins[bin-1] = pile
		return nil
	})
}

// PutBin lets the disc go over a bin.
func (t *Tower) PutBin(ctx context.Context, bin int) error {
	return t.act(ctx, fmt.Sprint("put into bin ", bin), func(s *towerState) error {
		switch {
		case s.Hand == "":
			return errHand
		case len(s.Bins[bin-1]) >= s.Piles[bin-1].Capacity:
			return s.refuse(errOccupied)
		}
		if err := t.slip(s); err != nil {
			return err
		}
		if t.happens(mishapCrooked) {
			s.Crooked = map[string]bool{s.Hand: true}
		}
		if s.Second != "" {
			s.Bins[bin-1] = append(s.Bins[bin-1], s.Second)
		}
		s.Bins[bin-1] = append(s.Bins[bin-1], s.Hand)
		s.Hand, s.Second = "", ""
		return nil
	})
}

// TakeDrive grabs the disc on a drive's tray.
func (t *Tower) TakeDrive(ctx context.Context, drive int) error {
	return t.act(ctx, fmt.Sprint("grab from drive ", drive), func(s *towerState) error {
		switch {
		case s.Hand != "":
			return s.refuse(errHandFull)
		case s.Drives[drive] == "":
			return errNothing
		case t.happens(mishapClamp):
			return errShut
		case s.Crooked[s.Drives[drive]]:
			return errCrooked
		}
		if free, err := file.Release(driveDir(t.dir, drive)); err != nil || !free {
			return s.refuse(errors.Join(errClamped, err)) // a hand on a closed tray
		}
		s.Hand = s.Drives[drive]
		delete(s.Drives, drive)
		if under := s.Under[drive]; under != "" {
			s.Drives[drive] = under
			delete(s.Under, drive)
			return insert(t.dir, drive, under, false)
		}
		return nil
	})
}

// PutDrive lays the disc on a drive's tray.
func (t *Tower) PutDrive(ctx context.Context, drive int) error {
	return t.act(ctx, fmt.Sprint("put into drive ", drive), func(s *towerState) error {
		switch {
		case s.Hand == "":
			return errHand
		case s.Drives[drive] != "":
			return s.refuse(errTray)
		case t.happens(mishapClamp):
			return errShut
		}
		if err := t.slip(s); err != nil {
			return err
		}
		crooked := t.happens(mishapCrooked)
		if err := insert(t.dir, drive, s.Hand, crooked || s.Second != ""); err != nil {
			return err
		}
		if crooked {
			s.Crooked = map[string]bool{s.Hand: true}
		}
		if s.Second != "" {
			s.Under = map[int]string{drive: s.Second}
		}
		s.Drives[drive], s.Hand, s.Second = s.Hand, "", ""
		return nil
	})
}

// OpenDoor opens the door, CloseDoor closes it.
func (t *Tower) OpenDoor()  { t.setDoor(true) }
func (t *Tower) CloseDoor() { t.setDoor(false) }

func (t *Tower) setDoor(open bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.opened = t.opened || open
	t.door = open
}

// doorNews says whether the door is open or has been since this was last asked.
func (t *Tower) doorNews() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	news := t.door || t.opened
	t.opened = false
	return news
}

// height is how many discs lie in a bin.
func (t *Tower) height(bin int) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.state.Bins[bin-1])
}

// EmptyHand takes the disc out of the hand, as a person would, and puts it onto a bin.
func (t *Tower) EmptyHand(bin int) (disc string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &t.state
	if disc = s.Hand; disc == "" {
		return "", nil
	}
	s.Bins[bin-1], s.Hand = append(s.Bins[bin-1], disc), ""
	return disc, writeJSON(t.dir, s)
}

// CarryPile lays all discs of a bin, as they are, on those of another, as a person would.
func (t *Tower) CarryPile(from, to int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &t.state
	s.Bins[to-1] = append(s.Bins[to-1], s.Bins[from-1]...)
	s.Bins[from-1] = nil
	return writeJSON(t.dir, s)
}

// TowerStatus is what a look inside shows.
type TowerStatus struct {
	Bins    [][]string     `json:"bins"`
	Drives  map[int]string `json:"drives"`
	Hand    string         `json:"hand"`
	Second  string         `json:"second,omitempty"`
	Under   map[int]string `json:"under,omitempty"`
	Floor   []string       `json:"floor,omitempty"`
	Moves   int            `json:"moves"`
	Refused int            `json:"refused"`
}

// Status looks inside.
func (t *Tower) Status() TowerStatus {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := TowerStatus{Drives: maps.Clone(t.state.Drives), Second: t.state.Second, Under: maps.Clone(t.state.Under), Floor: slices.Clone(t.state.Floor), Hand: t.state.Hand, Moves: t.state.Moves, Refused: t.state.Refused}
	for _, pile := range t.state.Bins {
		s.Bins = append(s.Bins, slices.Clone(pile))
	}
	return s
}

// writeJSON replaces the state in a folder.
func writeJSON(dir string, v any) error {
	b, err := json.Marshal(v)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, stateName+".new"), b, 0o644)
	}
	if err == nil {
		err = os.Rename(filepath.Join(dir, stateName+".new"), filepath.Join(dir, stateName))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", stateName, err)
	}
	return nil
}
