package controller

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"

	"google.golang.org/grpc"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/internal/staging"
	"github.com/odarchive/odarchive/library"
	"github.com/odarchive/odarchive/library/postgres"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

func (s *agentServer) StoreContents(stream grpc.ClientStreamingServer[pb.StoreContentsRequest, pb.StoreContentsResponse]) (err error) {
	ctx := stream.Context()
	first, err := stream.Recv()
	if errors.Is(err, io.EOF) {
		return stream.SendAndClose(&pb.StoreContentsResponse{})
	} else if err != nil {
		return err
	}
	in, err := s.intake(ctx, first.GetRef())
	if err != nil {
		return err
	}
	defer func() {
		if e := in.end(ctx); err == nil {
			err = e
		}
	}()
	for m := first; ; {
		for _, p := range m.GetPieces() {
			if err := in.piece(ctx, p); err != nil {
				return err
			}
		}
		if in.full() {
			if _, err := in.commit(ctx); err != nil {
				return err
			}
		}
		if m, err = stream.Recv(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
	}
	if err := in.finishRun(ctx); err != nil {
		return err
	}
	if _, err := in.commit(ctx); err != nil {
		return err
	}
	return stream.SendAndClose(&pb.StoreContentsResponse{Refused: in.refused})
}

// intake takes contents from a disc into the cache. What arrives is a series of runs: a whole content, or the part
// of one that is on the disc.
type intake struct {
	collector
	ref     postgres.Ref
	vault   string
	refused [][]byte

	content archive.Content
	start   int64 // of the run, in the content
	got     int64 // bytes of the run
	busy    bool
	buffer  []byte            // of a run of a small content
	file    *staging.Incoming // of a large one
	sum     interface {
		io.Writer
		Sum([]byte) []byte
	}
}

// intake begins to take contents from the disc that a read task has in its drive.
func (s *agentServer) intake(ctx context.Context, task *pb.TaskRef) (*intake, error) {
	ref := refOf(task)
	vault, err := s.store.CheckLease(ctx, ref)
	if err != nil {
		return nil, err
	}
	in := &intake{ref: ref, vault: vault}
	in.collector = collector{store: s.store, staging: s.staging, later: s.syncer, record: func(ctx context.Context, staged []postgres.Staged) error {
		return s.store.Cached(ctx, ref, staged)
	}}
	return in, nil
}

func (in *intake) name() string { return partName(in.vault, in.content.Hash) }

func (in *intake) piece(ctx context.Context, p *pb.Piece) error {
	c, err := contentOf(p.GetHash(), p.GetSize())
	if err != nil {
		return err
	}
	if in.busy && (c != in.content || p.GetOffset() != in.start+in.got) {
		if err := in.finishRun(ctx); err != nil {
			return err
		}
	}
	if p.GetOffset() < 0 || p.GetOffset()+int64(len(p.GetData())) > c.Size {
		return library.Errorf(library.Invalid, "content %v: a piece at %d beyond its %d bytes", c.Hash, p.GetOffset(), c.Size)
	}
	if !in.busy {
		in.content, in.start, in.got, in.busy = c, p.GetOffset(), 0, true
		in.buffer = nil
		if c.Size > smallContent {
			if in.file, err = in.staging.Incoming(in.name(), c.Size); err != nil {
				return err
			}
			in.sum = sha256.New()
		}
	}
	in.got += int64(len(p.GetData()))
	if in.file == nil {
		in.buffer = append(in.buffer, p.GetData()...)
	} else {
		in.sum.Write(p.GetData())
		if _, err := in.file.WriteAt(p.GetData(), p.GetOffset()); err != nil {
			return err
		}
	}
	if in.start == 0 && in.got == c.Size {
		return in.finishRun(ctx)
	}
	return nil
}

// finishRun takes what has arrived of a content: all of it, or a part.
func (in *intake) finishRun(ctx context.Context) error {
	if !in.busy {
		return nil
	}
	in.busy = false
	if in.got < in.content.Size {
		return in.part(ctx)
	}
	if in.file == nil {
		if archive.Hash(sha256.Sum256(in.buffer)) != in.content.Hash {
			return in.refuse()
		}
		return in.add(ctx, in.content, in.buffer)
	}
	return in.whole(ctx, archive.Hash(in.sum.Sum(nil)))
}

// whole takes a large content of which all bytes are in its file, and have a hash.
func (in *intake) whole(ctx context.Context, sum archive.Hash) error {
	file := in.file
	in.file = nil
	if sum != in.content.Hash {
		if err := file.Discard(); err != nil {
			return err
		}
		return in.refuse()
	}
	return in.addFile(ctx, in.content, file)
}

func (in *intake) refuse() error {
	h := in.content.Hash
	in.refused = append(in.refused, h[:])
	return nil
}

// part keeps a part until the others have come from their discs, and then checks the whole.
func (in *intake) part(ctx context.Context) error {
	file := in.file
	in.file = nil
	if file == nil {
		var err error
		if file, err = in.staging.Incoming(in.name(), in.content.Size); err != nil {
			return err
		}
		if _, err := file.WriteAt(in.buffer, in.start); err != nil {
			return errors.Join(err, file.Close())
		}
	}
	if err := file.Sync(); err != nil {
		return errors.Join(err, file.Close())
	}
	whole, err := in.store.CachedPart(ctx, in.ref, in.content, in.start, in.got)
	if err != nil || !whole {
		return errors.Join(err, file.Close())
	}
	sum := sha256.New()
	n, err := io.Copy(sum, io.NewSectionReader(file, 0, in.content.Size))
	if err != nil {
		return errors.Join(err, file.Close())
	}
	if n == in.content.Size && archive.Hash(sum.Sum(nil)) == in.content.Hash {
		return in.addFile(ctx, in.content, file)
	}
	if err := in.store.WrongParts(ctx, in.ref, in.content.Hash); err != nil {
		return errors.Join(err, file.Close())
	}
	if err := file.Discard(); err != nil {
		return err
	}
	return in.refuse()
}

func (in *intake) end(ctx context.Context) error {
	if in.file != nil {
		in.file.Close()
		in.file = nil
	}
	return in.close(ctx)
}

// written takes what an agent has written into the file itself: all of a content, with the hash that the agent found, or a part.
func (in *intake) written(ctx context.Context, sum []byte) error {
	if end, err := in.file.Size(); err != nil {
		return err
	} else if end < in.start+in.got {
		return library.Errorf(library.Invalid, "content %v: %d bytes at %d were said to be written, and the file ends at %d", in.content.Hash, in.got, in.start, end)
	}
	if in.got < in.content.Size {
		return in.part(ctx)
	}
	if len(sum) != sha256.Size {
		return library.Errorf(library.Invalid, "content %v: a hash of %d bytes", in.content.Hash, len(sum))
	}
	return in.whole(ctx, archive.Hash(sum))
}
