package pioneer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Line carries frames to and from the robot; robot/port has one for serial lines. One goroutine uses it
// at a time.
type Line interface {
	// Send writes all of frame, or fails when ctx ends.
	Send(ctx context.Context, frame []byte) error
	// Receive returns the next frame that split cuts, or fails with ctx's error when it ends.
	Receive(ctx context.Context, split bufio.SplitFunc) ([]byte, error)
	// Discard drops and returns what has come and was not received.
	Discard() ([]byte, error)
	// Close ends the line.
	Close() error
}

// exchange sends one command to a player and returns its answer, whatever that is. It fails with misheard,
// or with the line's own error when that is broken. The caller's ctx is not looked at: an answer that
// nobody waits for would confuse the next command.
func (c *Changer) exchange(player int, command string, limit time.Duration) (reply, error) {
	if err := c.send(player, command, limit); err != nil {
		return reply{}, err
	}
	return c.receive(player, command, limit)
}

func (c *Changer) send(player int, command string, limit time.Duration) error {
	time.Sleep(time.Until(c.heard.Add(c.cfg.Timing.Pacing)))
	if _, err := c.line.Discard(); err != nil {
		return fmt.Errorf("before %s: %w", command, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := c.line.Send(ctx, []byte(c.prefix(player)+command+"\r")); err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	return nil
}

func (c *Changer) receive(player int, command string, limit time.Duration) (reply, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	frame, err := c.line.Receive(ctx, splitReply)
	c.heard = time.Now()
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return reply{}, misheard{command: command}
	case errors.Is(err, bufio.ErrTooLong):
		// Noise has no end to go on from: it would be met again and again.
		if _, err := c.line.Discard(); err != nil {
			return reply{}, fmt.Errorf("%s: %w", command, err)
		}
		return reply{}, misheard{command, "noise without an end"}
	case err != nil:
		return reply{}, fmt.Errorf("%s: %w", command, err)
	}
	r, err := parseReply(frame, c.addressed(player))
	if err != nil {
		return reply{}, misheard{command, strconv.Quote(string(frame))}
	}
	return r, nil
}

// prefix is the beginning of a command that selects a player.
func (c *Changer) prefix(player int) string {
	if !c.cfg.Model.Prefix {
		return ""
	}
	return strconv.Itoa(player) + "PS"
}

// addressed is the player that an answer may name, 0 when none.
func (c *Changer) addressed(player int) int {
	if !c.cfg.Model.Prefix {
		return 0
	}
	return player
}

// ask asks a player a question whose answer has one of the given forms.
func (c *Changer) ask(player int, question string, forms ...form) (reply, error) {
	r, err := c.exchange(player, question, c.cfg.Timing.Query)
	if err != nil {
		return reply{}, err
	}
	for _, f := range forms {
		if r.form == f {
			return r, nil
		}
	}
	if r.form == fail {
		return reply{}, codeError(r.code)
	}
	return reply{}, misheard{question, "one to another command"}
}

// resynchronise brings questions and answers into step: whatever comes before the answer to ?X was
// for something earlier.
func (c *Changer) resynchronise(player int) error {
	if err := c.send(player, "?X", c.cfg.Timing.Query); err != nil {
		return err
	}
	for end := time.Now().Add(c.cfg.Timing.Query); time.Now().Before(end); {
		r, err := c.receive(player, "?X", time.Until(end))
		m, odd := errors.AsType[misheard](err)
		switch {
		case err == nil && r.form == ident:
			return nil
		case err != nil && (!odd || m.heard == ""):
			return err
		}
	}
	return misheard{command: "?X"}
}

// state is what a player says of itself.
type state struct {
	ready bool // no command runs (?J)
	mode  int  // ?P
	disc  int  // number of the slot, within the unit, that its disc came from; 0 is none (?Z)
}

// The modes that matter here (?P).
const (
	parked    = 1 // the disc lies still
	rejecting = 3
	unset     = 20 // no disc
	loading   = 21
	unloading = 22
)

func (s state) moving() bool {
	return !s.ready || s.mode == rejecting || s.mode == loading || s.mode == unloading
}

func (s state) empty() bool { return !s.moving() && s.mode == unset && s.disc == 0 }

// holds says that the player has the disc of that slot and is at rest.
func (s state) holds(disc int) bool {
	return !s.moving() && s.mode != unset && s.disc == disc && disc != 0
}

func (s state) String() string {
	text := fmt.Sprintf("mode P%02d, disc %03d", s.mode, s.disc)
	if s.disc == 0 {
		text = fmt.Sprintf("mode P%02d, no disc number", s.mode)
	}
	if !s.ready {
		text += ", a command is running"
	}
	return text
}

// look asks a player for its state. The three answers differ in form, so that one that is not in its turn
// shows; then all three are asked again.
func (c *Changer) look(player int) (state, error) {
	const tries = 3
	for try := 1; ; try++ {
		s, err := c.lookOnce(player)
		if _, odd := errors.AsType[misheard](err); !odd || try == tries {
			return s, err
		}
		if again := c.resynchronise(player); again != nil {
			return state{}, fmt.Errorf("%w; %w", err, again)
		}
	}
}

func (c *Changer) lookOnce(player int) (state, error) {
	job, err := c.ask(player, "?J", done, busy)
	if err != nil {
		return state{}, err
	}
	active, err := c.ask(player, "?P", mode)
	if err != nil {
		return state{}, err
	}
	number, err := c.ask(player, "?Z", disc)
	if err != nil {
		return state{}, err
	}
	if number.number > c.cfg.Model.Slots {
		return state{}, misheard{"?Z", fmt.Sprintf("disc %d of %d", number.number, c.cfg.Model.Slots)}
	}
	return state{ready: job.form == done, mode: active.number, disc: number.number}, nil
}
