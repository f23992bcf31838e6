package robot

import (
	"context"
	"math"
	"slices"
	"time"
)

// Regions is how many parts of a disc are told apart, from the hub outwards, each of the same number of sectors.
const Regions = 64

// Signs are what every drive tells of a disc's health while it reads, without any command of a maker's own.
type Signs struct {
	Sectors int64 // recorded on the disc
	Regions [Regions]Region
}

// Region is what reading a part of the disc has told since it was loaded.
type Region struct {
	Read int64         // sectors that were read
	Time time.Duration // that it took
	// Retries is how many sectors had to be asked for again, Recovered how many reads the drive said it had trouble with and
	// mastered, Unreadable how many sectors were given up.
	Retries, Recovered, Unreadable int64
	// Disagreed is how many sectors read one way and then another.
	Disagreed int64
}

// Monitor is a Drive that keeps account of the signs.
type Monitor interface {
	// Signs returns what was seen since the last Load.
	Signs() Signs
}

// Radii of the recorded part of a disc of 12 cm, in millimetres (ECMA-130 §10, ECMA-267 §10.7, ECMA-413 §B).
const (
	innerRadius = 24
	outerRadius = 58
)

// Slowness returns for each region how many times as long its sectors took as they should on a disc that turns at constant
// speed, measured by the disc's own better half: about 1 where all is well, and 0 where too little was read to
// say. A disc full to the rim is twice as fast there as at the hub, so that plain speeds can't be compared. A disc that is not
// full ends nearer to the hub; the share that is recorded, of capacity sectors, says where. Capacity 0 means that it is full.
func (s Signs) Slowness(capacity int64) (slow [Regions]float64) {
	full := 1.0
	if capacity > s.Sectors {
		full = float64(s.Sectors) / float64(capacity)
	}
	var scaled []float64
	for i, r := range s.Regions {
		if r.Read == 0 || r.Time <= 0 {
			continue
		}
		// Sectors are evenly spread over the area, and pass by as fast as the radius is large.
		x := full * (float64(i) + 0.5) / Regions
		radius := math.Sqrt(innerRadius*innerRadius + (outerRadius*outerRadius-innerRadius*innerRadius)*x)
		slow[i] = r.Time.Seconds() / float64(r.Read) * radius
		scaled = append(scaled, slow[i])
	}
	if len(scaled) == 0 {
		return slow
	}
	slices.Sort(scaled)
	good := scaled[len(scaled)/4] // the middle of the better half
	for i := range slow {
		slow[i] /= good
	}
	return slow
}

// Scanner is a Drive that can measure what its correction still hides. Few can; see errors.ErrUnsupported.
type Scanner interface {
	// Scan reads the whole disc that was loaded and calls each for one piece of it after the other. It ends with ctx. It fails
	// with errors.ErrUnsupported when this drive or this medium has nothing to measure.
	Scan(ctx context.Context, each func(Measure)) error
}

// Measure is how many errors a piece of a disc has.
type Measure struct {
	Metric  string // C1, C2, PI8 or RSER
	First   int64  // sector
	Sectors int64
	Errors  int64
	// Rate is what limits are about, in the metric's own unit: C1 errors a second, C2 errors in this piece, PI errors in 8 ECC blocks, wrong
	// symbols of all.
	Rate float64
	// Unreadable says that the piece could not be read, so that nothing was counted.
	Unreadable bool
}
