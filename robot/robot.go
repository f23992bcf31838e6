// Package robot is the machine: changers that move discs and drives that read and burn them, with their
// contracts and with errors that name a place. Drivers live in sub-packages and are held to the contracts
// by robot/robottest. It knows nothing of archives, libraries, databases or networks.
package robot

import (
	"context"
	"fmt"
	"io"
)

// Kind is a kind of element: a place where a disc can be (SMC-3 §3.1, element type).
type Kind string

// The kinds of elements.
const (
	Slot     Kind = "slot"
	DriveBay Kind = "drive"
	MailSlot Kind = "mailslot" // SMC's import/export element
	Picker   Kind = "picker"   // SMC's medium transport element
)

// Address names an element within one library: `slot 214`, `drive 2`. Numbers start at 1 in every kind
// and run through all units of the robot.
type Address struct {
	Kind   Kind
	Number int
}

func (a Address) String() string { return fmt.Sprintf("%s %d", a.Kind, a.Number) }

// Fill says what is known of an element. The zero value is Unknown: a place nobody has looked at.
type Fill int

// The states of an element. Nothing is ever moved into an element that is not Empty.
const (
	Unknown Fill = iota
	Empty
	Full
)

func (f Fill) String() string {
	switch f {
	case Unknown:
		return "unknown"
	case Empty:
		return "empty"
	case Full:
		return "full"
	default:
		return fmt.Sprintf("fill %d", int(f))
	}
}

// Element is a place where a disc can be and what the robot says of it.
type Element struct {
	Address Address
	// Unit is the mechanism that serves the element, from 1. A disc moves only between elements of the
	// same unit: chained units share a serial line, not a picker.
	Unit int
	Fill Fill
	// Home is the slot to which the disc in a drive belongs, when the robot remembers it; otherwise zero.
	Home Address
	// Tag is the volume tag of the disc that is there, from a barcode, when the robot reads one.
	Tag string
	// Trouble is what the robot says is wrong with the place, in words; empty when nothing is.
	Trouble string
}

// Properties are what a caller must know of a changer to plan for it. They never change while it is open.
type Properties struct {
	Model string // as a person would say it: "Pioneer CAC-V3000, 2 units"
	// HomeOnly says that a disc can only leave a drive to the slot that it came from.
	HomeOnly bool
	// SensesSlots says that Inventory tells full slots from empty ones. When false a slot stays Unknown
	// until a disc has been taken from it or put into it.
	SensesSlots bool
	// HostOpensTray says that the drive must have its tray open before a disc is moved to or from it.
	HostOpensTray bool
}

// Changer is a robot. Its methods may be called by several goroutines; it runs one after the other,
// because a robot has one line and a picker one hand.
//
// A Changer does not remember: what a robot doesn't sense, it reports as Unknown. It never repeats a
// command that may have moved something: after ErrComm and ErrJam the caller asks Inventory first.
type Changer interface {
	// Properties needs no I/O.
	Properties() Properties
	// Inventory asks the robot for the state of every element, in ascending order of kind and number.
	// It moves nothing.
	Inventory(ctx context.Context) ([]Element, error)
	// Move carries a disc and returns when it lies at its destination, or with an *Error that says
	// what is known: ErrEmpty (source had no disc), ErrFull (destination has one; nothing was moved),
	// ErrDoor, ErrJam (the disc may be anywhere between), ErrComm (no or no sensible answer: anything may
	// have happened), ErrUnreachable (the robot can't do this move; nothing was moved).
	// When ctx ends while the robot moves, Move still waits for the answer, up to the model's own time
	// limit: a robot can't be interrupted, and leaving an answer unread would confuse the next command.
	Move(ctx context.Context, from, to Address) error
	// Close releases the line. The robot stays as it is.
	Close() error
}

// Exchanger is a Changer that may be able to bring a disc to where another one lies and take that one away in one movement, which two moves do
// otherwise with twice the way.
type Exchanger interface {
	// CanExchange says whether discs in slots can change places with discs in drives. It needs no I/O and never changes.
	CanExchange() bool
	// Exchange carries the disc of from to at, and the one that lies at at to to. It returns and fails as Move does: ErrEmpty when from or
	// at has no disc, ErrFull when to has one. After ErrComm and ErrJam either disc may be anywhere between.
	Exchange(ctx context.Context, from, at, to Address) error
}

// Formatter is a Drive that can format a disc with spare areas before it is burned, where the medium can have them (BD-R). It then takes
// less, is burned at half the speed, and the drive puts what it can't write elsewhere.
type Formatter interface {
	// UseSpareAreas says whether the next Burn does so. Without a word it doesn't.
	UseSpareAreas(use bool)
}

// Slower is a Drive that may be able to read a disc more slowly than it would by itself: what passes the laser too fast to be read may be read
// then.
type Slower interface {
	// ReadSlowly makes the drive read the disc that was loaded slowly, or as fast again as it can. Saying the same twice changes nothing;
	// the next Load makes it fast. It fails with errors.ErrUnsupported when this drive has no other speed for this medium, and with an
	// *Error of kind ErrNoDisc when nothing was loaded. Like ReadAt it may be called by several goroutines, and holds for all of them.
	ReadSlowly(ctx context.Context, slow bool) error
}

// Medium is what a drive can tell of the disc that it holds.
type Medium struct {
	State DiscState
	Type  string // the current profile's name in MMC-6 §5.3.1: "BD-R", "DVD-R", "CD-R", …
	// Capacity is how many sectors can be written to a blank disc, or 0 when unknown.
	Capacity int64
	// Recorded is how many sectors have been recorded and can be read.
	Recorded int64
	// ID is who made the disc, and as what, from what is pressed into it: "VERBAT-IMe-000". It is that of millions of discs. Empty when
	// the drive doesn't tell.
	ID string
}

// DiscState is a disc's state in READ DISC INFORMATION (MMC-6 §6.22, table 365) with the two states
// that a drive without a readable disc adds.
type DiscState int

// The states of a disc in a drive.
const (
	NoDisc   DiscState = iota // the tray is open or empty
	Blank                     // nothing is recorded: it can be burned
	Open                      // recording was begun and never closed: spent, a trace of an aborted burn
	Complete                  // closed: it can only be read
	NotReady                  // a disc is there and its state can't be read
)

func (s DiscState) String() string {
	switch s {
	case NoDisc:
		return "no disc"
	case Blank:
		return "blank"
	case Open:
		return "open"
	case Complete:
		return "complete"
	case NotReady:
		return "not ready"
	default:
		return fmt.Sprintf("disc state %d", int(s))
	}
}

// Drive reads and burns the disc that lies in it. Methods other than ReadAt must not be called while
// another one runs; ReadAt may be called by several goroutines.
type Drive interface {
	// Name is what an operator calls it: "sr0", "drive 2".
	Name() string
	// Load makes the disc that the robot has put in ready and says what it is: it closes the tray,
	// spins up, waits until the medium is recognised or ctx ends. With no disc it returns State NoDisc
	// and no error. It forgets whatever was known of an earlier disc.
	Load(ctx context.Context) (Medium, error)
	// Eject releases the disc so that the robot can take it: spin down, unlock, open the tray where
	// there is one. Ejecting an empty drive is no error.
	Eject(ctx context.Context) error
	// ReadAt reads recorded sectors; off and len(p) are multiples of 2,048 bytes. It follows io.ReaderAt;
	// an unreadable sector gives an *Error of kind ErrMedium with the sector's number, with every byte
	// before it delivered.
	io.ReaderAt
	// Burn records size bytes from image, a multiple of 2,048, onto a Blank disc, and closes the disc so
	// that it is Complete. It calls progress, when not nil, about once a second with the bytes recorded.
	// It refuses with ErrNotBlank or ErrTooLarge before the first sector is recorded; after that an error, the end of
	// ctx included, leaves the disc spent. A nil error says that the drive claims success: only
	// reading the disc after a new load tells.
	Burn(ctx context.Context, image io.Reader, size int64, progress func(written int64)) error
	// Close releases the device; the disc stays where it is.
	Close() error
}
