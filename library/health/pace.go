package health

import (
	"math"
	"slices"
)

// Regions is how many regions a disc has: equal parts of its sectors, from the hub outwards.
const Regions = 64

// SlowPlace is from how many times the expected time on a region is called slow.
const SlowPlace = 2

// Pace is how long a region of a disc took.
type Pace struct {
	First, Sectors int64
	Seconds        float64
	Drive          int // regions are compared with those that the same drive read
}

// Radii of the recorded part of a disc of 12 cm, in millimetres (ECMA-130 §10, ECMA-267 §10.7, ECMA-413 §B).
const (
	innerRadius = 24
	outerRadius = 58
)

// Slowness returns for each region how many times as long its sectors took as they should on a disc that turns at constant speed,
// measured by the better half of what the same drive read of it: about 1 where all is well, and 0 where nothing can be said. Sectors are spread
// evenly over the area and pass by as fast as the radius is large; capacity is how many fit on the whole disc, 0 for as many as
// were read. What is less than a second too long is no slowness. robot.Signs.Slowness does the same for what a drive's own account holds.
func Slowness(regions []Pace, capacity int64) []float64 {
	full := capacity
	for _, r := range regions {
		full = max(full, r.First+r.Sectors)
	}
	slow := make([]float64, len(regions))
	byDrive := map[int][]float64{}
	for i, r := range regions {
		if r.Sectors <= 0 || r.Seconds <= 0 {
			continue
		}
		x := (float64(r.First) + float64(r.Sectors)/2) / float64(full)
		radius := math.Sqrt(innerRadius*innerRadius + (outerRadius*outerRadius-innerRadius*innerRadius)*x)
		slow[i] = r.Seconds / float64(r.Sectors) * radius
		byDrive[r.Drive] = append(byDrive[r.Drive], slow[i])
	}
	for drive, scaled := range byDrive {
		if len(scaled) < leastRegions {
			byDrive[drive] = nil
			continue
		}
		slices.Sort(scaled)
	}
	for i, r := range regions {
		scaled := byDrive[r.Drive]
		if len(scaled) == 0 || slow[i] == 0 {
			slow[i] = 0
			continue
		}
		slow[i] /= scaled[len(scaled)/4] // the middle of the better half
		if r.Seconds*(1-1/slow[i]) < leastExcess {
			slow[i] = min(slow[i], 1)
		}
	}
	return slow
}

// leastExcess is how many seconds too long a region must take before that is no chance: a host with other things to do takes
// milliseconds, a drive that reads again by itself takes seconds.
const leastExcess = 1

// leastRegions is how many regions a drive must have read before they are compared: the first ones include the spin-up.
const leastRegions = 8
