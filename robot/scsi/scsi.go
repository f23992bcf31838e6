// Package scsi is how commands go to SCSI devices and what comes back: command blocks, sense data, what to do about it, and
// Linux's SG_IO as one transport. It knows the commands of discs and of media changers, and none of the drivers above it
// (SPC-4, MMC-6, SMC-3).
package scsi

import (
	"errors"
	"fmt"
	"time"
)

// DefaultTimeout is for a command that moves and writes nothing.
const DefaultTimeout = 30 * time.Second

// Command is one command for a logical unit. At most one of In and Out is set.
type Command struct {
	CDB []byte // 6, 10, 12 or 16 bytes
	In  []byte // what the device answers goes here
	Out []byte // what goes to the device
	// Timeout is how long the device may take; 0 means DefaultTimeout.
	Timeout time.Duration
}

func (c Command) timeout() time.Duration {
	if c.Timeout > 0 {
		return c.Timeout
	}
	return DefaultTimeout
}

// Transport carries commands to one logical unit. It may be used by several goroutines: commands run one after the other.
type Transport interface {
	// Do runs one command and waits for its end, up to the command's time limit: a command can't be called back. It returns
	// how many bytes of In or Out were transferred. The error is a *CheckCondition when the device has something to say, a
	// *StatusError when it didn't take the command, and a *PathError when the command or its answer didn't get through. A
	// command that ended with a recovered error was carried out: see Done. Do repeats nothing.
	Do(c Command) (n int, err error)
	// Close releases the device. It may be called again; commands then fail with os.ErrClosed.
	Close() error
}

// CheckCondition is a command that ended with sense data.
type CheckCondition struct {
	Op    byte // operation code of the command
	Sense Sense
}

func (e *CheckCondition) Error() string { return OpName(e.Op) + ": " + e.Sense.String() }

// Status is how a command ended (SAM-5 §5.3.1, table 34).
type Status byte

// The statuses.
const (
	Good                Status = 0x00
	Check               Status = 0x02
	Busy                Status = 0x08
	ReservationConflict Status = 0x18
	TaskSetFull         Status = 0x28
	TaskAborted         Status = 0x40
)

func (s Status) String() string {
	switch s {
	case Good:
		return "good"
	case Check:
		return "check condition"
	case Busy:
		return "busy"
	case ReservationConflict:
		return "reserved by another host"
	case TaskSetFull:
		return "too many commands at once"
	case TaskAborted:
		return "command aborted by another host"
	}
	return fmt.Sprintf("status %02Xh", byte(s))
}

// StatusError is a command that ended with another status than GOOD and without sense data.
type StatusError struct {
	Op     byte
	Status Status
}

func (e *StatusError) Error() string { return OpName(e.Op) + ": " + e.Status.String() }

// Why a path failed.
var (
	// ErrGone: the device doesn't answer at all. It was unplugged, or its host adapter or target is away.
	ErrGone = errors.New("the device is gone")
	// ErrTimeout: no answer came in time. What the command did nobody knows.
	ErrTimeout = errors.New("no answer in time")
	// ErrReset: the bus or the device was reset while the command ran. What it did nobody knows.
	ErrReset = errors.New("the device was reset in the middle")
	// ErrPath: the way to the device failed otherwise.
	ErrPath = errors.New("the way to the device failed")
)

// PathError is a command that did not get to the device, or whose answer did not come back.
type PathError struct {
	Op     byte
	Kind   error // one of the Err values above
	Detail string
}

func (e *PathError) Error() string {
	s := OpName(e.Op) + ": " + e.Kind.Error()
	if e.Detail != "" {
		s += " (" + e.Detail + ")"
	}
	return s
}

// Unwrap makes errors.Is see the kind.
func (e *PathError) Unwrap() error { return e.Kind }

// SenseOf returns the sense data in err's chain.
func SenseOf(err error) (Sense, bool) {
	if c, ok := errors.AsType[*CheckCondition](err); ok {
		return c.Sense, true
	}
	return Sense{}, false
}

// Done says whether a command that ended with err was carried out: err is nil or tells of an error that the device has
// recovered from.
func Done(err error) bool {
	s, ok := SenseOf(err)
	return err == nil || ok && s.Key == RecoveredError && !s.Deferred
}
