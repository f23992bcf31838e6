// Package port is a serial line to a robot: opened for us alone, with an end to every wait, and telling a
// line that was pulled out from one that we closed. It carries frames and knows no protocol.
//
// Modes, modem lines and TIOCEXCL come from go.bug.st/serial. Bytes do not: its Read reports a timeout as
// (0, nil), its Write has no deadline, and closing it frees the descriptor under a running Write. They go
// through an os.File on the same device, which the Go runtime polls. That file also holds an flock, because
// TIOCEXCL doesn't stop root and agents often are root.
package port

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.bug.st/serial"
	"golang.org/x/sys/unix"
)

// The failures that callers decide by. All are wrapped with the line's path.
var (
	ErrLocked = errors.New("another program holds this line")
	ErrGone   = errors.New("the line is gone: unplugged or hung up") // open it anew
	ErrClosed = errors.New("the line was closed here")
)

// Mode is how a line is set up. The zero value with a Baud is 8N1 with the modem lines left alone.
type Mode struct {
	Baud     int // bits per second
	DataBits int // 5 to 8; 0 means 8
	Parity   serial.Parity
	StopBits serial.StopBits

	// RTSCTS is hardware flow control. It is set here, because go.bug.st/serial v1.8.0 switches it off and has no word for it.
	RTSCTS bool

	// Modem sets DTR and RTS after opening; nil leaves both as the kernel sets them, which is on. A line
	// whose kernel driver has none, a pty above all, is opened all the same: see Line.HasModemLines.
	// The kernel raises both for some milliseconds at open whatever is asked for here.
	Modem *Modem

	// Record, when not nil, is given the traffic as it happens.
	Record Recorder
}

// Modem is the wanted state of the modem control lines.
type Modem struct{ DTR, RTS bool }

// Line is an open serial line. Close may be called at any time and by any goroutine; the other methods
// by one goroutine at a time, because replies don't say whose they are.
type Line struct {
	path   string
	port   serial.Port // modes and modem lines
	file   *os.File    // bytes and the lock
	modem  bool
	record Recorder
	unread []byte // received after the end of the last frame, or of a frame that is not complete

	closed atomic.Bool
	close  func() error
}

// Open opens the serial device at path, which may be a symbolic link as in /dev/serial/by-id; those names
// outlive renumbering, ttyUSB0 does not. Only the named device is touched: go.bug.st/serial's list of ports
// would open, and so raise DTR on, every line of the host.
//
// It fails with ErrLocked when another Line or another program that uses flock has the device.
func Open(path string, m Mode) (*Line, error) {
	l, err := open(path, m)
	if err != nil {
		return nil, fmt.Errorf("open serial line %s: %w", path, err)
	}
	return l, nil
}

func open(path string, m Mode) (_ *Line, err error) {
	file, err := os.OpenFile(path, os.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, unwrapPath(err)
	}
	defer func() {
		if err != nil {
			file.Close()
		}
	}()
	// Locked before anything is set: the modes belong to the device, and so to whoever has it.
	if err := lock(file); err != nil {
		return nil, err
	}

	mode := serial.Mode{BaudRate: m.Baud, DataBits: m.DataBits, Parity: m.Parity, StopBits: m.StopBits}
	if mode.DataBits == 0 {
		mode.DataBits = 8
	}
	p, err := serial.Open(path, &mode)
	if err != nil {
		return nil, err
	}
	l := &Line{path: path, port: p, file: file, record: m.Record}
	l.close = sync.OnceValue(func() error {
		l.closed.Store(true)
		return errors.Join(p.Close(), file.Close())
	})
	if m.RTSCTS {
		if err := setRTSCTS(file); err != nil {
			p.Close()
			return nil, fmt.Errorf("set hardware flow control: %w", err)
		}
	}
	if m.Modem != nil {
		if l.modem, err = setModem(p, *m.Modem); err != nil {
			p.Close()
			return nil, fmt.Errorf("set DTR and RTS: %w", err)
		}
	}
	return l, nil
}

func lock(file *os.File) error {
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var lockErr error
	if err := conn.Control(func(fd uintptr) {
		lockErr = syscall.Flock(int(fd), syscall.LOCK_EX|syscall.LOCK_NB)
	}); err != nil {
		return err
	}
	if errors.Is(lockErr, syscall.EWOULDBLOCK) {
		return ErrLocked
	}
	return lockErr
}

func setRTSCTS(file *os.File) error {
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var setErr error
	if err := conn.Control(func(fd uintptr) {
		t, err := unix.IoctlGetTermios(int(fd), unix.TCGETS)
		if err == nil {
			t.Cflag |= unix.CRTSCTS
			err = unix.IoctlSetTermios(int(fd), unix.TCSETS, t)
		}
		setErr = err
	}); err != nil {
		return err
	}
	return setErr
}

func setModem(p serial.Port, m Modem) (bool, error) {
	err := p.SetDTR(m.DTR)
	if err == nil {
		err = p.SetRTS(m.RTS)
	}
	if errors.Is(err, syscall.ENOTTY) || errors.Is(err, syscall.EINVAL) {
		return false, nil
	}
	return err == nil, err
}

// unwrapPath drops the path that os has put into err: Open says it already.
func unwrapPath(err error) error {
	if p, ok := errors.AsType[*os.PathError](err); ok {
		return p.Err
	}
	return err
}

// HasModemLines says whether the modem lines that Mode asked for could be set.
func (l *Line) HasModemLines() bool { return l.modem }

// Close releases the device and ends a running Send or Receive with ErrClosed. Closing again does nothing
// and returns what the first Close returned.
func (l *Line) Close() error {
	if err := l.close(); err != nil {
		return fmt.Errorf("close serial line %s: %w", l.path, err)
	}
	return nil
}

func (l *Line) recorded(d Direction, p []byte) {
	if l.record != nil && len(p) > 0 {
		l.record(time.Now(), d, p)
	}
}
