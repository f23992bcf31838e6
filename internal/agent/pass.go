package agent

import (
	"context"
	"errors"
	"io"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/discset"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// pass reads extents of a disc, or of an image on the scratch disk, in ascending order. What lies side by side on the disc is read in one go, however many
// extents it is.
type pass struct {
	drive  *attentive
	image  io.ReaderAt // instead of drive
	runs   []run       // what is left
	bad    *damage
	mender *mender
	// doubted says that the contents are known to be wrong: every sector is proven.
	doubted bool

	window  []byte // what was read last
	first   int64  // its first sector
	damaged bool   // some of its sectors could not be read
	held    bool   // somebody holds bytes of it for longer than until the next read
}

// run is sectors without a gap.
type run struct{ first, end int64 }

func newPass(drive *attentive, extents []*pb.ReadExtent, bad *damage, m *mender) *pass {
	p := &pass{drive: drive, bad: bad, mender: m}
	for _, x := range extents {
		first, end := x.GetSector(), x.GetSector()+archive.Sectors(x.GetLength())
		if n := len(p.runs); n > 0 && p.runs[n-1].end == first {
			p.runs[n-1].end = end
		} else if first < end {
			p.runs = append(p.runs, run{first, end})
		}
	}
	return p
}

// read returns bytes from the beginning of a sector on: want of them, or fewer when they go on beyond what is read at a
// time. The next read overwrites them, unless they are said to be held. When a sector among them can't be read, ok is false.
func (p *pass) read(ctx context.Context, sector, want int64) (data []byte, ok bool, err error) {
	if end := p.first + int64(len(p.window))/archive.SectorSize; sector < p.first || sector >= end {
		if err := p.fill(ctx, sector); err != nil {
			return nil, false, err
		}
	}
	data = p.window[(sector-p.first)*archive.SectorSize:]
	data = data[:min(want, int64(len(data)))]
	if p.damaged && p.bad.within(sector, sector+archive.Sectors(int64(len(data)))) {
		return nil, false, nil
	}
	return data, true, nil
}

// fill reads from a sector to the end of its run, or as much as is read at a time.
func (p *pass) fill(ctx context.Context, sector int64) error {
	for p.runs[0].end <= sector {
		p.runs = p.runs[1:]
	}
	sectors := min(transfer/archive.SectorSize, p.runs[0].end-sector)
	if n := sectors * archive.SectorSize; p.held || int64(cap(p.window)) < n {
		p.window = make([]byte, n)
	} else {
		p.window = p.window[:n]
	}
	p.first, p.held = sector, false
	if p.image != nil {
		_, err := p.image.ReadAt(p.window, sector*archive.SectorSize)
		lost, ok := errors.AsType[*discset.LostError](err)
		if err != nil && !ok {
			return retry("read sector %d: %w", sector, err)
		}
		if p.damaged = ok; ok {
			p.bad.addRuns(lost.Named)
		}
		return nil
	}
	var here damage
	ok, err := readSectors(ctx, p.drive, p.window, sector, &here)
	if err != nil {
		return err
	}
	left := &here
	if !ok {
		if left, err = p.mender.mend(ctx, p.window, sector, &here); err != nil {
			return err
		}
	}
	p.damaged = left.sectors > 0
	for _, r := range left.runs {
		for s := range r.GetCount() {
			p.bad.add(r.GetFirst() + s)
		}
	}
	return nil
}

// within says whether one of the sectors from first to before end could not be read.
func (d *damage) within(first, end int64) bool {
	for _, r := range d.runs {
		if r.GetFirst() < end && first < r.GetFirst()+r.GetCount() {
			return true
		}
	}
	return false
}
