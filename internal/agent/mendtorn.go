package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/discset"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// mendTorn makes a torn copy whole where it lies: the sectors that it lacks come from the rows that were brought of others of its set, and what
// protects it from itself. It is kept only when it has the hash that it had when it was built; else nobody knows what is wrong with it, and
// it is deleted.
func (a *agent) mendTorn(ctx context.Context, w *work, t *pb.Rebuild, set *discset.Set, size int64, r *pb.TaskResult) (err error) {
	id, index := t.GetImageId(), int(t.GetIndex())
	file, lacking, err := a.scratch.openTorn(id, size)
	if err != nil {
		return err
	}
	if file == nil {
		r.Missing = true
		return retry("the torn copy of image %s is not on the scratch disk any more", id)
	}
	files := closers{file}
	defer func() {
		if err = errors.Join(err, files.Close()); err != nil {
			err = fmt.Errorf("mend the copy of image %s: %w", id, err)
		}
	}()
	var member *discset.Member
	for i := range set.Members {
		if set.Members[i].Index == index {
			member = &set.Members[i]
		}
	}
	if member == nil || member.Sectors > t.GetSectors() {
		return defect("set %s has no image %d of %d sectors", set.ID, index, t.GetSectors())
	}
	rec := &discset.Recovery{Set: set, Images: make([]io.ReaderAt, set.Geometry.Data+set.Geometry.Parity)}
	if err := a.sources(rec, t.GetSources(), &files, r); err != nil {
		return err
	}
	if err := a.rowsOf(rec, t, rows, &files, r); err != nil {
		return err
	}
	rec.Images[index] = discset.Without(file, lacking)
	bad := below(lacking, member.Sectors)
	total := sectorsOf(bad) * archive.SectorSize
	w.total.Store(total)
	found, err := rec.Fill(ctx, index, file, bad, func(n int64) { w.done.Store(min(n, total)) })
	if lost, ok := errors.AsType[*discset.LostError](err); ok {
		return discFault("of %d sectors that its copy lacks the others of its set don't give %d either, the first is %d", sectorsOf(bad), lost.Sectors, lost.Named[0].First)
	} else if err != nil {
		return err
	}
	if t.GetLayerSectors() != 0 {
		if err := protectAnew(ctx, file, set, index, t.GetLayerSectors()); err != nil {
			return err
		}
	}
	if err := file.Sync(); err != nil {
		return err
	}
	sum, err := sumFile(ctx, file, size)
	if err != nil {
		return err
	}
	right := bytes.Equal(sum, t.GetSha256())
	if len(t.GetSha256()) == 0 { // nobody knows it since the catalogue was rebuilt
		protected, err := sumFile(ctx, file, member.Sectors*archive.SectorSize)
		if err != nil {
			return err
		}
		right = bytes.Equal(protected, member.SHA256[:])
	}
	if !right {
		r.Missing = true
		return errors.Join(discFault("it comes to the hash %x, want %x", sum, t.GetSha256()), a.scratch.discard(id))
	}
	r.Sha256, r.Repaired = sum, found.Rebuilt
	if err := a.scratch.keepFrom(id, torn, sum); err != nil {
		return err
	}
	return a.scratch.forgetTorn(id)
}

// rowsOf opens the rows that were brought for an image, with this ending of their names. Those that are not there are named in the result.
func (a *agent) rowsOf(rec *discset.Recovery, t *pb.Rebuild, ending string, files *closers, r *pb.TaskResult) error {
	for _, index := range t.GetRowsOf() {
		if index < 0 || int(index) >= len(rec.Images) {
			return defect("image %d of a set of %v", index, rec.Set.Geometry)
		}
		image, file, _, err := a.scratch.openRows(nameRows(t.GetImageId(), index, ending))
		if err != nil {
			return err
		}
		if file == nil {
			r.Absent = append(r.Absent, index)
			continue
		}
		*files = append(*files, file)
		if rec.Images[index] == nil {
			rec.Images[index] = image
		}
	}
	if len(r.GetAbsent()) > 0 {
		return retry("the rows of %d images of its set are not on the scratch disk any more", len(r.GetAbsent()))
	}
	return nil
}
