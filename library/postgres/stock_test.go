package postgres

import (
	"strings"
	"testing"

	"github.com/odarchive/odarchive/library"
)

// TestPlacesOutOfRange: slots and drives that the robot hasn't got are refused, by their numbers, with nothing changed.
func TestPlacesOutOfRange(t *testing.T) {
	t.Parallel()
	s := open(t)
	r := &Report{SensesSlots: true, Drives: []ReportedDrive{{Number: 1}}, Elements: []ReportedElement{{Place: Place{DriveBay, 1}, Unit: 1, Fill: Empty}}}
	for n := 1; n <= 6; n++ {
		r.Elements = append(r.Elements, ReportedElement{Place: Place{Slot, n}, Unit: 1, Fill: Full})
	}
	if _, err := s.Called(t.Context(), Call{Agent: "a", Instance: "1", Library: "lib", Report: r}); err != nil {
		t.Fatal(err)
	}
	for _, ranges := range [][]SlotRange{{{1, 7}}, {{7, 7}}, {{1, 2}, {6, 9}}, {{0, 1}}, {{3, 2}}} {
		if _, _, err := s.StockBlanks(t.Context(), "lib", ranges, "BD-R", 1000); library.FaultOf(err) != library.Invalid || !strings.Contains(err.Error(), "slots") {
			t.Errorf("%v: %v", ranges, err)
		}
	}
	for _, place := range []Place{{Slot, 7}, {Slot, 0}, {DriveBay, 2}} {
		if _, err := s.SetElement(t.Context(), "lib", place, Empty, ""); library.FaultOf(err) != library.NotFound || !strings.Contains(err.Error(), place.String()) {
			t.Errorf("%v: %v", place, err)
		}
	}
	var discs int
	if err := s.pool.QueryRow(t.Context(), `select count(*) from disc`).Scan(&discs); err != nil || discs != 0 {
		t.Errorf("%d discs were made: %v", discs, err)
	}
}
