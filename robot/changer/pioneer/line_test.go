package pioneer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/port"
	"golang.org/x/sys/unix"
)

var _ Line = (*port.Line)(nil)

// terminal makes a pseudo-terminal: the robot's end and a driver's line.
func terminal(t testing.TB, record port.Recorder) (*os.File, *port.Line) {
	t.Helper()
	far, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	conn, err := far.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var number int
	var ioctlErr error
	if err := conn.Control(func(fd uintptr) {
		if ioctlErr = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); ioctlErr == nil {
			number, ioctlErr = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}); err != nil || ioctlErr != nil {
		t.Fatal(err, ioctlErr)
	}
	line, err := port.Open(fmt.Sprintf("/dev/pts/%d", number), port.Mode{Baud: 9600, Record: record})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { line.Close() })
	return far, line
}

// converse plays the robot's part of a script on a terminal, and then hangs up. The sent channel gives the
// first deviation from the script.
func converse(far *os.File, steps []step) <-chan error {
	sent := make(chan error, 1)
	go func() {
		defer far.Close()
		commands := bufio.NewReader(far)
		for _, s := range steps {
			command, err := commands.ReadString('\r')
			if err != nil || command != s.command+"\r" {
				sent <- fmt.Errorf("%q, %v came, want %q", command, err, s.command)
				return
			}
			if _, err := fmt.Fprintf(far, "%s\r", s.answers); err != nil {
				sent <- err
				return
			}
		}
		_, err := commands.ReadString('\r') // of the command that is not answered
		sent <- err
	}()
	return sent
}

// TestOverTerminal drives a robot behind a real line, until it is unplugged in the middle of a move.
func TestOverTerminal(t *testing.T) {
	var said bytes.Buffer
	far, line := terminal(t, port.Transcript(&said))
	script := []step{{"1PS?X", "P151206"}, {"2PS?X", "P151206"}}
	for _, some := range [][]step{
		unset2("1", "2"), say("1PS?E", "E00"), say("1PS002ZS", "R"), look("1", "B", "P21", "XXX"), rest("1", "P01", "002"),
		rest("1", "P01", "002"), say("1PS?E", "E00"),
	} {
		script = append(script, some...)
	}
	sent := converse(far, script)

	model, err := ModelNamed("V3000")
	if err != nil {
		t.Fatal(err)
	}
	timing := Timing{Poll: time.Millisecond, Query: 5 * time.Second, Move: 10 * time.Second}
	c, err := Open(t.Context(), line, Config{Model: model, Timing: timing})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Move(t.Context(), slot(2), driveBay(1)); err != nil {
		t.Error(err)
	}
	err = c.Move(t.Context(), driveBay(1), slot(2))
	wantError(t, err, robot.ErrComm, driveBay(1), "ZR: ", port.ErrGone.Error())
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if err := errors.Join(c.Close(), c.Close()); err != nil {
		t.Error(err)
	}
	if !strings.Contains(said.String(), `> "1PS002ZS\r"`) {
		t.Errorf("transcript %q", said.String())
	}
}
