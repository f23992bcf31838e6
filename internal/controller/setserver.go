package controller

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/odarchive/odarchive/library/postgres"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

func (s *libraryServer) ListSets(ctx context.Context, req *pb.ListSetsRequest) (*pb.ListSetsResponse, error) {
	sets, err := s.store.Sets(ctx, req.GetVault())
	if err != nil {
		return nil, err
	}
	resp := &pb.ListSetsResponse{}
	for i := range sets {
		resp.Sets = append(resp.Sets, discSetProto(&sets[i]))
	}
	return resp, nil
}

func (s *libraryServer) CloseSet(ctx context.Context, req *pb.CloseSetRequest) (*pb.DiscSet, error) {
	set, err := s.store.CloseSet(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	return discSetProto(&set), nil
}

var setStates = map[string]pb.DiscSet_State{"open": pb.DiscSet_STATE_OPEN, "closed": pb.DiscSet_STATE_CLOSED, "sealed": pb.DiscSet_STATE_SEALED}

func discSetProto(s *postgres.Set) *pb.DiscSet {
	p := &pb.DiscSet{
		Id: s.ID, Vault: s.Vault, Library: s.Library, State: setStates[s.State], Data: int32(s.Data), Parity: int32(s.Parity),
		Created: timestamppb.New(s.Created), Spare: int32(s.Spare()),
	}
	for _, m := range s.Members {
		p.Members = append(p.Members, &pb.SetMember{Index: int32(m.Index), ImageId: m.ImageID, Discs: m.Discs, Gathered: m.Gathered})
	}
	return p
}
