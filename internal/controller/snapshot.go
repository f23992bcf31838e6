package controller

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/discset"
	"github.com/odarchive/odarchive/library/postgres"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// carry decides on what a set's parity discs carry besides what decodes them: what each says of itself and, all the same, a snapshot of the
// catalogue. room is what an image may have on them, in sectors. Where data images were planned that leave less, as they once did, the
// discs carry what fits. A snapshot that can't be taken keeps no parity from being made.
func (t *tender) carry(ctx context.Context, s postgres.SealedSet, set *discset.Set, images []postgres.PlannedImage, room int64) error {
	v, err := t.store.Vault(ctx, s.Vault)
	if err != nil {
		return err
	}
	left := room * archive.SectorSize // bytes that a snapshot may have on every one of the discs
	infos := make([][]byte, len(images))
	for i := range images {
		d := catalogue.NewDisc(images[i].ID, images[i].Number, v.Name, s.LibraryID, s.Library, s.Medium, set.Created)
		d.Policy, d.Capacity = policyOf(v), s.Capacity
		d.Parity = &catalogue.Parity{Set: set.ID, Index: set.Geometry.Data + i, Data: set.Geometry.Data, Images: set.Geometry.Parity}
		if infos[i], err = catalogue.Info(&d); err != nil {
			return err
		}
		n, err := set.SnapshotRoom(i, infos[i], room)
		if err != nil {
			return err
		}
		left = min(left, n)
	}
	if left < 0 {
		t.log.Warn("the parity discs of a set have no room to say what they are", "set", s.ID)
		return nil
	}
	var taken *postgres.Snapshot
	if left > 0 {
		if taken, err = t.store.TakeSnapshot(ctx, s.ID, left); err != nil && ctx.Err() != nil {
			return err
		} else if err != nil {
			t.log.Error("the parity discs of a set carry no snapshot of the catalogue", "set", s.ID, "error", err)
		}
	}
	if taken != nil {
		t.log.Info("took a snapshot of the catalogue", "set", s.ID, "snapshot", taken.ID, "place", taken.Place, "bytes", taken.Bytes, "complete", taken.Complete)
	}
	for i := range images {
		images[i].Carries = &postgres.ParityDisc{Info: infos[i], Snapshot: taken}
	}
	return nil
}

// extras are what a parity disc carries, as its layout needs it.
func extras(p *postgres.ParityDisc) (x discset.Extras) {
	if p == nil {
		return x
	}
	x.Info = p.Info
	if s := p.Snapshot; s != nil {
		x.Snapshot = discset.Blob{Size: s.Bytes, SHA256: archive.Hash(s.SHA256)}
	}
	return x
}

// policyOf is what a disc says of its vault.
func policyOf(v postgres.Vault) *catalogue.Policy {
	return &catalogue.Policy{VaultID: v.ID, Created: v.Created, Copies: v.Copies, MaxWait: v.MaxWait.Truncate(time.Second), Roots: v.Roots}
}

func (s *agentServer) ReadSnapshot(req *pb.ReadSnapshotRequest, stream grpc.ServerStreamingServer[pb.ReadSnapshotResponse]) error {
	for data, err := range s.store.SnapshotPieces(stream.Context(), req.GetId()) {
		if err != nil {
			return err
		}
		if err := stream.Send(&pb.ReadSnapshotResponse{Data: data}); err != nil {
			return err
		}
	}
	return nil
}
