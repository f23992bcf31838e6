package archive_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/odarchive/odarchive/archive"
)

// TestWithSpareAreas: the sizes in use, and of all others less than without, by no more than a part that is known.
func TestWithSpareAreas(t *testing.T) {
	for capacity, want := range map[int64]int64{12_219_392: 11_826_176, 62_500_864: 60_403_712, 11_826_176: 11_826_176, 0: 0, 1: 0, 1000: 960} {
		if n := archive.WithSpareAreas("BD-R", capacity); n != want {
			t.Errorf("%d of %d, want %d", n, capacity, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		capacity := rapid.Int64Range(0, 1<<40).Draw(t, "capacity")
		if archive.WithSpareAreas("DVD-R", capacity) != capacity {
			t.Error("only BD-R have spare areas")
		}
		if archive.HasSpareAreas("BD-R", capacity) && archive.WithSpareAreas("BD-R", capacity) != capacity {
			t.Errorf("a disc of %d sectors loses some twice", capacity)
		}
		if n := archive.WithSpareAreas("BD-R", capacity); n%32 != 0 || n > capacity || n < capacity-capacity/29-64 {
			t.Errorf("%d of %d", n, capacity)
		}
	})
}
