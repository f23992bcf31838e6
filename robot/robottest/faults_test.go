package robottest_test

import (
	"testing"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/robottest"
	"github.com/odarchive/odarchive/robot/robottest/simrig"
)

// TestFaults runs every driver through every fault that its machine can have.
func TestFaults(t *testing.T) {
	for _, r := range simrig.All() {
		t.Run(r.Name, func(t *testing.T) {
			t.Parallel()
			robottest.Faults(t, r.New(t))
		})
	}
}

// TestExchange holds a changer that exchanges discs to the contract.
func TestExchange(t *testing.T) {
	for _, r := range simrig.All() {
		rig := r.New(t)
		if rig.Second == (robot.Address{}) {
			continue
		}
		robottest.Changer(t, robottest.ChangerRig{Open: rig.Open, Discs: []robot.Address{rig.Slot, rig.Second}, Vacant: robot.Address{Kind: robot.Slot, Number: 12}})
		c, err := rig.Open(t.Context())
		if err != nil || !c.(robot.Exchanger).CanExchange() {
			t.Fatalf("%s can't exchange: %v", r.Name, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if n, err := rig.Machine.Refused(); n != 0 || err != nil {
			t.Errorf("%d impossible acts (%v)", n, err)
		}
	}
}
