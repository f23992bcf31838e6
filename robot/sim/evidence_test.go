package sim

import (
	"errors"
	"testing"
)

// TestEvidence: each code says how it is known, none is behind another one for the same error, and what a machine's hand can suffer has one.
func TestEvidence(t *testing.T) {
	check(t, "scsi", smcTells, errEmptySlot, errNothing, errOccupied, errRack, errClamped, errStuck, errCrooked, errHeld, errHandFull, errDropped, errDoor, errOpened)
	check(t, "pioneer", pioneerTells, errDoor, errOpened, errHeld, errHandFull, errDropped, errEmptySlot, errElsewhere, errNothing, errClamped, errMoving, errOccupied)
	check(t, "denon", denonTells, errEmptySlot, errElsewhere, errRack, errOpened)
	check(t, "rimage", rimageTells, errDoor, errOpened, errShut, errEmptyBin, errNothing, errHeld, errDropped)
	check(t, "letters", letterTells, errEmptyBin, errNothing, errStuck, errHeld, errDropped)
	check(t, "aleratec", aleratecTells, errEmptyBin, errNothing, errDoor, errStuck)
}

func check[Code any](t *testing.T, name string, table []tells[Code], all ...error) {
	t.Helper()
	for i, x := range table {
		switch x.how {
		case Manual, Seen, Tried, Standard, Guess:
		default:
			t.Errorf("%s: %v has the grade %q", name, x.when, x.how)
		}
		if x.from == "" {
			t.Errorf("%s: %v doesn't say where it is from", name, x.when)
		}
		for _, before := range table[:i] {
			if errors.Is(x.when, before.when) {
				t.Errorf("%s: %v is never told: %v comes first", name, x.when, before.when)
			}
		}
	}
	for _, err := range all {
		if _, ok := told(table, err); !ok {
			t.Errorf("%s: nothing is told of %v", name, err)
		}
	}
}
