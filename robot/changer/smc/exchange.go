package smc

import (
	"context"
	"fmt"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/scsi"
)

var _ robot.Exchanger = (*Changer)(nil)

// CanExchange follows robot.Exchanger. A changer that doesn't tell what it can exchange, or that it knows the command, can't.
func (c *Changer) CanExchange() bool {
	return c.exchanges[scsi.Storage][scsi.DataTransfer]
}

// Exchange follows robot.Exchanger. To must be another place than from: when two discs change places all are as full as before,
// and nothing but their tags would tell that it was done.
func (c *Changer) Exchange(ctx context.Context, from, at, to robot.Address) error {
	op := fmt.Sprintf("exchange %v for %v in %v", from, to, at)
	refuse := func(kind error, place robot.Address, detail string) error {
		return &robot.Error{Op: op, Place: place, Kind: kind, Detail: detail}
	}
	var wire [3]uint16
	for i, a := range []robot.Address{from, at, to} {
		address, ok := c.address(a)
		if !ok {
			return refuse(robot.ErrUnreachable, a, "no such element")
		}
		wire[i] = address
	}
	switch {
	case from == at || at == to || from == to:
		return refuse(robot.ErrUnreachable, to, "three places are wanted")
	case !c.exchanges[c.typeOf(from)][c.typeOf(at)] || !c.exchanges[c.typeOf(to)][c.typeOf(at)]:
		return refuse(robot.ErrUnreachable, at, "the changer doesn't say that it can exchange there")
	}
	release, err := c.hand.Take(ctx, op)
	if err != nil {
		return err
	}
	defer release()
	places, err := c.glance(ctx, op, from, at, to)
	if err != nil {
		return err
	}
	for i, want := range []struct{ fill, never robot.Fill }{{robot.Full, robot.Empty}, {robot.Full, robot.Empty}, {robot.Empty, robot.Full}} {
		e := places[i]
		kind := map[robot.Fill]error{robot.Empty: robot.ErrEmpty, robot.Full: robot.ErrFull}[want.never]
		switch e.Fill {
		case want.never:
			return refuse(kind, e.Address, "")
		case want.fill:
		default:
			return refuse(robot.ErrUnreachable, e.Address, e.Trouble)
		}
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	ctx = context.WithoutCancel(ctx)
	_, err = c.ask(ctx, scsi.Command{
		CDB: scsi.ExchangeMedium(c.elements[scsi.MediumTransport].First, wire[0], wire[1], wire[2]), Timeout: 2 * c.cfg.Timing.Move,
	})
	if err != nil {
		return failed(op, at, err)
	}
	if err := c.settled(ctx, op, from, to); err != nil {
		return err
	}
	if places, err = c.glance(ctx, op, from, at, to); err == nil && places[1].Fill != robot.Full {
		err = refuse(robot.ErrComm, at, fmt.Sprintf("the changer says it is done, but senses that it is %v", places[1].Fill))
	}
	return err
}

// glance asks for some elements.
func (c *Changer) glance(ctx context.Context, op string, places ...robot.Address) ([]robot.Element, error) {
	all, err := c.survey(ctx, op)
	found := make([]robot.Element, len(places))
	for i, a := range places {
		found[i].Address = a
		for _, e := range all {
			if e.Address == a {
				found[i] = e
			}
		}
	}
	return found, err
}

// typeOf is what SCSI calls a kind of element.
func (c *Changer) typeOf(a robot.Address) scsi.ElementType {
	for _, o := range order {
		if o.kind == a.Kind {
			return o.is
		}
	}
	return 0
}
