package agent

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/odarchive/odarchive/internal/descriptor"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// files is where a controller on this host passes files of its cache, so that a large content is written where it stays instead of
// being sent.
type files struct {
	socket string       // empty when the controller is elsewhere
	after  atomic.Int64 // it passed none: until then, in Unix seconds, contents are sent
}

// sendFor is how long contents are sent after no file was had: the controller may have been about to start again, or be another one.
const sendFor = 10 * time.Minute

// written is an extent that is being written into the cache. It stays in there only when it is committed.
type written struct {
	store  *store
	extent *pb.ReadExtent
	stream grpc.BidiStreamingClient[pb.WriteContentRequest, pb.WriteContentResponse]
	cancel context.CancelFunc
	file   *os.File
	sum    hash.Hash // of a whole content; nil for a part
}

// write begins to write an extent into the cache. It returns nil when that can't be done from here, and the extent must be sent.
func (s *store) write(ctx context.Context, x *pb.ReadExtent) (*written, error) {
	if s.files == nil || s.files.socket == "" || time.Now().Unix() < s.files.after.Load() {
		return nil, nil
	}
	w := &written{store: s, extent: x}
	ctx, w.cancel = context.WithCancel(ctx)
	err := w.begin(ctx)
	if err == nil {
		return w, nil
	}
	w.close()
	if status.Code(unwrapped(err)) == codes.Unimplemented || errors.Is(err, errNotPassed) {
		s.files.after.Store(time.Now().Add(sendFor).Unix())
		return nil, nil
	}
	return nil, fmt.Errorf("write into the cache: %w", err)
}

var errNotPassed = errors.New("the controller's files can't be had from here")

func (w *written) begin(ctx context.Context) (err error) {
	if w.stream, err = w.store.client.WriteContent(ctx); err != nil {
		return err
	}
	x := w.extent
	answer, err := w.exchange(&pb.WriteContentRequest{Step: &pb.WriteContentRequest_Begin{Begin: &pb.WriteBegin{
		Ref: w.store.ref, Hash: x.GetHash(), Size: x.GetSize(), Offset: x.GetOffset(), Length: x.GetLength(),
	}}})
	if err != nil {
		return err
	}
	if w.file, err = descriptor.Take(ctx, w.store.files.socket, answer.GetTicket()); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("%w: %w", errNotPassed, err)
	}
	if x.GetLength() == x.GetSize() {
		w.sum = sha256.New()
	}
	return nil
}

// exchange sends a request and returns its answer.
func (w *written) exchange(m *pb.WriteContentRequest) (*pb.WriteContentResponse, error) {
	if err := w.stream.Send(m); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return w.stream.Recv() // and when the controller has ended the stream, why
}

// piece writes what was read.
func (w *written) piece(p *pb.Piece) error {
	if _, err := w.file.WriteAt(p.GetData(), p.GetOffset()); err != nil {
		err = fmt.Errorf("write into the cache: content %x: %w", p.GetHash(), err)
		if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
			return &fault{pb.Failure_FAILURE_RETRY, err} // as a full cache is when contents are sent
		}
		return err
	}
	if w.sum != nil {
		w.sum.Write(p.GetData())
	}
	return nil
}

// commit has the cache keep what was written, unless its hash is wrong: then the content is among the lost ones.
func (w *written) commit() error {
	end := &pb.WriteEnd{}
	if w.sum != nil {
		end.Sha256 = w.sum.Sum(nil)
	}
	answer, err := w.exchange(&pb.WriteContentRequest{Step: &pb.WriteContentRequest_End{End: end}})
	if err != nil {
		return fmt.Errorf("write into the cache: %w", err)
	}
	if answer.GetRefused() {
		w.store.refused(w.extent.GetHash())
	}
	return nil
}

// close releases the file; what was not committed is given up.
func (w *written) close() {
	if w.file != nil {
		w.file.Close()
	}
	w.cancel()
}
