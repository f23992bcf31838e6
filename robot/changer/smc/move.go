package smc

import (
	"context"
	"fmt"
	"time"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/scsi"
)

// Move follows robot.Changer. A drive that still holds its disc, because nobody ejected or somebody locked it, gives
// ErrBusy, and nothing was moved.
func (c *Changer) Move(ctx context.Context, from, to robot.Address) error {
	op := fmt.Sprintf("move %v to %v", from, to)
	source, ok := c.address(from)
	if !ok {
		return &robot.Error{Op: op, Place: from, Kind: robot.ErrUnreachable, Detail: "no such element"}
	}
	destination, ok := c.address(to)
	if !ok || from == to {
		return &robot.Error{Op: op, Place: to, Kind: robot.ErrUnreachable, Detail: "no such element, or the same"}
	}
	release, err := c.hand.Take(ctx, op)
	if err != nil {
		return err
	}
	defer release()

	have, want, err := c.look(ctx, op, from, to)
	switch {
	case err != nil:
		return err
	case have.Fill == robot.Empty:
		return &robot.Error{Op: op, Place: from, Kind: robot.ErrEmpty}
	case want.Fill == robot.Full:
		return &robot.Error{Op: op, Place: to, Kind: robot.ErrFull}
	case have.Fill != robot.Full:
		return &robot.Error{Op: op, Place: from, Kind: robot.ErrUnreachable, Detail: have.Trouble}
	case want.Fill != robot.Empty:
		return &robot.Error{Op: op, Place: to, Kind: robot.ErrUnreachable, Detail: want.Trouble}
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	// From here on it goes to its end whatever becomes of ctx.
	ctx = context.WithoutCancel(ctx)
	_, err = c.ask(ctx, scsi.Command{CDB: scsi.MoveMedium(c.elements[scsi.MediumTransport].First, source, destination), Timeout: c.cfg.Timing.Move})
	if err != nil {
		place := to
		if kind := kindOf(err); kind == robot.ErrEmpty || kind == robot.ErrBusy && from.Kind == robot.DriveBay {
			place = from
		}
		return failed(op, place, err)
	}
	return c.settled(ctx, op, from, to)
}

// settled waits until the changer senses what it says to have done.
func (c *Changer) settled(ctx context.Context, op string, from, to robot.Address) error {
	for end := time.Now().Add(c.cfg.Timing.Settle); ; {
		have, want, err := c.look(ctx, op, from, to)
		switch {
		case err != nil:
			return err
		case have.Fill == robot.Empty && want.Fill == robot.Full:
			return nil
		case !time.Now().Before(end):
			return &robot.Error{
				Op: op, Place: to, Kind: robot.ErrComm,
				Detail: fmt.Sprintf("the changer says it is done, but senses %v %v and %v %v", from, have.Fill, to, want.Fill),
			}
		}
		time.Sleep(pollPause)
	}
}

// look asks for two elements.
func (c *Changer) look(ctx context.Context, op string, from, to robot.Address) (have, want robot.Element, err error) {
	all, err := c.survey(ctx, op)
	for _, e := range all {
		switch e.Address {
		case from:
			have = e
		case to:
			want = e
		}
	}
	return have, want, err
}

// address is what the changer calls an element that a disc can be brought to.
func (c *Changer) address(a robot.Address) (uint16, bool) {
	for _, o := range order {
		if e := c.elements[o.is]; o.kind == a.Kind && o.kind != robot.Picker && 1 <= a.Number && a.Number <= int(e.Count) {
			return e.First + uint16(a.Number-1), true
		}
	}
	return 0, false
}
