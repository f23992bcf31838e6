package ecc

import (
	"errors"
	"testing"

	"pgregory.net/rapid"
)

// The boundaries are those at which dvdisaster takes the next medium.
func TestSmallest(t *testing.T) {
	for data, want := range map[int64]string{
		346612: "CD", 346613: "DVD", 2213998: "DVD", 2213999: "DVD9", 4024312: "DVD9", 4024313: "BD",
		11408740: "BD", 11408741: "BD2", 22817482: "BD2", 22817483: "BDXL3",
	} {
		if m, g, err := Smallest(data); err != nil || m.Name != want || g.Roots() < MinRoots {
			t.Errorf("%d sectors: %v %v %v, want %s", data, m, g, err, want)
		}
	}
	if _, _, err := Smallest(1 << 36); !errors.Is(err, ErrNoRoom) {
		t.Error(err)
	}
}

func TestDataSectors(t *testing.T) {
	for _, m := range Media {
		for roots := MinRoots; roots <= MaxRoots; roots++ {
			n := DataSectors(m.Capacity, roots)
			if g, err := Fill(m.Capacity, n); err != nil || g.Roots() != roots {
				t.Fatalf("%s: %d sectors leave %d roots (%v), want %d", m.Name, n, g.Roots(), err, roots)
			}
			if g, err := Fill(m.Capacity, n+1); err == nil && g.Roots() >= roots {
				t.Fatalf("%s: %d sectors still leave %d roots", m.Name, n+1, g.Roots())
			}
		}
	}
}

func TestFit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		capacity := rapid.Int64Range(5000, 70_000_000).Draw(t, "capacity")
		roots := rapid.IntRange(MinRoots, MaxRoots).Draw(t, "roots")
		most := DataSectors(capacity, roots)
		data := rapid.Int64Range(minData, most).Draw(t, "data")
		g, err := Fit(capacity, data, roots)
		if err != nil || g.Roots() < roots || g.Sectors() > capacity || g.Data != data {
			t.Fatalf("%d sectors on %d with %d roots: %v, %v", data, capacity, roots, g, err)
		}
		if _, err := Fit(capacity, most+1, roots); !errors.Is(err, ErrNoRoom) {
			t.Fatalf("%d sectors on %d with %d roots: %v", most+1, capacity, roots, err)
		}
	})
}
