package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/ecc"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot"
)

// verify reads every sector of an image from its disc and compares the hash. It goes on behind unreadable sectors, so
// that the result says how bad the disc is. Where the task gives it error correction to go by, a disc passes that it can
// bring back as it was burned.
func (a *agent) verify(ctx context.Context, w *work, t *pb.Verify, r *pb.TaskResult) error {
	size, err := bytesOf(t.GetSectors())
	if err != nil {
		return err
	}
	b, err := a.bay(t.GetDrive())
	if err != nil {
		return err
	}
	release, err := b.hold(ctx)
	if err != nil {
		return err
	}
	defer release()
	if r.Identity, err = b.holds(ctx, t.GetImageId(), t.GetSectors()); err != nil {
		return err
	}
	w.total.Store(size)

	p := newPassage(w, b.drive, t)
	defer func() {
		if v := w.verified.Load(); v != nil {
			r.Checkpoint, r.Regions = v.checkpoint, v.regions
		}
		r.Slowly = p.drive.slowly
	}()
	if err := p.read(ctx); err != nil {
		return err
	}
	r.Unreadable = p.bad.named()
	a.signs(b, t.GetImageId())
	if p.unreadable == 0 {
		r.Sha256 = p.sum.Sum(nil)
	}
	unknown := len(t.GetSha256()) == 0 && t.GetLayerSectors() > 0 // then the disc's own checksums are what there is to go by
	if p.unreadable > 0 || unknown || !wanted(r.GetSha256(), t.GetSha256()) {
		if err := p.prove(ctx, t, r); err != nil {
			return err
		}
	} else if t.GetLayerSectors() > 0 {
		if h, err := ecc.FindQuickly(ctx, p.source(ctx), p.sectors); err == nil {
			r.Roots = int32(h.Roots())
		}
	}
	if t.GetScan() {
		return p.scan(ctx, r)
	}
	return nil
}

// prove has the error correction on the disc tell what is wrong with it, and fails unless that brings everything back. The disc is read
// once more for that, which only a damaged one needs, and one whose hash nobody knows since its catalogue was rebuilt.
func (p *passage) prove(ctx context.Context, t *pb.Verify, r *pb.TaskResult) error {
	broken := discFault("verify image %s in %s: the disc reads as %x, want %x", t.GetImageId(), p.drive.Name(), r.GetSha256(), t.GetSha256())
	if p.unreadable > 0 {
		where := ""
		if len(p.bad.runs) > 0 {
			where = fmt.Sprintf(", the first is %d", p.bad.runs[0].GetFirst())
		}
		broken = discFault("verify image %s in %s: %d sectors can't be read%s", t.GetImageId(), p.drive.Name(), p.unreadable, where)
	}
	if t.GetLayerSectors() == 0 || p.bad.full() {
		return broken
	}
	s := p.source(ctx)
	h, err := ecc.Find(ctx, s, p.sectors)
	if errors.Is(err, ecc.ErrNotFound) {
		return broken
	}
	var report ecc.Report
	mended := tally{sectors: p.sectors, found: map[int64]int64{}}
	if err == nil {
		// What it would write is where something is wrong. Nothing is written.
		report, err = ecc.Repair(ctx, s, &mended, h, ecc.Options{Workers: 1})
	}
	if err != nil {
		return fmt.Errorf("test the error correction of image %s in %s: %w", t.GetImageId(), p.drive.Name(), err)
	}
	p.add(mended.found, func(r *pb.Region, n int64) { r.Repaired = n })
	r.WorstRow, r.Roots = int32(report.Worst), int32(report.Roots())
	r.Wrong = report.Marked + report.Wrong + report.Parity
	if !report.Whole() {
		return discFault("%w; its error correction can't bring %d of them back", broken, report.Lost)
	}
	// What closes the disc lies behind what is protected.
	var tail damage
	buffer := make([]byte, (p.sectors-h.Sectors())*archive.SectorSize)
	defer p.drive.restore(ctx)
	if _, err := readSectors(ctx, p.drive, buffer, h.Sectors(), &tail); err != nil {
		return err
	}
	if tail.sectors == 0 && report.Bad() == 0 && p.unreadable == 0 && len(t.GetSha256()) == 0 {
		return nil
	}
	if tail.sectors > 0 || report.Bad() == 0 {
		return broken // nothing explains the wrong hash, or nothing can repair what does
	}
	r.Sha256, r.Repairable, r.Repaired = nil, true, report.Repairable
	return nil
}

func (p *passage) source(ctx context.Context) ecc.Source {
	return ecc.Source{ReaderAt: source{ctx, p.drive}, Unreadable: func(err error) bool { return errors.Is(err, robot.ErrMedium) }}
}

// scan counts errors below the drive's correction, where it can.
func (p *passage) scan(ctx context.Context, r *pb.TaskResult) error {
	g, _ := p.drive.Drive.(*guarded)
	if g == nil {
		return nil
	}
	s, ok := g.Drive.(robot.Scanner)
	if !ok {
		return nil
	}
	rate := &pb.ErrorRate{}
	errs := map[int64]int64{}
	err := s.Scan(ctx, func(m robot.Measure) {
		rate.Metric, rate.Worst = m.Metric, max(rate.GetWorst(), m.Rate)
		if m.Errors > 0 {
			errs[min(m.First, p.sectors-1)*robot.Regions/p.sectors] += m.Errors
		}
	})
	if errors.Is(err, errors.ErrUnsupported) || rate.GetMetric() == "" && err == nil {
		return nil
	}
	if err != nil {
		return err
	}
	r.Rate = rate
	p.add(errs, func(r *pb.Region, n int64) { r.Errors = n })
	return nil
}

// tally counts the sectors that a repair would write, by region.
type tally struct {
	sectors int64 // of the disc
	mu      sync.Mutex
	found   map[int64]int64
}

// WriteAt follows io.WriterAt, and writes nothing.
func (t *tally) WriteAt(b []byte, off int64) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for s := off / archive.SectorSize; s < (off+int64(len(b)))/archive.SectorSize; s++ {
		t.found[s*robot.Regions/t.sectors]++
	}
	return len(b), nil
}
