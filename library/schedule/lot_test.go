package schedule

import (
	"slices"
	"testing"
	"time"

	"github.com/odarchive/odarchive/library"
)

// TestLots burns image after image: whatever the slots, no two in a row are of one lot while there is another, and discs of which nobody has said
// the lot are one too.
func TestLots(t *testing.T) {
	p := New(Config{})
	p.SetDrive(Drive{Number: 1, Unit: 1, Up: true, Known: true})
	lots := map[int64]string{1: "A", 2: "A", 3: "A", 4: "B", 5: "B", 6: "", 7: "A"}
	for id, lot := range lots {
		p.SetDisc(Disc{ID: id, Unit: 1, Slot: int(id), Blank: true, Capacity: 100, Lot: lot})
	}
	for n := range int64(len(lots)) {
		p.Add(Task{ID: 100 + n, Kind: library.BurnTask, Sectors: 100, Ready: true})
	}
	var burned []int64
	for now := time.Duration(0); now < 100*time.Second; now += time.Second {
		for _, a := range p.Decide(now) {
			switch {
			case a.Load:
				p.Released(1)
				p.Loaded(a.Drive)
			case a.Unload:
				p.Released(1)
				p.Unloaded(a.Drive)
			default:
				burned = append(burned, a.Disc)
				p.Ended(a.Task)
				p.SetDisc(Disc{ID: a.Disc, Unit: 1, Drive: a.Drive, Reload: true, Capacity: 100, Lot: lots[a.Disc]})
			}
		}
	}
	if want := []int64{1, 4, 6, 2, 5, 3, 7}; !slices.Equal(burned, want) {
		t.Errorf("burned %v, want %v", burned, want)
	}
}
