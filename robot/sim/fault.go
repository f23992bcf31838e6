package sim

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/pelletier/go-toml/v2"
)

// Fault is something that goes wrong with a command. In a script it is a table of the array "fault":
//
//	[[fault]]
//	on = "ZS"       # the command's letters
//	do = "E91"      # what happens, see Actions
//	player = 3      # only for this player; 0 or left out for any
//	slot = 17       # only for this slot of the library
//	after = 2       # only from the second time on
//	times = 1       # so often; left out: once
type Fault struct {
	On     string `toml:"on"`
	Do     string `toml:"do"`
	Player int    `toml:"player"`
	Slot   int    `toml:"slot"`
	After  int    `toml:"after"`
	Times  int    `toml:"times"`

	seen, done int
}

// Actions are what a fault can do besides Replies and Mishaps: E codes fail the command as Pioneer's error chart says, with the disc where
// it says, those of other makes as theirs does; magazine fails it because one is missing, and hangup ends the line.
var Actions = slices.Concat([]string{"E91", "E92", "E93", "E98", "magazine", "hangup"}, Replies, Mishaps)

// Faults is a script of faults. The zero value has none; its methods may be called by several goroutines.
type Faults struct {
	mu   sync.Mutex
	list []Fault
}

// ReadFaults reads a script and reports the place of what it can't make sense of.
func ReadFaults(path string) ([]Fault, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read faults: %w", err)
	}
	defer f.Close()
	var script struct {
		Fault []Fault `toml:"fault"`
	}
	if err := toml.NewDecoder(f).DisallowUnknownFields().Decode(&script); err != nil {
		if strict, ok := err.(*toml.StrictMissingError); ok {
			return nil, fmt.Errorf("read faults from %s:\n%s", path, strict.String())
		}
		return nil, fmt.Errorf("read faults from %s: %w", path, err)
	}
	for i := range script.Fault {
		if err := script.Fault[i].check(); err != nil {
			return nil, fmt.Errorf("read faults from %s: fault %d: %w", path, i+1, err)
		}
	}
	return script.Fault, nil
}

func (f *Fault) check() error {
	if !slices.Contains(Actions, f.Do) {
		return fmt.Errorf("do = %q: want one of %s", f.Do, strings.Join(Actions, ", "))
	}
	if f.On == "" || f.Player < 0 || f.Slot < 0 || f.After < 0 || f.Times < 0 {
		return fmt.Errorf("want a command in on, and no negative numbers")
	}
	return nil
}

// Add adds faults.
func (f *Faults) Add(faults ...Fault) error {
	for i := range faults {
		if err := faults[i].check(); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, faults...)
	return nil
}

// Clear drops all faults.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = nil
}

// strike returns what a command suffers; empty for nothing.
func (f *Faults) strike(command string, player, slot int) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.list {
		x := &f.list[i]
		if x.On != command || x.Player != 0 && x.Player != player || x.Slot != 0 && x.Slot != slot {
			continue
		}
		x.seen++
		if x.seen >= x.After && x.done < max(x.Times, 1) {
			x.done++
			return x.Do
		}
	}
	return ""
}
