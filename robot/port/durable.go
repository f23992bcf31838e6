package port

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"sync"
)

// Durable is a line that outlives its device. When that is gone (unplugged, powered off, renumbered behind its name in
// /dev/serial/by-id), the operation that finds out fails with ErrGone, since nobody knows how much of it has arrived, and the
// next one opens the device anew. Discard alone goes on at once: it has nothing to lose.
//
// What the robot did meanwhile is not known to a Durable; its driver has to ask.
type Durable struct {
	path string
	mode Mode

	mu     sync.Mutex // of what follows; not held during an operation
	line   *Line      // nil after it was found gone
	closed bool
}

// OpenDurable opens the serial device at path as Open does.
func OpenDurable(path string, m Mode) (*Durable, error) {
	line, err := Open(path, m)
	if err != nil {
		return nil, err
	}
	return &Durable{path: path, mode: m, line: line}, nil
}

// Send is Line.Send.
func (d *Durable) Send(ctx context.Context, frame []byte) error {
	line, err := d.current()
	if err != nil {
		return fmt.Errorf("send: %w", err)
	}
	return d.judge(line, line.Send(ctx, frame))
}

// Receive is Line.Receive.
func (d *Durable) Receive(ctx context.Context, split bufio.SplitFunc) ([]byte, error) {
	line, err := d.current()
	if err != nil {
		return nil, fmt.Errorf("receive: %w", err)
	}
	frame, err := line.Receive(ctx, split)
	return frame, d.judge(line, err)
}

// Discard is Line.Discard, or what it would be on the device once that is opened anew.
func (d *Durable) Discard() (stale []byte, err error) {
	for range 2 { // the device that was found gone, and the one opened anew
		line, gone := d.current()
		if gone != nil {
			return stale, fmt.Errorf("discard input: %w", gone)
		}
		var waiting []byte
		waiting, err = line.Discard()
		stale, err = append(stale, waiting...), d.judge(line, err)
		if !errors.Is(err, ErrGone) {
			break
		}
	}
	return stale, err
}

// current is the line as it is, or opened anew.
func (d *Durable) current() (*Line, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return nil, ErrClosed
	case d.line == nil:
		line, err := Open(d.path, d.mode)
		if err != nil {
			return nil, fmt.Errorf("%w (%w)", ErrGone, err)
		}
		d.line = line
	}
	return d.line, nil
}

// judge lets go of a line that is gone, and returns err.
func (d *Durable) judge(line *Line, err error) error {
	if !errors.Is(err, ErrGone) {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.line == line {
		d.line = nil
		err = errors.Join(err, line.Close())
	}
	return err
}

// Close is Line.Close. A Durable that was closed opens nothing any more.
func (d *Durable) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	if d.line == nil {
		return nil
	}
	return d.line.Close()
}
