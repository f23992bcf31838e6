package controller

import (
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/odarchive/odarchive/library"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

func (s *agentServer) WriteContent(stream grpc.BidiStreamingServer[pb.WriteContentRequest, pb.WriteContentResponse]) (err error) {
	ctx := stream.Context()
	if s.files == nil {
		return status.Error(codes.Unimplemented, "this controller passes no files: it serves no unix socket")
	}
	m, err := stream.Recv()
	if err != nil {
		return err
	}
	b := m.GetBegin()
	c, err := contentOf(b.GetHash(), b.GetSize())
	if err != nil {
		return err
	}
	if c.Size <= smallContent || b.GetOffset() < 0 || b.GetLength() <= 0 || b.GetLength() > c.Size-b.GetOffset() {
		return library.Errorf(library.Invalid, "write content %v: %d bytes at %d of its %d are none that is written by descriptor", c.Hash, b.GetLength(), b.GetOffset(), c.Size)
	}
	in, err := s.intake(ctx, b.GetRef())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.end(ctx)) }()
	in.content, in.start, in.got = c, b.GetOffset(), b.GetLength()
	if in.file, err = s.staging.Incoming(in.name(), c.Size); err != nil {
		return err
	}
	offer := s.files.Offer(in.file.File())
	defer offer.Withdraw() // before the file is closed
	if err := stream.Send(&pb.WriteContentResponse{Ticket: offer.Ticket()}); err != nil {
		return err
	}
	if m, err = stream.Recv(); err != nil {
		if errors.Is(err, io.EOF) {
			return status.Error(codes.Canceled, "the agent gave it up")
		}
		return err
	}
	if m.GetEnd() == nil {
		return library.Errorf(library.Invalid, "write content %v: the second request does not end it", c.Hash)
	}
	offer.Withdraw()
	if err := in.written(ctx, m.GetEnd().GetSha256()); err != nil {
		return err
	}
	return stream.Send(&pb.WriteContentResponse{Refused: len(in.refused) > 0})
}
