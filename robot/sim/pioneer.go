package sim

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// Pioneer speaks the serial protocol of Pioneer's CAC-V3000 for a library of one or two chained units with two players each, which
// have the addresses 1 and 2, 3 and 4. Slots are numbered from 1 in each unit.
//
// Facts: CAC-V5000 and CAC-V3000 user manuals (command list pp. 11 ff., error chart pp. 18-19) and owners' logs of the line.
type Pioneer struct {
	Library *Library
	Faults  *Faults
	Log     *slog.Logger
	// Early says that R comes when a movement has begun, as in communication mode 7, and not when it has ended. How it
	// ended tell ?E and the player's state.
	Early bool

	voice  voice
	mu     sync.Mutex // of what follows
	player int        // that PS selected last
	modes  map[int]mode
	last   string // error that ?E tells

	pending atomic.Int32 // movements that were commanded and have not ended
}

// mode is what ?P says of a player.
type mode string

const (
	parked    mode = "P01"
	setUp     mode = "P02"
	playing   mode = "P04"
	pausing   mode = "P06"
	unset     mode = "P20"
	loading   mode = "P21"
	unloading mode = "P22"
)

// maxLine is the longest command line; excess is E00.
const maxLine = 20

// errHangup ends a line.
var errHangup = errors.New("the line was hung up")

// Serve answers what comes over line until ctx ends or the line does.
func (p *Pioneer) Serve(ctx context.Context, line io.ReadWriter) error {
	ctx, cancel := context.WithCancel(ctx)
	var moving sync.WaitGroup
	defer func() { cancel(); moving.Wait() }()
	r := bufio.NewReader(line)
	var text []byte
	for {
		c, err := r.ReadByte()
		if err != nil {
			return err
		}
		if c != '\r' {
			if len(text) <= 4*maxLine { // more is as wrong, and need not be kept
				text = append(text, c)
			}
			continue
		}
		command := strings.ToUpper(strings.ReplaceAll(string(text), " ", ""))
		tooLong := len(text) > maxLine
		text = text[:0]
		if tooLong {
			p.reply(line, "E00")
			continue
		}
		steps, err := parse(command)
		if err != nil {
			p.reply(line, p.remember(err.Error()))
			continue
		}
		if !mechanical(steps) {
			p.run(ctx, line, steps)
			continue
		}
		// A movement takes its time, and questions are answered meanwhile.
		var to io.Writer = line
		if p.Early {
			p.reply(line, "R")
			to = io.Discard
		}
		p.pending.Add(1) // the first question must find it running
		moving.Go(func() {
			defer p.pending.Add(-1)
			if err := p.run(ctx, to, steps); errors.Is(err, errHangup) {
				if c, ok := line.(io.Closer); ok {
					c.Close()
				}
			}
		})
	}
}

func (p *Pioneer) reply(line io.Writer, text string) { p.answer(line, text, "") }

// remember keeps an error for ?E.
func (p *Pioneer) remember(code string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = code
	return code
}

// step is one command of a line.
type step struct {
	arg  int // -1 without one
	name string
}

// parse splits a line into its commands: an argument stands before its mnemonic.
func parse(line string) ([]step, error) {
	var steps []step
	for line != "" {
		digits := len(line) - len(strings.TrimLeft(line, "0123456789"))
		s := step{arg: -1}
		if digits > 0 {
			n, err := strconv.Atoi(line[:digits])
			if err != nil {
				return nil, errors.New("E04")
			}
			s.arg = n
		}
		rest := line[digits:]
		if len(rest) < 2 {
			return nil, errors.New("E04")
		}
		s.name, line = rest[:2], rest[2:]
		steps = append(steps, s)
	}
	if len(steps) == 0 {
		return nil, errors.New("E04")
	}
	return steps, nil
}

func mechanical(steps []step) bool {
	for _, s := range steps {
		switch s.name {
		case "ZS", "ZR", "SA", "RJ", "PL", "PA", "!!":
			return true
		}
	}
	return false
}

// run carries a line's commands out and answers: the values of the questions, or R when there were none, or the first error.
func (p *Pioneer) run(ctx context.Context, line io.Writer, steps []step) error {
	var values []string
	fault := ""
	for _, s := range steps {
		value, struck, err := p.execute(ctx, s)
		if struck != "" {
			fault = struck
		}
		if errors.Is(err, context.Canceled) || errors.Is(err, errSilent) {
			return nil
		}
		if err != nil {
			p.answer(line, p.remember(p.code(err)), fault)
			return nil
		}
		if value != "" {
			values = append(values, value)
		}
	}
	text := strings.Join(values, "\r")
	if len(values) == 0 {
		text = "R"
	}
	if fault == "hangup" {
		return errHangup
	}
	p.answer(line, text, fault)
	return nil
}

func (p *Pioneer) answer(line io.Writer, text, fault string) {
	garbled := "\x7f" + text[:len(text)-1] + "#\r"
	if err := p.voice.say(line, fault, []byte(text+"\r"), []byte(garbled), []byte("PSP20\r")); err != nil {
		p.Log.Warn("reply was not taken", "reply", text, "error", err)
	}
}

// errSilent leaves the host without an answer.
var errSilent = errors.New("no answer")

// code returns the error code of the manual's chart.
func (p *Pioneer) code(err error) string {
	if code, ok := told(pioneerTells, err); ok {
		return code
	}
	if e := err.Error(); len(e) == 3 && e[0] == 'E' {
		return e
	}
	p.Log.Error("the mechanism failed", "error", err)
	return "E91"
}

// execute carries one command out. Struck is what a fault does to the answer.
func (p *Pioneer) execute(ctx context.Context, s step) (value, struck string, err error) {
	shape := p.Library.Shape()
	if s.name == "PS" && shape.Units*shape.PlayersPerUnit > 1 {
		if s.arg < 1 || s.arg > shape.Units*shape.PlayersPerUnit {
			return "", "", errors.New("E04")
		}
		p.mu.Lock()
		p.player = s.arg
		p.mu.Unlock()
		return "", "", nil
	}
	p.mu.Lock()
	player := p.player
	p.mu.Unlock()
	if shape.Units*shape.PlayersPerUnit == 1 {
		player = 1 // a machine with one player has no PS
	}
	if player == 0 {
		return "", "", errors.New("E06")
	}
	if s.name[0] == '?' {
		v, err := p.question(player, s.name)
		return v, p.Faults.strike(s.name, player, 0), err
	}
	switch s.name {
	case "ZS":
		if s.arg < 0 {
			return "", "", errors.New("E06")
		}
		if s.arg < 1 || s.arg > shape.SlotsPerUnit {
			return "", "", errors.New("E04")
		}
		slot := (p.Library.unitOf(player)-1)*shape.SlotsPerUnit + s.arg
		struck = p.Faults.strike("ZS", player, slot)
		return "", struck, p.move(ctx, player, struck, func() error { return p.selectDisc(ctx, player, slot, struck) })
	case "ZR":
		struck = p.Faults.strike("ZR", player, p.Library.holds(player))
		return "", struck, p.move(ctx, player, struck, func() error { return p.returnDisc(ctx, player, struck) })
	case "RJ", "SA", "PL", "PA":
		struck = p.Faults.strike(s.name, player, 0)
		return "", struck, p.spin(player, s.name)
	case "!!":
		struck = p.Faults.strike("!!", player, 0)
		return "", struck, p.Library.initialise(ctx, p.Library.unitOf(player))
	case "CL", "CM", "SP", "VL", "DU", "FD", "QS", "QL", "QT", "LT", "SE", "SM", "NF", "NR", "BK", "TM", "TR", "IX", "LO":
		return "", "", nil // of playing: nothing moves
	}
	return "", "", errors.New("E04")
}

// news returns the error by which a unit says, once, that it was initialised anew.
func (l *Library) told(u int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.units[u-1].news {
		l.units[u-1].news = false
		return errors.New("E22")
	}
	return nil
}

// move takes the mechanism of a player's unit for f, and lets faults have their way.
func (p *Pioneer) move(ctx context.Context, player int, fault string, f func() error) error {
	u := p.Library.unitOf(player)
	if err := p.Library.told(u); err != nil {
		return err
	}
	if err := p.Library.begin(u); err != nil {
		return err
	}
	defer p.Library.end(u)
	switch fault {
	case "E91", "E92", "E93":
		// The chart's time-over, failed pick-up and lost return address: the disc stays where it was.
		return errors.New(fault)
	case "magazine":
		return errors.New("E43")
	}
	err := f()
	if errors.Is(err, errPower) {
		p.Log.Info("power was cut", "unit", u)
		if err := p.Library.initialise(ctx, u); err != nil {
			return err
		}
		p.Library.mu.Lock()
		p.Library.units[u-1].news = true
		p.Library.mu.Unlock()
		return errSilent
	}
	return err
}

func (p *Pioneer) setMode(player int, m mode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.modes == nil {
		p.modes = map[int]mode{}
	}
	p.modes[player] = m
}

// selectDisc is ZS: the disc that the player holds goes home first.
func (p *Pioneer) selectDisc(ctx context.Context, player, slot int, fault string) error {
	if p.Library.holds(player) == slot {
		p.setMode(player, parked)
		return nil
	}
	if p.Library.holds(player) != 0 {
		if err := p.returnDisc(ctx, player, ""); err != nil {
			return err
		}
	}
	p.setMode(player, loading)
	defer p.rest(player)
	if fault == "E98" { // it could be picked up and not be set down
		fault = mishapHeld
	}
	return p.Library.fetch(ctx, slot, player, fault)
}

// returnDisc is ZR.
func (p *Pioneer) returnDisc(ctx context.Context, player int, fault string) error {
	p.setMode(player, unloading)
	defer p.rest(player)
	return p.Library.putBack(ctx, player, fault)
}

// rest gives a player the mode in which it is after a movement.
func (p *Pioneer) rest(player int) {
	if p.Library.holds(player) == 0 {
		p.setMode(player, unset)
	} else {
		p.setMode(player, parked)
	}
}

// spin starts or stops a player's motor.
func (p *Pioneer) spin(player int, name string) error {
	if p.Library.holds(player) == 0 {
		return errNothing
	}
	p.setMode(player, map[string]mode{"RJ": parked, "SA": setUp, "PL": playing, "PA": pausing}[name])
	return nil
}

// question answers a request; with two players a unit the answer names the player (`1PS?X` is answered `1PSP151206`).
func (p *Pioneer) question(player int, name string) (string, error) {
	prefix := ""
	if p.Library.Shape().PlayersPerUnit > 1 {
		prefix = fmt.Sprintf("%dPS", player)
	}
	u := p.Library.unitOf(player)
	switch name {
	case "?J":
		p.Library.mu.Lock()
		busy := p.Library.units[u-1].moving
		p.Library.mu.Unlock()
		if busy || p.Early && p.pending.Load() > 0 {
			return prefix + "B", nil
		}
		return prefix + "R", nil
	case "?P":
		p.mu.Lock()
		m, ok := p.modes[player]
		p.mu.Unlock()
		switch holds := p.Library.holds(player) != 0; {
		case (!ok || m == unset) && holds: // a hand has laid it there
			m = parked
		case (!ok || m == parked) && !holds:
			m = unset
		}
		return prefix + string(m), nil
	case "?Z":
		slot := p.Library.holds(player)
		if slot == 0 {
			return prefix + "XXX", nil
		}
		return prefix + fmt.Sprintf("%03d", slot-(u-1)*p.Library.Shape().SlotsPerUnit), nil
	case "?E":
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.last == "" {
			return prefix + "E00", nil
		}
		return prefix + p.last, nil
	case "?X":
		return prefix + "P151206", nil
	case "?M":
		return prefix + "CM3", nil
	case "?K":
		if p.Library.holds(player) == 0 {
			return prefix + "0XXXXXXX", nil
		}
		return prefix + "101XXXXX", nil
	case "?B", "?T", "?R", "?I", "?Q", "?G", "?A":
		return "", errors.New("E04") // of what is being played, and nothing is
	}
	return "", errors.New("E04")
}
