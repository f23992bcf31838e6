package robot

import (
	"math"
	"testing"
	"time"
)

// TestSlowness: a disc that turns at constant speed is even, full or not, and a slow place shows by its factor.
func TestSlowness(t *testing.T) {
	for _, full := range []float64{1, 0.4} {
		s := Signs{Sectors: 1000000}
		for i := range s.Regions {
			x := full * (float64(i) + 0.5) / Regions
			radius := math.Sqrt(24*24 + (58*58-24*24)*x)
			s.Regions[i] = Region{Read: 1000, Time: time.Duration(1e12 / radius)}
		}
		s.Regions[20].Time *= 5
		s.Regions[30] = Region{}
		slow := s.Slowness(int64(1000000 / full))
		for i, f := range slow {
			want := map[int]float64{20: 5, 30: 0}[i]
			if i != 20 && i != 30 {
				want = 1
			}
			if math.Abs(f-want) > 0.01 {
				t.Errorf("%v full, region %d: %v, want %v", full, i, f, want)
			}
		}
	}
	if (Signs{}).Slowness(0) != [Regions]float64{} {
		t.Error("a disc that was not read")
	}
}
