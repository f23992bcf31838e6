package agent

import (
	"context"
	"errors"
	"fmt"
	"io"

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
	for _, x := range t.GetExtents() {
		w.total.Add(x.GetLength())
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := a.client.StoreContents(ctx)
	if err != nil {
		return fmt.Errorf("open a stream to the cache: %w", err)
	}
	s := &sender{stream: stream, ref: w.ref()}
	lost := newHashes()
	bad, err := a.sendExtents(ctx, w, b, t.GetExtents(), s, lost)
	if err == nil {
		err = s.flush()
	}
	if err != nil && !errors.Is(err, io.EOF) { // after io.EOF the stream's own error is behind CloseAndRecv
		return fmt.Errorf("read image %s in %s: %w", t.GetImageId(), b.drive.Name(), err)
	}
	answer, err := stream.CloseAndRecv()
	if err != nil {
		return fmt.Errorf("store contents of image %s: %w", t.GetImageId(), err)
	}
	for _, hash := range answer.GetRefused() {
		lost.add(hash)
	}
	r.Lost, r.Unreadable = lost.list, bad.named()
	if len(lost.list) > 0 {
		return discFault("read image %s in %s: %d contents are lost: %d sectors can't be read, %d contents had a wrong hash",
			t.GetImageId(), b.drive.Name(), len(lost.list), bad.sectors, len(answer.GetRefused()))
	}
	return nil
}

// sendExtents reads extents in one pass over the disc and sends their bytes.
func (a *agent) sendExtents(ctx context.Context, w *work, b *bay, extents []*pb.ReadExtent, s *sender, lost *hashes) (bad damage, err error) {
	pass := newPass(b.drive, extents, &bad)
	for _, x := range extents {
		if lost.has(x.GetHash()) || bad.full() {
			lost.add(x.GetHash())
			continue
		}
		if x.GetLength() == 0 {
			if err := s.send(&pb.Piece{Hash: x.GetHash(), Size: x.GetSize(), Offset: x.GetOffset()}); err != nil {
				return bad, err
			}
		}
		for at := int64(0); at < x.GetLength(); {
			data, ok, err := pass.read(ctx, x.GetSector()+at/archive.SectorSize, x.GetLength()-at)
			if err != nil {
				return bad, err
			}
			if !ok {
				lost.add(x.GetHash())
				break
			}
			if err := s.send(&pb.Piece{Hash: x.GetHash(), Size: x.GetSize(), Offset: x.GetOffset() + at, Data: data}); err != nil {
				return bad, err
			}
			at += int64(len(data))
			w.done.Add(int64(len(data)))
		}
	}
	return bad, nil
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
