package pioneer

import (
	"errors"
	"testing"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/sim"
)

// TestHandStillHolds: a carrier that has not let go of a disc takes no other one, whichever way; no disc gets lost, and when the robot has started anew
// everything is where it belongs.
func TestHandStillHolds(t *testing.T) {
	p := newPlant(t, 1)
	if err := p.Move(t.Context(), slot(9), driveBay(2)); err != nil {
		t.Fatal(err)
	}
	if err := p.faults.Add(sim.Fault{On: "ZS", Do: "held"}); err != nil {
		t.Fatal(err)
	}
	if err := p.Move(t.Context(), slot(7), driveBay(1)); !errors.Is(err, robot.ErrJam) {
		t.Fatalf("it was not let go of: %v", err)
	}
	for _, m := range [][2]robot.Address{{slot(8), driveBay(1)}, {driveBay(2), slot(9)}, {slot(8), driveBay(1)}} {
		if err := p.Move(t.Context(), m[0], m[1]); !errors.Is(err, robot.ErrJam) {
			t.Errorf("from %v to %v with a disc on the carrier: %v", m[0], m[1], err)
		}
		if s := p.library.Status(); s.Transport[1] != "0007" || s.Slots[8] != "0008" || s.Players[2] != "0009" || len(s.Players) != 1 {
			t.Errorf("from %v to %v: on the carrier %v, in slot 8 %q, in players %v", m[0], m[1], s.Transport, s.Slots[8], s.Players)
		}
	}
	if err := errors.Join(p.library.OpenDoor(1), p.library.CloseDoor(t.Context(), 1)); err != nil {
		t.Fatal(err)
	}
	if err := p.Move(t.Context(), slot(8), driveBay(1)); !errors.Is(err, robot.ErrInventory) {
		t.Errorf("it says once that it has started anew: %v", err)
	}
	p.compare(t)
	if err := errors.Join(p.Move(t.Context(), driveBay(2), slot(9)), p.Move(t.Context(), slot(8), driveBay(1))); err != nil {
		t.Error(err)
	}
	if s := p.library.Status(); s.Slots[7] != "0007" || s.Slots[9] != "0009" || s.Players[1] != "0008" || s.Refused != 0 {
		t.Errorf("%d impossible acts; in slots 7 and 9 %q and %q, in players %v", s.Refused, s.Slots[7], s.Slots[9], s.Players)
	}
}
