package robot

import (
	"errors"
	"fmt"
)

// The kinds of failure that callers decide by. Every error of a Changer or Drive that came from the machine wraps one.
var (
	ErrEmpty       = errors.New("no disc there")
	ErrFull        = errors.New("a disc is there already")
	ErrUnreachable = errors.New("the robot can't do this move")
	ErrDoor        = errors.New("the door is open")
	ErrInventory   = errors.New("the robot was initialised again: what it held must be read anew")
	ErrJam         = errors.New("the mechanism is stuck: it needs a person")
	ErrDriveFault  = errors.New("the drive is faulty")
	ErrComm        = errors.New("no sensible answer from the machine")
	ErrBusy        = errors.New("the machine is busy")
	ErrNotBlank    = errors.New("the disc is not blank")
	ErrTooLarge    = errors.New("the image is larger than the disc")
	ErrMedium      = errors.New("the disc can't be read there")
	ErrWrite       = errors.New("the disc can't be written")
	ErrNoDisc      = errors.New("no disc in the drive")
)

// Error is a failure of the machine at a place.
type Error struct {
	Op     string  // what was being done: "move slot 214 to drive 1"
	Place  Address // where; zero when it concerns the whole robot or the drive itself
	Kind   error   // one of the Err values above
	Detail string  // the machine's own words: "E91"
	// Sector is the first sector concerned, for ErrMedium and ErrWrite.
	Sector int64
	// Untouched says of a burn that it ended before anything was recorded: the disc is as it was. ErrNotBlank and ErrTooLarge say so too.
	Untouched bool
}

// Untouched says whether an error of Burn came before anything was recorded, as far as the drive knows.
func Untouched(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Untouched || errors.Is(err, ErrNotBlank) || errors.Is(err, ErrTooLarge)
}

func (e *Error) Error() string {
	s := e.Op + ": "
	if e.Place != (Address{}) {
		s += e.Place.String() + ": "
	}
	if e.Kind == ErrMedium || e.Kind == ErrWrite {
		s += fmt.Sprintf("sector %d: ", e.Sector)
	}
	s += e.Kind.Error()
	if e.Detail != "" {
		s += " (" + e.Detail + ")"
	}
	return s
}

// Unwrap makes errors.Is see the kind.
func (e *Error) Unwrap() error { return e.Kind }
