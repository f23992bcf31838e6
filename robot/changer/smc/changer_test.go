package smc

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/robottest"
	"github.com/odarchive/odarchive/robot/scsi"
	"github.com/odarchive/odarchive/robot/scsi/iscsi"
	"github.com/odarchive/odarchive/robot/scsi/scsitest"
)

func device(ctx context.Context, j *scsitest.Jukebox, lun uint16) (scsi.Transport, error) {
	d, err := iscsi.Open(ctx, iscsi.Config{Address: j.Address, Target: scsitest.Target, Initiator: "iqn.2025-01.org.odarchive.test:smc", LUN: lun})
	if err != nil {
		return nil, err
	}
	return d, nil
}

func open(ctx context.Context, j *scsitest.Jukebox) (robot.Changer, error) {
	d, err := device(ctx, j, j.ChangerLUN())
	if err != nil {
		return nil, err
	}
	c, err := Open(ctx, d, Config{})
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return c, nil
}

func slot(n int) robot.Address  { return robot.Address{Kind: robot.Slot, Number: n} }
func drive(n int) robot.Address { return robot.Address{Kind: robot.DriveBay, Number: n} }
func mail(n int) robot.Address  { return robot.Address{Kind: robot.MailSlot, Number: n} }

func TestConformance(t *testing.T) {
	j := scsitest.Start(t, scsitest.Shape{Drives: 2, Slots: 8, MailSlots: 1, Blanks: 4})
	robottest.Changer(t, robottest.ChangerRig{
		Open:   func(ctx context.Context) (robot.Changer, error) { return open(ctx, j) },
		Discs:  []robot.Address{slot(1), slot(3)},
		Vacant: slot(6),
	})
}

func opened(t *testing.T, j *scsitest.Jukebox) robot.Changer {
	t.Helper()
	c, err := open(t.Context(), j)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func element(t *testing.T, c robot.Changer, a robot.Address) robot.Element {
	t.Helper()
	all, err := c.Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if e.Address == a {
			return e
		}
	}
	t.Fatalf("no %v", a)
	return robot.Element{}
}

// TestTags: the barcode goes with the disc, also through the mail slot.
func TestTags(t *testing.T) {
	j := scsitest.Start(t, scsitest.Shape{Drives: 1, Slots: 3, MailSlots: 2, Blanks: 2})
	c := opened(t, j)
	for _, m := range [][2]robot.Address{{slot(2), drive(1)}, {drive(1), mail(2)}, {mail(2), slot(3)}} {
		if err := c.Move(t.Context(), m[0], m[1]); err != nil {
			t.Fatal(err)
		}
		if e := element(t, c, m[1]); e.Tag != scsitest.Tag(2) || e.Fill != robot.Full {
			t.Errorf("%+v, want tag %s", e, scsitest.Tag(2))
		}
		if e := element(t, c, m[0]); e.Fill != robot.Empty || e.Tag != "" {
			t.Errorf("%+v, want it empty", e)
		}
	}
}

func TestRefusalsOfTheDevice(t *testing.T) {
	j := scsitest.Start(t, scsitest.Shape{Drives: 1, Slots: 3, Blanks: 2})
	c := opened(t, j)
	if err := c.Move(t.Context(), slot(1), drive(1)); err != nil {
		t.Fatal(err)
	}
	d, err := device(t.Context(), j, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	lock := func(prevent bool) {
		t.Helper()
		if _, err := scsi.DefaultPatience().Do(t.Context(), d, scsi.Command{CDB: scsi.PreventRemoval(prevent)}); err != nil {
			t.Fatal(err)
		}
	}
	lock(true)
	var e *robot.Error
	if err := c.Move(t.Context(), drive(1), slot(1)); !errors.As(err, &e) || e.Kind != robot.ErrBusy || e.Place != drive(1) {
		t.Errorf("a locked drive: %v", err)
	}
	lock(false)
	if err := c.Move(t.Context(), drive(1), slot(1)); err != nil {
		t.Error(err)
	}
	// A disc that the drive can't take: its file is gone.
	if err := os.Remove(filepath.Join(j.Media, scsitest.Tag(2))); err != nil {
		t.Fatal(err)
	}
	if err := c.Move(t.Context(), slot(2), drive(1)); !errors.As(err, &e) || e.Kind != robot.ErrJam {
		t.Errorf("a disc that can't be positioned: %v", err)
	}
	j.Stop()
	if _, err := c.Inventory(t.Context()); !errors.Is(err, robot.ErrComm) {
		t.Errorf("a target that is gone: %v", err)
	}
	if err := c.Move(t.Context(), slot(1), drive(1)); !errors.Is(err, robot.ErrComm) {
		t.Errorf("a move of a target that is gone: %v", err)
	}
}

func TestNoChanger(t *testing.T) {
	j := scsitest.Start(t, scsitest.Shape{Drives: 1, Slots: 1})
	d, err := device(t.Context(), j, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := Open(t.Context(), d, Config{}); err == nil {
		t.Error("a burner was taken for a changer")
	}
}

// fake answers questions from a script of its own, for what tgtd can't do.
type fake struct {
	scsi.Transport
	before func(scsi.Command) error
	moves  int
}

func (f *fake) Do(c scsi.Command) (int, error) {
	if f.before != nil {
		if err := f.before(c); err != nil {
			return 0, err
		}
	}
	if c.CDB[0] == scsi.MoveMedium(0, 0, 0)[0] {
		f.moves++
	}
	return f.Transport.Do(c)
}

func sense(key scsi.Key, asc, ascq byte) error {
	return &scsi.CheckCondition{Sense: scsi.Sense{Code: scsi.Code{Key: key, ASC: asc, ASCQ: ascq}}}
}

func TestFaults(t *testing.T) {
	j := scsitest.Start(t, scsitest.Shape{Drives: 2, Slots: 3, Blanks: 2})
	d, err := device(t.Context(), j, j.ChangerLUN())
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{Transport: d}
	c, err := Open(t.Context(), f, Config{Timing: Timing{Query: time.Second, Move: time.Second, Settle: 1, Busy: time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	moving := scsi.MoveMedium(0, 0, 0)[0]
	for _, x := range []struct {
		name  string
		op    byte
		err   error
		want  error
		moves int
	}{
		{"mail slot opened", scsi.ReadElementStatus(0, false, 0, 0, 0)[0], sense(scsi.UnitAttention, 0x28, 1), robot.ErrInventory, 0},
		{"reset before a move", moving, sense(scsi.UnitAttention, 0x29, 0), robot.ErrInventory, 0},
		{"stuck", moving, sense(scsi.HardwareError, 0x15, 1), robot.ErrJam, 0},
		{"door", moving, sense(scsi.NotReady, 0x04, 0x18), robot.ErrDoor, 0},
		{"door, in its maker's words", moving, sense(scsi.NotReady, 0x04, 0x83), robot.ErrDoor, 0},
		{"drive holds on", moving, sense(scsi.IllegalRequest, 0x53, 0x03), robot.ErrBusy, 0},
		{"unload failed", moving, sense(scsi.HardwareError, 0x53, 0x01), robot.ErrJam, 0},
		{"needs a person", moving, sense(scsi.NotReady, 0x04, 3), robot.ErrJam, 0},
		{"no answer", moving, &scsi.PathError{Op: moving, Kind: scsi.ErrTimeout}, robot.ErrComm, 0},
		{"unknown", moving, sense(scsi.VendorSpecific, 0x80, 1), robot.ErrComm, 0},
		{"becoming ready", moving, sense(scsi.NotReady, 0x04, 1), nil, 1},
	} {
		once := true
		f.moves = 0
		f.before = func(c scsi.Command) error {
			if c.CDB[0] == x.op && once {
				once = false
				return x.err
			}
			return nil
		}
		err := c.Move(t.Context(), slot(1), drive(1))
		if (err == nil) != (x.want == nil) || x.want != nil && !errors.Is(err, x.want) || f.moves != x.moves {
			t.Errorf("%s: %v after %d moves, want %v after %d", x.name, err, f.moves, x.want, x.moves)
		}
	}
}
