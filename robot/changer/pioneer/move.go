package pioneer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/odarchive/odarchive/robot"
)

// Move follows robot.Changer. Besides the failures named there it gives ErrBusy when the robot is moving by
// itself or by hand, and ErrInventory when it has started anew; nothing was moved then. The end of ctx is
// obeyed until the command that moves is sent.
func (c *Changer) Move(ctx context.Context, from, to robot.Address) error {
	m := move{Changer: c, from: from, to: to, op: fmt.Sprintf("move %v to %v", from, to)}
	if err := m.possible(); err != nil {
		return err
	}
	release, err := c.acquire(ctx, m.op)
	if err != nil {
		return err
	}
	defer release()
	if from.Kind == robot.Slot {
		return m.fetch(ctx)
	}
	return m.putBack(ctx)
}

// move is one move while it is made.
type move struct {
	*Changer
	from, to robot.Address
	op       string
}

func (m move) fail(kind error, place robot.Address, format string, args ...any) error {
	return &robot.Error{Op: m.op, Place: place, Kind: kind, Detail: fmt.Sprintf(format, args...)}
}

// possible refuses what no state of the robot would allow.
func (m move) possible() error {
	for _, a := range []robot.Address{m.from, m.to} {
		if !m.has(a) {
			return m.fail(robot.ErrUnreachable, a, "the robot has slots 1 to %d and drives 1 to %d", m.cfg.slots(), m.cfg.players())
		}
	}
	if m.from.Kind == m.to.Kind {
		return m.fail(robot.ErrUnreachable, m.to, "it moves discs between a slot and a drive only")
	}
	if a, b := m.unit(m.from), m.unit(m.to); a != b {
		return m.fail(robot.ErrUnreachable, m.to, "it is in unit %d, and %v in unit %d", b, m.from, a)
	}
	return nil
}

// fetch carries a disc from its slot to a drive.
func (m move) fetch(ctx context.Context) error {
	player, disc := m.player(m.to.Number), m.disc(m.from)
	before, err := m.before(ctx, m.to)
	switch {
	case err != nil:
		return err
	case !before.empty():
		return m.fail(robot.ErrFull, m.to, "%v", before)
	}
	for n := range m.cfg.players() {
		other := driveBay(n + 1)
		if other == m.to || m.unit(other) != m.unit(m.to) {
			continue
		}
		switch s, err := m.before(ctx, other); {
		case err != nil:
			return err
		case s.disc == disc:
			return m.fail(robot.ErrEmpty, m.from, "its disc is in %v", other)
		}
	}

	old := m.lastError(player)
	o := m.act(player, fmt.Sprintf("%03dZS", disc))
	if o.succeeded() && o.after.holds(disc) {
		return nil
	}
	return m.failed(o, before, old)
}

// putBack carries a disc from a drive to the slot that it came from.
func (m move) putBack(ctx context.Context) error {
	player, disc := m.player(m.from.Number), m.disc(m.to)
	before, err := m.before(ctx, m.from)
	switch {
	case err != nil:
		return err
	case before.empty():
		return m.fail(robot.ErrEmpty, m.from, "%v", before)
	case !before.holds(before.disc):
		return m.fail(robot.ErrInventory, m.from, "where its disc belongs is not known: %v", before)
	case before.disc != disc:
		return m.fail(robot.ErrUnreachable, m.to, "the disc in %v goes back to %v only", m.from, m.slot(m.unit(m.from), before.disc))
	}
	old := m.lastError(player)
	if before.mode != parked {
		o := m.act(player, "RJ")
		if !o.succeeded() || o.after.mode != parked || !o.after.holds(disc) {
			return m.failed(o, before, old)
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%s: %w", m.op, err)
		}
	}

	o := m.act(player, "ZR")
	// An empty player does not say that the disc got home. A machine that answers when a movement begins tells of its end by ?E only.
	if o.succeeded() && o.after.empty() && m.lastError(player) == old {
		return nil
	}
	return m.failed(o, before, old)
}

// lastError is what ?E tells: how the last movement failed, or one long before; empty when that can't be asked.
func (c *Changer) lastError(player int) codeError {
	r, err := c.exchange(player, "?E", c.cfg.Timing.Query)
	if err != nil || r.form != fail {
		return ""
	}
	return codeError(r.code)
}

// before is the state of a drive before anything is moved.
func (m move) before(ctx context.Context, drive robot.Address) (state, error) {
	s, err := m.look(m.player(drive.Number))
	switch {
	case err != nil:
		return s, queryError(m.op, drive, err)
	case ctx.Err() != nil:
		return s, fmt.Errorf("%s: %w", m.op, ctx.Err())
	case s.moving():
		return s, m.fail(robot.ErrBusy, drive, "%v", s)
	}
	return s, nil
}

// outcome is what is known after a command that moves something.
type outcome struct {
	command string
	failed  error // nil when the answer was R
	after   state
	unknown error // why after isn't known
}

func (o outcome) succeeded() bool { return o.failed == nil && o.unknown == nil }

func (o outcome) String() string {
	answer := "R"
	if o.failed != nil {
		answer = o.failed.Error()
	}
	text := fmt.Sprintf("%s: %s; then %v", o.command, answer, o.after)
	if o.unknown != nil {
		text = fmt.Sprintf("%s: %s; then %v", o.command, answer, o.unknown)
	}
	return text
}

// act sends a command that moves something, once, and waits until the player rests.
func (c *Changer) act(player int, command string) outcome {
	end := time.Now().Add(c.cfg.Timing.Move)
	o := outcome{command: command}
	r, err := c.exchange(player, command, c.cfg.Timing.Move)
	switch {
	case err != nil:
		o.failed = err
	case r.form == fail:
		o.failed = codeError(r.code)
	case r.form != done:
		o.failed = misheard{command, "one to another command"}
	}
	o.after, o.unknown = c.settle(player, end, o.failed)
	if code, late := errors.AsType[codeError](o.unknown); late && o.failed == nil {
		// R came when the movement began, and the first question met its end.
		o.failed = code
		o.after, o.unknown = c.settle(player, end, code)
	}
	return o
}

// settle asks a player until it rests, or until end. One that failed rests as soon as no command
// runs: its mode may stay what it was when the mechanism stuck.
func (c *Changer) settle(player int, end time.Time, failed error) (state, error) {
	_, coded := errors.AsType[codeError](failed)
	for {
		s, err := c.look(player)
		if err != nil {
			return s, err
		}
		if !s.moving() || coded && s.ready || !time.Now().Before(end) {
			return s, nil
		}
		time.Sleep(c.cfg.Timing.Poll)
	}
}

// failed is the error for a command that did not do what it should have. Old is what ?E told before it.
func (m move) failed(o outcome, before state, old codeError) error {
	code, coded := errors.AsType[codeError](o.failed)
	unmoved := o.unknown == nil && !o.after.moving() && o.after.disc == before.disc
	refused := coded && (code.kind() == robot.ErrEmpty || code.kind() == robot.ErrUnreachable)
	if coded && (unmoved || !refused) {
		return m.fail(code.kind(), code.fault().at.of(m.from, m.to), "%v", o)
	}
	drive := drive.of(m.from, m.to)
	if !o.succeeded() { // or the robot says that nothing was done, and it doesn't look so
		return m.fail(robot.ErrComm, drive, "%v", o)
	}
	// R, and the disc is not where it should be. A machine that answers R at the start of a movement keeps the reason
	// for ?E, and keeps it for long: an old code may claim that a person is needed, but must not be
	// believed that a slot is empty.
	code = m.lastError(m.player(drive.Number))
	news := code != old && unmoved
	switch kind := code.kind(); {
	case code == "":
		return m.fail(robot.ErrComm, drive, "%v", o)
	case kind == robot.ErrJam, kind == robot.ErrDoor, kind == robot.ErrInventory, kind == robot.ErrDriveFault, kind == robot.ErrEmpty && news:
		return m.fail(kind, code.fault().at.of(m.from, m.to), "%v; last error %v", o, code)
	}
	return m.fail(robot.ErrComm, drive, "%v; last error %v", o, code)
}
