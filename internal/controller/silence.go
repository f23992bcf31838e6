package controller

import (
	"context"

	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// silenced has what retrievals wait for read elsewhere when the agent of a library says nothing any more.
func (t *tender) silenced(ctx context.Context) error {
	names, err := t.store.Silenced(ctx)
	for _, name := range names {
		t.log.Warn("an agent says nothing; what retrievals wait for is read in other libraries, as far as they have it", "library", name)
	}
	return err
}

func (s *libraryServer) EndLeases(ctx context.Context, req *pb.EndLeasesRequest) (*pb.EndLeasesResponse, error) {
	ended, err := s.store.EndLeases(ctx, req.GetLibrary())
	if err != nil {
		return nil, err
	}
	return &pb.EndLeasesResponse{Ended: int32(ended)}, nil
}
