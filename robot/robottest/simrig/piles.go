package simrig

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/changer/dialect"
	"github.com/odarchive/odarchive/robot/changer/stack"
	"github.com/odarchive/odarchive/robot/port"
	"github.com/odarchive/odarchive/robot/robottest"
	"github.com/odarchive/odarchive/robot/sim"
	"github.com/odarchive/odarchive/robot/sim/jukebox"
)

// pile is a robot with piles.
type pile struct {
	protocol, dialect string
	bins              []sim.Pile
	drives            int
	oneWay            bool // discs go from bin 1 to bin 2 only
	// The acts that take a disc from a bin and set it down in a drive, and those that take it there and put it on a bin.
	grab, load, unload, put string
	setup                   []string
}

var piles = []pile{
	{"rimage", "rimage-liberty", []sim.Pile{{Capacity: 6, Discs: 5}, {Capacity: 6, Discs: 3}, {Capacity: 6, Discs: 2}, {Capacity: 6, Discs: 2}}, 4, false, "grab", "load", "unload", "put", nil},
	{"aleratec", "aleratec-autopublisher-ls", []sim.Pile{{Capacity: 6, Discs: 5}, {Capacity: 6, Discs: 3}, {Capacity: 6}}, 3, false, "load", "load", "unload", "unload", []string{"c09d11n100"}},
	{"letters", "amtren", []sim.Pile{{Capacity: 40, Discs: 30}, {Capacity: 40}}, 1, true, "load", "load", "unload", "unload", nil},
	{"letters", "amtren-get", []sim.Pile{{Capacity: 40, Discs: 30}, {Capacity: 40}}, 1, true, "load", "load", "get", "unload", nil},
	{"letters", "kodak", []sim.Pile{{Capacity: 40, Discs: 30}, {Capacity: 40}}, 1, true, "load", "load", "unload", "unload", nil},
}

func newPiles(t testing.TB, p pile) robottest.FaultRig {
	t.Helper()
	m := &tower{pile: p, box: start(t, jukebox.Main{Robot: p.protocol, Piles: p.bins, Drives: p.drives})}
	records := Records
	if records == "" {
		records = folder(t)
	}
	root, err := os.OpenRoot(records)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	m.store = stack.InFolder(root)
	blind := map[robottest.Fault]string{robottest.SourceEmpty: "a person's hand does not write into the driver's record"}
	if p.protocol != "rimage" {
		blind[robottest.TwoPicked] = "it weighs nothing and measures nothing: that a pile has one less shows when a disc of it is read"
	}
	return robottest.FaultRig{
		Open: m.open, Machine: m, Slot: slot(p.bins[0].Discs), Drive: drive(1),
		Cannot: map[robottest.Fault]string{
			robottest.NoMagazine: "its bins stay where they are",
			robottest.Occupied:   "it does not sense what lies on a tray or how full a bin is; the agent looks into the drive before",
		},
		Blind: blind,
	}
}

// tower is a machine with piles.
type tower struct {
	pile
	box
	store stack.Store
}

func (m *tower) open(ctx context.Context) (robot.Changer, error) {
	if m.oneWay {
		if err := m.Mend(); err != nil { // a person carries the output back
			return nil, err
		}
	}
	d, err := dialect.Load(m.dialect)
	if err != nil {
		return nil, err
	}
	config := dialect.Config{Setup: m.setup, Speed: Speed}
	var counts []int
	for _, b := range m.bins {
		config.Capacity, counts = append(config.Capacity, b.Capacity), append(counts, b.Discs)
	}
	line, err := port.Open(m.line(), port.Mode{Baud: d.Line.Baud})
	if err != nil {
		return nil, err
	}
	l, err := dialect.Open(ctx, line, d, config)
	if err != nil {
		return nil, errors.Join(err, line.Close())
	}
	c, err := stack.Open(l, m.store, counts)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return c, nil
}

// Strike implements robottest.Machine.
func (m *tower) Strike(f robottest.Fault, act robottest.Act) error {
	load := act == robottest.Loading
	take, set := m.unload, m.put
	if load {
		take, set = m.grab, m.load
	}
	switch f {
	case robottest.SourceEmpty:
		if load {
			return m.do("away", 1)
		}
		return m.do("empty", 1)
	case robottest.Stuck:
		return m.do("fault", take, "stuck")
	case robottest.TwoPicked:
		if !load {
			return unsupported(f)
		}
		if m.protocol == "rimage" { // in a lift it would do no harm
			if err := m.do("set up"); err != nil {
				return err
			}
		}
		return m.do("fault", take, "two")
	case robottest.TrayStuck:
		if load {
			return m.do("fault", set, "clamp")
		}
		return m.do("fault", take, "clamp")
	}
	return m.do("fault", set, words[f])
}

// Discs implements robottest.Machine. A disc in any bin is at the slot of its number.
func (m *tower) Discs() (map[string]robot.Address, error) {
	var s sim.TowerStatus
	err := m.status(&s)
	all := map[string]robot.Address{}
	for _, pile := range s.Bins {
		for _, disc := range pile {
			n, failed := strconv.Atoi(disc)
			err = errors.Join(err, failed)
			all[disc] = slot(n)
		}
	}
	for n, disc := range s.Drives {
		all[disc] = drive(n)
	}
	for n, disc := range s.Under {
		all[disc] = below(n)
	}
	for _, disc := range []string{s.Hand, s.Second} {
		if disc != "" {
			all[disc] = robot.Address{Kind: robot.Picker, Number: 1}
		}
	}
	for _, disc := range s.Floor {
		all[disc] = floor
	}
	return all, err
}

// Refused implements robottest.Machine.
func (m *tower) Refused() (int, error) {
	var s sim.TowerStatus
	err := m.status(&s)
	return s.Refused, err
}

// Mend implements robottest.Machine: the person says which disc lies where.
func (m *tower) Mend() error {
	if err := m.do("tidy"); err != nil {
		return err
	}
	if m.oneWay {
		if err := m.do("pile", 2, 1); err != nil {
			return err
		}
	}
	o, err := m.order()
	if err != nil {
		return err
	}
	return m.store.Save(o)
}

// order is the true one.
func (m *tower) order() (o stack.Order, err error) {
	var s sim.TowerStatus
	err = m.status(&s)
	number := func(disc string) int {
		n, failed := strconv.Atoi(disc)
		err = errors.Join(err, failed)
		return n
	}
	o = stack.Order{Bins: make([][]int, len(s.Bins)), Drives: make([]int, m.drives)}
	for i, pile := range s.Bins {
		for _, disc := range pile {
			o.Bins[i] = append(o.Bins[i], number(disc))
		}
		o.Heights = append(o.Heights, -1)
	}
	for n, disc := range s.Drives {
		o.Drives[n-1] = number(disc)
	}
	return o, err
}

// Record implements robottest.Machine.
func (m *tower) Record(c robot.Changer) error {
	is, err := m.order()
	if err != nil {
		return err
	}
	says := c.(*stack.Changer).Order()
	var s sim.TowerStatus
	if err := m.status(&s); err != nil {
		return err
	}
	if p := says.Pending; p != nil { // it lies in one of these places, or in none, and with it what sticks to it
		for _, disc := range append([]string{s.Second}, slices.Collect(maps.Values(s.Under))...) {
			if n, err := strconv.Atoi(disc); err == nil && p.From.Kind == stack.InBin {
				pile := &says.Bins[p.From.Number-1]
				*pile = slices.DeleteFunc(*pile, func(slot int) bool { return slot == n })
			}
		}
		for i := range is.Bins {
			is.Bins[i] = slices.DeleteFunc(is.Bins[i], func(n int) bool { return n == p.Slot })
		}
		for i, n := range is.Drives {
			if n == p.Slot {
				is.Drives[i] = 0
			}
		}
	}
	for i := range is.Bins {
		if !slices.Equal(is.Bins[i], says.Bins[i]) {
			return fmt.Errorf("bin %d has %v, the order says %v", i+1, is.Bins[i], says.Bins[i])
		}
	}
	if !slices.Equal(is.Drives, says.Drives) {
		return fmt.Errorf("the drives have %v, the order says %v", is.Drives, says.Drives)
	}
	return nil
}
