// Package discset protects discs by other discs: k data images and m parity images of which any m may be lost. Sector r of all
// images is one codeword of a Reed-Solomon code, so damage on many discs heals while no row has more than m bad sectors. It knows
// images as runs of sectors, and nothing of what is on them.
//
// Parity accumulates on disk as images come; Accumulator says how a crash leaves it. What a parity disc holds is specified in
// docs/disc-format-sets.md; archive/discset/decoder is a decoder of its own that goes onto every one.
package discset

import (
	"errors"
	"fmt"

	"github.com/odarchive/odarchive/archive"
)

const (
	sectorSize = archive.SectorSize
	// blockSectors is how many sectors share a checksum: what a BD-R drive writes and corrects at a time (a cluster of 64 KiB).
	blockSectors = 32
	blockSize    = blockSectors * sectorSize
	// mostImages is the most images of a set: field elements that name them, less one so that none names two.
	mostImages = 255
)

// Errors that callers decide by.
var (
	// ErrConflict says that an index or an image is in the set already, with other sectors.
	ErrConflict = errors.New("the set has another image there")
	// ErrTwice says that an image is in the set already, under another name and number.
	ErrTwice = errors.New("the set has the same image already")
	// ErrSealed says that nothing can be added to a set whose parity is final.
	ErrSealed = errors.New("the set is sealed")
	// ErrHash says that an image is not the one that its hash names.
	ErrHash = errors.New("the image has another SHA-256")
	// ErrDamaged says that parity on the scratch disk is not what was written there: the set has to be accumulated anew.
	ErrDamaged = errors.New("accumulated parity is damaged")
	// ErrInUse says that another process has the accumulation open.
	ErrInUse = errors.New("in use by another process")
	// ErrTooSmall says that a medium can't hold a parity disc of the set.
	ErrTooSmall = errors.New("the disc is too small")
)

// Geometry is how many images a set has.
type Geometry struct {
	Data   int // at most; a set that closes early has fewer, and the missing ones count as zero-filled
	Parity int
}

// Library and Mirror are the usual geometries: for a library with a robot, and for a few discs on a shelf.
var (
	Library = Geometry{Data: 12, Parity: 2}
	Mirror  = Geometry{Data: 1, Parity: 1}
)

// Validate says what is wrong with g: it has 1 or more of each, and at most 255 together.
func (g Geometry) Validate() error {
	if g.Data < 1 || g.Parity < 1 || g.Data > mostImages || g.Parity > mostImages || g.Data+g.Parity > mostImages {
		return fmt.Errorf("disc set of %d+%d images: want at least 1+1 and at most %d together", g.Data, g.Parity, mostImages)
	}
	return nil
}

func (g Geometry) String() string { return fmt.Sprintf("%d+%d", g.Data, g.Parity) }

// images is how many indexes there are: data images from 0, parity images behind them.
func (g Geometry) images() int { return g.Data + g.Parity }

// Run is a run of sectors.
type Run struct {
	First int64 `json:"first"` // sector of the image
	Count int64 `json:"count"` // sectors
}

// mostRuns is how many runs of one image a report names; it counts all.
const mostRuns = 4096

// Runs gathers runs of sectors in ascending order. Beyond 4,096 runs it goes on counting sectors only.
type Runs struct {
	Sectors int64 `json:"sectors"`
	Named   []Run `json:"runs,omitempty"`
	next    int64
}

func (r *Runs) add(first, count int64) {
	r.Sectors += count
	if n := len(r.Named); n > 0 && r.next == first {
		r.Named[n-1].Count += count
	} else if n < mostRuns {
		r.Named = append(r.Named, Run{first, count})
	} else {
		return
	}
	r.next = first + count
}
