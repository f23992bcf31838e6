package health

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// curve is a disc of 64 regions that is read at constant speed of rotation: as fast as its place is far from the hub.
func curve(seconds float64) (regions []Pace) {
	const sectors = 1000
	for n := range int64(Regions) {
		x := (float64(n) + 0.5) / Regions
		radius := math.Sqrt(24*24 + (58*58-24*24)*x)
		regions = append(regions, Pace{First: n * sectors, Sectors: sectors, Seconds: seconds * 58 / radius, Drive: 1})
	}
	return regions
}

func TestSlowness(t *testing.T) {
	well := curve(10)
	for n, s := range Slowness(well, 0) {
		if math.Abs(s-1) > 0.01 {
			t.Errorf("region %d of a disc that is well: %g", n, s)
		}
	}
	// The plain times differ by more than a slow place does.
	if well[0].Seconds < 2*well[63].Seconds {
		t.Fatal("this is no curve")
	}
	slow := curve(10)
	slow[60].Seconds *= 3
	if s := Slowness(slow, 0); math.Abs(s[60]-3) > 0.1 || s[59] > 1.1 {
		t.Errorf("a slow place: %v", s[59:61])
	}
	// A half-full disc's rim is not the medium's.
	half := curve(10)[:32]
	for n, s := range Slowness(half, 64000) {
		if math.Abs(s-1) > 0.01 {
			t.Errorf("region %d of a half-full disc: %g", n, s)
		}
	}
	// Two drives are not held against each other.
	two := curve(10)
	for n := range two[:32] {
		two[n].Drive, two[n].Seconds = 2, two[n].Seconds*5
	}
	for n, s := range Slowness(two, 0) {
		if s > 1.2 {
			t.Errorf("region %d, read by two drives: %g", n, s)
		}
	}
	// What takes a millisecond says nothing; nor do the first regions alone.
	quick := curve(0.001)
	quick[5].Seconds *= 100
	if s := Slowness(quick, 0); s[5] > 1 {
		t.Errorf("a tenth of a second: %g", s[5])
	}
	if s := Slowness(curve(10)[:leastRegions-1], 0); s[0] != 0 {
		t.Errorf("seven regions: %v", s)
	}
}

// Nobody's figures make it anything but a number from 0 up.
func TestSlownessOfAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 80).Draw(t, "regions")
		regions := make([]Pace, n)
		for i := range regions {
			regions[i] = Pace{
				First: rapid.Int64Range(0, 1e9).Draw(t, "first"), Sectors: rapid.Int64Range(-1, 1e6).Draw(t, "sectors"),
				Seconds: rapid.Float64Range(-1, 1e6).Draw(t, "seconds"), Drive: rapid.IntRange(0, 3).Draw(t, "drive"),
			}
		}
		for i, s := range Slowness(regions, rapid.Int64Range(-5, 1e9).Draw(t, "capacity")) {
			if math.IsNaN(s) || math.IsInf(s, 0) || s < 0 {
				t.Fatalf("region %d, %+v: %g", i, regions[i], s)
			}
		}
	})
}
