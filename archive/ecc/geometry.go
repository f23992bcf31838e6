package ecc

import "fmt"

// Medium is a size of discs that dvdisaster knows.
type Medium struct {
	Name     string // as dvdisaster -n takes it
	Capacity int64  // sectors
	// Spare says that the drive keeps a spare area, the usual form of BD. dvdisaster finds the error correction of an image for
	// a medium without one only while its header can be read.
	Spare bool
}

// Media are the sizes that dvdisaster augments images to, in ascending order.
var Media = []Medium{
	{"CD", 359424, true},
	{"DVD", 2295104, true},
	{"DVD9", 4171712, true},
	{"BD", 11826176, true},
	{"BDNODM", 12219392, false},
	{"BD2", 23652352, true},
	{"BD2NODM", 24438784, false},
	{"BDXL3", 47305728, true},
	{"BDXL3NODM", 48878592, false},
	{"BDXL4", 60403712, true},
	{"BDXL4NODM", 62500864, false},
}

// DataSectors returns how many data sectors an image may have that, with so many roots, fits a medium of that capacity. It is 0
// when there is room for none.
func DataSectors(capacity int64, roots int) int64 {
	if capacity < layers || roots < MinRoots || roots > MaxRoots {
		return 0
	}
	n := int64(layers-1-roots)*(capacity/layers) - headerSectors
	if n < minData {
		return 0
	}
	return n
}

// Fill returns the geometry that fills a medium of that capacity: all that the data leave becomes parity. It is what dvdisaster
// makes for that size.
func Fill(capacity, data int64) (Geometry, error) {
	g := Geometry{Data: data, Layer: capacity / layers}
	if err := g.Validate(); err != nil {
		return Geometry{}, fmt.Errorf("fill a medium of %d sectors: %w", capacity, err)
	}
	return g, nil
}

// Fit returns the geometry for data on a medium of that capacity with at least so many roots. It fills the medium when the
// data reach over a third of it, where RS03 has its most roots; fewer data get smaller layers with just those roots, so
// that a little data doesn't cost the burning of a whole disc.
func Fit(capacity, data int64, roots int) (Geometry, error) {
	if data > DataSectors(capacity, roots) {
		return Geometry{}, fmt.Errorf("fit %d sectors and %d roots on a medium of %d: %w", data, roots, capacity, ErrNoRoom)
	}
	if g, err := Fill(capacity, data); err == nil && (data+headerSectors) > int64(minLayers-1)*g.Layer {
		return g, nil
	}
	return Shrink(data, roots)
}

// Shrink returns the smallest geometry with so many roots for the data.
func Shrink(data int64, roots int) (Geometry, error) {
	if roots < MinRoots || roots > MaxRoots {
		return Geometry{}, fmt.Errorf("RS03 with %d roots: want %d to %d: %w", roots, MinRoots, MaxRoots, ErrNoRoom)
	}
	n := int64(layers - 1 - roots)
	g := Geometry{Data: data, Layer: (data + headerSectors + n - 1) / n}
	return g, g.Validate()
}

// Smallest returns the smallest medium for the data, which dvdisaster chooses too, and the geometry that fills it. It passes
// over media without spare areas, as dvdisaster does unless told otherwise.
func Smallest(data int64) (Medium, Geometry, error) {
	for _, m := range Media {
		if g, err := Fill(m.Capacity, data); m.Spare && err == nil {
			return m, g, nil
		}
	}
	return Medium{}, Geometry{}, fmt.Errorf("find a medium for %d sectors: %w", data, ErrNoRoom)
}
