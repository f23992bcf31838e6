package dialect

import (
	"fmt"

	"github.com/odarchive/odarchive/robot"
)

// kinds says what a meaning that is a failure is in the words of package robot.
var kinds = map[string]error{
	empty:   robot.ErrEmpty,
	full:    robot.ErrFull,
	refused: robot.ErrUnreachable,
	busy:    robot.ErrBusy,
	door:    robot.ErrDoor,
	jam:     robot.ErrJam,
	drive:   robot.ErrDriveFault,
	comm:    robot.ErrComm,
	anew:    robot.ErrInventory,
	setup:   robot.ErrInventory,
	unknown: robot.ErrJam,
}

// unmoved are meanings that say by themselves that the disc is where it was.
var unmoved = map[string]bool{empty: true, full: true, refused: true}

// misheard is silence, or an answer that the dialect doesn't have.
type misheard struct {
	command string
	heard   string // empty for silence
}

func (m misheard) Error() string {
	if m.heard == "" {
		return fmt.Sprintf("no answer to %q", m.command)
	}
	return fmt.Sprintf("the answer to %q was %q, which this dialect does not have", m.command, m.heard)
}
