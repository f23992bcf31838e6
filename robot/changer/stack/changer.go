package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/odarchive/odarchive/robot"
)

// Changer is a robot with piles as a robot.Changer.
type Changer struct {
	loader  Loader
	machine Machine
	store   Store

	hand  robot.Hand
	order Order
	mute  map[Place]bool // bins of which the robot could tell the height, and can't now: it has started anew
}

var _ robot.Changer = (*Changer)(nil)

// Open makes a changer of a loader, which becomes its own; when it fails, the loader stays the caller's. The order comes from
// the store. A store without one gets that of a machine whose bins hold so many discs, numbered from bin to bin and from the bottom up.
func Open(loader Loader, store Store, counts []int) (*Changer, error) {
	m := loader.Machine()
	o, err := store.Load()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if o, err = NewOrder(m, counts); err == nil {
			err = store.Save(o)
		}
	case err == nil:
		err = o.check(m)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", m.Model, err)
	}
	return &Changer{loader: loader, machine: m, store: store, order: o}, nil
}

// Properties follows robot.Changer. The slots count as sensed: the order knows them.
func (c *Changer) Properties() robot.Properties {
	return robot.Properties{Model: c.machine.Model, SensesSlots: true, HostOpensTray: c.machine.HostOpensTray}
}

// Order returns where every disc lies.
func (c *Changer) Order() Order {
	defer c.hand.Hold()()
	return c.order.clone()
}

// Inventory follows robot.Changer. While a disc's whereabouts are in doubt it fails with ErrJam: a person has to look.
func (c *Changer) Inventory(ctx context.Context) ([]robot.Element, error) {
	const op = "inventory"
	release, err := c.hand.Take(ctx, op)
	if err != nil {
		return nil, err
	}
	defer release()
	if err := c.ready(ctx, op); err != nil {
		return nil, err
	}
	var elements []robot.Element
	slots := make([]robot.Fill, c.machine.Slots())
	for i := range slots {
		slots[i] = robot.Empty
	}
	for _, pile := range c.order.Bins {
		for _, slot := range pile {
			slots[slot-1] = robot.Full
		}
	}
	for i, slot := range c.order.Drives {
		e := robot.Element{Address: driveAddress(i + 1), Unit: 1, Fill: robot.Empty}
		if slot > 0 {
			e.Fill, e.Home = robot.Full, slotAddress(slot)
		}
		elements = append(elements, e)
	}
	for i, fill := range slots {
		elements = append(elements, robot.Element{Address: slotAddress(i + 1), Unit: 1, Fill: fill})
	}
	return elements, nil
}

// Close follows robot.Changer.
func (c *Changer) Close() error {
	return c.hand.CloseWith(func() error {
		err := c.loader.Close()
		if s, ok := c.store.(io.Closer); ok {
			err = errors.Join(err, s.Close())
		}
		return err
	})
}

// save keeps an order, and then goes by it.
func (c *Changer) save(o Order) error {
	if err := c.store.Save(o); err != nil {
		return err
	}
	c.order = o
	return nil
}

// ready makes sure that the robot rests, that no disc is on its way, and that no pile has changed since the robot measured it.
func (c *Changer) ready(ctx context.Context, op string) error {
	if err := c.loader.Ready(ctx); err != nil {
		return named(op, err)
	}
	if err := c.resolve(ctx, op); err != nil {
		return err
	}
	c.mute = map[Place]bool{}
	for i, was := range c.order.Heights {
		if was < 0 {
			continue
		}
		switch is, ok, err := c.loader.Height(ctx, i+1); {
		case err != nil:
			return named(op, err)
		case !ok:
			c.mute[Bin(i+1)] = true
		case is != was:
			return fail(op, robot.ErrJam, robot.Address{}, "%v was %d discs high and is %d: a person has to say in which order its discs lie", Bin(i+1), was, is)
		}
	}
	return nil
}

// named says what was being done when a loader failed.
func named(op string, err error) error {
	if e, ok := errors.AsType[*robot.Error](err); ok {
		renamed := *e
		renamed.Op = op
		if renamed.Detail = e.Detail; e.Op != "" {
			renamed.Detail = e.Op + ": " + e.Detail
		}
		return &renamed
	}
	return fmt.Errorf("%s: %w", op, err)
}
