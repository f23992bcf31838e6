package mmc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/robottest"
	"github.com/odarchive/odarchive/robot/scsi"
	"github.com/odarchive/odarchive/robot/scsi/iscsi"
	"github.com/odarchive/odarchive/robot/scsi/scsitest"
)

// bench is tgtd's jukebox with one drive and a hand of raw commands.
type bench struct {
	*scsitest.Jukebox
	changer scsi.Transport
	next    int // slot of the next fresh disc
	held    int // slot of the disc in the drive; 0 for none

	bad      atomic.Int64 // sector that can't be read; 0 for none
	badTimes atomic.Int64 // how often it fails; below 0 for ever
	fail     atomic.Pointer[failure]
	gone     atomic.Bool  // the device
	open     map[int]bool // by slot: discs that were begun and not closed
}

// failure is what a command gets instead of an answer.
type failure struct {
	op  byte
	err error
}

const freshDiscs = 24

// slots that the bench keeps recorded discs in.
const (
	recordedSlot = freshDiscs + 1
	slots        = freshDiscs + 1
)

func newBench(t *testing.T, content []byte) *bench {
	t.Helper()
	b := &bench{Jukebox: scsitest.Start(t, scsitest.Shape{Drives: 1, Slots: slots, Blanks: slots}), next: 1, open: map[int]bool{}}
	if err := b.Write(scsitest.Tag(recordedSlot), content); err != nil {
		t.Fatal(err)
	}
	changer, err := b.device(t.Context(), b.ChangerLUN())
	if err != nil {
		t.Fatal(err)
	}
	b.changer = changer
	t.Cleanup(func() { changer.Close() })
	return b
}

func (b *bench) device(ctx context.Context, lun uint16) (scsi.Transport, error) {
	d, err := iscsi.Open(ctx, iscsi.Config{Address: b.Address, Target: scsitest.Target, Initiator: "iqn.2025-01.org.odarchive.test:mmc", LUN: lun})
	if err != nil {
		return nil, err
	}
	return d, nil
}

func (b *bench) move(from, to int) error {
	_, err := scsi.DefaultPatience().Do(context.Background(), b.changer, scsi.Command{CDB: scsi.MoveMedium(scsitest.FirstPicker, uint16(from), uint16(to))})
	return err
}

func (b *bench) put(slot int) error {
	if b.held != 0 {
		if err := b.move(scsitest.FirstDrive, scsitest.FirstSlot+b.held-1); err != nil {
			return fmt.Errorf("take out: %w", err)
		}
		b.held = 0
	}
	if slot == 0 {
		return nil
	}
	if err := b.move(scsitest.FirstSlot+slot-1, scsitest.FirstDrive); err != nil {
		return fmt.Errorf("put in: %w", err)
	}
	b.held = slot
	return nil
}

func (b *bench) fresh() error {
	if b.next > freshDiscs {
		return errors.New("no fresh discs left")
	}
	b.next++
	return b.put(b.next - 1)
}

// faulty fails as the bench says.
type faulty struct {
	scsi.Transport
	*bench
}

func (f *faulty) Close() error { return f.Transport.Close() }

func (f *faulty) Do(c scsi.Command) (int, error) {
	op := c.CDB[0]
	if f.gone.Load() {
		return 0, &scsi.PathError{Op: op, Kind: scsi.ErrGone}
	}
	if x := f.fail.Load(); x != nil && x.op == op {
		return 0, x.err
	}
	if bad := f.bad.Load(); bad > 0 && op == 0x28 {
		first := int64(c.CDB[2])<<24 | int64(c.CDB[3])<<16 | int64(c.CDB[4])<<8 | int64(c.CDB[5])
		if n := int64(len(c.In) / sectorSize); first <= bad && bad < first+n && f.badTimes.Load() != 0 {
			f.badTimes.Add(-1)
			return 0, sense(scsi.MediumError, 0x11, 0x05)
		}
	}
	// What tgtd lacks: it loads a disc into an empty drive, and calls one blank that was begun and not closed.
	switch {
	case op == 0x1B && c.CDB[4] == byte(scsi.Load) && f.held == 0:
		return 0, sense(scsi.NotReady, 0x3A, 0)
	case op == 0x2A:
		f.open[f.held] = true
	case op == 0x5B:
		f.open[f.held] = false
	}
	n, err := f.Transport.Do(c)
	if op == 0x51 && err == nil && f.open[f.held] {
		c.In[2] = c.In[2]&^0x0F | 0x05
	}
	return n, err
}

func sense(key scsi.Key, asc, ascq byte) error {
	return &scsi.CheckCondition{Sense: scsi.Sense{Code: scsi.Code{Key: key, ASC: asc, ASCQ: ascq}}}
}

func (b *bench) drive() (*Drive, error) {
	open := func() (scsi.Transport, error) {
		d, err := b.device(context.Background(), 1)
		if err != nil {
			return nil, err
		}
		return &faulty{d, b}, nil
	}
	timing := DefaultTiming()
	timing.Poll, timing.Tray, timing.Spin = time.Millisecond, time.Second, 5*time.Second
	return New(Config{Name: "emulated drive", Open: open, Burner: &writer{open}, Timing: timing})
}

// writer burns by WRITE(10), as a program that burns does.
type writer struct {
	open func() (scsi.Transport, error)
}

func (w *writer) Burn(ctx context.Context, image Image, progress func(int64)) error {
	d, err := w.open()
	if err != nil {
		return err
	}
	defer d.Close()
	do := func(c scsi.Command) error {
		_, err := scsi.DefaultPatience().Do(ctx, d, c)
		if errors.Is(err, scsi.ErrGone) {
			return &robot.Error{Op: "record", Kind: robot.ErrDriveFault, Detail: err.Error()}
		}
		return err
	}
	buf := make([]byte, piece*sectorSize)
	for done := int64(0); done < image.Size; {
		p := buf[:min(int64(len(buf)), image.Size-done)]
		if _, err := io.ReadFull(image, p); err != nil {
			return fmt.Errorf("the image ends early: %w", err)
		}
		if err := do(scsi.Command{CDB: scsi.Write10(uint32(done/sectorSize), uint16(len(p)/sectorSize)), Out: p}); err != nil {
			return err
		}
		done += int64(len(p))
		progress(done)
	}
	if err := do(scsi.Command{CDB: scsi.SynchronizeCache()}); err != nil {
		return err
	}
	return do(scsi.Command{CDB: scsi.CloseTrackSession(scsi.CloseTrack, 1, false)})
}

func content(sectors int) []byte {
	b := make([]byte, sectors*sectorSize)
	for i := range b {
		b[i] = byte(i>>11) ^ byte(i*7)
	}
	return b
}

// rig is the bench as the conformance suite wants it.
func (b *bench) rig() robottest.DriveRig {
	const sectors = 100
	return robottest.DriveRig{
		Open: func(context.Context) (robot.Drive, error) {
			d, err := b.drive()
			if err != nil {
				return nil, err
			}
			return d, nil
		},
		Put: func(_ context.Context, d robottest.Disc) error {
			b.bad.Store(0)
			switch d {
			case robottest.Fresh:
				return b.fresh()
			case robottest.Damaged:
				b.bad.Store(40)
				b.badTimes.Store(-1)
				return b.put(recordedSlot)
			case robottest.Recorded:
				return b.put(recordedSlot)
			}
			return b.put(0)
		},
		Size: sectors * sectorSize, BadSector: 40, BurnSize: 1 << 20,
		Vanish: func() (func() error, error) {
			b.gone.Store(true)
			return func() error { b.gone.Store(false); return nil }, nil
		},
	}
}
