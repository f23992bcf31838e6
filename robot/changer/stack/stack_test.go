package stack

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/odarchive/odarchive/robot"
)

// tower is a Loader over piles in memory that refuses what physics forbid.
type tower struct {
	t      rapidT
	m      Machine
	bins   [][]int
	drives []int
	moves  int
}

type rapidT interface {
	Fatalf(format string, args ...any)
}

func (f *tower) Machine() Machine                               { return f.m }
func (f *tower) Ready(context.Context) error                    { return nil }
func (f *tower) Height(context.Context, int) (int, bool, error) { return 0, false, nil }
func (f *tower) Close() error                                   { return nil }
func (f *tower) Carry(_ context.Context, from, to Place) (Where, error) {
	disc := 0
	switch {
	case from.Kind == InBin && to.Kind == InBin && !f.m.Shifts:
		f.t.Fatalf("from %v to %v, and it does not shift", from, to)
	case from.Kind == InBin && !f.m.Bins[from.Number-1].Gives || to.Kind == InBin && !f.m.Bins[to.Number-1].Takes:
		f.t.Fatalf("from %v to %v, and one does not", from, to)
	}
	if from.Kind == InBin {
		pile := f.bins[from.Number-1]
		if len(pile) == 0 {
			f.t.Fatalf("nothing in %v", from)
		}
		disc, f.bins[from.Number-1] = pile[len(pile)-1], pile[:len(pile)-1]
	} else {
		disc, f.drives[from.Number-1] = f.drives[from.Number-1], 0
	}
	if to.Kind == InBin {
		f.bins[to.Number-1] = append(f.bins[to.Number-1], disc)
		if len(f.bins[to.Number-1]) > f.m.Bins[to.Number-1].Capacity {
			f.t.Fatalf("%v overflows", to)
		}
	} else {
		if f.drives[to.Number-1] != 0 {
			f.t.Fatalf("two discs in %v", to)
		}
		f.drives[to.Number-1] = disc
	}
	f.moves++
	return AtDestination, nil
}

// memory is a Store.
type memory struct{ o *Order }

func (m *memory) Load() (Order, error) {
	if m.o == nil {
		return Order{}, fs.ErrNotExist
	}
	return m.o.clone(), nil
}

func (m *memory) Save(o Order) error {
	c := o.clone()
	m.o = &c
	return nil
}

func (m *memory) Note(o Order) error { return m.Save(o) }

// TestEveryDiscCanBeReached: in any machine that is as full as it may be, after any moves, each disc can be fetched, and for each
// disc on it there is one move, or two by way of the drive. The order is always what lies in the machine.
func TestEveryDiscCanBeReached(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := Machine{Model: "test", Drives: rapid.IntRange(1, 3).Draw(t, "drives"), Shifts: rapid.Bool().Draw(t, "shifts")}
		for range rapid.IntRange(2, 4).Draw(t, "bins") {
			m.Bins = append(m.Bins, BinShape{Capacity: rapid.IntRange(1, 7).Draw(t, "capacity"), Gives: true, Takes: true})
		}
		counts, left := make([]int, len(m.Bins)), m.Slots()
		for i, b := range m.Bins {
			counts[i] = min(b.Capacity, left)
			left -= counts[i]
		}
		loader := &tower{t: t, m: m, bins: make([][]int, len(m.Bins)), drives: make([]int, m.Drives)}
		disc := 0
		for i, n := range counts {
			for range n {
				disc++
				loader.bins[i] = append(loader.bins[i], disc)
			}
		}
		c, err := Open(loader, &memory{}, counts)
		if err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(1, 30).Draw(t, "moves") {
			slot, drive := rapid.IntRange(1, disc).Draw(t, "slot"), rapid.IntRange(1, m.Drives).Draw(t, "drive")
			before := c.Order()
			at, above, _ := before.find(slot)
			loader.moves = 0
			err := c.Move(context.Background(), slotAddress(slot), driveAddress(drive))
			switch held := before.Drives[drive-1]; {
			case held != 0:
				if !errors.Is(err, robot.ErrFull) {
					t.Fatalf("%v, and the drive has disc %d", err, held)
				}
				if err := c.Move(context.Background(), driveAddress(drive), slotAddress(held)); err != nil {
					t.Fatal(err)
				}
			case at.Kind == InDrive:
				if !errors.Is(err, robot.ErrEmpty) {
					t.Fatalf("%v, and the disc is in %v", err, at)
				}
			default:
				want := above + 1
				if !m.Shifts {
					want = 2*above + 1
				}
				if err != nil || loader.moves != want {
					t.Fatalf("%v; %d moves, want %d", err, loader.moves, want)
				}
			}
			o := c.Order()
			for i := range o.Bins {
				if !slices.Equal(o.Bins[i], loader.bins[i]) {
					t.Fatalf("bin %d: the order has %v, the machine %v", i+1, o.Bins[i], loader.bins[i])
				}
			}
			if !slices.Equal(o.Drives, loader.drives) {
				t.Fatalf("drives: the order has %v, the machine %v", o.Drives, loader.drives)
			}
		}
	})
}

func TestSlots(t *testing.T) {
	both := func(n int) BinShape { return BinShape{n, true, true} }
	in, out := BinShape{30, true, false}, BinShape{20, false, true}
	for _, test := range []struct {
		bins []BinShape
		want int
	}{
		{[]BinShape{both(108), both(108), both(108), both(108)}, 324},
		{[]BinShape{both(10), both(90)}, 10},
		{[]BinShape{in, out}, 20},
	} {
		if got := (Machine{Bins: test.bins}).Slots(); got != test.want {
			t.Errorf("%v: %d slots, want %d", test.bins, got, test.want)
		}
	}
}

// TestByHand: what a person says is taken when the machine can be so, and refused otherwise, with nothing changed.
func TestByHand(t *testing.T) {
	m := Machine{Bins: []BinShape{{6, true, true}, {6, true, true}, {6, true, true}}, Drives: 1}
	o, err := NewOrder(m, []int{5, 2})
	if err != nil {
		t.Fatal(err)
	}
	was := o.String()
	for name, err := range map[string]error{
		"settle":      o.Settle(Bin(1)),
		"remove":      o.Remove(9),
		"add":         second(o.Add(m, 2, 5)),
		"add nowhere": second(o.Add(m, 4, 1)),
		"too many":    second(o.Add(m, 3, 6)),
		"carry":       o.CarryPile(m, 1, 2),
		"carry self":  o.CarryPile(m, 1, 1),
		"twice":       o.SetPile(m, 3, []int{1}),
		"no slot":     o.SetPile(m, 3, []int{13}),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if o.String() != was {
		t.Errorf("a refusal changed\n%s to\n%s", was, o)
	}
	if err := errors.Join(o.Remove(2), o.CarryPile(m, 2, 3)); err != nil {
		t.Error(err)
	}
	slots, err := o.Add(m, 1, 2)
	if err != nil || !slices.Equal(slots, []int{2, 8}) {
		t.Errorf("added %v, %v", slots, err)
	}
	if s := o.String(); !strings.Contains(s, "bin 1: 6 discs, from the bottom: 1 3-5 2 8") || !strings.Contains(s, "bin 3: 2 discs, from the bottom: 6-7") {
		t.Error(s)
	}
	if _, err := NewOrder(m, []int{6, 6, 1}); err == nil {
		t.Error("more discs than slots")
	}
}

func second[A any](_ A, err error) error { return err }

// FuzzOrder: no file makes an order that the machine can't be in.
func FuzzOrder(f *testing.F) {
	f.Add([]byte(`{"bins":[[1,2],[3]],"drives":[0],"heights":[-1,-1]}`))
	f.Add([]byte(`{"bins":[[1,2],[3]],"drives":[0],"pending":{"slot":4,"from":{"kind":"bin","number":1},"to":{"kind":"drive","number":1}}}`))
	m := Machine{Bins: []BinShape{{6, true, true}, {6, true, true}}, Drives: 1}
	f.Fuzz(func(t *testing.T, b []byte) {
		root, err := os.OpenRoot(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		if err := root.WriteFile(FileName, b, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Open(&tower{t: t, m: m}, InFolder(root), nil)
		if err != nil {
			return
		}
		seen := map[int]bool{}
		for _, pile := range c.Order().Bins {
			for _, slot := range pile {
				if slot < 1 || slot > m.Slots() || seen[slot] {
					t.Errorf("%q makes %v", b, c.Order())
				}
				seen[slot] = true
			}
		}
		_, _ = c.Inventory(t.Context())
	})
}
