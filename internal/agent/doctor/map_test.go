package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/changer/smc"
	"github.com/odarchive/odarchive/robot/drive/mmc"
	"github.com/odarchive/odarchive/robot/scsi"
	"github.com/odarchive/odarchive/robot/scsi/iscsi"
	"github.com/odarchive/odarchive/robot/scsi/scsitest"
)

func open(j *scsitest.Jukebox, lun uint16) (scsi.Transport, error) {
	d, err := iscsi.Open(context.Background(), iscsi.Config{Address: j.Address, Target: scsitest.Target, Initiator: "iqn.2025-01.org.odarchive.test:map", LUN: lun})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// jukebox has three drives whose devices are given in another order than the robot's.
func jukebox(t *testing.T) (robot.Changer, []Candidate) {
	t.Helper()
	j := scsitest.Start(t, scsitest.Shape{Drives: 3, Slots: 3, Blanks: 2})
	device, err := open(j, j.ChangerLUN())
	if err != nil {
		t.Fatal(err)
	}
	c, err := smc.Open(t.Context(), device, smc.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	var candidates []Candidate
	for _, lun := range []uint16{2, 3, 1} {
		d, err := mmc.New(mmc.Config{Name: "drive", Open: func() (scsi.Transport, error) { return open(j, lun) }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.Close() })
		candidates = append(candidates, Candidate{fmt.Sprintf("/dev/disk/by-path/lun-%d", lun), d})
	}
	return c, candidates
}

func at(kind robot.Kind, n int) robot.Address { return robot.Address{Kind: kind, Number: n} }

func TestMapByDisc(t *testing.T) {
	c, candidates := jukebox(t)
	m, err := MapByDisc(t.Context(), c, candidates, at(robot.Slot, 2))
	if err != nil || len(m) != 3 {
		t.Fatalf("%v, %v", m, err)
	}
	for n, path := range m {
		if path != fmt.Sprintf("/dev/disk/by-path/lun-%d", n) {
			t.Errorf("drive %d is %s", n, path)
		}
	}
	if want := "[[drive]]\nnumber = 1\nkind = \"linux\"\npath = \"/dev/disk/by-path/lun-1\"\n\n[[drive]]\nnumber = 2\n"; !strings.HasPrefix(m.TOML(), want) {
		t.Errorf("%s", m.TOML())
	}
	// A drive of the robot that is none of the devices: the disc comes back all the same.
	if _, err := MapByDisc(t.Context(), c, candidates[:2], at(robot.Slot, 2)); err == nil || !strings.Contains(err.Error(), "seen in none") {
		t.Error(err)
	}
	if err := c.Move(t.Context(), at(robot.Slot, 2), at(robot.DriveBay, 3)); err != nil {
		t.Fatalf("the disc was not put back: %v", err)
	}
	if _, err := MapByDisc(t.Context(), c, candidates, at(robot.Slot, 1)); err == nil || !strings.Contains(err.Error(), "take it out") {
		t.Errorf("with a disc in a drive: %v", err)
	}
}

func TestMapByTray(t *testing.T) {
	_, candidates := jukebox(t)
	numbers := map[string]int{candidates[0].Path: 2, candidates[1].Path: 0, candidates[2].Path: 1}
	m, err := MapByTray(t.Context(), candidates, func(path string) (int, error) { return numbers[path], nil })
	if err != nil || len(m) != 2 || m[1] != candidates[2].Path || m[2] != candidates[0].Path {
		t.Errorf("%v, %v", m, err)
	}
	for _, answer := range []func(string) (int, error){
		func(string) (int, error) { return 1, nil },
		func(string) (int, error) { return -1, nil },
		func(string) (int, error) { return 0, errors.New("no operator") },
	} {
		if m, err := MapByTray(t.Context(), candidates, answer); err == nil {
			t.Errorf("%v", m)
		}
	}
}
