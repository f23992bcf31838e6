package agent

import (
	"bytes"
	"crypto/sha256"
	"io"
	"testing"

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
	changer, err := openSCSI(t.Context(), RobotConfig{Kind: "scsi", Device: changerNode})
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
	image := inSectors(imageA, 2000)
	carry(slot(1), drive(1), bays[0])
	if id, err := bays[0].load(t.Context()); err != nil || id.GetState() != pb.Identity_STATE_BLANK || id.GetMedium() != "DVD+R" {
		t.Fatalf("%v, %v", id, err)
	}
	if err := bays[0].drive.Burn(t.Context(), bytes.NewReader(image), int64(len(image)), nil); err != nil {
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
	if n, err := io.Copy(sum, io.NewSectionReader(bays[1].drive, 0, int64(len(image)))); n != int64(len(image)) || err != nil {
		t.Errorf("read %d bytes, %v", n, err)
	}
	if want := sha256.Sum256(image); !bytes.Equal(sum.Sum(nil), want[:]) {
		t.Error("the disc reads otherwise than it was burned")
	}
	if _, err := openLinux(t.Context(), DriveConfig{Path: changerNode}); err == nil {
		t.Error("the changer was taken for a burner")
	}
	if _, err := openSCSI(t.Context(), RobotConfig{Device: nodes[0]}); err == nil {
		t.Error("a burner was taken for the changer")
	}
}

// TestRigMap: the robot finds out by itself which node is which of its drives.
func TestRigMap(t *testing.T) {
	j := scsitest.Start(t, scsitest.Shape{Drives: 2, Slots: 2, Blanks: 1})
	nodes, changerNode := j.Nodes(t)
	c := Config{Robot: RobotConfig{Kind: "scsi", Device: changerNode}}
	m, err := MapDrives(t.Context(), c, []string{nodes[1], nodes[0]}, 1, nil)
	if err != nil || len(m) != 2 || m[1] != nodes[0] || m[2] != nodes[1] {
		t.Errorf("%v, %v; want %v", m, err, nodes)
	}
}
