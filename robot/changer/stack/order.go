package stack

import (
	"fmt"
	"slices"
	"strings"
)

// Order is where every disc of a machine lies, each by the number of its slot.
type Order struct {
	// Bins are the piles, each from its bottom to its top.
	Bins [][]int `json:"bins"`
	// Drives are the discs in them, 0 for none.
	Drives []int `json:"drives"`
	// Pending is the disc that is on its way; nil when all lie still. It is in no bin and no drive.
	Pending *Carry `json:"pending,omitempty"`
	// Heights are the piles as the robot measured them after it last changed one, -1 when it could not.
	Heights []int `json:"heights,omitempty"`
}

// Carry is one disc on its way.
type Carry struct {
	Slot int   `json:"slot"`
	From Place `json:"from"`
	To   Place `json:"to"`
	// FromHeight and ToHeight are the piles before it began; -1 for a drive, or when the robot could not tell.
	FromHeight int `json:"from_height"`
	ToHeight   int `json:"to_height"`
}

func (c Carry) String() string {
	if c.From == c.To {
		return fmt.Sprintf("disc %d, lifted off %v,", c.Slot, c.From)
	}
	return fmt.Sprintf("disc %d from %v to %v", c.Slot, c.From, c.To)
}

// NewOrder is the order of a machine whose bins hold so many discs, which are numbered from bin to bin and from the bottom up.
func NewOrder(m Machine, counts []int) (Order, error) {
	o := Order{Bins: make([][]int, len(m.Bins)), Drives: make([]int, m.Drives), Heights: make([]int, len(m.Bins))}
	if len(counts) > len(m.Bins) {
		return o, fmt.Errorf("discs for %d bins: the robot has %d", len(counts), len(m.Bins))
	}
	slot := 0
	for i, n := range counts {
		if n < 0 || n > m.Bins[i].Capacity {
			return o, fmt.Errorf("%d discs in bin %d: it holds 0 to %d", n, i+1, m.Bins[i].Capacity)
		}
		for range n {
			slot++
			o.Bins[i] = append(o.Bins[i], slot)
		}
	}
	for i := range o.Heights {
		o.Heights[i] = -1
	}
	return o, o.check(m)
}

// check refuses an order that the machine can't be in.
func (o Order) check(m Machine) error {
	if len(o.Bins) != len(m.Bins) || len(o.Drives) != m.Drives {
		return fmt.Errorf("the order is of %d bins and %d drives, the robot has %d and %d", len(o.Bins), len(o.Drives), len(m.Bins), m.Drives)
	}
	if o.Heights != nil && len(o.Heights) != len(o.Bins) {
		return fmt.Errorf("%d heights of %d bins", len(o.Heights), len(o.Bins))
	}
	seen := map[int]bool{}
	once := func(slot int, where string) error {
		if slot < 1 || slot > m.Slots() {
			return fmt.Errorf("%s has disc %d: slots are 1 to %d, the rest of the room is for getting at them", where, slot, m.Slots())
		}
		if seen[slot] {
			return fmt.Errorf("disc %d is in %s and elsewhere", slot, where)
		}
		seen[slot] = true
		return nil
	}
	for i, pile := range o.Bins {
		where := Bin(i + 1).String()
		if len(pile) > m.Bins[i].Capacity {
			return fmt.Errorf("%s has %d discs, it holds %d", where, len(pile), m.Bins[i].Capacity)
		}
		for _, slot := range pile {
			if err := once(slot, where); err != nil {
				return err
			}
		}
	}
	for i, slot := range o.Drives {
		if slot == 0 {
			continue
		}
		if err := once(slot, Drive(i+1).String()); err != nil {
			return err
		}
	}
	if c := o.Pending; c != nil {
		for _, p := range []Place{c.From, c.To} {
			if !o.has(p) {
				return fmt.Errorf("%v: there is no %v", *c, p)
			}
		}
		return once(c.Slot, "on its way")
	}
	return nil
}

// clone is a copy that shares nothing.
func (o Order) clone() Order {
	c := Order{Bins: make([][]int, len(o.Bins)), Drives: slices.Clone(o.Drives), Heights: slices.Clone(o.Heights)}
	for i, pile := range o.Bins {
		c.Bins[i] = slices.Clone(pile)
	}
	if o.Pending != nil {
		p := *o.Pending
		c.Pending = &p
	}
	return c
}

func (o Order) has(p Place) bool {
	switch p.Kind {
	case InBin:
		return 1 <= p.Number && p.Number <= len(o.Bins)
	case InDrive:
		return 1 <= p.Number && p.Number <= len(o.Drives)
	}
	return false
}

// find says where a slot's disc lies, and how many discs are on it. ok is false when no place has it; it may be on its way.
func (o Order) find(slot int) (p Place, above int, ok bool) {
	for i, pile := range o.Bins {
		if k := slices.Index(pile, slot); k >= 0 {
			return Bin(i + 1), len(pile) - 1 - k, true
		}
	}
	if i := slices.Index(o.Drives, slot); i >= 0 {
		return Drive(i + 1), 0, true
	}
	return Place{}, 0, false
}

// top is the disc that can be taken from a place, 0 when there is none.
func (o Order) top(p Place) int {
	if p.Kind == InDrive {
		return o.Drives[p.Number-1]
	}
	pile := o.Bins[p.Number-1]
	if len(pile) == 0 {
		return 0
	}
	return pile[len(pile)-1]
}

// take removes the top disc of a place, which has one.
func (o *Order) take(p Place) int {
	slot := o.top(p)
	if p.Kind == InDrive {
		o.Drives[p.Number-1] = 0
	} else {
		pile := o.Bins[p.Number-1]
		o.Bins[p.Number-1] = pile[:len(pile)-1]
	}
	return slot
}

// put lays a disc on a place.
func (o *Order) put(p Place, slot int) {
	if p.Kind == InDrive {
		o.Drives[p.Number-1] = slot
	} else {
		o.Bins[p.Number-1] = append(o.Bins[p.Number-1], slot)
	}
}

// String shows the order to a person, a line for each place, piles from the bottom to the top.
func (o Order) String() string {
	var b strings.Builder
	for i, pile := range o.Bins {
		fmt.Fprintf(&b, "bin %d: %d discs", i+1, len(pile))
		if len(pile) > 0 {
			fmt.Fprintf(&b, ", from the bottom: %s", ranges(pile))
		}
		b.WriteByte('\n')
	}
	for i, slot := range o.Drives {
		if slot == 0 {
			fmt.Fprintf(&b, "drive %d: empty\n", i+1)
		} else {
			fmt.Fprintf(&b, "drive %d: disc %d\n", i+1, slot)
		}
	}
	if o.Pending != nil {
		fmt.Fprintf(&b, "on its way: %v\n", *o.Pending)
	}
	return b.String()
}

// ranges writes 1 2 3 9 8 as "1-3 9-8".
func ranges(pile []int) string {
	var words []string
	for i := 0; i < len(pile); {
		j, step := i, 0
		if i+1 < len(pile) && (pile[i+1] == pile[i]+1 || pile[i+1] == pile[i]-1) {
			step = pile[i+1] - pile[i]
			for j = i + 1; j+1 < len(pile) && pile[j+1] == pile[j]+step; j++ {
			}
		}
		if step == 0 {
			words = append(words, fmt.Sprint(pile[i]))
		} else {
			words = append(words, fmt.Sprintf("%d-%d", pile[i], pile[j]))
		}
		i = j + 1
	}
	return strings.Join(words, " ")
}
