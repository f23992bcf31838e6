// Package mmc is a drive behind a scsi.Transport: tray and lock, the disc's state, profile and capacity, and reads that give
// the drive's own sense data (MMC-6). What records is a Burner that it is given; it opens no device node itself and knows
// no robots.
//
// Reads go by READ(10), past the kernel's page cache: that would remember an earlier disc's size, and read ahead over the
// end of what is recorded.
package mmc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/scsi"
)

const sectorSize = 2048

// Burner records onto the disc in a drive that nobody else has open.
type Burner interface {
	// Burn follows robot.Drive. The drive has made sure that the disc is blank and large enough. Its error is ctx's
	// own, an image's that could not be read, or a *robot.Error.
	Burn(ctx context.Context, image Image, progress func(written int64)) error
}

// Config is how a drive is reached.
type Config struct {
	// Name is what an operator calls it: "sr0".
	Name string
	// Open opens the device. A new one is opened for every disc, because some transports remember the one before.
	Open func() (scsi.Transport, error)
	// Burner may be nil: the drive only reads.
	Burner Burner
	// Scan names the maker's commands that Scan may use, because somebody knows this drive to have them: MediaTek, or empty for the standard's
	// alone. A command that means something else to a drive could do it harm.
	Scan string
	// Timing is how long things may take; the zero value means DefaultTiming.
	Timing Timing
}

// Timing is how long things may take.
type Timing struct {
	Command time.Duration // a question
	Read    time.Duration // a read, with all that the drive itself tries
	Tray    time.Duration // the tray's way
	Spin    time.Duration // until a medium in a closed tray is recognised, or known not to be there
	Poll    time.Duration // between two looks
	Close   time.Duration // from the last sector until a disc is closed
}

// DefaultTiming returns limits for real drives: a BDXL takes a minute to be recognised, and a bad sector half a minute to be
// given up.
func DefaultTiming() Timing {
	return Timing{
		Command: 30 * time.Second, Read: 90 * time.Second, Tray: 30 * time.Second, Spin: 2 * time.Minute,
		Poll: 500 * time.Millisecond, Close: 15 * time.Minute,
	}
}

// Drive is a drive with a disc or without; it is a robot.Drive.
type Drive struct {
	cfg Config

	mu     sync.Mutex
	device scsi.Transport // nil when none is open
	closed bool
	loaded bool // the disc is the one that Load has told of
	burned bool // and was burned since: it must be taken in anew before it is believed
	spare  bool // the next burn formats it with spare areas first
	slow   bool // it was made to read slowly, and not to read fast again
	medium robot.Medium
	signs  account
}

var _ robot.Drive = (*Drive)(nil)

// New returns a drive. Nothing is done to the device before the first Load or Eject.
func New(c Config) (*Drive, error) {
	if c.Name == "" || c.Open == nil {
		return nil, errors.New("mmc: a drive needs a name and a device")
	}
	if c.Scan != "" && c.Scan != MediaTek {
		return nil, fmt.Errorf("mmc: no maker's commands are called %q; %q is known", c.Scan, MediaTek)
	}
	if c.Timing == (Timing{}) {
		c.Timing = DefaultTiming()
	}
	return &Drive{cfg: c}, nil
}

// Name follows robot.Drive.
func (d *Drive) Name() string { return d.cfg.Name }

// Identify asks the device what it is. It needs no disc.
func (d *Drive) Identify() (scsi.Identity, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.open(); err != nil {
		return scsi.Identity{}, d.failure("identify", 0, err)
	}
	return scsi.Identify(d.device)
}

func (d *Drive) open() error {
	if d.closed {
		return os.ErrClosed
	}
	if d.device != nil {
		return nil
	}
	device, err := d.cfg.Open()
	if err != nil {
		return err
	}
	d.device = device
	return nil
}

func (d *Drive) release() {
	if d.device != nil {
		d.device.Close()
	}
	d.device, d.loaded, d.medium = nil, false, robot.Medium{}
}

// Close follows robot.Drive.
func (d *Drive) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	d.release()
	return nil
}

// ask runs a command that may be repeated until the device is in a state to answer.
func (d *Drive) ask(ctx context.Context, cdb, in []byte) (int, error) {
	p := scsi.Patience{Fast: d.cfg.Timing.Command, FastPause: d.cfg.Timing.Poll, Slow: d.cfg.Timing.Command, SlowPause: d.cfg.Timing.Poll}
	n, err := p.Do(ctx, d.device, scsi.Command{CDB: cdb, In: in, Timeout: d.cfg.Timing.Command})
	if scsi.Done(err) {
		err = nil
	}
	return n, err
}

// failure puts an error into the contract's words. Who is at fault: 3/… the disc, 4/… and a path that fails the drive.
// 5/… is a state of the disc that is not the one we knew; it has to be loaded anew.
func (d *Drive) failure(op string, sector int64, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("%s in %s: %w", op, d.cfg.Name, err)
	}
	kind := kindOf(err)
	if kind == robot.ErrMedium && op == "burn" {
		kind = robot.ErrWrite
	}
	return &robot.Error{Op: op + " in " + d.cfg.Name, Kind: kind, Sector: sector, Detail: err.Error()}
}

func kindOf(err error) error {
	if _, ok := errors.AsType[*scsi.StatusError](err); ok {
		return robot.ErrBusy
	}
	s, ok := scsi.SenseOf(err)
	switch {
	case !ok:
		return robot.ErrComm
	case noMedium(err):
		return robot.ErrNoDisc
	case s.Key == scsi.MediumError, s.Key == scsi.BlankCheck:
		return robot.ErrMedium
	case s.Key == scsi.HardwareError:
		return robot.ErrDriveFault
	case s.Key == scsi.NotReady:
		return robot.ErrBusy
	}
	return robot.ErrComm
}

func noMedium(err error) bool {
	s, ok := scsi.SenseOf(err)
	return ok && s.Key == scsi.NotReady && s.ASC == 0x3A
}

func is(err error, key scsi.Key, asc byte) bool {
	s, ok := scsi.SenseOf(err)
	return ok && s.Key == key && s.ASC == asc
}
