package pack

import (
	"fmt"

	"github.com/odarchive/odarchive/archive/ecc"
	"github.com/odarchive/odarchive/archive/image"
)

// usable is what error correction may fill of a disc: something is left for the sectors that close it (image.Tail).
func usable(capacity int64) int64 { return capacity/image.Closed(0)*image.Closed(0) - 1 }

// Room returns how many sectors an image may have on a disc of that capacity, with error correction of at least so many roots,
// or with 0 roots without any.
func Room(capacity int64, roots int) int64 {
	if roots == 0 {
		return capacity
	}
	return ecc.DataSectors(usable(capacity), roots)
}

// Protect decides on the error correction of an image of so many sectors on a disc of that capacity, with at least so many roots.
// burned is how many sectors the disc has then in all.
func Protect(capacity int64, roots int, sectors int64) (g ecc.Geometry, burned int64, err error) {
	if g, err = ecc.Fit(usable(capacity), sectors, roots); err != nil {
		return g, 0, fmt.Errorf("protect image: %w", err)
	}
	return g, image.Closed(g.Sectors()), nil
}
