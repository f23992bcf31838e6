package port

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// maxFrame bounds what a line may send without completing a frame, in bytes. Frames of disc robots have a
// few dozen.
const maxFrame = 4096

// Send writes all of frame, or fails when ctx ends first: a line whose peer has stopped it takes no bytes.
// How much of a frame was sent before an error is not known.
func (l *Line) Send(ctx context.Context, frame []byte) error {
	release, err := l.bind(ctx, l.file.SetWriteDeadline)
	if err != nil {
		return fmt.Errorf("send to %s: %w", l.path, err)
	}
	defer release()
	n, err := l.file.Write(frame)
	l.recorded(Sent, frame[:n])
	if err != nil {
		return fmt.Errorf("send to %s: %w", l.path, l.reason(ctx, err))
	}
	return nil
}

// Receive returns the next frame, as split cuts it out of the stream: split follows bufio.SplitFunc and is
// never called with atEOF. When ctx ends first, what has come of a frame is kept for the next Receive
// or Discard. The frame is the caller's.
func (l *Line) Receive(ctx context.Context, split bufio.SplitFunc) ([]byte, error) {
	frame, err := l.receive(ctx, split)
	if err != nil {
		return nil, fmt.Errorf("receive from %s: %w", l.path, err)
	}
	return frame, nil
}

func (l *Line) receive(ctx context.Context, split bufio.SplitFunc) ([]byte, error) {
	release, err := l.bind(ctx, l.file.SetReadDeadline)
	if err != nil {
		return nil, err
	}
	defer release()
	buf := make([]byte, 256)
	for {
		for len(l.unread) > 0 {
			advance, token, err := split(l.unread, false)
			if err != nil {
				return nil, err
			}
			frame := bytes.Clone(token)
			l.unread = l.unread[advance:]
			if frame != nil {
				return frame, nil
			}
			if advance == 0 {
				break
			}
		}
		if len(l.unread) >= maxFrame {
			return nil, fmt.Errorf("no end of a frame in %d bytes: %w", len(l.unread), bufio.ErrTooLong)
		}
		n, err := l.file.Read(buf)
		l.recorded(Received, buf[:n])
		l.unread = append(l.unread, buf[:n]...)
		if err != nil {
			return nil, l.reason(ctx, err)
		}
	}
}

// Discard drops all input that has come and was not received, and returns it: nothing that came before a
// command can be its answer. It fails when the line sends more than that without a pause.
func (l *Line) Discard() ([]byte, error) {
	stale := l.unread
	l.unread = nil
	for {
		waiting, err := l.waiting()
		l.recorded(Received, waiting)
		stale = append(stale, waiting...)
		switch {
		case err != nil:
			return stale, fmt.Errorf("discard input of %s: %w", l.path, l.reason(context.Background(), err))
		case len(waiting) == 0:
			return stale, nil
		case len(stale) > 16*maxFrame:
			return stale, fmt.Errorf("discard input of %s: no pause in %d bytes: %w", l.path, len(stale), bufio.ErrTooLong)
		}
	}
}

// waiting reads what the kernel has, without waiting for more.
func (l *Line) waiting() ([]byte, error) {
	if err := l.file.SetReadDeadline(time.Time{}); err != nil {
		return nil, err
	}
	conn, err := l.file.SyscallConn()
	if err != nil {
		return nil, err
	}
	buf := make([]byte, maxFrame)
	var n int
	var readErr error
	if err := conn.Read(func(fd uintptr) bool {
		n, readErr = syscall.Read(int(fd), buf)
		return true
	}); err != nil {
		return nil, err
	}
	switch {
	case errors.Is(readErr, syscall.EAGAIN), errors.Is(readErr, syscall.EINTR):
		return nil, nil
	case readErr != nil:
		return nil, readErr
	case n == 0:
		return nil, io.EOF
	}
	return buf[:n], nil
}

// bind lets the end of ctx end the file operation that setDeadline governs, until release.
func (l *Line) bind(ctx context.Context, setDeadline func(time.Time) error) (release func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := setDeadline(time.Time{}); err != nil {
		return nil, l.reason(ctx, err)
	}
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(fired)
		// Fails only on a closed file, which has ended the operation by itself.
		_ = setDeadline(time.Unix(1, 0))
	})
	return func() {
		if !stop() {
			<-fired // or it would cut short the next operation
		}
	}, nil
}

// reason says in this package's words why a file operation ended. A device that was unplugged reads as
// end of file at first, later operations give EIO, ENXIO or ENODEV.
func (l *Line) reason(ctx context.Context, err error) error {
	switch {
	case l.closed.Load():
		return ErrClosed
	case errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, io.EOF), errors.Is(err, syscall.EIO), errors.Is(err, syscall.ENXIO),
		errors.Is(err, syscall.ENODEV):
		return fmt.Errorf("%w (%w)", ErrGone, unwrapPath(err))
	default:
		return unwrapPath(err)
	}
}
