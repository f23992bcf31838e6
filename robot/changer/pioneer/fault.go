package pioneer

import (
	"fmt"

	"github.com/odarchive/odarchive/robot"
)

// codeError is an Enn that the robot gave for an answer.
type codeError string

func (c codeError) Error() string { return string(c) + ": " + c.fault().words }

func (c codeError) fault() fault {
	if f, ok := faults[string(c)]; ok {
		return f
	}
	// Who doesn't know what happened must suppose that anything may have.
	return fault{robot.ErrComm, nowhere, "a code that the error chart doesn't have"}
}

// kind is the kind of a failure to move something.
func (c codeError) kind() error { return c.fault().kind }

// queryKind is the kind of a failure to answer a question, where some codes can't mean what they mean of a move.
func (c codeError) queryKind() error {
	switch kind := c.kind(); kind {
	case robot.ErrUnreachable:
		return robot.ErrComm // every model answers every question that is asked here
	case robot.ErrEmpty:
		return robot.ErrJam // the V180M does nothing while a magazine is missing
	default:
		return kind
	}
}

// where is the end of a move that a fault concerns.
type where int

const (
	nowhere where = iota // or the whole robot
	source
	destination
	drive // whichever end it is
)

func (w where) of(from, to robot.Address) robot.Address {
	switch {
	case w == source:
		return from
	case w == destination:
		return to
	case w == drive && from.Kind == robot.DriveBay:
		return from
	case w == drive:
		return to
	}
	return robot.Address{}
}

// fault says what a code means for whoever has to decide what to do, and for a person.
type fault struct {
	kind  error
	at    where
	words string
}

// faults is the error chart of the CAC-V5000 user manual, pp. 18-19. E20 and E22 are not on it: owners
// have seen the V3000 and others give them.
var faults = map[string]fault{
	"E00": {robot.ErrComm, nowhere, "the command line was too long or garbled"},
	"E04": {robot.ErrUnreachable, nowhere, "the robot does not take this command or argument"},
	"E06": {robot.ErrUnreachable, nowhere, "an argument is missing"},
	"E11": {robot.ErrEmpty, source, "no disc there, or a magazine is missing"},
	"E12": {robot.ErrDriveFault, drive, "the player does not find an address on the disc"},
	"E13": {robot.ErrDriveFault, drive, "the player does not get into focus"},
	"E14": {robot.ErrDriveFault, drive, "the player's motor does not reach its speed"},
	"E20": {robot.ErrJam, nowhere, "the changer gave up"},
	"E21": {robot.ErrDoor, nowhere, "the door is open"},
	"E22": {robot.ErrInventory, nowhere, "power, reset or door made the changer start anew"},
	"E42": {robot.ErrJam, nowhere, "a magazine is badly installed, or the shipping plate is in"},
	// A magazine that somebody has taken out is no jam: nothing moves, and its discs are not lost.
	"E43": {robot.ErrDoor, nowhere, "a magazine is missing"},
	"E44": {robot.ErrJam, nowhere, "the sensor of the vertical address is out of phase"},
	"E45": {robot.ErrJam, nowhere, "the vertical motor gives no pulses"},
	"E46": {robot.ErrJam, nowhere, "a vertical limit switch is faulty"},
	"E47": {robot.ErrJam, nowhere, "a vertical limit switch is faulty (while starting)"},
	"E71": {robot.ErrDriveFault, drive, "the player was not in the expected state after a minute"},
	"E72": {robot.ErrDriveFault, drive, "the player can't read the disc's table of contents"},
	"E79": {robot.ErrComm, nowhere, "garbled data between changer and player"},
	"E7A": {robot.ErrComm, nowhere, "lost data between changer and player"},
	"E81": {robot.ErrDriveFault, drive, "no player can be used"},
	"E82": {robot.ErrComm, nowhere, "the player's receive buffer ran over"},
	"E84": {robot.ErrDriveFault, drive, "the player is in a state that the changer does not know"},
	"E85": {robot.ErrComm, nowhere, "garbled or lost data between computer and changer"},
	"E86": {robot.ErrJam, nowhere, "the carrier can't swing: its slide is not home"},
	"E87": {robot.ErrJam, nowhere, "the carrier can't slide: its chuck is closed and holds no disc"},
	"E88": {robot.ErrDriveFault, drive, "the player's version does not fit the changer"},
	"E89": {robot.ErrDriveFault, drive, "the player does not answer the changer"},
	"E8A": {robot.ErrJam, nowhere, "the clamp can't move: the carrier is not in the centre"},
	"E90": {robot.ErrInventory, nowhere, "the changer's memory was bad at power-on"},
	"E91": {robot.ErrJam, nowhere, "a movement took too long"},
	"E92": {robot.ErrJam, source, "the disc can't be picked up"},
	"E93": {robot.ErrInventory, drive, "the changer has forgotten where a disc belongs"},
	"E94": {robot.ErrJam, nowhere, "the lift is locked or overloaded"},
	"E96": {robot.ErrDriveFault, drive, "the player can't rotate the disc"},
	"E98": {robot.ErrJam, destination, "the disc can't be set down and is still on the carrier"},
	"E99": {robot.ErrDriveFault, drive, "the player gave up, or can't read the disc at all"},
}

// misheard is silence, or an answer to something else.
type misheard struct {
	command string
	heard   string // empty for silence
}

func (m misheard) Error() string {
	if m.heard == "" {
		return "no answer to " + m.command
	}
	return fmt.Sprintf("the answer to %s was %s", m.command, m.heard)
}
