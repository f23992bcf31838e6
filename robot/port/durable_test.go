package port

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// plug makes name a link to a new pseudo-terminal, and returns the robot's end of that.
func plug(t *testing.T, name string) (robot *os.File) {
	t.Helper()
	robot, path := pty(t)
	os.Remove(name)
	if err := os.Symlink(path, name); err != nil {
		t.Fatal(err)
	}
	return robot
}

func openDurable(t *testing.T, path string) *Durable {
	t.Helper()
	d, err := OpenDurable(path, Mode{Baud: 9600})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// hears asserts that what is sent on d arrives at robot, and an answer at d.
func hears(t *testing.T, d *Durable, robot *os.File) {
	t.Helper()
	if err := d.Send(t.Context(), []byte("?X\r")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 3)
	if _, err := io.ReadFull(robot, got); err != nil || string(got) != "?X\r" {
		t.Fatalf("the robot got %q, %v", got, err)
	}
	if _, err := robot.WriteString("P00\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, err := d.Receive(t.Context(), bufio.ScanLines); err != nil || string(answer) != "P00" {
		t.Fatalf("the answer is %q, %v", answer, err)
	}
}

func TestDurableFindsItsDeviceAgain(t *testing.T) {
	name := filepath.Join(t.TempDir(), "line")
	robot := plug(t, name)
	d := openDurable(t, name)
	hears(t, d, robot)

	robot.Close()
	if _, err := d.Receive(t.Context(), bufio.ScanLines); !errors.Is(err, ErrGone) {
		t.Fatalf("a line that was pulled out: %v", err)
	}
	os.Remove(name)
	if _, err := d.Discard(); !errors.Is(err, ErrGone) {
		t.Fatalf("while nothing is plugged in: %v", err)
	}
	hears(t, d, plug(t, name))
}

// What precedes a command loses nothing by a new device: the command itself need not fail.
func TestDurableDiscardGoesOn(t *testing.T) {
	name := filepath.Join(t.TempDir(), "line")
	robot := plug(t, name)
	d := openDurable(t, name)
	robot.Close()
	robot = plug(t, name)
	if stale, err := d.Discard(); err != nil || len(stale) > 0 {
		t.Fatalf("discard: %q, %v", stale, err)
	}
	hears(t, d, robot)
}

func TestDurableStaysClosed(t *testing.T) {
	name := filepath.Join(t.TempDir(), "line")
	robot := plug(t, name)
	d := openDurable(t, name)
	robot.Close()
	d.Discard() // finds it gone
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	plug(t, name)
	if err := d.Send(t.Context(), []byte("?X\r")); !errors.Is(err, ErrClosed) {
		t.Fatalf("send on a closed line: %v", err)
	}
}
