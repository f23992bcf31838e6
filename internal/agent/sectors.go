package agent

import (
	"context"
	"errors"
	"fmt"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/discset"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot"
)

// mostRuns is how many runs of unreadable sectors a result names.
const mostRuns = 1000

// damage is the sectors that could not be read, in ascending order.
type damage struct {
	runs    []*pb.SectorRun
	sectors int64
}

func (d *damage) add(sector int64) {
	d.sectors++
	if n := len(d.runs); n > 0 && d.runs[n-1].GetFirst()+d.runs[n-1].GetCount() == sector {
		d.runs[n-1].Count++
		return
	}
	d.runs = append(d.runs, &pb.SectorRun{First: sector, Count: 1})
}

func (d *damage) addRuns(runs []discset.Run) {
	for _, r := range runs {
		for s := range r.Count {
			d.add(r.First + s)
		}
	}
}

// full says that no more runs fit into a result.
func (d *damage) full() bool { return len(d.runs) >= mostRuns }

// named are the runs that a result names.
func (d *damage) named() []*pb.SectorRun { return d.runs[:min(len(d.runs), mostRuns)] }

// farthest is more sectors than any disc will have; numbers beyond it are not calculated with.
const farthest = 1 << 40

// bytesOf returns the size in bytes of an image of so many sectors.
func bytesOf(sectors int64) (int64, error) {
	if sectors < 1 || sectors > farthest {
		return 0, defect("an image of %d sectors", sectors)
	}
	return sectors * archive.SectorSize, nil
}

// readSectors fills p from sector on. Where the drive gives up it is asked once more for that sector alone, slowly where it can read so, and
// goes on behind it: the sectors that stay unreadable are added to d and are zero in p, and ok is false. An error is anything other than
// bad sectors. The caller restores the drive's speed in the end.
func readSectors(ctx context.Context, drive *attentive, p []byte, sector int64, d *damage) (ok bool, err error) {
	ok = true
	for len(p) > 0 {
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		n, err := drive.ReadAt(p, sector*archive.SectorSize)
		n -= n % archive.SectorSize
		p, sector = p[n:], sector+int64(n)/archive.SectorSize
		drive.ease(ctx, int64(n)/archive.SectorSize)
		if err == nil || len(p) == 0 {
			continue
		}
		if !errors.Is(err, robot.ErrMedium) {
			return false, fmt.Errorf("read sector %d in %s: %w", sector, drive.Name(), err)
		}
		drive.brake(ctx)
		one := p[:archive.SectorSize]
		if _, err := drive.ReadAt(one, sector*archive.SectorSize); errors.Is(err, robot.ErrMedium) {
			clear(one)
			d.add(sector)
			ok = false
		} else if err != nil {
			return false, fmt.Errorf("read sector %d in %s: %w", sector, drive.Name(), err)
		} else if drive.slow {
			drive.slowly++
		}
		p, sector = p[len(one):], sector+1
	}
	return ok, nil
}
