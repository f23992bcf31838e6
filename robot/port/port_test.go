package port

import (
	"bufio"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.bug.st/serial"
	"golang.org/x/sys/unix"
)

// pty makes a pseudo-terminal: the robot's end and the path of ours.
func pty(t *testing.T) (robot *os.File, path string) {
	t.Helper()
	robot, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { robot.Close() })
	var number int
	control(t, robot, func(fd int) (err error) {
		if err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
			return err
		}
		number, err = unix.IoctlGetInt(fd, unix.TIOCGPTN)
		return err
	})
	return robot, filepath.Join("/dev/pts", strconv.Itoa(number))
}

// control runs an ioctl without making f blocking, as f.Fd would.
func control(t *testing.T, f *os.File, do func(fd int) error) {
	t.Helper()
	conn, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var doErr error
	if err := errors.Join(conn.Control(func(fd uintptr) { doErr = do(int(fd)) }), doErr); err != nil {
		t.Fatal(err)
	}
}

func openLine(t *testing.T, path string, m Mode) *Line {
	t.Helper()
	if m.Baud == 0 {
		m.Baud = 9600
	}
	l, err := Open(path, m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestOpenSetsTheMode(t *testing.T) {
	_, path := pty(t)
	l := openLine(t, path, Mode{Baud: 4800, DataBits: 7, Parity: serial.EvenParity, StopBits: serial.TwoStopBits})
	control(t, l.file, func(fd int) error {
		modes, err := unix.IoctlGetTermios(fd, unix.TCGETS)
		if err != nil {
			return err
		}
		// A pty forces 8 bits without parity (pty_set_termios in Linux); what it keeps tells that we set the rest.
		if modes.Cflag&unix.CBAUD != unix.B4800 || modes.Cflag&unix.CSTOPB == 0 {
			t.Errorf("c_cflag %#o: want 4800 baud and 2 stop bits", modes.Cflag)
		}
		if modes.Lflag&(unix.ICANON|unix.ECHO) != 0 || modes.Iflag&unix.ICRNL != 0 {
			t.Errorf("the line is not raw: c_lflag %#o c_iflag %#o", modes.Lflag, modes.Iflag)
		}
		return nil
	})
}

func TestOpenLocks(t *testing.T) {
	_, path := pty(t)
	link := filepath.Join(t.TempDir(), "usb-FTDI_FT232R-if00-port0")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	first := openLine(t, link, Mode{})
	if l, err := Open(path, Mode{Baud: 9600}); !errors.Is(err, ErrLocked) {
		t.Errorf("open a line that is open: %v, %v; want %v", l, err, ErrLocked)
	} else if !strings.Contains(err.Error(), path) {
		t.Errorf("%q doesn't name %s", err, path)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	openLine(t, path, Mode{})
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "notes")
	if err := os.WriteFile(file, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(dir, "ttyUSB7"), Mode{Baud: 9600}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open a missing device: %v; want %v", err, fs.ErrNotExist)
	}
	if _, err := Open(file, Mode{Baud: 9600}); err == nil {
		t.Error("a regular file was taken for a serial line")
	}
	_, path := pty(t)
	if _, err := Open(path, Mode{Baud: 9600, DataBits: 11}); err == nil {
		t.Error("11 data bits were accepted")
	}
	openLine(t, path, Mode{}) // the refused Open must not have kept the lock
}

// A pty takes PARENB away (pty_set_termios in Linux), and leaves what else a parity is set with: whether it is odd, and that what comes in is
// checked.
func TestOpenSetsTheParity(t *testing.T) {
	_, path := pty(t)
	for parity, want := range map[serial.Parity]struct{ odd, checked bool }{
		serial.NoParity: {false, false}, serial.EvenParity: {false, true}, serial.OddParity: {true, true},
	} {
		l := openLine(t, path, Mode{Parity: parity})
		control(t, l.file, func(fd int) error {
			modes, err := unix.IoctlGetTermios(fd, unix.TCGETS)
			if err == nil && (modes.Cflag&unix.PARODD != 0 != want.odd || modes.Iflag&unix.INPCK != 0 != want.checked) {
				t.Errorf("parity %v: c_cflag %#o, c_iflag %#o; want odd %v, checked %v", parity, modes.Cflag, modes.Iflag, want.odd, want.checked)
			}
			return err
		})
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestModemLinesAreOptional(t *testing.T) {
	_, path := pty(t)
	l := openLine(t, path, Mode{Modem: &Modem{DTR: false, RTS: true}})
	if l.HasModemLines() {
		t.Error("a pty is said to have modem lines")
	}
}

// lamps is a serial port with modem lines, as far as they go.
type lamps struct {
	serial.Port
	dtr, rts *bool
	failure  error
}

func (l *lamps) SetDTR(on bool) error { l.dtr = &on; return l.failure }
func (l *lamps) SetRTS(on bool) error { l.rts = &on; return l.failure }

// TestSetModem: each line gets its own state, and only a device that has none may be without.
func TestSetModem(t *testing.T) {
	for _, m := range []Modem{{false, false}, {false, true}, {true, false}, {true, true}} {
		var l lamps
		if there, err := setModem(&l, m); !there || err != nil || l.dtr == nil || l.rts == nil || *l.dtr != m.DTR || *l.rts != m.RTS {
			t.Errorf("%+v: DTR %v, RTS %v; %v, %v", m, l.dtr, l.rts, there, err)
		}
	}
	for failure, want := range map[error]error{unix.ENOTTY: nil, unix.EINVAL: nil, unix.EIO: unix.EIO} {
		if there, err := setModem(&lamps{failure: failure}, Modem{}); there || !errors.Is(err, want) {
			t.Errorf("%v: %v, %v", failure, there, err)
		}
	}
}

func TestTranscript(t *testing.T) {
	robot, path := pty(t)
	var said bytes.Buffer
	l := openLine(t, path, Mode{Record: Transcript(&said)})
	exchange(t, l, robot, "1PS?P\r", "P20\r")
	for _, want := range []string{" > \"1PS?P\\r\"\n", " < \"P20\\r\"\n"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("transcript %q lacks %q", said.String(), want)
		}
	}
	failing := Transcript(brokenWriter{t: t, calls: new(int)})
	failing(time.Now(), Sent, []byte("a"))
	failing(time.Now(), Sent, []byte("b"))
}

// brokenWriter fails, and must not be asked again.
type brokenWriter struct {
	t     *testing.T
	calls *int
}

func (w brokenWriter) Write([]byte) (int, error) {
	if *w.calls++; *w.calls > 1 {
		w.t.Error("written to after it failed")
	}
	return 0, errors.New("disk full")
}

func TestHardwareFlowControl(t *testing.T) {
	for _, wanted := range []bool{false, true} {
		_, path := pty(t)
		l := openLine(t, path, Mode{RTSCTS: wanted})
		control(t, l.file, func(fd int) error {
			modes, err := unix.IoctlGetTermios(fd, unix.TCGETS)
			if err == nil && (modes.Cflag&unix.CRTSCTS != 0) != wanted {
				t.Errorf("c_cflag %#o: want CRTSCTS %v", modes.Cflag, wanted)
			}
			return err
		})
	}
}

// FuzzReadTranscript: a transcript that is read is one that could have been written, and the others name their line.
func FuzzReadTranscript(f *testing.F) {
	f.Add("12:24:10.031 > \"1PS?P\\r\"\n12:24:10.040 < \"P01\\r\"\n")
	f.Add("x")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ReadTranscript(strings.NewReader(text))
		if err != nil {
			if !strings.Contains(err.Error(), "read transcript: ") {
				t.Errorf("%v", err)
			}
			return
		}
		if p.Rest() > strings.Count(text, "\n")+1 {
			t.Errorf("%d pieces of %q", p.Rest(), text)
		}
	})
}

// TestReplay: a recording answers the commands that it has, in their order, however they were cut.
func TestReplay(t *testing.T) {
	p, err := ReadTranscript(strings.NewReader("1 > \"ab\"\n2 > \"c\\r\"\n3 < \"x\"\n4 < \"y\\r\"\n5 > \"d\\r\"\n6 < \"late\\r\"\n7 > \"e\\r\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Send(t.Context(), []byte("abc\r")); err != nil {
		t.Error(err)
	}
	if reply, err := p.Receive(t.Context(), bufio.ScanLines); err == nil {
		t.Errorf("%q without a line feed", reply)
	}
	if err := errors.Join(p.Send(t.Context(), []byte("d\r")), p.Send(t.Context(), []byte("e\r"))); err != nil || p.Rest() != 0 {
		t.Errorf("%v, %d left", err, p.Rest())
	}
	if err := p.Send(t.Context(), []byte("f\r")); err == nil {
		t.Error("a command that was not recorded")
	}
	for _, bad := range []string{"1 > x", "1 = \"x\"", "", "1"} {
		if _, err := ReadTranscript(strings.NewReader("1 > \"a\"\n" + bad + "\n")); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
