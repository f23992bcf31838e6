package agent

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/odarchive/odarchive/robot/changer/manual"
)

// TestDesk: a person at a terminal gets the requests and answers them, also one that came before he did.
func TestDesk(t *testing.T) {
	dir := t.TempDir()
	abort := make(chan struct{})
	d, err := openDesk(dir, slog.New(slog.DiscardHandler), abort)
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan manual.Answer)
	go func() {
		a, err := d.Do(t.Context(), "put disc QK-0042 into drive 1")
		if err != nil {
			t.Error(err)
		}
		said <- a
	}()
	keyboard, typed := io.Pipe()
	var screen screen
	ended := make(chan error)
	go func() { ended <- Attend(t.Context(), dir, keyboard, &screen) }()
	if _, err := io.WriteString(typed, "what?\n"); err != nil {
		t.Fatal(err)
	}
	for answered := false; !answered; {
		if screen.has("QK-0042") {
			if _, err := io.WriteString(typed, "done\n"); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case a := <-said:
			answered = true
			if a != manual.Done {
				t.Errorf("answer %q", a)
			}
		default:
		}
	}
	close(abort)
	if _, err := d.Do(t.Context(), "x"); err != errAborted {
		t.Errorf("%v", err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	typed.Close()
}

type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) has(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(s.text.String(), text)
}

// TestConsole: the agent's own terminal asks as well, a terminal's end is nobody's, and the desk's end ends the terminal.
func TestConsole(t *testing.T) {
	far, console := terminal(t)
	d, err := openDesk(t.TempDir(), slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	d.sit(console)
	screen := bufio.NewReader(far)
	shows := func(want string) {
		t.Helper()
		seen := ""
		for !strings.Contains(seen, want) {
			b, err := screen.ReadByte()
			if err != nil {
				t.Fatalf("%q and then %v; want %q", seen, err, want)
			}
			seen += string(b)
		}
	}
	for n, request := range []string{"put disc QK-0042 into drive 1", "take disc QK-0042 out of drive 1"} {
		said := make(chan manual.Answer)
		go func() {
			a, err := d.Do(t.Context(), request)
			if err != nil {
				t.Error(err)
			}
			said <- a
		}()
		shows(request + ":")
		if _, err := io.WriteString(far, "done\n"); err != nil {
			t.Fatal(err)
		}
		if a := <-said; a != manual.Done {
			t.Errorf("answer %q", a)
		}
		d.tell(fmt.Sprintf("drive 1 holds disc %d", n))
		shows(fmt.Sprintf("drive 1 holds disc %d\n", n))
	}
	if err := d.Close(); err != nil { // waits for all that it has started
		t.Error(err)
	}
	if _, err := console.Write([]byte("x")); err == nil {
		t.Error("the terminal is still open")
	}
}

// terminal returns the two sides of a pseudo-terminal that passes on what is written as it is.
func terminal(t *testing.T) (far, near *os.File) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	far = os.NewFile(uintptr(fd), "/dev/ptmx")
	t.Cleanup(func() { far.Close() })
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if near, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	conn, err := near.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Control(func(fd uintptr) {
		var mode *unix.Termios
		if mode, err = unix.IoctlGetTermios(int(fd), unix.TCGETS); err == nil {
			mode.Oflag, mode.Lflag = 0, mode.Lflag&^unix.ECHO
			err = unix.IoctlSetTermios(int(fd), unix.TCSETS, mode)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return far, near
}
