package stack

import (
	"context"
	"errors"
	"fmt"

	"github.com/odarchive/odarchive/robot"
)

// Move follows robot.Changer. What lies on a disc is moved to other bins first, and stays there. The end of ctx is obeyed between
// two discs. Besides the failures named there it gives ErrInventory when the robot finds no disc where the order has one.
func (c *Changer) Move(ctx context.Context, from, to robot.Address) error {
	op := fmt.Sprintf("move %v to %v", from, to)
	for _, a := range []robot.Address{from, to} {
		known := a.Kind == robot.Slot && a.Number <= c.machine.Slots() || a.Kind == robot.DriveBay && a.Number <= c.machine.Drives
		if !known || a.Number < 1 {
			return fail(op, robot.ErrUnreachable, a, "the robot has slots 1 to %d and drives 1 to %d", c.machine.Slots(), c.machine.Drives)
		}
	}
	if from.Kind == to.Kind {
		return fail(op, robot.ErrUnreachable, to, "it moves discs between a slot and a drive only")
	}
	release, err := c.hand.Take(ctx, op)
	if err != nil {
		return err
	}
	defer release()
	if err := c.ready(ctx, op); err != nil {
		return err
	}
	if from.Kind == robot.Slot {
		return c.fetch(ctx, op, from, to)
	}
	return c.putBack(ctx, op, from, to)
}

func (c *Changer) fetch(ctx context.Context, op string, from, to robot.Address) error {
	at, _, ok := c.order.find(from.Number)
	switch {
	case c.order.Drives[to.Number-1] != 0:
		return fail(op, robot.ErrFull, to, "disc %d", c.order.Drives[to.Number-1])
	case !ok:
		return fail(op, robot.ErrEmpty, from, "no bin has its disc")
	case at.Kind == InDrive:
		return fail(op, robot.ErrEmpty, from, "its disc is in %v", at)
	}
	hops, err := fetchPlan(c.machine, c.order, from.Number, to.Number)
	if err != nil {
		return fail(op, robot.ErrUnreachable, from, "%v", err)
	}
	return c.follow(ctx, op, hops)
}

func (c *Changer) putBack(ctx context.Context, op string, from, to robot.Address) error {
	disc := c.order.Drives[from.Number-1]
	if disc == 0 {
		return fail(op, robot.ErrEmpty, from, "")
	}
	if at, _, ok := c.order.find(to.Number); ok && disc != to.Number {
		return fail(op, robot.ErrFull, to, "its disc is in %v", at)
	}
	hops, err := returnPlan(c.machine, c.order, from.Number)
	if err != nil {
		return fail(op, robot.ErrUnreachable, to, "%v", err)
	}
	if disc != to.Number {
		o := c.order.clone()
		o.Drives[from.Number-1] = to.Number
		if err := c.save(o); err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
	}
	return c.follow(ctx, op, hops)
}

// follow makes the hops of a plan.
func (c *Changer) follow(ctx context.Context, op string, hops []hop) error {
	for i, h := range hops {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%s: after %d of %d discs: %w", op, i, len(hops), err)
		}
		if err := c.carry(ctx, op, h); err != nil {
			return err
		}
	}
	return nil
}

// carry makes one hop, and a lift before it where the robot can't tell how high the pile is from which it takes.
func (c *Changer) carry(ctx context.Context, op string, h hop) error {
	if c.machine.Lifts && h.from.Kind == InBin && c.machine.Bins[h.from.Number-1].Takes && (c.order.height(h.from) < 0 || c.mute[h.from]) {
		switch n, err := c.measure(ctx, h.from); {
		case err != nil:
			return named(op, err)
		case n < 0:
			if err := c.hop(ctx, op, hop{h.from, h.from}); err != nil {
				return err
			}
		}
		delete(c.mute, h.from)
	}
	return c.hop(ctx, op, h)
}

// hop carries one disc. The store knows of it before the robot does.
func (c *Changer) hop(ctx context.Context, op string, h hop) error {
	o := c.order.clone()
	p := &Carry{From: h.from, To: h.to, FromHeight: o.height(h.from), ToHeight: o.height(h.to)}
	for _, side := range []struct {
		at     Place
		height *int
	}{{h.from, &p.FromHeight}, {h.to, &p.ToHeight}} {
		if *side.height >= 0 {
			continue
		}
		var err error
		if *side.height, err = c.measure(ctx, side.at); err != nil {
			return named(op, err)
		}
	}
	p.Slot = o.take(h.from)
	o.Pending = p
	if err := c.save(o); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	where, carryErr := c.loader.Carry(context.WithoutCancel(ctx), h.from, h.to)
	if carryErr == nil {
		where = AtDestination
	}
	if where == Lost || where == InHand {
		failed := named(op, fmt.Errorf("%w", carryErr))
		if e, ok := errors.AsType[*robot.Error](failed); ok {
			e.Detail += fmt.Sprintf("; %v is %v", *p, where)
		}
		return failed
	}
	if err := c.settle(context.WithoutCancel(ctx), op, where); err != nil {
		return err
	}
	if carryErr == nil {
		return nil
	}
	if errors.Is(carryErr, robot.ErrEmpty) {
		return fail(op, robot.ErrInventory, robot.Address{}, "the robot finds no disc in %v, where disc %d should be: a person has to look (%v)", h.from, p.Slot, carryErr)
	}
	return named(op, carryErr)
}

// settle ends a carry: the disc lies where it was, or where it should be. When a pile has changed by more than that disc it has
// not ended: discs stick together, and a robot that picks two says that all is well.
func (c *Changer) settle(ctx context.Context, op string, where Where) error {
	o := c.order.clone()
	p := *o.Pending
	o.Pending = nil
	if where == AtSource {
		o.put(p.From, p.Slot)
	} else {
		o.put(p.To, p.Slot)
	}
	for _, at := range []Place{p.From, p.To} {
		if at.Kind == InBin && o.Heights != nil {
			n, err := c.measure(ctx, at)
			if err != nil {
				n = -1 // it is asked for again before the next carry
			}
			if was, want := p.heights(at, where); was >= 0 && n >= 0 && n != want {
				why := "more than one disc was moved"
				if p.From == p.To {
					why = "somebody else has changed it"
				}
				return fail(op, robot.ErrJam, robot.Address{}, "%v was %d discs high and is %d with %v: %s, and a person has to look", at, was, n, p, why)
			}
			o.Heights[at.Number-1] = n
		}
	}
	if err := c.store.Note(o); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	c.order = o
	return nil
}

// heights are those of a pile before and after a carry; -1 when nobody knows.
func (c Carry) heights(at Place, where Where) (was, want int) {
	was, change := c.FromHeight, -1
	if at == c.To {
		was, change = c.ToHeight, 1
	}
	if where == AtSource || c.From == c.To {
		change = 0
	}
	return was, was + change
}

// measure is how high a bin's pile is; -1 for a drive, and when the robot can't tell.
func (c *Changer) measure(ctx context.Context, p Place) (int, error) {
	if p.Kind != InBin {
		return -1, nil
	}
	n, ok, err := c.loader.Height(ctx, p.Number)
	if err != nil || !ok {
		return -1, err
	}
	return n, nil
}

func (o Order) height(p Place) int {
	if p.Kind != InBin || o.Heights == nil {
		return -1
	}
	return o.Heights[p.Number-1]
}

// resolve finds out by the heights of piles where a disc is that was on its way. A pile is one disc lower once its disc was
// taken, and one higher once it has one more; a drive tells nothing.
func (c *Changer) resolve(ctx context.Context, op string) error {
	p := c.order.Pending
	if p == nil {
		return nil
	}
	from, err := c.measure(ctx, p.From)
	if err != nil {
		return named(op, err)
	}
	to, err := c.measure(ctx, p.To)
	if err != nil {
		return named(op, err)
	}
	there := p.FromHeight >= 0 && from == p.FromHeight
	gone := p.FromHeight >= 0 && from == p.FromHeight-1 || p.From.Kind == InDrive
	arrived := p.ToHeight >= 0 && to == p.ToHeight+1
	absent := p.ToHeight >= 0 && to == p.ToHeight || p.To.Kind == InDrive
	switch {
	case there && absent:
		return c.settle(ctx, op, AtSource)
	case gone && arrived:
		return c.settle(ctx, op, AtDestination)
	}
	return fail(op, robot.ErrJam, robot.Address{}, "%v did not arrive, as far as anybody knows: a person has to look where it lies and say so", *p)
}
