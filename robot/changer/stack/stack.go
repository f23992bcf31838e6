// Package stack makes a changer of a robot with piles: machines that reach the top disc of a bin and no other. It keeps
// the order of every bin on disk, plans the moves that free a disc, and never guesses where one lies. It speaks no protocol
// and knows no model: a Loader does.
//
// To its caller such a robot has slots like any other. Slot 17 is not a place in the machine but a name for a disc, which
// lies in bin 2 today and in bin 3 tomorrow; a slot is empty when no disc has its name. What a Changer may not do otherwise,
// remember, this one must: a pile can't be asked.
//
//   - The order is on disk before a disc is carried, with the word that it is on its way, and again after it has arrived.
//   - A disc whose arrival nobody saw is looked for by what the robot senses, the heights of its piles. What can't be found out
//     so is asked of a person (Settle); until then nothing moves.
//   - A bin's worth of places stays free, so that every disc can be dug out.
package stack

import (
	"context"
	"fmt"

	"github.com/odarchive/odarchive/robot"
)

// Kind is a kind of place in a robot with piles.
type Kind string

// The kinds of places.
const (
	InBin   Kind = "bin"
	InDrive Kind = "drive"
)

// Place is a bin or a drive; numbers start at 1.
type Place struct {
	Kind   Kind `json:"kind"`
	Number int  `json:"number"`
}

func (p Place) String() string { return fmt.Sprintf("%s %d", p.Kind, p.Number) }

// Bin returns the place of a bin's number.
func Bin(n int) Place { return Place{InBin, n} }

// Drive returns the place of a drive's number.
func Drive(n int) Place { return Place{InDrive, n} }

// BinShape is what a bin can hold and do.
type BinShape struct {
	Capacity int // discs
	// Gives says that the robot can take discs from it, Takes that it can put discs there.
	Gives, Takes bool
}

// Machine is how a robot is built. It never changes while it is open.
type Machine struct {
	Model  string
	Bins   []BinShape // bin n is Bins[n-1]
	Drives int
	// Shifts says that a disc can go from bin to bin; otherwise it goes by way of a drive, whose tray is open.
	Shifts bool
	// Lifts says that the robot can tell how high a pile is, but maybe not before it has lifted a disc off it and set it down there again. It then
	// does so with a pile that it can't tell the height of, before a disc is taken from it for good: discs stick together, and only two heights
	// tell that two were taken.
	Lifts bool
	// HostOpensTray is that of robot.Properties.
	HostOpensTray bool
}

// Slots is how many discs the machine may hold so that each can be got at. Of bins that give and take, the largest stays
// free; where bins only give or only take, one run of the whole machine must fit on either side.
func (m Machine) Slots() int {
	var both, largest, gives, takes int
	for _, b := range m.Bins {
		switch {
		case b.Gives && b.Takes:
			both += b.Capacity
			largest = max(largest, b.Capacity)
		case b.Gives:
			gives += b.Capacity
		case b.Takes:
			takes += b.Capacity
		}
	}
	if both > largest {
		return both - largest
	}
	return min(both+gives, both+takes)
}

// Where is what a Loader knows of a disc that it was to carry.
type Where int

// Where a disc can be. The zero value is that nobody knows.
const (
	Lost Where = iota
	AtSource
	InHand
	AtDestination
)

func (w Where) String() string {
	switch w {
	case AtSource:
		return "where it was"
	case InHand:
		return "in the robot's hand"
	case AtDestination:
		return "where it should be"
	default:
		return "nobody knows where"
	}
}

// Loader is a robot with piles. One goroutine uses it at a time.
type Loader interface {
	// Machine needs no I/O.
	Machine() Machine
	// Ready waits until the robot rests and says why it would not move: an *robot.Error of kind ErrDoor, ErrJam, ErrBusy,
	// ErrComm or ErrInventory. It carries no disc.
	Ready(ctx context.Context) error
	// Carry takes the top disc of one place and sets it down at another, once, and waits for the robot's own time limit
	// whatever becomes of ctx. With an error, an *robot.Error, it says what is known of the disc; ErrEmpty
	// with AtSource means that the robot found no disc to take.
	Carry(ctx context.Context, from, to Place) (Where, error)
	// Height asks how high a bin's pile is, in discs, without carrying any. ok is false when the robot can't tell.
	Height(ctx context.Context, bin int) (discs int, ok bool, err error)
	Close() error
}

// fail is a failure at a place, in the words of package robot.
func fail(op string, kind error, place robot.Address, format string, args ...any) error {
	return &robot.Error{Op: op, Place: place, Kind: kind, Detail: fmt.Sprintf(format, args...)}
}

func slotAddress(n int) robot.Address  { return robot.Address{Kind: robot.Slot, Number: n} }
func driveAddress(n int) robot.Address { return robot.Address{Kind: robot.DriveBay, Number: n} }
