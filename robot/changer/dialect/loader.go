package dialect

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/changer/stack"
)

// restLimit is how long a robot may take to come to rest or to start.
const restLimit = 3 * time.Minute

// Loader is a robot of a dialect; it is a stack.Loader.
type Loader struct {
	d       *Dialect
	line    Line
	speed   float64
	setup   []string
	heardAt time.Time // when the last answer came
	closed  bool
}

var _ stack.Loader = (*Loader)(nil)

// Open finds out whether a robot of that dialect is on the line: it asks the questions of the probe, which move nothing. The
// line becomes the Loader's; when Open fails it stays the caller's.
func Open(ctx context.Context, line Line, d *Dialect, config Config) (*Loader, error) {
	own, err := d.apply(config)
	if err != nil {
		return nil, err
	}
	l := &Loader{d: own, line: line, speed: config.Speed, setup: config.Setup}
	for _, s := range own.Probe {
		h, err := l.question(ctx, s, nil, 0)
		if err == nil && (h.Means.Word == done || h.Means.Word == busy || h.Means.Word == setup) {
			continue
		}
		if err == nil {
			err = fmt.Errorf("it said %q, which means %s", h.text, h.Means.Word)
		}
		return nil, &robot.Error{
			Op: "find " + own.Name, Kind: robot.ErrComm,
			Detail: fmt.Sprintf("%v: is it the right dialect, port, and speed of the line? Nothing was moved", err),
		}
	}
	return l, nil
}

func binPlace(n int) stack.Place   { return stack.Bin(n) }
func drivePlace(n int) stack.Place { return stack.Drive(n) }

// Machine implements stack.Loader.
func (l *Loader) Machine() stack.Machine { return l.d.machine() }

// Machine returns how an owner's robot of this dialect is built.
func (d *Dialect) Machine(config Config) (stack.Machine, error) {
	own, err := d.apply(config)
	if err != nil {
		return stack.Machine{}, err
	}
	return own.machine(), nil
}

func (d *Dialect) machine() stack.Machine {
	m := stack.Machine{Model: d.Name, Drives: len(d.Drives), HostOpensTray: d.HostOpensTray == nil || *d.HostOpensTray}
	for _, b := range d.Bins {
		m.Bins = append(m.Bins, stack.BinShape{Capacity: b.Capacity, Gives: b.Gives, Takes: b.Takes})
	}
	m.Shifts, m.Lifts = d.shifts(), d.lifts()
	return m
}

// shifts says that every bin that gives can give to every bin that takes.
func (d *Dialect) shifts() bool {
	for i, a := range d.Bins {
		for j, b := range d.Bins {
			if i != j && a.Gives && b.Takes && d.carryOf(binPlace(i+1), binPlace(j+1)) == nil {
				return false
			}
		}
	}
	return true
}

// lifts says that the robot measures piles, and can set a disc down on the one from which it took it.
func (d *Dialect) lifts() bool {
	for i, b := range d.Bins {
		if b.Gives && b.Takes && d.carryOf(binPlace(i+1), binPlace(i+1)) == nil {
			return false
		}
	}
	return d.Height != nil
}

// carryOf is how a disc gets from one place to another, nil when it can't.
func (d *Dialect) carryOf(from, to stack.Place) *Carry {
	for i, c := range d.Carry {
		if c.From.covers(from) && c.To.covers(to) {
			return &d.Carry[i]
		}
	}
	return nil
}

// wire is how commands name a place.
func (d *Dialect) wire(p stack.Place) string {
	wire := ""
	switch p.Kind {
	case stack.InBin:
		wire = d.Bins[p.Number-1].Wire
	case stack.InDrive:
		wire = d.Drives[p.Number-1].Wire
	}
	if wire == "" {
		return strconv.Itoa(p.Number)
	}
	return wire
}

// Ready implements stack.Loader.
func (l *Loader) Ready(ctx context.Context) error {
	const op = "ask whether it is ready"
	if l.closed {
		return fmt.Errorf("%s: %w", op, os.ErrClosed)
	}
	for _, s := range l.d.Ready {
		h, err := l.question(ctx, s, nil, scaled(restLimit, l.speed))
		if err == nil && h.Means.Word == setup {
			h, err = l.sendSetup(ctx, s)
		}
		switch {
		case ctx.Err() != nil && errors.Is(err, ctx.Err()):
			return fmt.Errorf("%s: %w", op, err)
		case err != nil:
			return &robot.Error{Op: op, Kind: robot.ErrComm, Detail: err.Error()}
		case h.Means.Word != done:
			l.clear()
			return h.failure(op)
		}
	}
	return nil
}

// sendSetup tells a robot what it has forgotten, and asks again.
func (l *Loader) sendSetup(ctx context.Context, s Step) (heard, error) {
	if len(l.setup) == 0 {
		return heard{}, errors.New("the robot has lost its calibration, and no setup lines are configured")
	}
	for _, line := range l.setup {
		h, err := l.question(ctx, *l.d.Setup, map[string]string{"line": line}, 0)
		if err == nil && h.Means.Word != done {
			err = h.failure("set up with " + strconv.Quote(line))
		}
		if err != nil {
			return h, err
		}
	}
	return l.question(ctx, s, nil, scaled(restLimit, l.speed))
}

// failure is an answer as an error.
func (h heard) failure(op string) *robot.Error {
	kind := kinds[h.Means.Word]
	if kind == nil {
		kind = robot.ErrComm
	}
	detail := strconv.Quote(h.text)
	if h.Words != "" {
		detail += ": " + h.Words
	}
	return &robot.Error{Op: op, Kind: kind, Detail: detail}
}

// Carry implements stack.Loader.
func (l *Loader) Carry(ctx context.Context, from, to stack.Place) (stack.Where, error) {
	op := fmt.Sprintf("carry a disc from %v to %v", from, to)
	c := l.d.carryOf(from, to)
	switch {
	case l.closed:
		return stack.AtSource, fmt.Errorf("%s: %w", op, os.ErrClosed)
	case c == nil:
		return stack.AtSource, &robot.Error{Op: op, Kind: robot.ErrUnreachable, Detail: "the dialect has no such way"}
	}
	values := map[string]string{"from": l.d.wire(from), "to": l.d.wire(to)}
	where := stack.AtSource
	for _, s := range c.Steps {
		after, err := l.step(ctx, op, s, values, where)
		if err != nil {
			l.clear()
			return after, err
		}
		where = after
	}
	return where, nil
}

// step makes one step of a carry, whose disc is where it is.
func (l *Loader) step(ctx context.Context, op string, s Step, values map[string]string, where stack.Where) (stack.Where, error) {
	var h heard
	var err error
	if s.Disc.Word == "" {
		h, err = l.question(ctx, s, values, scaled(restLimit, l.speed))
	} else {
		h, err = l.run(s, values)
	}
	if err == nil && h.Means.Word == done {
		if s.Disc.Word != "" {
			where = s.Disc.where()
		}
		return where, nil
	}
	before := where
	if s.Disc.Word != "" {
		where = stack.Lost // it may have been moved
	}
	if err != nil {
		return where, &robot.Error{Op: op, Kind: robot.ErrComm, Detail: err.Error()}
	}
	if h.Means.Word == ask {
		said := h.text
		h, err = l.question(ctx, l.d.Question[h.Ask], nil, 0)
		if err != nil {
			return where, &robot.Error{Op: op, Kind: robot.ErrJam, Detail: fmt.Sprintf("%q, and then %v", said, err)}
		}
		if h.Means.Word == done { // it failed, and does not say why
			return where, &robot.Error{Op: op, Kind: robot.ErrJam, Detail: fmt.Sprintf("%q, and then %q", said, h.text)}
		}
	}
	switch {
	case h.Disc.Word != "":
		where = h.Disc.where()
	case unmoved[h.Means.Word] && before == stack.AtSource:
		where = stack.AtSource
	}
	e := h.failure(op)
	if e.Kind == robot.ErrEmpty && where != stack.AtSource {
		e.Kind = robot.ErrJam // it had the disc, and has it no more
	}
	return where, e
}

// clear acknowledges an alarm. That it is not answered shows with the next question.
func (l *Loader) clear() {
	for _, s := range l.d.Clear {
		if _, err := l.run(s, nil); err != nil {
			return
		}
	}
}

// Height implements stack.Loader.
func (l *Loader) Height(ctx context.Context, bin int) (discs int, ok bool, err error) {
	if l.d.Height == nil {
		return 0, false, nil
	}
	op := fmt.Sprintf("measure bin %d", bin)
	h, err := l.question(ctx, l.d.Height.Step, map[string]string{"bin": l.d.wire(binPlace(bin))}, scaled(restLimit, l.speed))
	switch {
	case err != nil:
		return 0, false, &robot.Error{Op: op, Kind: robot.ErrComm, Detail: err.Error()}
	case h.Means.Word == unknown:
		return 0, false, nil
	case h.Means.Word != value:
		return 0, false, h.failure(op)
	}
	m := h.Match.FindStringSubmatch(h.text)
	n, err := strconv.Atoi(m[h.Match.SubexpIndex("height")])
	if err != nil {
		return 0, false, &robot.Error{Op: op, Kind: robot.ErrComm, Detail: err.Error()}
	}
	per := l.d.Height.PerDisc
	return (l.d.Height.Empty - n + per/2) / per, true, nil
}

// Close implements stack.Loader.
func (l *Loader) Close() error {
	if l.closed {
		return nil
	}
	l.closed = true
	return l.line.Close()
}

// ParityName is the line's: none, even or odd.
func (m LineMode) ParityName() string {
	if m.Parity.Word == "" {
		return "none"
	}
	return m.Parity.Word
}
