package discset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Reader reads an image as the others of its set give it back. Reading on is done in larger pieces than reading here and there. One
// goroutine uses it at a time, and nobody its Recovery meanwhile.
type Reader struct {
	// Rebuilt, when not nil, is counted up by the sectors that are computed.
	Rebuilt *int64

	ctx      context.Context
	recovery *Recovery
	index    int

	first, n int64  // sectors that are held
	data     []byte // of them
	lost     []Run
}

// Reader returns a reader of the image with that index. Reading ends with ctx.
func (r *Recovery) Reader(ctx context.Context, index int) *Reader {
	return &Reader{ctx: ctx, recovery: r, index: index}
}

// onward is how many sectors are rebuilt at a time where reading goes on; elsewhere it is what shares a checksum.
const onward = 512

// ReadAt implements io.ReaderAt. A sector that not even the set has is an error, and what lies before it is read.
func (r *Reader) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		at := off + int64(n)
		sector := at / sectorSize
		if sector >= r.recovery.Set.sectors(r.index) {
			return n, io.EOF
		}
		if sector < r.first || sector >= r.first+r.n {
			if err := r.load(sector); err != nil {
				return n, err
			}
		}
		end := r.first + r.n
		for _, run := range r.lost {
			if sector >= run.First && sector < run.First+run.Count {
				return n, fmt.Errorf("sector %d of image %d: not even the set's other discs have it", sector, r.index)
			}
			if run.First > sector {
				end = min(end, run.First)
			}
		}
		n += copy(p[n:], r.data[at-r.first*sectorSize:(end-r.first)*sectorSize])
	}
	return n, nil
}

// load rebuilds the sectors from about sector on.
func (r *Reader) load(sector int64) error {
	first, n := sector/blockSectors*blockSectors, int64(blockSectors)
	if first == r.first+r.n {
		n = onward
	}
	n = min(n, r.recovery.Set.sectors(r.index)-first)
	r.first, r.n, r.lost = first, 0, nil
	r.data = slices.Grow(r.data[:0], onward*sectorSize)[:n*sectorSize]
	found, err := r.recovery.ReadSectors(r.ctx, r.index, r.data, first)
	if r.Rebuilt != nil {
		*r.Rebuilt += found.Rebuilt
	}
	if lost, ok := errors.AsType[*LostError](err); ok {
		r.lost = lost.Named
	} else if err != nil {
		return err
	}
	r.n = n
	return nil
}
