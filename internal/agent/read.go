package agent

import (
	"context"
	"fmt"

	"github.com/odarchive/odarchive/archive"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// read brings extents of a disc into the cache. A content that can't be brought back whole is named in the
// result, and the others go on.
func (a *agent) read(ctx context.Context, w *work, t *pb.Read, r *pb.TaskResult) error {
	end, err := checkExtents(t.GetExtents())
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
	if r.Identity, err = b.holds(ctx, t.GetImageId(), end); err != nil {
		return err
	}

	watched := &attentive{Drive: b.drive}
	rd := &reading{work: w, extents: t.GetExtents(), lost: newHashes(), refused: newHashes()}
	m := &mender{drive: b.drive, sectors: t.GetSectors(), layers: t.GetLayerSectors() != 0}
	defer func() {
		watched.restore(ctx)
		r.Retries, r.Slowly, r.Roots = watched.retries, watched.slowly, m.roots()
		r.Repaired, r.WorstRow, r.Wrong = m.repaired, m.worst(), m.wrong
	}()
	rd.pass = newPass(watched, t.GetExtents(), &rd.bad, m)
	rd.store = &store{client: a.client, ctx: ctx, ref: w.ref(), lost: rd.refused, files: a.files}
	defer rd.store.breakOff()
	if err := rd.all(ctx); err != nil {
		return fmt.Errorf("read image %s in %s: %w", t.GetImageId(), b.drive.Name(), err)
	}
	r.Lost, r.Unreadable = rd.lost.list, rd.bad.named()
	if len(r.GetLost()) > 0 {
		return discFault("read image %s in %s: %d contents are lost: %d sectors can't be read, %d read as something else than was burned, %d contents had a wrong hash",
			t.GetImageId(), b.drive.Name(), len(r.GetLost()), rd.bad.sectors, m.wrong, rd.store.wrong)
	}
	return nil
}

// reading is a read task's pass over its disc.
type reading struct {
	work    *work
	extents []*pb.ReadExtent
	pass    *pass
	bad     damage
	store   *store
	lost    *hashes
	refused *hashes // by the controller, for a wrong hash: they are read once more
}

// all brings all extents into the cache, as far as that can be done.
func (r *reading) all(ctx context.Context) error {
	for _, x := range r.extents {
		r.work.total.Add(x.GetLength())
	}
	for _, x := range r.extents {
		if err := r.extent(ctx, x); err != nil {
			return err
		}
	}
	if err := r.store.commit(); err != nil {
		return err
	}
	return r.again(ctx)
}

// extent brings one extent into the cache, or its content among the lost ones.
func (r *reading) extent(ctx context.Context, x *pb.ReadExtent) error {
	if r.refused.has(x.GetHash()) {
		return nil
	}
	if r.lost.has(x.GetHash()) || r.bad.full() {
		r.lost.add(x.GetHash())
		return nil
	}
	if x.GetLength() == 0 {
		return r.store.send(&pb.Piece{Hash: x.GetHash(), Size: x.GetSize(), Offset: x.GetOffset()})
	}
	var held []*pb.Piece
	whole := func(p *pb.Piece) error {
		r.pass.held = true
		held = append(held, p)
		return nil
	}
	if x.GetLength() <= heldBack {
		if ok, err := r.pieces(ctx, x, whole); !ok || err != nil {
			return err
		}
		return r.store.send(held...)
	}
	if err := r.store.commit(); err != nil {
		return err
	}
	written, err := r.store.write(ctx, x)
	if err != nil {
		return err
	}
	if written != nil {
		defer written.close()
		ok, err := r.pieces(ctx, x, written.piece)
		if !ok || err != nil {
			return err
		}
		return written.commit()
	}
	ok, err := r.pieces(ctx, x, func(p *pb.Piece) error {
		r.pass.held = true
		return r.store.send(p)
	})
	if !ok || err != nil {
		r.store.breakOff()
		return err
	}
	return r.store.commit()
}

// pieces reads an extent piece by piece; ok is false when it can't be read whole.
func (r *reading) pieces(ctx context.Context, x *pb.ReadExtent, each func(*pb.Piece) error) (ok bool, err error) {
	for at := int64(0); at < x.GetLength(); {
		sector := x.GetSector() + at/archive.SectorSize
		data, ok, err := r.pass.read(ctx, sector, x.GetLength()-at)
		if err == nil && ok && (r.pass.doubted || x.GetLength() < x.GetSize()) {
			// A part of a content has no hash of its own: if it were wrong, that would show when the last part is there, on another disc.
			ok, err = r.pass.prove(ctx, sector, archive.Sectors(int64(len(data))))
		}
		if err != nil {
			return false, err
		}
		if !ok {
			r.lost.add(x.GetHash())
			return false, nil
		}
		if err := each(&pb.Piece{Hash: x.GetHash(), Size: x.GetSize(), Offset: x.GetOffset() + at, Data: data}); err != nil {
			return false, err
		}
		at += int64(len(data))
		r.work.done.Add(int64(len(data)))
	}
	return true, nil
}

// checkExtents refuses extents that make no sense, and returns the sector behind the last one.
func checkExtents(extents []*pb.ReadExtent) (end int64, err error) {
	for i, x := range extents {
		switch {
		case len(x.GetHash()) != len(archive.Hash{}):
			return 0, defect("extent %d: a hash of %d bytes", i, len(x.GetHash()))
		case x.GetOffset() < 0 || x.GetLength() < 0 || x.GetLength() > x.GetSize()-x.GetOffset():
			return 0, defect("extent %d: %d bytes at %d of a content of %d", i, x.GetLength(), x.GetOffset(), x.GetSize())
		case x.GetLength() == 0 && x.GetSize() != 0:
			return 0, defect("extent %d: no bytes of a content of %d", i, x.GetSize())
		case x.GetSector() > farthest || x.GetLength() > farthest*archive.SectorSize:
			return 0, defect("extent %d: %d bytes at sector %d", i, x.GetLength(), x.GetSector())
		case x.GetSector() < 0 || x.GetLength() > 0 && x.GetSector() < end:
			return 0, defect("extent %d: sector %d comes after sector %d", i, x.GetSector(), end)
		}
		end = max(end, x.GetSector()+archive.Sectors(x.GetLength()))
	}
	return end, nil
}

// hashes is a set that keeps its order.
type hashes struct {
	list [][]byte
	seen map[string]bool
}

func newHashes() *hashes { return &hashes{seen: map[string]bool{}} }

func (h *hashes) has(hash []byte) bool { return h.seen[string(hash)] }

func (h *hashes) add(hash []byte) {
	if !h.has(hash) {
		h.seen[string(hash)] = true
		h.list = append(h.list, hash)
	}
}
