package port

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

// byCR cuts frames that end in CR.
func byCR(data []byte, _ bool) (int, []byte, error) {
	if frame, _, ok := bytes.Cut(data, []byte{'\r'}); ok {
		return len(frame) + 1, frame, nil
	}
	return 0, nil, nil
}

func short(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func say(t *testing.T, robot *os.File, s string) {
	t.Helper()
	if _, err := io.WriteString(robot, s); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, robot *os.File, n int) string {
	t.Helper()
	p := make([]byte, n)
	if err := robot.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(robot, p); err != nil {
		t.Fatal(err)
	}
	return string(p)
}

func receive(t *testing.T, l *Line, want string) {
	t.Helper()
	if got, err := l.Receive(short(t, 5*time.Second), byCR); err != nil || string(got) != want {
		t.Fatalf("received %q, %v; want %q", got, err, want)
	}
}

func exchange(t *testing.T, l *Line, robot *os.File, command, reply string) {
	t.Helper()
	if err := l.Send(short(t, 5*time.Second), []byte(command)); err != nil {
		t.Fatal(err)
	}
	if got := hear(t, robot, len(command)); got != command {
		t.Fatalf("the robot heard %q, want %q", got, command)
	}
	say(t, robot, reply)
	receive(t, l, strings.TrimSuffix(reply, "\r"))
}

func TestFramesAreCutAsTheyCome(t *testing.T) {
	robot, path := pty(t)
	l := openLine(t, path, Mode{})
	exchange(t, l, robot, "1PS214ZS\r", "R\r")
	say(t, robot, "P2")
	if got, err := l.Receive(short(t, 20*time.Millisecond), byCR); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("received %q, %v of half a frame; want %v", got, err, context.DeadlineExceeded)
	}
	say(t, robot, "0\rE11\r\rR")
	receive(t, l, "P20")
	receive(t, l, "E11")
	receive(t, l, "")
	stale, err := l.Discard()
	if err != nil || string(stale) != "R" {
		t.Errorf("discarded %q, %v; want the half frame", stale, err)
	}
}

func TestDiscardTakesBothBuffers(t *testing.T) {
	robot, path := pty(t)
	l := openLine(t, path, Mode{})
	say(t, robot, "one\rtwo\r")
	receive(t, l, "one")
	say(t, robot, "late\r")
	// The pty's line discipline works behind its writer's back: ask until all has come through.
	var stale []byte
	for ctx := short(t, 5*time.Second); len(stale) < len("two\rlate\r") && ctx.Err() == nil; {
		s, err := l.Discard()
		if err != nil {
			t.Fatal(err)
		}
		stale = append(stale, s...)
	}
	if string(stale) != "two\rlate\r" {
		t.Errorf("discarded %q", stale)
	}
	if stale, err := l.Discard(); err != nil || len(stale) != 0 {
		t.Errorf("discarded %q, %v of a quiet line", stale, err)
	}
	exchange(t, l, robot, "?P\r", "P20\r")
}

func TestEndlessFrame(t *testing.T) {
	robot, path := pty(t)
	l := openLine(t, path, Mode{})
	done := make(chan error, 1)
	go func() {
		_, err := io.WriteString(robot, strings.Repeat("x", 2*maxFrame))
		done <- err
	}()
	if _, err := l.Receive(short(t, 5*time.Second), byCR); !errors.Is(err, bufio.ErrTooLong) {
		t.Errorf("%v; want %v", err, bufio.ErrTooLong)
	}
	for running := true; running; {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			running = false
		default:
			if _, err := l.Discard(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestReceiveObeysContext(t *testing.T) {
	robot, path := pty(t)
	l := openLine(t, path, Mode{})
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := l.Receive(ctx, byCR)
		failed <- err
	}()
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("%v; want %v", err, context.Canceled)
	}
	if err := l.Send(ctx, []byte("?P\r")); !errors.Is(err, context.Canceled) {
		t.Errorf("send: %v; want %v", err, context.Canceled)
	}
	exchange(t, l, robot, "?J\r", "R\r") // neither the deadline nor the unsent command may remain
}

func TestSendToAStoppedPeer(t *testing.T) {
	_, path := pty(t)
	l := openLine(t, path, Mode{})
	if err := l.Send(short(t, 50*time.Millisecond), make([]byte, 1<<20)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v; want %v", err, context.DeadlineExceeded)
	}
}

func TestUnplugged(t *testing.T) {
	robot, path := pty(t)
	l := openLine(t, path, Mode{})
	failed := make(chan error)
	go func() {
		_, err := l.Receive(t.Context(), byCR)
		failed <- err
	}()
	robot.Close()
	if err := <-failed; !errors.Is(err, ErrGone) || !strings.Contains(err.Error(), path) {
		t.Errorf("receive: %v; want %v and the path", err, ErrGone)
	}
	if err := l.Send(t.Context(), []byte("?P\r")); !errors.Is(err, ErrGone) {
		t.Errorf("send: %v; want %v", err, ErrGone)
	}
	if _, err := l.Discard(); !errors.Is(err, ErrGone) {
		t.Errorf("discard: %v; want %v", err, ErrGone)
	}
	if err := l.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func TestClosedHere(t *testing.T) {
	_, path := pty(t)
	l := openLine(t, path, Mode{})
	failed := make(chan error)
	go func() {
		_, err := l.Receive(t.Context(), byCR)
		failed <- err
	}()
	if err := l.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := <-failed; !errors.Is(err, ErrClosed) || errors.Is(err, ErrGone) {
		t.Errorf("receive: %v; want %v", err, ErrClosed)
	}
	if err := l.Send(t.Context(), []byte("?P\r")); !errors.Is(err, ErrClosed) {
		t.Errorf("send: %v; want %v", err, ErrClosed)
	}
	if _, err := l.Discard(); !errors.Is(err, ErrClosed) {
		t.Errorf("discard: %v; want %v", err, ErrClosed)
	}
	if err := l.Close(); err != nil {
		t.Errorf("close again: %v", err)
	}
}
