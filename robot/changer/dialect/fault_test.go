package dialect_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/changer/stack"
	"github.com/odarchive/odarchive/robot/sim"
)

// acts are those of each protocol that a fault can strike.
var acts = map[string][]string{
	"rimage":   {"grab", "put", "load", "unload", "status", "position", "height"},
	"aleratec": {"load", "unload", "status"},
	"letters":  {"load", "unload", "get", "status"},
}

// TestFaults lets every fault of an answer, and a mechanism that is stuck, strike every act; robottest.Faults has those that happen to discs. Whatever happens, the order never contradicts physics: a disc is where the
// order says, or the order says that it is on its way, and then a person who looks puts an end to that.
func TestFaults(t *testing.T) {
	for _, m := range machines {
		t.Run(m.dialect, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, m.protocol, m.dialect, m.piles, m.drives)
			c := s.must()
			random := rand.New(rand.NewPCG(1, 2))
			struck := 0
			for _, action := range []string{"stuck", "held", "lost", "doubled", "garbled", "unsolicited"} {
				for _, act := range acts[m.protocol] {
					s.tell("fault", act, action)
					for range 4 { // enough for the act to come
						err := someMove(t, c, random, m.oneWay)
						if err == nil {
							continue
						}
						struck++
						if _, ok := errors.AsType[*robot.Error](err); !ok {
							t.Fatalf("%s of %s: %v is no *robot.Error", action, act, err)
						}
						if c.Order().Pending != nil {
							// Nothing moves before a person has looked, unless the piles tell.
							if err := someMove(t, c, random, m.oneWay); err != nil && !errors.Is(err, robot.ErrJam) && !errors.Is(err, robot.ErrComm) && !errors.Is(err, robot.ErrInventory) && !errors.Is(err, robot.ErrDriveFault) {
								t.Errorf("%s of %s: %v", action, act, err)
							}
						}
						c = s.repair(c)
						break
					}
					s.tell("reset")
					s.truth(c.Order())
					if m.oneWay && len(c.Order().Bins[0]) < 12 {
						c = s.turn(c)
					}
				}
			}
			if struck < len(acts[m.protocol]) {
				t.Errorf("only %d faults struck", struck)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// someMove empties a full drive, or fetches a disc into an empty one.
func someMove(t *testing.T, c *stack.Changer, random *rand.Rand, oneWay bool) error {
	o := c.Order()
	n := random.IntN(len(o.Drives))
	if disc := o.Drives[n]; disc != 0 {
		return c.Move(t.Context(), bay(n+1), slot(disc))
	}
	pile := o.Bins[0]
	for _, other := range o.Bins[1:] {
		if !oneWay && len(other) > 0 && (len(pile) == 0 || random.IntN(2) == 0) {
			pile = other
		}
	}
	reach := len(pile)
	if oneWay {
		reach = min(reach, 2)
	}
	return c.Move(t.Context(), slot(pile[len(pile)-1-random.IntN(reach)]), bay(n+1))
}

// repair is a person who looks where the disc lies that was on its way, empties the hand, and says so.
func (s *site) repair(c *stack.Changer) *stack.Changer {
	s.t.Helper()
	s.tell("reset")
	o := c.Order()
	if err := c.Close(); err != nil {
		s.t.Fatal(err)
	}
	if o.Pending != nil {
		if err := s.settle(&o); err != nil {
			s.t.Fatal(err)
		}
	}
	return s.must()
}

func (s *site) settle(o *stack.Order) error {
	var is sim.TowerStatus
	if err := json.Unmarshal([]byte(s.tell("status")), &is); err != nil {
		return err
	}
	id := fmt.Sprintf("%04d", o.Pending.Slot)
	at := stack.Place{}
	if is.Hand == id {
		for i := range is.Bins {
			if len(is.Bins[i]) < s.capacity[i] {
				at = stack.Bin(i + 1)
			}
		}
		s.tell("hand", at.Number)
	}
	for i, pile := range is.Bins {
		if slices.Contains(pile, id) {
			at = stack.Bin(i + 1)
		}
	}
	for n, disc := range is.Drives {
		if disc == id {
			at = stack.Drive(n)
		}
	}
	if err := o.Settle(at); err != nil {
		return err
	}
	return s.store.Save(*o)
}

// turn is a person who carries the output pile of a one-way robot back to its input, and says so.
func (s *site) turn(c *stack.Changer) *stack.Changer {
	s.t.Helper()
	o := c.Order()
	s.tell("pile 2 1")
	if err := errors.Join(c.Close(), o.CarryPile(s.machine, 2, 1), s.store.Save(o)); err != nil {
		s.t.Fatal(err)
	}
	return s.must()
}

// TestTwoPickedUnseenBefore: of a pile that the robot has never moved, too, and of one that it can't measure any more: it lifts a disc first.
// Two that stick together in that do no harm.
func TestTwoPickedUnseenBefore(t *testing.T) {
	for _, c := range []struct {
		name   string
		door   bool     // it was opened since the robot measured
		faults []string // of the grabs that come
		jam    bool
	}{
		{"never moved", false, []string{"well", "two"}, true},
		{"in the lift", false, []string{"two"}, false},
		{"after the door was open", true, []string{"well", "two"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, "rimage", "rimage-liberty", piles(9, 5, 9, 0, 9, 0, 9, 0), 1)
			driver := s.must()
			top, below := slot(5), slot(4)
			if c.door {
				if err := errors.Join(driver.Move(t.Context(), top, bay(1)), driver.Move(t.Context(), bay(1), top)); err != nil {
					t.Fatal(err)
				}
				s.tell("door open")
				s.tell("door close")
				if _, err := driver.Inventory(t.Context()); !errors.Is(err, robot.ErrDoor) {
					t.Errorf("%v; want to be told of the door", err)
				}
				top, below = slot(4), slot(3)
			}
			for _, f := range c.faults {
				s.tell("fault grab " + f)
			}
			err := driver.Move(t.Context(), top, bay(1))
			if c.jam != errors.Is(err, robot.ErrJam) || !c.jam && err != nil {
				t.Errorf("%v; want a jam: %v", err, c.jam)
			}
			if o := driver.Order(); c.jam != (o.Pending != nil && o.Pending.Slot == top.Number) {
				t.Errorf("on its way is %v", o.Pending)
			}
			if err := driver.Move(t.Context(), below, bay(1)); c.jam && !errors.Is(err, robot.ErrJam) {
				t.Errorf("it moves on: %v", err)
			}
			if !c.jam {
				s.truth(driver.Order())
			}
			if err := driver.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestTwoPicked: a robot that measures its piles finds out that two discs were picked where one was wanted, of a pile that it has moved.
func TestTwoPicked(t *testing.T) {
	s := newSite(t, "rimage", "rimage-liberty", piles(9, 5, 9, 0, 9, 0, 9, 0), 1)
	c := s.must()
	for _, n := range []int{5, 4, 3} { // onto bins 2, 3 and 4, which are known from then on
		if err := errors.Join(c.Move(t.Context(), slot(n), bay(1)), c.Move(t.Context(), bay(1), slot(n))); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(c.Move(t.Context(), slot(2), bay(1)), c.Move(t.Context(), bay(1), slot(2))); err != nil {
		t.Fatal(err)
	}
	o := c.Order()
	from := slices.IndexFunc(o.Bins, func(pile []int) bool { return len(pile) == 2 })
	top := o.Bins[from][1]
	s.tell("fault grab two")
	if err := c.Move(t.Context(), slot(top), bay(1)); !errors.Is(err, robot.ErrJam) {
		t.Errorf("%v; want %v", err, robot.ErrJam)
	}
	if o := c.Order(); o.Pending == nil || o.Pending.Slot != top {
		t.Errorf("on its way is %v, want disc %d", o.Pending, top)
	}
	if err := c.Move(t.Context(), slot(1), bay(1)); !errors.Is(err, robot.ErrJam) {
		t.Errorf("it moves on: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// TestCrash kills the agent's side before and after every word to the store, while the robot goes on: the order that is on disk
// then is true, or says which disc it is not sure of.
func TestCrash(t *testing.T) {
	for _, m := range machines[:2] {
		t.Run(m.dialect, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, m.protocol, m.dialect, m.piles, m.drives)
			inner := s.store
			random := rand.New(rand.NewPCG(3, 4))
			for n := range 40 {
				s.store = inner
				c := s.must()
				if err := c.Close(); err != nil {
					t.Fatal(err)
				}
				dying := &dyingStore{Store: inner, left: n % 5, after: n%2 == 0}
				s.store = dying
				c = s.must()
				for !dying.dead {
					_ = someMove(t, c, random, false) // until its store is dead
				}
				if err := c.Close(); err != nil {
					t.Fatal(err)
				}
				o, err := inner.Load()
				if err != nil {
					t.Fatal(err)
				}
				if o.Pending != nil {
					s.store = inner
					again := s.must()
					_, inventory := again.Inventory(t.Context())
					o = again.Order()
					if (inventory == nil) != (o.Pending == nil) {
						t.Errorf("inventory %v, and on its way is %v", inventory, o.Pending)
					}
					if err := again.Close(); err != nil {
						t.Fatal(err)
					}
					if o.Pending != nil {
						if err := s.settle(&o); err != nil {
							t.Fatal(err)
						}
					}
				}
				s.truth(o)
			}
		})
	}
}

// dyingStore is the store of a process that is killed at its so many-th word, before or after it is written.
type dyingStore struct {
	stack.Store
	left        int
	after, dead bool
}

func (d *dyingStore) Save(o stack.Order) error { return d.write(o, d.Store.Save) }
func (d *dyingStore) Note(o stack.Order) error { return d.write(o, d.Store.Note) }

func (d *dyingStore) write(o stack.Order, write func(stack.Order) error) error {
	if d.dead {
		return os.ErrClosed
	}
	if d.left--; d.left >= 0 {
		return write(o)
	}
	d.dead = true
	if d.after {
		if err := write(o); err != nil {
			return err
		}
	}
	return os.ErrClosed
}
