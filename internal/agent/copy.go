package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/discset"
	"github.com/odarchive/odarchive/archive/ecc"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// copy brings the image of a disc to the scratch disk, to be burned again. What can't be read is repaired there by the error
// correction that came with it. Nothing is kept that hasn't the image's hash, but a copy that lacks what its set may give; one that is
// there already is not copied again.
func (a *agent) copy(ctx context.Context, w *work, t *pb.Copy, r *pb.TaskResult) (err error) {
	id := t.GetImageId()
	size, err := bytesOf(t.GetSectors())
	if err != nil {
		return err
	}
	sum, err := a.scratch.sum(id, size)
	if err != nil {
		return err
	}
	w.total.Store(size)
	if wanted(sum, t.GetSha256()) {
		r.Sha256 = sum
		return a.scratch.forgetTorn(id)
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
	if r.Identity, err = b.holds(ctx, id, t.GetSectors()); err != nil {
		return err
	}
	c := &copying{agent: a, work: w, task: t, result: r, drive: &attentive{Drive: b.drive}, size: size}
	if err := c.run(ctx); err != nil {
		return fmt.Errorf("copy image %s in %s: %w", id, b.drive.Name(), err)
	}
	return nil
}

// copying is a copy task's pass over its disc.
type copying struct {
	*agent
	work   *work
	task   *pb.Copy
	result *pb.TaskResult
	drive  *attentive
	size   int64 // bytes

	file *os.File
	torn bool // the file is one that was kept because it lacked something
	kept bool // it has its name
}

// mostTorn is the part of what a set protects that a copy may lack to be kept: one that lacks more is quicker made anew from whole discs.
const mostTorn = 8

func (c *copying) run(ctx context.Context) (err error) {
	t, r, id := c.task, c.result, c.task.GetImageId()
	var lacking []discset.Run
	if t.GetProtectedSectors() > 0 {
		if c.file, lacking, err = c.scratch.openTorn(id, c.size); err != nil {
			return err
		}
		c.torn = c.file != nil
	}
	if !c.torn {
		if c.file, err = c.space(ctx, id, c.size); err != nil {
			return err
		}
	}
	defer func() {
		err = errors.Join(err, c.file.Close())
		if err != nil && !c.torn && !c.kept {
			err = errors.Join(err, c.scratch.discard(id))
		}
	}()
	var bad damage
	if c.torn {
		bad, err = c.fill(ctx, lacking)
	} else {
		bad, err = c.sectors(ctx)
	}
	c.drive.restore(ctx)
	r.Unreadable, r.Retries, r.Slowly = bad.named(), c.drive.retries, c.drive.slowly
	if err != nil {
		return err
	}
	lacking = lacking[:0]
	for _, run := range bad.runs {
		lacking = append(lacking, discset.Run{First: run.GetFirst(), Count: run.GetCount()})
	}
	var sum []byte
	named := true // all that is lacking
	if len(lacking) == 0 {
		if sum, err = sumFile(ctx, c.file, c.size); err != nil {
			return err
		}
	}
	if t.GetLayerSectors() != 0 && !wanted(sum, t.GetSha256()) {
		if lacking, named, err = restore(ctx, c.file, t.GetSectors(), lacking, r); err != nil {
			return err
		}
		if sum, err = sumFile(ctx, c.file, c.size); err != nil {
			return err
		}
	}
	if named && len(lacking) == 0 && wanted(sum, t.GetSha256()) {
		return c.keep(sum)
	}
	broken := discFault("%d sectors can't be read, and %d can't be repaired; it comes to hash %x, want %x", bad.sectors, sectorsOf(lacking), sum, t.GetSha256())
	return errors.Join(broken, c.tear(lacking, named))
}

// keep keeps a copy that is whole.
func (c *copying) keep(sum []byte) error {
	if err := c.file.Sync(); err != nil {
		return err
	}
	c.result.Sha256 = sum
	ending := part
	if c.torn {
		ending = torn
	}
	if err := c.scratch.keepFrom(c.task.GetImageId(), ending, sum); err != nil {
		return err
	}
	c.kept = true
	return c.scratch.forgetTorn(c.task.GetImageId())
}

// tear keeps a copy that lacks sectors, when the set may give them.
func (c *copying) tear(lacking []discset.Run, named bool) error {
	t, r, id := c.task, c.result, c.task.GetImageId()
	if t.GetProtectedSectors() == 0 {
		return nil
	}
	rows := below(lacking, t.GetProtectedSectors())
	if len(lacking) == 0 || !named || sectorsOf(rows) > t.GetProtectedSectors()/mostTorn {
		r.Missing = c.torn // nobody knows what is wrong with it
		return c.scratch.discard(id)
	}
	if err := c.file.Sync(); err != nil {
		return err
	}
	if !c.torn {
		if err := c.scratch.root.Rename(id+part, id+torn+part); err != nil {
			return err
		}
	}
	if err := c.scratch.keepNoted(id+torn, tornNote{Lacking: lacking}); err != nil {
		return err
	}
	c.kept = true
	r.Torn, r.LackingSectors = true, sectorsOf(rows)
	r.Lacking = wireRuns(discset.Join(rows, readOn, mostRuns))
	return nil
}

// wanted says whether an image with the hash sum, nil when there is none, is the one that is wanted. Of an image that a catalogue knows only
// from its disc nobody knows the hash: it has whichever it has when all of it could be read or repaired.
func wanted(sum, want []byte) bool { return sum != nil && (len(want) == 0 || bytes.Equal(sum, want)) }

// sectors copies a disc sector by sector. Those that can't be read are marked as dead, so that a repair knows them; where nothing can give them
// the first ends the copy, and where only the set can, so many that it isn't worth keeping.
func (c *copying) sectors(ctx context.Context) (bad damage, err error) {
	buffer := make([]byte, min(transfer, c.size))
	layers := c.task.GetLayerSectors() != 0
	for at := int64(0); at < c.size; {
		p := buffer[:min(int64(len(buffer)), c.size-at)]
		if err := c.piece(ctx, p, at/archive.SectorSize, &bad); err != nil {
			return bad, err
		}
		if bad.sectors > c.task.GetProtectedSectors()/mostTorn && !layers {
			return bad, discFault("sector %d can't be read, and %d others", bad.runs[0].GetFirst(), bad.sectors-1)
		}
		at += int64(len(p))
	}
	return bad, nil
}

// fill asks for what a torn copy lacks, and for nothing else.
func (c *copying) fill(ctx context.Context, lacking []discset.Run) (bad damage, err error) {
	buffer := make([]byte, transfer)
	c.work.total.Store(sectorsOf(lacking) * archive.SectorSize)
	for _, run := range lacking {
		for first, end := run.First, run.First+run.Count; first < end; {
			p := buffer[:min(int64(len(buffer)), (end-first)*archive.SectorSize)]
			if err := c.piece(ctx, p, first, &bad); err != nil {
				return bad, err
			}
			first += int64(len(p)) / archive.SectorSize
		}
	}
	return bad, nil
}

// piece copies sectors from first on.
func (c *copying) piece(ctx context.Context, p []byte, first int64, bad *damage) error {
	var here damage
	var fingerprint [16]byte
	if _, err := readSectors(ctx, c.drive, p, first, &here); err != nil {
		return err
	}
	for _, run := range here.runs {
		for s := run.GetFirst(); s < run.GetFirst()+run.GetCount(); s++ {
			ecc.PutDead(p[(s-first)*archive.SectorSize:][:archive.SectorSize], s, fingerprint)
			bad.add(s)
		}
	}
	if _, err := c.file.WriteAt(p, first*archive.SectorSize); err != nil {
		return fmt.Errorf("write to the scratch disk: %w", err)
	}
	c.work.done.Add(int64(len(p)))
	return nil
}

// restore repairs an image on the scratch disk as far as the error correction in it goes. It returns what is lacking then, and whether that is
// all that is; before it was what could not be read.
func restore(ctx context.Context, file *os.File, sectors int64, unread []discset.Run, r *pb.TaskResult) (lacking []discset.Run, named bool, err error) {
	s := ecc.Source{ReaderAt: file}
	h, err := ecc.Find(ctx, s, sectors)
	if errors.Is(err, ecc.ErrNotFound) {
		return unread, true, nil
	} else if err != nil {
		return nil, false, err
	}
	report, err := ecc.Repair(ctx, s, file, h, ecc.Options{Workers: 1})
	if err != nil {
		return nil, false, err
	}
	r.Repaired, r.WorstRow, r.Roots = report.Repairable, int32(report.Worst), int32(report.Roots())
	for _, run := range report.LostRuns {
		lacking = append(lacking, discset.Run{First: run.First, Count: run.Count})
	}
	named = sectorsOf(lacking) == report.Lost && (report.Lost > 0 || report.LostRows == 0)
	// What closes the disc lies behind what is protected.
	for _, run := range unread {
		if end := run.First + run.Count; end > h.Sectors() {
			first := max(run.First, h.Sectors())
			lacking = append(lacking, discset.Run{First: first, Count: end - first})
		}
	}
	return lacking, named, nil
}
