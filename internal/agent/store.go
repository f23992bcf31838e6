package agent

import (
	"context"
	"errors"
	"fmt"
	"io"

	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

const (
	// mostPieces bounds a message of tiny contents.
	mostPieces = 1024
	// heldBack is the size in bytes up to which an extent is read whole before any of it is sent.
	heldBack = 8 << 20
)

// store sends contents into the cache: whole extents only, because the cache could not tell a piece of one from a
// part of a content that is split over discs. Those that are too large to be held back have a stream of their own,
// which is broken off when the disc gives up.
type store struct {
	client pb.AgentServiceClient
	ctx    context.Context // of the task
	ref    *pb.TaskRef
	lost   *hashes // also gets what the controller refuses
	wrong  int     // how many it has refused
	files  *files

	stream interface {
		Send(*pb.StoreContentsRequest) error
		CloseAndRecv() (*pb.StoreContentsResponse, error)
	} // nil between streams
	abort  context.CancelFunc
	first  bool // the stream's first message has not been sent
	pieces []*pb.Piece
	bytes  int
}

// send adds pieces to the present stream and sends them when there are enough for a message.
func (s *store) send(pieces ...*pb.Piece) error {
	if s.stream == nil {
		ctx, cancel := context.WithCancel(s.ctx)
		stream, err := s.client.StoreContents(ctx)
		if err != nil {
			cancel()
			return fmt.Errorf("open a stream to the cache: %w", err)
		}
		s.stream, s.abort, s.first = stream, cancel, true
	}
	for _, p := range pieces {
		if s.bytes+len(p.GetData()) > transfer || len(s.pieces) == mostPieces {
			if err := s.flush(); err != nil {
				return err
			}
		}
		s.pieces = append(s.pieces, p)
		s.bytes += len(p.GetData())
	}
	return nil
}

// flush sends what is batched.
func (s *store) flush() error {
	m := &pb.StoreContentsRequest{Pieces: s.pieces}
	if s.first {
		m.Ref = s.ref
	}
	s.first, s.pieces, s.bytes = false, nil, 0
	err := s.stream.Send(m)
	if errors.Is(err, io.EOF) { // the controller has ended the stream, and says why at its end
		_, err = s.stream.CloseAndRecv()
	}
	if err != nil {
		return fmt.Errorf("store contents: %w", err)
	}
	return nil
}

// commit ends the present stream, if there is one, and waits until the controller has what was sent.
func (s *store) commit() error {
	if s.stream == nil {
		return nil
	}
	defer s.breakOff()
	if err := s.flush(); err != nil {
		return err
	}
	answer, err := s.stream.CloseAndRecv()
	if err != nil {
		return fmt.Errorf("store contents: %w", err)
	}
	for _, hash := range answer.GetRefused() {
		s.refused(hash)
	}
	return nil
}

func (s *store) refused(hash []byte) {
	s.wrong++
	s.lost.add(hash)
}

// breakOff drops the present stream with what was not committed.
func (s *store) breakOff() {
	if s.stream != nil {
		s.abort()
		s.stream, s.pieces, s.bytes = nil, nil, 0
	}
}
