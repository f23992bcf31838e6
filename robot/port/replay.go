package port

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
)

// Replay is a line whose robot says again what a Transcript recorded. It takes the commands of the recording, in their order, and no
// others; like Line, it is used by one goroutine at a time.
type Replay struct {
	mu     sync.Mutex
	pieces []piece
	unread []byte
	closed bool
}

type piece struct {
	d    Direction
	data []byte
}

// ReadTranscript reads what Transcript has written. The error names the line that is wrong.
func ReadTranscript(r io.Reader) (*Replay, error) {
	p := &Replay{}
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		_, rest, _ := strings.Cut(lines.Text(), " ")
		direction, quoted, ok := strings.Cut(rest, " ")
		data, err := strconv.Unquote(quoted)
		if !ok || err != nil || direction != string(Sent) && direction != string(Received) {
			return nil, fmt.Errorf("read transcript: line %d: %q: want TIME > \"…\" or TIME < \"…\"", n, lines.Text())
		}
		p.pieces = append(p.pieces, piece{Direction(direction[0]), []byte(data)})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read transcript: %w", err)
	}
	return p, nil
}

// Send takes a command when the recording has it next.
func (p *Replay) Send(_ context.Context, frame []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unread = nil
	for len(frame) > 0 {
		p.hear()
		if len(p.pieces) == 0 {
			return fmt.Errorf("replay: %q came after the end of the recording", frame)
		}
		want := p.pieces[0].data
		n := min(len(want), len(frame))
		if !bytes.Equal(want[:n], frame[:n]) {
			return fmt.Errorf("replay: %q came, the recording has %q", frame, want)
		}
		if p.pieces[0].data = want[n:]; len(want) == n {
			p.pieces = p.pieces[1:]
		}
		frame = frame[n:]
	}
	p.unread = nil // what came before a command is no answer to it
	return nil
}

// hear takes what the robot says next.
func (p *Replay) hear() {
	for len(p.pieces) > 0 && p.pieces[0].d == Received {
		p.unread = append(p.unread, p.pieces[0].data...)
		p.pieces = p.pieces[1:]
	}
}

// Receive returns the next frame of the recording. Where that has none there was silence, which passes at once.
func (p *Replay) Receive(_ context.Context, split bufio.SplitFunc) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hear()
	for len(p.unread) > 0 {
		n, token, err := split(p.unread, false)
		if err != nil {
			return nil, fmt.Errorf("replay: %w", err)
		}
		frame := bytes.Clone(token)
		p.unread = p.unread[n:]
		if frame != nil {
			return frame, nil
		}
		if n == 0 {
			break
		}
	}
	return nil, context.DeadlineExceeded
}

// Discard drops nothing: the recording tells what was dropped by what comes next.
func (p *Replay) Discard() ([]byte, error) { return nil, nil }

// Rest says how much of the recording is left, in pieces.
func (p *Replay) Rest() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.pieces)
}

// Close ends the line.
func (p *Replay) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return os.ErrClosed
	}
	p.closed = true
	return nil
}
