// Package smc drives SCSI media changers: READ ELEMENT STATUS with volume tags and MOVE MEDIUM over a scsi.Transport that
// it is given (SMC-3). It opens no device, sends nothing to the drives, and keeps no record of discs.
//
// Elements are numbered from 1 in each kind, in ascending order of the addresses that the changer has for them. What was
// asked to be moved is looked at before, in both places, and again afterwards: a changer's "good" is not believed.
package smc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/scsi"
)

// Config is what a changer can't tell.
type Config struct {
	// HostOpensTray says that a drive's tray must be open before a disc is brought.
	HostOpensTray bool
	// Timing is how long things may take; the zero value means DefaultTiming.
	Timing Timing
}

// Timing is how long things may take.
type Timing struct {
	Query  time.Duration // an answer to a question
	Move   time.Duration // a movement
	Settle time.Duration // from the end of a movement until the changer senses it
	Busy   time.Duration // how long a changer that is not ready is asked again
}

// DefaultTiming returns limits that no known changer exceeds: mtx allows five minutes for a move.
func DefaultTiming() Timing {
	return Timing{Query: 2 * time.Minute, Move: 5 * time.Minute, Settle: 20 * time.Second, Busy: time.Minute}
}

// pollPause is between two looks at a changer that has not come to rest.
const pollPause = 500 * time.Millisecond

// Changer is a SCSI media changer; it is a robot.Changer. All of it is one unit.
type Changer struct {
	cfg      Config
	device   scsi.Transport
	model    string
	elements map[scsi.ElementType]scsi.Elements

	hand   robot.Hand
	noTags bool // the changer refuses to tell volume tags
	// exchanges is empty when the changer doesn't tell what it can exchange, or does not say that it knows the command.
	exchanges scsi.Exchanges
}

var _ robot.Changer = (*Changer)(nil)

// Open learns what the changer is and where its elements are. It waits while the changer is becoming ready. The device
// becomes the Changer's, and Close closes it; when Open fails it stays the caller's.
func Open(ctx context.Context, device scsi.Transport, config Config) (*Changer, error) {
	if config.Timing == (Timing{}) {
		config.Timing = DefaultTiming()
	}
	c := &Changer{cfg: config, device: device}
	id, err := scsi.Identify(device)
	switch {
	case err != nil:
		return nil, failed("find changer", robot.Address{}, err)
	case id.Type != scsi.TypeChanger:
		return nil, fmt.Errorf("find changer: %v is no media changer but a device of type %02Xh", id, id.Type)
	}
	c.model = id.String()
	page := make([]byte, 136)
	n, err := c.patience().Do(ctx, device, scsi.Command{CDB: scsi.ModeSense6(0x1D, uint8(len(page))), In: page, Timeout: config.Timing.Query})
	if err != nil {
		return nil, failed("find the elements of the changer", robot.Address{}, err)
	}
	if c.elements, err = scsi.ParseElementAddresses(page[:n]); err != nil {
		return nil, &robot.Error{Op: "find the elements of the changer", Kind: robot.ErrComm, Detail: err.Error()}
	}
	if c.elements[scsi.DataTransfer].Count == 0 || c.elements[scsi.Storage].Count == 0 {
		return nil, fmt.Errorf("find the elements of the changer: %v has %d drives and %d slots", id,
			c.elements[scsi.DataTransfer].Count, c.elements[scsi.Storage].Count)
	}
	n, err = c.patience().Do(ctx, device, scsi.Command{CDB: scsi.ModeSense6(0x1F, uint8(len(page))), In: page, Timeout: config.Timing.Query})
	if err == nil {
		c.exchanges, err = scsi.ParseExchanges(page[:n])
	}
	if err == nil {
		// The page alone is not believed: tgtd's has all bits set, and knows no such command.
		answer := make([]byte, 4)
		n, err = c.patience().Do(ctx, device, scsi.Command{CDB: scsi.ReportSupported(scsi.ExchangeMedium(0, 0, 0, 0)[0]), In: answer, Timeout: config.Timing.Query})
		if err != nil || !scsi.ParseSupported(answer[:n]) {
			c.exchanges = nil
		}
	}
	if err != nil && ctx.Err() != nil {
		return nil, failed("ask what the changer can exchange", robot.Address{}, err)
	} // else it is one that doesn't tell, and is not asked to
	return c, nil
}

func (c *Changer) patience() scsi.Patience {
	return scsi.Patience{Fast: c.cfg.Timing.Busy, FastPause: pollPause, Slow: c.cfg.Timing.Busy, SlowPause: 2 * pollPause}
}

// Properties follows robot.Changer.
func (c *Changer) Properties() robot.Properties {
	return robot.Properties{Model: c.model, SensesSlots: true, HostOpensTray: c.cfg.HostOpensTray}
}

// Close follows robot.Changer. It waits for a running Move, may be called again, and makes the other methods fail with
// os.ErrClosed.
func (c *Changer) Close() error { return c.hand.CloseWith(c.device.Close) }

// failed says in the contract's words why a command failed. The context's own end stays what it is.
func failed(op string, place robot.Address, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", op, err)
	}
	return &robot.Error{Op: op, Place: place, Kind: kindOf(err), Detail: err.Error()}
}

// kinds are the failures of changers that say clearly what is the matter. With all of them nothing was moved.
var kinds = map[scsi.Code]error{
	{Key: scsi.IllegalRequest, ASC: 0x3B, ASCQ: 0x0E}: robot.ErrEmpty,
	{Key: scsi.IllegalRequest, ASC: 0x3B, ASCQ: 0x0D}: robot.ErrFull,
	{Key: scsi.IllegalRequest, ASC: 0x21, ASCQ: 0x01}: robot.ErrUnreachable,
	{Key: scsi.IllegalRequest, ASC: 0x20, ASCQ: 0x00}: robot.ErrUnreachable,
	{Key: scsi.IllegalRequest, ASC: 0x24, ASCQ: 0x00}: robot.ErrUnreachable,
	{Key: scsi.IllegalRequest, ASC: 0x3B, ASCQ: 0x11}: robot.ErrUnreachable,
	{Key: scsi.IllegalRequest, ASC: 0x3B, ASCQ: 0x12}: robot.ErrUnreachable,
	{Key: scsi.IllegalRequest, ASC: 0x3B, ASCQ: 0x18}: robot.ErrUnreachable,
	{Key: scsi.IllegalRequest, ASC: 0x53, ASCQ: 0x02}: robot.ErrBusy, // the drive has not let go of the disc
	{Key: scsi.IllegalRequest, ASC: 0x3A, ASCQ: 0x00}: robot.ErrBusy, // the same, in the words of some drives
	{Key: scsi.IllegalRequest, ASC: 0x53, ASCQ: 0x03}: robot.ErrBusy, // the same, of drives alone (IBM, Dell)
	{Key: scsi.NotReady, ASC: 0x04, ASCQ: 0x18}:       robot.ErrDoor,
	{Key: scsi.NotReady, ASC: 0x04, ASCQ: 0x12}:       robot.ErrDoor, // off line: somebody has it
	{Key: scsi.NotReady, ASC: 0x04, ASCQ: 0x83}:       robot.ErrDoor, // Exabyte's word for it; IBM's for the power that a door cuts
	{Key: scsi.IllegalRequest, ASC: 0x53, ASCQ: 0x81}: robot.ErrDoor, // the mail slot's (IBM)
	{Key: scsi.NotReady, ASC: 0x3B, ASCQ: 0x12}:       robot.ErrDoor,
	{Key: scsi.NotReady, ASC: 0x04, ASCQ: 0x03}:       robot.ErrJam,
}

func kindOf(err error) error {
	if s, ok := errors.AsType[*scsi.StatusError](err); ok && s.Status != scsi.TaskAborted {
		return robot.ErrBusy
	}
	if _, ok := errors.AsType[attention](err); ok {
		return robot.ErrInventory
	}
	sense, ok := scsi.SenseOf(err)
	if kind, known := kinds[sense.Code]; ok && known {
		return kind
	}
	switch {
	case !ok:
		return robot.ErrComm
	case sense.Key == scsi.NotReady:
		return robot.ErrBusy
	case sense.Key == scsi.HardwareError:
		return robot.ErrJam
	}
	return robot.ErrComm
}
