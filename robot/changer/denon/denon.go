// Package denon drives the Denon DN-1400F, a changer of 200 discs with two drives. It speaks the machine's binary protocol over a
// Line that it is given; it opens no port and keeps no record of discs.
//
// The facts are from a program that an owner published (Device::Denon::DN1400F 0.02); no manufacturer's document was seen. A
// command is `<0x50 + unit> <opcode> [arguments] [drive]`, an answer ends with the unit and, when the command named a drive, with that;
// 0xDD for the first byte says that the command can't be taken now. Answers have no checksum and no end but their length, so that:
//
//   - One command is outstanding, ever, and everything received before a command is discarded.
//   - An answer whose tail is not the unit and the drive is none.
//   - "Accepted" is not believed: after a command that moves, the changer is asked (0xCC) until it rests and shows the disc.
//   - The version and drive-status commands, which share an opcode and confuse some firmware, are not used.
package denon

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/odarchive/odarchive/robot"
)

// Slots and Drives are the machine's; Baud is its line's speed, always 8E1.
const (
	Slots  = 200
	Drives = 2
	Baud   = 19200
)

// Line carries frames to and from the robot; robot/port has one for serial lines. One goroutine uses it at a time.
type Line interface {
	Send(ctx context.Context, frame []byte) error
	Receive(ctx context.Context, split bufio.SplitFunc) ([]byte, error)
	Discard() ([]byte, error)
	Close() error
}

// Config is what the line can't tell.
type Config struct {
	Unit int // the machine's number on its line, 0 to 15
	// Speed is how many times as fast as the real machine it moves, as simulated ones do; 0 means 1.
	Speed float64
}

// How long things may take. The owner's pause between commands is 200 ms, and his loads took 22 s; no limit is known.
const (
	pacing     = 200 * time.Millisecond
	pollPause  = 500 * time.Millisecond
	queryLimit = 2 * time.Second
	moveLimit  = 120 * time.Second
)

// Changer is a DN-1400F; it is a robot.Changer.
type Changer struct {
	config Config
	line   Line
	hand   robot.Hand
	heard  time.Time
}

var _ robot.Changer = (*Changer)(nil)

// Open finds the changer on the line. One that was just switched on initialises first, for as long as a move may take. The line becomes
// the Changer's; when Open fails it stays the caller's.
func Open(ctx context.Context, line Line, config Config) (*Changer, error) {
	switch {
	case config.Unit < 0 || config.Unit > 15:
		return nil, fmt.Errorf("denon changer: unit %d: want 0 to 15", config.Unit)
	case config.Speed < 0:
		return nil, fmt.Errorf("denon changer: speed %v", config.Speed)
	case config.Speed == 0:
		config.Speed = 1
	}
	c := &Changer{config: config, line: line}
	if _, err := c.settle(ctx, "find the changer"); err != nil && !errors.Is(err, robot.ErrInventory) {
		return nil, err
	}
	return c, nil
}

// Properties follows robot.Changer.
func (c *Changer) Properties() robot.Properties {
	return robot.Properties{Model: "Denon DN-1400F", HomeOnly: true}
}

// Inventory follows robot.Changer. The machine senses no slots: one is Empty when a drive has its disc, and otherwise Unknown. While
// it says that something is wrong with it Inventory fails with ErrJam.
func (c *Changer) Inventory(ctx context.Context) ([]robot.Element, error) {
	const op = "inventory"
	release, err := c.hand.Take(ctx, op)
	if err != nil {
		return nil, err
	}
	defer release()
	s, err := c.look(op)
	if err == nil {
		err = s.trouble(op) // a disc may hang in the transport, of which it says nothing else
	}
	if err != nil {
		return nil, err
	}
	var all []robot.Element
	away := map[int]int{}
	for d := range Drives {
		e := robot.Element{Address: bay(d + 1), Unit: 1}
		switch n := s.slots[d]; {
		case s.moving():
		case n == 0:
			e.Fill = robot.Empty
		default:
			e.Fill, e.Home = robot.Full, slot(n)
			away[n]++
		}
		all = append(all, e)
	}
	for n := 1; n <= Slots; n++ {
		e := robot.Element{Address: slot(n), Unit: 1}
		if away[n] == 1 {
			e.Fill = robot.Empty
		}
		all = append(all, e)
	}
	for d := range Drives {
		if away[all[d].Home.Number] > 1 {
			all[d].Home = robot.Address{}
		}
	}
	return all, nil
}

// Close follows robot.Changer.
func (c *Changer) Close() error { return c.hand.CloseWith(c.line.Close) }

// Move follows robot.Changer.
func (c *Changer) Move(ctx context.Context, from, to robot.Address) error {
	op := fmt.Sprintf("move %v to %v", from, to)
	for _, a := range []robot.Address{from, to} {
		limit := map[robot.Kind]int{robot.Slot: Slots, robot.DriveBay: Drives}[a.Kind]
		if a.Number < 1 || a.Number > limit {
			return fail(op, robot.ErrUnreachable, a, "the robot has slots 1 to %d and drives 1 to %d", Slots, Drives)
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
	before, err := c.look(op)
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", op, ctx.Err())
	case before.moving():
		return fail(op, robot.ErrBusy, robot.Address{}, "%v", before)
	}
	if err := before.trouble(op); err != nil {
		return err
	}
	if from.Kind == robot.Slot {
		return c.fetch(op, from, to, before)
	}
	return c.putBack(op, from, to, before)
}

func (c *Changer) fetch(op string, from, to robot.Address, before state) error {
	d := to.Number - 1
	switch {
	case before.slots[d] != 0:
		return fail(op, robot.ErrFull, to, "disc %d", before.slots[d])
	case before.slots[1-d] == from.Number:
		return fail(op, robot.ErrEmpty, from, "its disc is in %v", bay(2-d))
	}
	return c.act(op, selectDisc, from.Number, d, from, to, func(s state) bool { return s.slots[d] == from.Number })
}

func (c *Changer) putBack(op string, from, to robot.Address, before state) error {
	d := from.Number - 1
	switch held := before.slots[d]; {
	case held == 0:
		return fail(op, robot.ErrEmpty, from, "")
	case held != to.Number:
		return fail(op, robot.ErrUnreachable, to, "the disc in %v goes back to slot %d only", from, held)
	}
	return c.act(op, returnDisc, to.Number, d, from, to, func(s state) bool { return s.slots[d] == 0 })
}

// act sends a command that moves, once, and asks until the machine rests. The disc is believed to be where the machine says then.
func (c *Changer) act(op string, opcode byte, n, d int, from, to robot.Address, there func(state) bool) error {
	at := bay(d + 1)
	// A full second is no less than what a question needs; the answer comes when the command is accepted.
	r, commandErr := c.exchange([]byte{opcode, byte((n - 1) / 50), byte((n - 1) % 50), byte(d)}, 1, d)
	s, err := c.settle(context.Background(), op)
	switch {
	case commandErr != nil:
		if err == nil {
			err = errors.New(s.String())
		}
		return fail(op, robot.ErrComm, at, "%v; then %v", commandErr, err)
	case err != nil:
		return err
	case r[0] == invalid:
		return fail(op, robot.ErrBusy, robot.Address{}, "the command was not taken; then %v", s)
	case r[0] == noDisc || s.status[d] == noDisc && !there(s):
		if there(s) == (from == at) && s.slots[d] == 0 {
			return fail(op, robot.ErrEmpty, from, "no disc; then %v", s)
		}
	}
	if err := s.trouble(op); err != nil {
		return err
	}
	if !there(s) {
		return fail(op, robot.ErrComm, at, "it answered %02X; then %v", r[0], s)
	}
	return nil
}

func fail(op string, kind error, at robot.Address, format string, args ...any) error {
	return &robot.Error{Op: op, Place: at, Kind: kind, Detail: fmt.Sprintf(format, args...)}
}

func slot(n int) robot.Address { return robot.Address{Kind: robot.Slot, Number: n} }
func bay(n int) robot.Address  { return robot.Address{Kind: robot.DriveBay, Number: n} }
