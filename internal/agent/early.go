package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/discset"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// serveEarly brings extents of an image into the cache that is not on the scratch disk: their rows are, of the image's own disc as far as that gives
// them and of others of its set, and what is lacking of it is computed on the way. Nothing but the hashes of contents says that what comes of that
// is right: one that is refused is computed without each of the images in turn, where there are enough others. What nothing gives is
// named in the result. The rows are deleted in the end; a task that is done again finds what is still wanted.
func (a *agent) serveEarly(ctx context.Context, w *work, t *pb.Serve, r *pb.TaskResult) (err error) {
	extents := t.GetExtents()
	for i, x := range extents {
		if x.GetLength() != x.GetSize() {
			return defect("extent %d is a part of a content: nothing could prove it", i)
		}
	}
	if len(extents) > 0 {
		lost, err := a.early(ctx, w, t, r)
		if err != nil {
			return err
		}
		for _, x := range lost {
			r.Lost = append(r.Lost, x.GetHash())
		}
	}
	if err := a.scratch.forgetEarly(t.GetImageId()); err != nil {
		return err
	}
	if len(r.GetLost()) > 0 {
		return discFault("of %d contents these rows don't give %d: more is lost of them than the set bears, or they come to a wrong hash", len(extents), len(r.GetLost()))
	}
	return nil
}

// early serves as much as the rows give, and returns the rest.
func (a *agent) early(ctx context.Context, w *work, t *pb.Serve, r *pb.TaskResult) (lost []*pb.ReadExtent, err error) {
	from := t.GetEarly()
	set, err := discset.ReadSet(from.GetDescription())
	if err != nil {
		return nil, &fault{pb.Failure_FAILURE_INTERNAL, err}
	}
	rec := &discset.Recovery{Set: set, Images: make([]io.ReaderAt, set.Geometry.Data+set.Geometry.Parity)}
	var files closers
	defer func() { err = errors.Join(err, files.Close()) }()
	if err := a.sources(rec, from.GetSources(), &files, r); err != nil {
		return nil, err
	}
	if err := a.rowsOf(rec, from, early, &files, r); err != nil {
		return nil, err
	}
	index := int(from.GetIndex())
	if lost, err = a.computed(ctx, w, rec, index, t.GetExtents()); err != nil {
		return nil, err
	}
	data := 0 // images that are needed for a row
	for _, m := range set.Members {
		if m.Index < set.Geometry.Data {
			data++
		}
	}
	for _, leave := range dispensable(rec, index, data) {
		if len(lost) == 0 {
			break
		}
		rest := &discset.Recovery{Set: set, Checks: rec.Checks, Images: slices.Clone(rec.Images)}
		rest.Images[leave] = nil
		if lost, err = a.computed(ctx, w, rest, index, lost); err != nil {
			return nil, err
		}
	}
	return lost, nil
}

// dispensable returns which of the images may be left out when what came of all of them was wrong: the wanted one first, and others as far as more are there
// than are needed.
func dispensable(rec *discset.Recovery, index, needed int) (leave []int) {
	others := 0
	for i, image := range rec.Images {
		if image != nil && i != index {
			leave = append(leave, i)
			others++
		}
	}
	switch {
	case others < needed:
		return nil
	case others == needed:
		leave = nil
	}
	if rec.Images[index] != nil {
		leave = append([]int{index}, leave...)
	}
	return leave
}

// computed serves extents of an image as far as its rows give them, and returns the others.
func (a *agent) computed(ctx context.Context, w *work, rec *discset.Recovery, index int, extents []*pb.ReadExtent) (lost []*pb.ReadExtent, err error) {
	rd := &reading{work: w, extents: extents, lost: newHashes(), refused: newHashes()}
	rd.pass = newPass(nil, extents, &rd.bad, &mender{})
	rd.pass.image = rowsReader{ctx, rec, index}
	rd.store = &store{client: a.client, ctx: ctx, ref: w.ref(), lost: rd.refused, files: a.files}
	defer rd.store.breakOff()
	before := w.done.Load()
	if err := rd.all(ctx); err != nil {
		return nil, err
	}
	served := int64(0)
	for _, x := range extents {
		if rd.lost.has(x.GetHash()) {
			lost = append(lost, x)
		} else {
			served += x.GetLength()
		}
	}
	w.skipped.Add(w.done.Load() - before - served)
	return lost, nil
}

// rowsReader is an image as its set gives it.
type rowsReader struct {
	ctx   context.Context
	rec   *discset.Recovery
	index int
}

// ReadAt reads whole sectors, all that can be had; the error is a LostError then.
func (d rowsReader) ReadAt(p []byte, off int64) (int, error) {
	_, err := d.rec.ReadSectors(d.ctx, d.index, p, off/archive.SectorSize)
	return len(p), err
}

// forgetEarly deletes the early rows for an image.
func (s *scratch) forgetEarly(id string) error {
	files, err := fs.ReadDir(s.root.FS(), ".")
	errs := []error{err}
	for _, f := range files {
		name := strings.TrimSuffix(f.Name(), note)
		if !strings.HasPrefix(name, id+".") || !strings.HasSuffix(name, early) {
			continue
		}
		if err := s.root.Remove(f.Name()); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// leap is how many sectors behind one that can't be read are not asked for in what others of the set give anyway: a block of 64 KiB, as BD-R drives
// read and a set's checksums cover. It doubles while nothing comes, so that a disc that gives nothing is asked a few dozen times.
const leap = 32

// copyReadable writes what can be read of runs one behind the other, with zeros for the rest, and returns that.
func copyReadable(d *mended, runs []discset.Run, out *io.OffsetWriter, w *work) (lacking damage, err error) {
	buffer := make([]byte, transfer)
	next, good := int64(leap), int64(0)
	for _, run := range runs {
		for first, end := run.First, run.First+run.Count; first < end; {
			p := buffer[:min(int64(len(buffer)), (end-first)*archive.SectorSize)]
			n, err := d.ReadAt(p, first*archive.SectorSize)
			if d.failed != nil {
				return lacking, d.failed
			}
			n -= n % archive.SectorSize
			if _, err := out.Write(p[:n]); err != nil {
				return lacking, fmt.Errorf("write to the scratch disk: %w", err)
			}
			first += int64(n) / archive.SectorSize
			if good += int64(n) / archive.SectorSize; good >= 4*next {
				next = leap
			}
			if n < len(p) {
				if err == nil || !errors.Is(err, errSector) {
					return lacking, discFault("read sector %d: %w", first, err)
				}
				gap := min(next, end-first)
				lacking.addRuns([]discset.Run{{First: first, Count: gap}})
				if _, err := out.Seek(gap*archive.SectorSize, io.SeekCurrent); err != nil {
					return lacking, err
				}
				w.skipped.Add(gap * archive.SectorSize)
				w.done.Add(gap * archive.SectorSize)
				first, next, good = first+gap, 2*next, 0
			}
			w.done.Add(int64(n))
		}
	}
	return lacking, nil
}
