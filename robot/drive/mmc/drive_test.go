package mmc

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/robottest"
	"github.com/odarchive/odarchive/robot/scsi"
)

func TestConformance(t *testing.T) {
	data := content(100)
	rig := newBench(t, data).rig()
	rig.Content = bytes.NewReader(data)
	robottest.Drive(t, rig)
}

func opened(t *testing.T, b *bench) *Drive {
	t.Helper()
	d, err := b.drive()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// TestBlame: who is at fault when a read fails.
func TestBlame(t *testing.T) {
	b := newBench(t, content(200))
	if err := b.put(recordedSlot); err != nil {
		t.Fatal(err)
	}
	d := opened(t, b)
	for _, x := range []struct {
		name   string
		err    error
		want   error
		reload bool
	}{
		{"medium", sense(scsi.MediumError, 0x11, 0), robot.ErrMedium, false},
		{"servo", sense(scsi.HardwareError, 0x09, 2), robot.ErrDriveFault, false},
		{"another disc", sense(scsi.UnitAttention, 0x28, 0), robot.ErrComm, true},
		{"state", sense(scsi.IllegalRequest, 0x64, 0), robot.ErrComm, true},
		{"no medium", sense(scsi.NotReady, 0x3A, 2), robot.ErrNoDisc, true},
		{"unplugged", &scsi.PathError{Op: 0x28, Kind: scsi.ErrGone}, robot.ErrComm, true},
		{"bus", &scsi.PathError{Op: 0x28, Kind: scsi.ErrReset}, robot.ErrComm, false},
	} {
		if _, err := d.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.fail.Store(&failure{0x28, x.err})
		_, err := d.ReadAt(make([]byte, sectorSize), 0)
		if !errors.Is(err, x.want) {
			t.Errorf("%s: %v, want %v", x.name, err, x.want)
		}
		b.fail.Store(nil)
		if _, err := d.ReadAt(make([]byte, sectorSize), 0); errors.Is(err, robot.ErrNoDisc) != x.reload {
			t.Errorf("%s: read without a new load: %v", x.name, err)
		}
	}
}

// TestSigns: what a bad place and a place that comes right at the second try leave behind.
func TestSigns(t *testing.T) {
	const sectors = 640
	data := content(sectors)
	b := newBench(t, data)
	if err := b.put(recordedSlot); err != nil {
		t.Fatal(err)
	}
	d := opened(t, b)
	if _, err := d.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.bad.Store(100)
	b.badTimes.Store(2)
	got := make([]byte, len(data))
	if n, err := d.ReadAt(got, 0); n != len(got) || err != nil || !bytes.Equal(got, data) {
		t.Errorf("a sector that fails twice: %d bytes, %v", n, err)
	}
	signs := d.Signs()
	read := int64(0)
	for i, r := range signs.Regions {
		read += r.Read
		if trouble := r.Retries > 0; trouble != (i >= 9 && i <= 12) || r.Unreadable != 0 {
			t.Errorf("region %d: %+v", i, r)
		}
	}
	if signs.Sectors != sectors || read != sectors {
		t.Errorf("%d sectors were read of %d", read, signs.Sectors)
	}
	b.badTimes.Store(-1)
	if _, err := d.ReadAt(got, 0); !errors.Is(err, robot.ErrMedium) {
		t.Error(err)
	}
	if r := d.Signs().Regions[10]; r.Unreadable != 1 {
		t.Errorf("%+v", r)
	}
}

// TestNotClosed: a burner that is content with a disc that isn't closed is not believed.
func TestNotClosed(t *testing.T) {
	b := newBench(t, content(1))
	if err := b.fresh(); err != nil {
		t.Fatal(err)
	}
	d := opened(t, b)
	d.cfg.Burner = idle{}
	if _, err := d.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := d.Burn(t.Context(), bytes.NewReader(content(16)), 16*sectorSize, nil); !errors.Is(err, robot.ErrWrite) {
		t.Error(err)
	}
	d.cfg.Burner = nil
	if _, err := d.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := d.Burn(t.Context(), bytes.NewReader(content(16)), 16*sectorSize, nil); !errors.Is(err, robot.ErrDriveFault) {
		t.Error(err)
	}
}

// idle is a burner that claims and does nothing.
type idle struct{}

func (idle) Burn(context.Context, Image, func(int64)) error { return nil }

// TestTargetDies: the error says so, and no call hangs.
func TestTargetDies(t *testing.T) {
	b := newBench(t, content(64))
	if err := b.put(recordedSlot); err != nil {
		t.Fatal(err)
	}
	d := opened(t, b)
	if _, err := d.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.Stop()
	if _, err := d.ReadAt(make([]byte, sectorSize), 0); !errors.Is(err, robot.ErrComm) {
		t.Errorf("read: %v", err)
	}
	if _, err := d.Load(t.Context()); !errors.Is(err, robot.ErrComm) {
		t.Errorf("load: %v", err)
	}
	if err := d.Eject(t.Context()); !errors.Is(err, robot.ErrComm) {
		t.Errorf("eject: %v", err)
	}
}
