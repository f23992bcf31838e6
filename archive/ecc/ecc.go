// Package ecc protects the sectors of one image with RS03, the error correction of dvdisaster's augmented images: Reed-Solomon
// parity behind the data, so that dvdisaster repairs our images and we repair its. It adds, tests, repairs and reads through
// damage with memory that doesn't grow with the image. It knows nothing of what the sectors mean, nor of drives.
//
// An image of 255 layers of n sectors each is a matrix of n rows: row r is the sectors {j*n+r}, one of each layer j, and byte b
// of the 255 sectors of a row is one codeword of RS(255, 255-roots). So a scratch of n sectors costs each row one of the
// erasures that it can bear, which are as many as there are roots:
//
//	layers 0 … d-1    the data, a header of two sectors, padding sectors
//	layer  d          the CRC layer: its sector r holds the CRC-32 of the sectors of row r+1, and the geometry
//	layers d+1 … 254  parity
package ecc

import (
	"errors"
	"fmt"

	"github.com/odarchive/odarchive/archive"
)

const (
	sectorSize = archive.SectorSize
	// layers is how many sectors a row has: the length of a codeword of bytes.
	layers = 255

	// MinRoots and MaxRoots are the fewest and the most parity layers that RS03 knows.
	MinRoots = 8
	MaxRoots = 170

	minLayers = layers - MaxRoots - 1 // of data, the CRC layer not counted
	maxLayers = layers - MinRoots - 1

	// minData is how many sectors an image must have: sector 16 is its fingerprint.
	minData = fingerprintSector + 1
	// maxLayer bounds the layer size, 2^40 sectors, so that no number read from a disc overflows.
	maxLayer = 1 << 40
)

// Errors that callers decide by.
var (
	// ErrNoRoom is of data that are too many, or too few, for a medium and its roots.
	ErrNoRoom = errors.New("the data don't fit")
	// ErrMarker is of data that hold what dvdisaster writes in place of a sector that it could not read.
	ErrMarker = errors.New("the data hold a dead sector marker")
	// ErrNotFound is of images without RS03 data.
	ErrNotFound = errors.New("no RS03 error correction found")
	// ErrLost is of damage beyond what the parity bears.
	ErrLost = errors.New("damaged beyond repair")
)

// Geometry is where everything in an augmented image lies.
type Geometry struct {
	Data  int64 // sectors of the image before it was augmented
	Layer int64 // sectors of each of the 255 layers
}

// dataLayers returns how many layers hold data, header and padding.
func (g Geometry) dataLayers() int {
	return int(max(minLayers, (g.Data+headerSectors+g.Layer-1)/g.Layer))
}

// crcLayer returns the number of the CRC layer.
func (g Geometry) crcLayer() int { return g.dataLayers() }

// inputs returns how many layers parity is made of: data and CRC.
func (g Geometry) inputs() int { return g.dataLayers() + 1 }

// Roots returns how many parity layers there are: how many sectors of each row may be lost.
func (g Geometry) Roots() int { return layers - g.inputs() }

// Sectors returns the sectors of the augmented image.
func (g Geometry) Sectors() int64 { return layers * g.Layer }

// sector returns the sector of a layer in a row.
func (g Geometry) sector(layer int, row int64) int64 { return int64(layer)*g.Layer + row }

// Validate says whether RS03 has such a geometry.
func (g Geometry) Validate() error {
	switch {
	case g.Layer < 1 || g.Layer > maxLayer:
		return fmt.Errorf("RS03 with layers of %d sectors: %w", g.Layer, ErrNoRoom)
	case g.Data < minData:
		return fmt.Errorf("RS03 for %d sectors, fewer than %d: %w", g.Data, minData, ErrNoRoom)
	case g.Data > maxLayers*g.Layer-headerSectors:
		return fmt.Errorf("RS03 for %d sectors in layers of %d: %w", g.Data, g.Layer, ErrNoRoom)
	}
	return nil
}

// String says it in words.
func (g Geometry) String() string {
	return fmt.Sprintf("%d data sectors, 255 layers of %d, %d roots", g.Data, g.Layer, g.Roots())
}
