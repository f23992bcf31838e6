package controller

import (
	"context"

	"github.com/odarchive/odarchive/library/postgres"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

func (s *healthServer) GiveUpDiscs(ctx context.Context, req *pb.GiveUpDiscsRequest) (*pb.GiveUpDiscsResponse, error) {
	g := postgres.GiveUp{Labels: req.GetDiscs(), By: req.GetBy(), Reason: req.GetReason(), Most: req.GetMostContents()}
	do := s.store.GiveUpDiscs
	if req.GetDryRun() {
		do = s.store.WouldLose
	}
	loss, err := do(ctx, g)
	if err != nil {
		return nil, err
	}
	return lossProto(loss), nil
}

func (s *healthServer) FindDiscs(ctx context.Context, req *pb.FindDiscsRequest) (*pb.FindDiscsResponse, error) {
	return &pb.FindDiscsResponse{}, s.store.FindDiscs(ctx, req.GetDiscs(), req.GetBy(), req.GetReason())
}

// fates are those of the catalogue on the wire.
var fates = map[postgres.Fate]pb.Fate{
	postgres.OnAnotherDisc: pb.Fate_FATE_COPY, postgres.InItsSet: pb.Fate_FATE_SET, postgres.OnScratch: pb.Fate_FATE_SCRATCH, postgres.InStaging: pb.Fate_FATE_STAGING,
	postgres.Gone: pb.Fate_FATE_GONE,
}

func lossProto(l postgres.Loss) *pb.GiveUpDiscsResponse {
	p := &pb.GiveUpDiscsResponse{Contents: l.Contents, Bytes: l.Bytes, Kept: l.Kept, ArchiveCount: l.Touched}
	for _, d := range l.Discs {
		p.Discs = append(p.Discs, &pb.GivenUpDisc{Disc: d.Label, ImageNumber: d.Image, SetId: d.Set, Fate: fates[d.Fate]})
	}
	for _, a := range l.Archives {
		p.Archives = append(p.Archives, &pb.GoneFromArchive{ArchiveId: a.ID, Vault: a.Vault, Name: a.Name, Contents: a.Contents, Bytes: a.Bytes, OfBytes: a.Of})
	}
	for _, t := range l.Sets {
		p.Sets = append(p.Sets, &pb.SetLeft{SetId: t.ID, Images: int32(t.Images), Usable: int32(t.Usable), Need: int32(t.Need), Spare: int32(t.Spare)})
	}
	return p
}
