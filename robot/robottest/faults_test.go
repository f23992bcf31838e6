package robottest_test

import (
	"testing"

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
