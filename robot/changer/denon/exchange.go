package denon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/odarchive/odarchive/robot"
)

// Opcodes.
const (
	selectDisc = 0xC4
	returnDisc = 0xC5
	discStatus = 0xCC
)

// What the changer says of itself (CST).
const (
	noDisc      = 0x81
	transport   = 0x82
	initialBusy = 0x8A
	changerErr1 = 0x8B
	noRack      = 0x8C
	waiting     = 0x8E
	changerErr2 = 0x8F
	invalid     = 0xDD // as the first byte of any answer
)

// noSlot is the rack of a drive without a disc.
const noSlot = 0xFF

// exchange sends a command and returns its answer without its tail: n bytes, or the one byte of invalid. Drive is the one that the
// command names, -1 for none.
func (c *Changer) exchange(command []byte, n, drive int) ([]byte, error) {
	time.Sleep(time.Until(c.heard.Add(c.scaled(pacing))))
	if _, err := c.line.Discard(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.limit())
	defer cancel()
	unit := byte(0x50 + c.config.Unit)
	if err := c.line.Send(ctx, append([]byte{unit}, command...)); err != nil {
		return nil, fmt.Errorf("command % X: %w", command, err)
	}
	tail := []byte{unit}
	if drive >= 0 {
		tail = append(tail, byte(drive))
	}
	answer, err := c.line.Receive(ctx, split(n, tail))
	c.heard = time.Now()
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("no answer to command % X", command)
	} else if err != nil {
		return nil, fmt.Errorf("command % X: %w", command, err)
	}
	body := answer[:len(answer)-len(tail)]
	if !slices.Equal(answer[len(body):], tail) {
		return nil, fmt.Errorf("the answer to command % X was % X", command, answer)
	}
	return body, nil
}

// split cuts an answer of n bytes, or that to a command that can't be taken, with its tail (bufio.SplitFunc).
func split(n int, tail []byte) func(data []byte, _ bool) (int, []byte, error) {
	return func(data []byte, _ bool) (int, []byte, error) {
		if len(data) == 0 {
			return 0, nil, nil
		}
		size := n + len(tail)
		if data[0] == invalid {
			size = 1 + len(tail)
		}
		if len(data) < size {
			return 0, nil, nil
		}
		return size, data[:size], nil
	}
}

// state is what the changer says of itself.
type state struct {
	slots  [Drives]int // that the discs in the drives came from; 0 for none
	status [Drives]byte
	all    byte // of the whole changer
}

// parseState reads the answer to discStatus without its tail.
func parseState(b []byte) (s state, err error) {
	if len(b) != 7 {
		return s, fmt.Errorf("a state of %d bytes", len(b))
	}
	for d := range Drives {
		rack, n := b[3*d], b[3*d+1]
		s.status[d] = b[3*d+2]
		switch {
		case rack == noSlot:
		case rack > 3 || n > 49:
			return s, fmt.Errorf("drive %d has a disc of rack %d, place %d", d+1, rack, n)
		default:
			s.slots[d] = int(rack)*50 + int(n) + 1
		}
	}
	s.all = b[6]
	for _, code := range append(s.status[:], s.all) {
		if code < 0x80 || code > 0x8F {
			return s, fmt.Errorf("status %02X", code)
		}
	}
	return s, nil
}

func (s state) moving() bool {
	for _, code := range []byte{s.status[0], s.status[1], s.all} {
		if code == transport || code == initialBusy || code == waiting {
			return true
		}
	}
	return false
}

// trouble is what a person must see to.
func (s state) trouble(op string) error {
	for _, code := range []byte{s.all, s.status[0], s.status[1]} {
		switch code {
		case changerErr1, changerErr2:
			return fail(op, robot.ErrJam, robot.Address{}, "changer error: %v", s)
		case noRack:
			return fail(op, robot.ErrJam, robot.Address{}, "a disc rack is not set: %v", s)
		}
	}
	return nil
}

func (s state) String() string {
	return fmt.Sprintf("drive 1 has the disc of slot %d (%02X), drive 2 that of slot %d (%02X), changer %02X", s.slots[0], s.status[0], s.slots[1], s.status[1], s.all)
}

// look asks for the state, again when the answer makes no sense.
func (c *Changer) look(op string) (state, error) {
	const tries = 3
	for try := 1; ; try++ {
		b, err := c.exchange([]byte{discStatus}, 7, -1)
		var s state
		if err == nil && len(b) == 1 {
			return state{status: [Drives]byte{waiting, waiting}, all: waiting}, nil // it can't take a question now
		}
		if err == nil {
			s, err = parseState(b)
		}
		if err == nil {
			return s, nil
		}
		if try == tries {
			return s, fail(op, robot.ErrComm, robot.Address{}, "%v", err)
		}
	}
}

// settle asks until the changer rests, as long as a move may take, or until ctx ends. One that initialised meanwhile has lost its power, and
// put away what it carried: that fails with ErrInventory once it rests.
func (c *Changer) settle(ctx context.Context, op string) (state, error) {
	anew := false
	for end := time.Now().Add(max(c.scaled(moveLimit), c.limit())); ; {
		s, err := c.look(op)
		anew = anew || s.all == initialBusy || s.status[0] == initialBusy || s.status[1] == initialBusy
		switch {
		case err != nil:
			return s, err
		case ctx.Err() != nil:
			return s, fmt.Errorf("%s: %w", op, ctx.Err())
		case !s.moving() && anew:
			return s, fail(op, robot.ErrInventory, robot.Address{}, "it has initialised; now %v", s)
		case !s.moving():
			return s, nil
		case !time.Now().Before(end):
			return s, fail(op, robot.ErrJam, robot.Address{}, "it does not come to rest: %v", s)
		}
		time.Sleep(c.scaled(pollPause))
	}
}

// limit is that of an answer. A computer takes its time whatever the machine does.
func (c *Changer) limit() time.Duration { return max(c.scaled(queryLimit), 250*time.Millisecond) }

func (c *Changer) scaled(d time.Duration) time.Duration {
	return time.Duration(float64(d) / c.config.Speed)
}
