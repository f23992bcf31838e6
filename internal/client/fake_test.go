package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// fake is the part of a controller that put talks to, in memory. It keeps contents whose hash is right, and refuses others with the
// controller's code for that.
type fake struct {
	pb.UnimplementedVaultServiceServer
	pb.UnimplementedArchiveServiceServer
	// asked is called at each FindMissing, first when the first piece of a content has come.
	asked func(call int)
	first func(call int)

	mu       sync.Mutex
	asks     int
	pieces   int // first ones
	contents map[archive.Hash][]byte
	sealed   []archive.Entry
}

// start serves f and returns a client of it.
func (f *fake) start(t *testing.T) *Client {
	t.Helper()
	f.contents = map[archive.Hash][]byte{}
	l := bufconn.Listen(1 << 20)
	server := grpc.NewServer(grpc.MaxRecvMsgSize(16 << 20))
	pb.RegisterVaultServiceServer(server, f)
	pb.RegisterArchiveServiceServer(server, f)
	var served sync.WaitGroup
	served.Go(func() { server.Serve(l) })
	c, err := dial("127.0.0.1:1", nil, grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		server.Stop()
		served.Wait()
	})
	return c
}

func (f *fake) GetVault(context.Context, *pb.GetVaultRequest) (*pb.Vault, error) {
	return &pb.Vault{Name: DefaultVault}, nil
}

func (f *fake) FindMissing(_ context.Context, req *pb.FindMissingRequest) (*pb.FindMissingResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asks++
	if f.asked != nil {
		f.asked(f.asks)
	}
	resp := &pb.FindMissingResponse{}
	for i, c := range req.GetContents() {
		if _, ok := f.contents[archive.Hash(c.GetHash())]; !ok {
			resp.Missing = append(resp.Missing, &pb.Missing{Index: int32(i)})
		}
	}
	return resp, nil
}

func (f *fake) Upload(stream grpc.BidiStreamingServer[pb.UploadRequest, pb.UploadResponse]) error {
	arriving := map[archive.Hash][]byte{}
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		for _, p := range m.GetPieces() {
			if err := f.piece(arriving, p); err != nil {
				return err
			}
		}
	}
}

func (f *fake) piece(arriving map[archive.Hash][]byte, p *pb.Piece) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := archive.Hash(p.GetHash())
	if p.GetOffset() == 0 {
		f.pieces++
		if f.first != nil {
			f.first(f.pieces)
		}
	}
	arriving[h] = append(arriving[h], p.GetData()...)
	if int64(len(arriving[h])) < p.GetSize() {
		return nil
	}
	if sha256.Sum256(arriving[h]) != h {
		return status.Errorf(codes.DataLoss, "content %v arrived with other bytes", h)
	}
	f.contents[h] = arriving[h]
	return nil
}

func (f *fake) SealArchive(stream grpc.ClientStreamingServer[pb.SealArchiveRequest, pb.Archive]) error {
	var manifest bytes.Buffer
	var header *pb.SealHeader
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		if h := m.GetHeader(); h != nil {
			header = h
		}
		manifest.Write(m.GetManifest())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sealed = nil
	for e, err := range catalogue.NewManifestReader(&manifest).Entries() {
		if err != nil {
			return err
		}
		if _, ok := f.contents[e.Content.Hash]; e.Kind == archive.File && !ok {
			return status.Errorf(codes.FailedPrecondition, "content of %q is missing", e.Path)
		}
		f.sealed = append(f.sealed, e)
	}
	return stream.SendAndClose(&pb.Archive{Id: header.GetId(), RootHash: header.GetRootHash()})
}

// bytes returns what was sealed under a path.
func (f *fake) bytes(path string) ([]byte, bool) {
	for _, e := range f.sealed {
		if e.Path == path {
			return f.contents[e.Content.Hash], true
		}
	}
	return nil, false
}
