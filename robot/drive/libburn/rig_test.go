package libburn

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/drive/mmc"
	"github.com/odarchive/odarchive/robot/robottest"
	"github.com/odarchive/odarchive/robot/scsi"
	"github.com/odarchive/odarchive/robot/scsi/scsitest"
)

// host is an emulated drive behind a device node of this computer, with the real cdrskin.
type host struct {
	*scsitest.Jukebox
	device  string
	changer *scsi.Device
	next    int
	held    int
}

func newHost(t *testing.T, slots int) *host {
	t.Helper()
	j := scsitest.Start(t, scsitest.Shape{Drives: 1, Slots: slots, Blanks: slots})
	drives, node := j.Nodes(t)
	changer, err := scsi.OpenDevice(node)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { changer.Close() })
	return &host{Jukebox: j, device: drives[0], changer: changer, next: 1}
}

// put has the changer put a slot's disc into the drive in the place of the one that is there; 0 is none.
func (h *host) put(slot int) error {
	move := func(from, to int) error {
		_, err := scsi.DefaultPatience().Do(context.Background(), h.changer,
			scsi.Command{CDB: scsi.MoveMedium(scsitest.FirstPicker, uint16(from), uint16(to)), Timeout: time.Minute})
		return err
	}
	if h.held != 0 {
		if err := move(scsitest.FirstDrive, scsitest.FirstSlot+h.held-1); err != nil {
			return err
		}
	}
	h.held = slot
	if slot == 0 {
		return nil
	}
	return move(scsitest.FirstSlot+slot-1, scsitest.FirstDrive)
}

// occupied keeps a drive from loading air: tgtd calls an empty drive full when it is told to load.
type occupied struct {
	scsi.Transport
	*host
}

func (o occupied) Close() error { return o.Transport.Close() }

func (o occupied) Do(c scsi.Command) (int, error) {
	if o.held == 0 && c.CDB[0] == scsi.StartStop(scsi.Load)[0] && c.CDB[4] == byte(scsi.Load) {
		return 0, &scsi.CheckCondition{Op: c.CDB[0], Sense: scsi.Sense{Code: scsi.Code{Key: scsi.NotReady, ASC: 0x3A}}}
	}
	return o.Transport.Do(c)
}

func (h *host) open() (*mmc.Drive, error) {
	timing := mmc.DefaultTiming()
	timing.Poll, timing.Tray = 10*time.Millisecond, 2*time.Second
	return mmc.New(mmc.Config{
		Name: "sr0", Timing: timing, Burner: &Burner{Device: h.device},
		Open: func() (scsi.Transport, error) {
			d, err := scsi.OpenDevice(h.device)
			if err != nil {
				return nil, err
			}
			return occupied{d, h}, nil
		},
	})
}

// TestRigConformance holds SG_IO and cdrskin together to the contract of drives. What tgtd can't emulate is left to
// robot/drive/mmc: a disc that was begun and not closed.
func TestRigConformance(t *testing.T) {
	const blanks, sectors = 16, 100
	h := newHost(t, blanks+1)
	data := random(sectors * 2048)
	if err := h.Write(scsitest.Tag(blanks+1), data); err != nil {
		t.Fatal(err)
	}
	for _, c := range robottest.DriveChecks(robottest.DriveRig{
		Open: func(context.Context) (robot.Drive, error) {
			d, err := h.open()
			if err != nil {
				return nil, err
			}
			return d, nil
		},
		Put: func(_ context.Context, d robottest.Disc) error {
			switch d {
			case robottest.Fresh:
				if h.next > blanks {
					return errors.New("no fresh discs left")
				}
				h.next++
				return h.put(h.next - 1)
			case robottest.Recorded:
				return h.put(blanks + 1)
			case robottest.Damaged:
				return errors.ErrUnsupported
			}
			return h.put(0)
		},
		Content: bytes.NewReader(data), Size: int64(len(data)), BurnSize: 16 << 20,
	}) {
		if c.Name == "burn cancelled" || c.Name == "burn short input" {
			continue
		}
		t.Run(c.Name, func(t *testing.T) { c.Run(t) })
	}
}

// TestRigFaults: a medium error in mid-burn, a disc that is too small is found before, a target that is killed in mid-burn.
func TestRigFaults(t *testing.T) {
	h := newHost(t, 4)
	d, err := h.open()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	load := func(slot int, want robot.DiscState) robot.Medium {
		t.Helper()
		if err := errors.Join(d.Eject(t.Context()), h.put(slot)); err != nil {
			t.Fatal(err)
		}
		m, err := d.Load(t.Context())
		if err != nil || m.State != want {
			t.Fatalf("%+v, %v", m, err)
		}
		return m
	}
	if m := load(1, robot.Blank); m.Type != "DVD+R" || m.Capacity != 2295104 {
		t.Errorf("a blank disc is %+v", m)
	}
	data := random(32 << 20)
	burn := func(progress func(int64)) error {
		return d.Burn(t.Context(), bytes.NewReader(data), int64(len(data)), progress)
	}
	if err := burn(nil); err != nil {
		t.Errorf("a good burn: %v", err)
	}
	got := make([]byte, len(data))
	if m, err := d.Load(t.Context()); err != nil || m.State != robot.Complete {
		t.Errorf("%+v, %v", m, err)
	} else if n, err := d.ReadAt(got, 0); n != len(got) || !bytes.Equal(got, data) {
		t.Errorf("read %d bytes, %v", n, err)
	}

	// Writing runs into a full disk below the disc: 3/11/00 as tgtd tells it.
	small := filepath.Join(t.TempDir(), "small")
	if err := os.Mkdir(small, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := mountSmall(t, small); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(h.Media, scsitest.Tag(2))
	if err := errors.Join(os.Remove(file), os.WriteFile(filepath.Join(small, "disc"), nil, 0o600), os.Symlink(filepath.Join(small, "disc"), file)); err != nil {
		t.Fatal(err)
	}
	load(2, robot.Blank)
	var e *robot.Error
	if err := burn(nil); !errors.As(err, &e) || e.Kind != robot.ErrWrite || e.Sector == 0 {
		t.Errorf("a write error in mid-burn: %v", err)
	}
	load(3, robot.Blank)
	killed := false
	err = burn(func(int64) {
		if !killed {
			killed = true
			h.Stop()
		}
	})
	if !killed || !errors.Is(err, robot.ErrDriveFault) {
		t.Errorf("a target that was killed in mid-burn (%v): %v", killed, err)
	}
}
