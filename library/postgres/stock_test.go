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
		if _, err := s.StockBlanks(t.Context(), "lib", ranges, "BD-R", 1000); library.FaultOf(err) != library.Invalid || !strings.Contains(err.Error(), "slots") {
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

// A blank that is known and is said to be another one now: what a drive said of it counts, and without that the latest word. Nothing is passed over.
func TestStockSaysOtherwise(t *testing.T) {
	b := newBench(t, 1, 4)
	b.blanks(2, 3)
	b.exec(`update disc set media_id = 'CMCMAG-BA5-000' where id = (select disc_id from element where kind = 'slot' and number = 3)`)
	b.exec(`
insert into task (library_id, kind, disc_id, state, unit, drive, from_kind, from_number, to_kind, to_number, finished)
select library_id, 'move', disc_id, 'done', 1, 1, 'slot', 4, 'drive', 1, now() from element where kind = 'slot' and number = 4`)
	for _, c := range []struct {
		medium   string
		capacity int64
		want     Stocked
	}{
		{"BD-R", 1000, Stocked{Known: 3}},
		{"BD-R", 2000, Stocked{Known: 3, Corrected: 1, Kept: 2, Example: "BD-R of 1000 sectors"}},
		{"BD-R", 2000, Stocked{Known: 3, Kept: 2, Example: "BD-R of 1000 sectors"}},
		{"DVD-R", 2000, Stocked{Known: 3, Corrected: 1, Kept: 2, Example: "BD-R of 1000 sectors"}},
	} {
		got, err := b.s.StockBlanks(t.Context(), "lib", []SlotRange{{2, 2}, {3, 4}}, c.medium, c.capacity)
		if !strings.HasSuffix(got.Example, c.want.Example) || c.want.Example != "" && !strings.Contains(got.Example, "in slot 3 is a ") {
			t.Errorf("%+v", got)
		}
		got.Example = c.want.Example
		if err != nil || got != c.want {
			t.Errorf("%+v: %+v %v", c, got, err)
		}
	}
	var capacities string
	if err := b.s.pool.QueryRow(t.Context(), `
select string_agg(d.medium || ' ' || d.capacity, ', ' order by e.number) from element e join disc d on d.id = e.disc_id where e.kind = 'slot' and e.number between 2 and 4`).
		Scan(&capacities); err != nil || capacities != "DVD-R 2000, BD-R 1000, BD-R 1000" {
		t.Errorf("%s %v", capacities, err)
	}
}
