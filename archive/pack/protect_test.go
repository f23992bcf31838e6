package pack

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/odarchive/odarchive/archive/ecc"
)

func TestProtect(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		capacity := rapid.Int64Range(10_000, 70_000_000).Draw(t, "capacity")
		roots := rapid.IntRange(ecc.MinRoots, ecc.MaxRoots).Draw(t, "roots")
		room := Room(capacity, roots)
		sectors := rapid.Int64Range(300, room).Draw(t, "sectors")
		g, burned, err := Protect(capacity, roots, sectors)
		if err != nil || g.Roots() < roots || burned > capacity || burned <= g.Sectors() || burned%32 != 0 {
			t.Fatalf("%d sectors of %d with %d roots: %v, %d burned, %v", sectors, capacity, roots, g, burned, err)
		}
	})
}

// TestProtectMedia fills the media that dvdisaster knows as it does.
func TestProtectMedia(t *testing.T) {
	for _, m := range ecc.Media {
		room := Room(m.Capacity, 32)
		if room != ecc.DataSectors(m.Capacity, 32) {
			t.Errorf("%s has room for %d sectors", m.Name, room)
		}
		if g, burned, err := Protect(m.Capacity, 32, room); err != nil || g.Layer != m.Capacity/255 || g.Roots() != 32 || burned > m.Capacity {
			t.Errorf("%s: %v, %d burned, %v", m.Name, g, burned, err)
		}
	}
}
