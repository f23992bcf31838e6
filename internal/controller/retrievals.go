package controller

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/odarchive/odarchive/internal/descriptor"
	"github.com/odarchive/odarchive/internal/staging"
	"github.com/odarchive/odarchive/library"
	"github.com/odarchive/odarchive/library/postgres"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// retrievalServer serves RetrievalService.
type retrievalServer struct {
	pb.UnimplementedRetrievalServiceServer
	store   *postgres.Store
	staging *staging.Store
	hub     *hub
	files   *descriptor.Desk // nil when there is no socket to pass files at
}

func (s *retrievalServer) StartRetrieval(ctx context.Context, req *pb.StartRetrievalRequest) (*pb.Retrieval, error) {
	if _, err := uuid.Parse(req.GetId()); err != nil {
		return nil, library.Errorf(library.Invalid, "start a retrieval: id %q is no UUID", req.GetId())
	}
	if q := req.GetQuoteId(); q != "" {
		r, err := s.store.AcceptQuote(ctx, req.GetId(), q, req.GetArchiveId(), pathsOf(req.GetPaths()))
		if err != nil {
			return nil, err
		}
		return retrievalProto(r), nil
	}
	tier, err := tierOf(req.GetTier())
	if err != nil {
		return nil, err
	}
	r, err := s.store.StartRetrieval(ctx, req.GetId(), req.GetArchiveId(), pathsOf(req.GetPaths()), tier)
	if err != nil {
		return nil, err
	}
	return retrievalProto(r), nil
}

func tierOf(t pb.Tier) (library.Tier, error) {
	if t == pb.Tier_TIER_UNSPECIFIED {
		return library.Standard, nil
	}
	tier := library.Tier(t)
	if tier < library.Expedited || tier > library.Bulk {
		return 0, library.Errorf(library.Invalid, "start a retrieval: there is no tier %d", t)
	}
	return tier, nil
}

func (s *retrievalServer) GetRetrieval(ctx context.Context, req *pb.GetRetrievalRequest) (*pb.Retrieval, error) {
	r, err := s.store.Retrieval(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	return retrievalProto(r), nil
}

// arrivalBatch is how many arrivals travel in one message.
const arrivalBatch = 4096

func (s *retrievalServer) WatchArrivals(req *pb.WatchArrivalsRequest, stream grpc.ServerStreamingServer[pb.Arrivals]) error {
	ctx := stream.Context()
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for last := req.GetAfter(); ; {
		changed := s.hub.wait(postgres.JobKey + req.GetRetrievalId())
		hashes, next, state, err := s.store.Arrivals(ctx, req.GetRetrievalId(), last, arrivalBatch)
		if err != nil {
			return err
		}
		last = next
		if len(hashes) > 0 {
			if err := stream.Send(&pb.Arrivals{Hashes: hashes, Last: last}); err != nil {
				return err
			}
			continue
		}
		if state != library.Running {
			return nil
		}
		select {
		case <-changed:
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *retrievalServer) Download(req *pb.DownloadRequest, stream grpc.ServerStreamingServer[pb.Pieces]) error {
	if len(req.GetRanges()) > maxBatch {
		return library.Errorf(library.Invalid, "%d contents in one request, at most %d are allowed", len(req.GetRanges()), maxBatch)
	}
	hashes := make([][]byte, len(req.GetRanges()))
	for i, r := range req.GetRanges() {
		if len(r.GetHash()) != sha256.Size {
			return library.Errorf(library.Invalid, "download: a hash of %d bytes, want 32", len(r.GetHash()))
		}
		hashes[i] = r.GetHash()
	}
	locations, err := s.store.Locate(stream.Context(), req.GetRetrievalId(), hashes)
	if err != nil {
		return err
	}
	ctx := stream.Context()
	d := deliverer{staging: s.staging, send: stream.Send}
	if req.GetByDescriptor() {
		d.files = s.files
	}
	defer d.close()
	for i, l := range locations {
		offset := req.GetRanges()[i].GetOffset()
		if offset < 0 || offset > l.Content.Size {
			return library.Errorf(library.Invalid, "download content %v: offset %d of %d bytes", l.Content.Hash, offset, l.Content.Size)
		}
		if err := d.deliver(ctx, l.Content, l.Segment, l.Offset, offset, l.Content.Size-offset); err != nil {
			return err
		}
	}
	return d.end(ctx)
}

func retrievalProto(r postgres.Retrieval) *pb.Retrieval {
	p := &pb.Retrieval{
		Id: r.ID, ArchiveId: r.ArchiveID, Paths: r.Paths, Tier: pb.Tier(r.Tier), Contents: r.Contents, Bytes: r.Bytes,
		ContentsReady: r.ContentsReady, BytesReady: r.BytesReady, Discs: r.Discs,
	}
	if r.Expires != nil {
		p.Expires = timestamppb.New(*r.Expires)
	}
	return p
}
