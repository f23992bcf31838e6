package agent

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/odarchive/odarchive/archive/image"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/scsi"
	"github.com/odarchive/odarchive/robot/scsi/scsitest"
)

// TestRigMachine: a changer and two burners as an operator configures them, over SG_IO, with udev's lock, from a blank disc
// to one that was read in the other drive.
func TestRigMachine(t *testing.T) {
	j := scsitest.Start(t, scsitest.Shape{Drives: 2, Slots: 3, MailSlots: 1, Blanks: 2})
	nodes, changerNode := j.Nodes(t)
	changer, err := openSCSI(t.Context(), RobotConfig{Kind: "scsi", Device: changerNode}, robotHost{})
	if err != nil {
		t.Fatal(err)
	}
	defer changer.Close()
	var bays []*bay
	for i, node := range nodes {
		d, err := openLinux(t.Context(), DriveConfig{Number: i + 1, Kind: "linux", Path: node})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		bays = append(bays, newBay(i+1, d, "", firstBytes))
	}
	lock := func(node string) {
		t.Helper()
		d, err := scsi.OpenDevice(node)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		if _, err := d.Do(scsi.Command{CDB: scsi.PreventRemoval(true)}); err != nil {
			t.Fatal(err)
		}
	}
	carry := func(from, to robot.Address, b *bay) {
		t.Helper()
		lock(nodes[b.number-1]) // as udev does at every change
		if err := b.unlock(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := changer.Move(t.Context(), from, to); err != nil {
			t.Fatal(err)
		}
	}
	data := inSectors(imageA, 2000)
	carry(slot(1), drive(1), bays[0])
	if id, err := bays[0].load(t.Context()); err != nil || id.GetState() != pb.Identity_STATE_BLANK || id.GetMedium() != "DVD+R" {
		t.Fatalf("%v, %v", id, err)
	}
	if err := bays[0].drive.Burn(t.Context(), bytes.NewReader(data), int64(len(data)), nil); err != nil {
		t.Fatal(err)
	}
	if err := bays[0].eject(t.Context()); err != nil {
		t.Fatal(err)
	}
	carry(drive(1), slot(3), bays[0])
	carry(slot(3), drive(2), bays[1])
	id, err := bays[1].holds(t.Context(), imageA, 2000)
	if err != nil || id.GetState() != pb.Identity_STATE_OURS {
		t.Fatalf("%v, %v", id, err)
	}
	sum := sha256.New()
	if n, err := io.Copy(sum, io.NewSectionReader(bays[1].drive, 0, int64(len(data)))); n != int64(len(data)) || err != nil {
		t.Errorf("read %d bytes, %v", n, err)
	}
	if want := sha256.Sum256(data); !bytes.Equal(sum.Sum(nil), want[:]) {
		t.Error("the disc reads otherwise than it was burned")
	}
	if _, err := openLinux(t.Context(), DriveConfig{Path: changerNode}); err == nil {
		t.Error("the changer was taken for a burner")
	}
	if _, err := openSCSI(t.Context(), RobotConfig{Device: nodes[0]}, robotHost{}); err == nil {
		t.Error("a burner was taken for the changer")
	}
}

// TestRigMap: the robot finds out by itself which node is which of its drives.
func TestRigMap(t *testing.T) {
	j := scsitest.Start(t, scsitest.Shape{Drives: 2, Slots: 2, Blanks: 1})
	nodes, changerNode := j.Nodes(t)
	c := Config{Data: t.TempDir(), Robot: RobotConfig{Kind: "scsi", Device: changerNode}}
	m, err := MapDrives(t.Context(), c, []string{nodes[1], nodes[0]}, 1, nil)
	if err != nil || len(m) != 2 || m[1] != nodes[0] || m[2] != nodes[1] {
		t.Errorf("%v, %v; want %v", m, err, nodes)
	}
}

// TestRigMount: a burned image is mounted by the kernel on both of its sides.
func TestRigMount(t *testing.T) {
	if os.Getenv(scsitest.RigEnv) != scsitest.Kernel {
		t.Skip("it is the kernel of scripts/rig/uml.sh that mounts")
	}
	content := bytes.Repeat([]byte("fifty years "), 100_000)
	layout, err := image.New(
		image.Options{Label: "OD_RIG", ID: [16]byte{1}, Time: time.Unix(1e9, 0).UTC()},
		[]image.Content{{Size: int64(len(content))}},
		[]image.File{{Path: "a folder/data.bin", Mode: 0o644, ModTime: time.Unix(1e9, 0).UTC()}},
	)
	if err != nil {
		t.Fatal(err)
	}
	j := scsitest.Start(t, scsitest.Shape{Drives: 1, Slots: 2, Blanks: 1})
	nodes, changerNode := j.Nodes(t)
	changer, err := openSCSI(t.Context(), RobotConfig{Kind: "scsi", Device: changerNode}, robotHost{})
	if err != nil {
		t.Fatal(err)
	}
	defer changer.Close()
	d, err := openLinux(t.Context(), DriveConfig{Number: 1, Kind: "linux", Path: nodes[0]})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	b := newBay(1, d, "", identifyImage)
	carry := func(from, to robot.Address) {
		t.Helper()
		if err := errors.Join(b.eject(t.Context()), b.unlock(t.Context()), changer.Move(t.Context(), from, to)); err != nil {
			t.Fatal(err)
		}
	}
	carry(slot(1), drive(1))
	if id, err := b.load(t.Context()); err != nil || id.GetState() != pb.Identity_STATE_BLANK {
		t.Fatalf("%v, %v", id, err)
	}
	size := layout.Sectors() * 2048
	source := layout.ReaderAt(one(content))
	if err := b.drive.Burn(t.Context(), io.NewSectionReader(source, 0, size), size, nil); err != nil {
		t.Fatal(err)
	}
	carry(drive(1), slot(1))
	// The kernel keeps the size of the disc that was there until somebody opens the empty drive.
	if f, err := os.Open(nodes[0]); err == nil {
		f.Close()
	}
	carry(slot(1), drive(1))
	if id, err := b.load(t.Context()); err != nil || id.GetState() != pb.Identity_STATE_OURS {
		t.Fatalf("%v, %v", id, err)
	}
	for _, system := range []string{"udf", "iso9660"} {
		dir := t.TempDir()
		if err := unix.Mount(nodes[0], dir, system, unix.MS_RDONLY, ""); err != nil {
			t.Errorf("mount as %s: %v", system, err)
			continue
		}
		got, err := os.ReadFile(filepath.Join(dir, "a folder", "data.bin"))
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("as %s: %d bytes, %v", system, len(got), err)
		}
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}
}

// one is the contents of an image that has one.
type one []byte

func (o one) ReadContentAt(_ int, p []byte, off int64) (int, error) {
	return bytes.NewReader(o).ReadAt(p, off)
}
