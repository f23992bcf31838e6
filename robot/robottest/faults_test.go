package robottest_test

import (
	"testing"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/robottest"
	"github.com/odarchive/odarchive/robot/robottest/simrig"
)

// TestFaults runs every driver through every fault that its machine can have; the dialects that are not the first with `make soak`.
func TestFaults(t *testing.T) {
	for _, r := range simrig.Some() {
		t.Run(r.Name, func(t *testing.T) {
			t.Parallel()
			robottest.Faults(t, r.New(t))
		})
	}
}

// TestExchange holds a changer that exchanges discs to the contract.
func TestExchange(t *testing.T) {
	rig := simrig.SCSI().New(t)
	c, err := rig.Open(t.Context())
	if err != nil || !c.(robot.Exchanger).CanExchange() {
		t.Fatalf("it can't exchange: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	robottest.Changer(t, robottest.ChangerRig{Open: rig.Open, Discs: []robot.Address{rig.Slot, rig.Second}, Vacant: robot.Address{Kind: robot.Slot, Number: 12}})
	if n, err := rig.Machine.Refused(); n != 0 || err != nil {
		t.Errorf("%d impossible acts (%v)", n, err)
	}
}
