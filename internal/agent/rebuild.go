package agent

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/discset"
	"github.com/odarchive/odarchive/archive/ecc"
	"github.com/odarchive/odarchive/archive/image"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// rebuild makes an image on the scratch disk from others of its set that lie there, and what protects it from the image itself. It
// is kept only when it has the hash that it had when it was built.
func (a *agent) rebuild(ctx context.Context, w *work, t *pb.Rebuild, r *pb.TaskResult) (err error) {
	id := t.GetImageId()
	size, err := bytesOf(t.GetSectors())
	if err != nil {
		return err
	}
	if sum, err := a.scratch.sum(id, size); err != nil {
		return err
	} else if wanted(sum, t.GetSha256()) {
		r.Sha256 = sum
		return a.scratch.forgetTorn(id)
	}
	set, err := discset.ReadSet(t.GetDescription())
	if err != nil {
		return defect("rebuild image %s: %w", id, err)
	}
	if t.GetTorn() {
		return a.mendTorn(ctx, w, t, set, size, r)
	}
	rec := &discset.Recovery{Set: set, Images: make([]io.ReaderAt, set.Geometry.Data+set.Geometry.Parity)}
	var files closers
	defer func() { err = errors.Join(err, files.Close()) }()
	if err := a.sources(rec, t.GetSources(), &files, r); err != nil {
		return fmt.Errorf("rebuild image %s: %w", id, err)
	}
	file, err := a.space(ctx, id, size)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err != nil {
			err = fmt.Errorf("rebuild image %s: %w", id, errors.Join(err, a.scratch.discard(id)))
		}
	}()
	w.total.Store(size)
	out := io.NewOffsetWriter(file, 0)
	if _, err := rec.Rebuild(ctx, map[int]io.Writer{int(t.GetIndex()): out}, func(n int64) { w.done.Store(min(n, size)) }); err != nil {
		return err
	}
	if t.GetLayerSectors() != 0 {
		if err := protectAnew(ctx, file, set, int(t.GetIndex()), t.GetLayerSectors()); err != nil {
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
	if !wanted(sum, t.GetSha256()) {
		return discFault("it comes to the hash %x, want %x", sum, t.GetSha256())
	}
	w.done.Store(size)
	r.Sha256 = sum
	if err := a.scratch.keep(id, sum); err != nil {
		return err
	}
	return a.scratch.forgetTorn(id)
}

// protectAnew writes what protects a rebuilt image behind it, and what closes the disc.
func protectAnew(ctx context.Context, file interface {
	io.ReaderAt
	io.WriterAt
}, set *discset.Set, index int, layer int64,
) error {
	g := ecc.Geometry{Layer: layer}
	for _, m := range set.Members {
		if m.Index == index {
			g.Data = m.Sectors
		}
	}
	if err := g.Validate(); err != nil {
		return defect("its error correction: %w", err)
	}
	if err := ecc.Augment(ctx, file, file, ecc.Plan{Geometry: g}, ecc.Options{}); err != nil {
		return err
	}
	tail, err := image.ReadTail(file, g.Sectors())
	if err != nil {
		return err
	}
	_, err = file.WriteAt(tail, g.Sectors()*archive.SectorSize)
	return err
}

// sources opens the set's images that are on the scratch disk. Those that are not there as they should be are named in the result.
func (a *agent) sources(rec *discset.Recovery, sources []*pb.SetImage, files *closers, r *pb.TaskResult) error {
	for _, s := range sources {
		index := int(s.GetIndex())
		if index < 0 || index >= len(rec.Images) {
			return defect("image %d of a set of %v", index, rec.Set.Geometry)
		}
		size, err := bytesOf(s.GetSectors())
		if err != nil {
			return err
		}
		f, err := a.scratch.open(s.GetImageId(), size, s.GetSha256())
		if err != nil {
			r.Absent = append(r.Absent, s.GetIndex())
			continue
		}
		*files = append(*files, f)
		rec.Images[index] = f
		number := index - rec.Set.Geometry.Data
		if number < 0 {
			continue
		}
		parity, checks, err := discset.OpenDisc(f, s.GetSectors())
		if err != nil {
			return discFault("parity image %d of set %s: %w", number, rec.Set.ID, err)
		}
		rec.Images[index] = parity
		if rec.Checks, err = discset.OpenChecks(rec.Set, checks); err != nil {
			return err
		}
	}
	if len(r.GetAbsent()) > 0 {
		return retry("%d images of its set are not on the scratch disk any more", len(r.GetAbsent()))
	}
	return nil
}

// closers are closed together.
type closers []io.Closer

func (c closers) Close() (err error) {
	for _, x := range c {
		err = errors.Join(err, x.Close())
	}
	return err
}
