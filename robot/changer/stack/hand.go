package stack

import (
	"errors"
	"fmt"
	"slices"
)

// What a person does to a machine by hand, or has seen in it, and says. The changes are made to an order that is then saved with
// Save while no Changer has the store.

// Settle says where the disc lies that was on its way: on one of the two places between which it was carried, or on any other.
func (o *Order) Settle(at Place) error {
	switch {
	case o.Pending == nil:
		return errors.New("no disc is on its way")
	case !o.has(at):
		return fmt.Errorf("there is no %v", at)
	case at.Kind == InDrive && o.Drives[at.Number-1] != 0:
		return fmt.Errorf("%v has disc %d", at, o.Drives[at.Number-1])
	}
	o.put(at, o.Pending.Slot)
	o.Pending = nil
	o.forget()
	return nil
}

// Remove says that a disc was taken out of the machine. One that was on its way can be removed too.
func (o *Order) Remove(slot int) error {
	if o.Pending != nil && o.Pending.Slot == slot {
		o.Pending = nil
		o.forget()
		return nil
	}
	at, _, ok := o.find(slot)
	if !ok {
		return fmt.Errorf("disc %d is not in the machine", slot)
	}
	if at.Kind == InDrive {
		o.Drives[at.Number-1] = 0
	} else {
		o.Bins[at.Number-1] = slices.DeleteFunc(o.Bins[at.Number-1], func(s int) bool { return s == slot })
	}
	o.forget()
	return nil
}

// Add says that n discs were laid on a bin, and returns their slots from the lowest disc to the highest: the first that are free.
func (o *Order) Add(m Machine, bin, n int) (slots []int, err error) {
	if !o.has(Bin(bin)) || n < 1 {
		return nil, fmt.Errorf("%d discs for bin %d: the machine has bins 1 to %d", n, bin, len(o.Bins))
	}
	c := o.clone()
	for slot := 1; slot <= m.Slots() && len(slots) < n; slot++ {
		if _, _, taken := c.find(slot); !taken && (c.Pending == nil || c.Pending.Slot != slot) {
			slots = append(slots, slot)
			c.put(Bin(bin), slot)
		}
	}
	if len(slots) < n {
		return nil, fmt.Errorf("%d discs for bin %d: only %d slots are free", n, bin, len(slots))
	}
	if err := c.check(m); err != nil {
		return nil, err
	}
	*o = c
	o.forget()
	return slots, nil
}

// CarryPile says that all discs of a bin were laid, as they are, on those of another.
func (o *Order) CarryPile(m Machine, from, to int) error {
	if !o.has(Bin(from)) || !o.has(Bin(to)) || from == to {
		return fmt.Errorf("the pile of bin %d to bin %d: the machine has bins 1 to %d", from, to, len(o.Bins))
	}
	c := o.clone()
	c.Bins[to-1] = append(c.Bins[to-1], c.Bins[from-1]...)
	c.Bins[from-1] = nil
	if err := c.check(m); err != nil {
		return err
	}
	*o = c
	o.forget()
	return nil
}

// SetPile says which discs lie in a bin, from the bottom to the top.
func (o *Order) SetPile(m Machine, bin int, slots []int) error {
	if !o.has(Bin(bin)) {
		return fmt.Errorf("the machine has bins 1 to %d", len(o.Bins))
	}
	c := o.clone()
	c.Bins[bin-1] = slices.Clone(slots)
	if err := c.check(m); err != nil {
		return err
	}
	*o = c
	o.forget()
	return nil
}

// forget drops what the robot measured: a hand has changed it.
func (o *Order) forget() {
	for i := range o.Heights {
		o.Heights[i] = -1
	}
}
