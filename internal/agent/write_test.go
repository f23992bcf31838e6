package agent

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/odarchive/odarchive/internal/descriptor"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// filing is a controller that passes files, and remembers what was committed in them.
type filing struct {
	pb.UnimplementedAgentServiceServer
	desk descriptor.Desk
	dir  string

	mu    sync.Mutex
	kept  map[string][]byte
	begun int
}

func (c *filing) WriteContent(s grpc.BidiStreamingServer[pb.WriteContentRequest, pb.WriteContentResponse]) error {
	m, err := s.Recv()
	if err != nil {
		return err
	}
	b := m.GetBegin()
	c.mu.Lock()
	c.begun++
	c.mu.Unlock()
	f, err := os.CreateTemp(c.dir, "")
	if err != nil {
		return err
	}
	defer f.Close()
	offer := c.desk.Offer(f)
	defer offer.Withdraw()
	if err := s.Send(&pb.WriteContentResponse{Ticket: offer.Ticket()}); err != nil {
		return err
	}
	if m, err = s.Recv(); err != nil {
		return err
	}
	data, err := io.ReadAll(io.NewSectionReader(f, b.GetOffset(), b.GetLength()))
	if err != nil {
		return err
	}
	whole := b.GetLength() == b.GetSize()
	if whole != (m.GetEnd().GetSha256() != nil) || whole && sha256.Sum256(data) != [32]byte(m.GetEnd().GetSha256()) {
		return errors.New("the hash is not that of what is in the file")
	}
	if whole && string(m.GetEnd().GetSha256()) != string(b.GetHash()) {
		return s.Send(&pb.WriteContentResponse{Refused: true})
	}
	c.mu.Lock()
	c.kept[string(b.GetHash())] = data
	c.mu.Unlock()
	return s.Send(&pb.WriteContentResponse{})
}

// filer starts a controller and returns a store that writes by descriptor where it can. Without passing, nobody is at the socket.
func filer(t *testing.T, service pb.AgentServiceServer, desk *descriptor.Desk) *store {
	t.Helper()
	dir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, "c"))
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	pb.RegisterAgentServiceServer(server, service)
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() { server.Serve(l) })
	if desk != nil {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "c.files"), Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		serving.Go(func() { desk.Serve(ctx, l) })
	}
	address := "unix://" + filepath.Join(dir, "c")
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		cancel()
		server.Stop()
		serving.Wait()
	})
	return &store{
		client: pb.NewAgentServiceClient(conn), ctx: ctx, ref: &pb.TaskRef{Id: 1, Epoch: 1}, lost: newHashes(), files: &files{socket: descriptor.Beside(address)},
	}
}

func TestWrite(t *testing.T) {
	content := inSectors("a large content", 600)
	sum := sha256.Sum256(content)
	whole := &pb.ReadExtent{Hash: sum[:], Size: int64(len(content)), Length: int64(len(content))}
	part := &pb.ReadExtent{Hash: sum[:], Size: int64(len(content)), Offset: 4096, Length: int64(len(content)) - 4096}
	for _, c := range []struct {
		name   string
		extent *pb.ReadExtent
		data   []byte
		end    bool // it is committed
		kept   bool
		lost   int
	}{
		{"whole", whole, content, true, true, 0},
		{"a part", part, content[4096:], true, true, 0},
		{"other bytes", whole, append([]byte("x"), content[1:]...), true, false, 1},
		{"given up", whole, content, false, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &filing{dir: t.TempDir(), kept: map[string][]byte{}}
			s := filer(t, f, &f.desk)
			w, err := s.write(t.Context(), c.extent)
			if err != nil || w == nil {
				t.Fatalf("%v, %v", w, err)
			}
			for at := 0; at < len(c.data); at += 100_000 {
				p := &pb.Piece{Hash: sum[:], Size: c.extent.GetSize(), Offset: c.extent.GetOffset() + int64(at), Data: c.data[at:min(at+100_000, len(c.data))]}
				if err := w.piece(p); err != nil {
					t.Fatal(err)
				}
			}
			if c.end {
				if err := w.commit(); err != nil {
					t.Fatal(err)
				}
			}
			w.close()
			f.mu.Lock()
			defer f.mu.Unlock()
			if got, kept := f.kept[string(sum[:])]; kept != c.kept || kept && string(got) != string(c.data) {
				t.Errorf("kept %v, %d bytes", kept, len(got))
			}
			if len(s.lost.list) != c.lost || s.wrong != c.lost {
				t.Errorf("%d lost, %d wrong", len(s.lost.list), s.wrong)
			}
		})
	}
}

// Where no file can be had contents are sent, and it is not tried again for a while.
func TestWriteElsewhere(t *testing.T) {
	x := &pb.ReadExtent{Hash: make([]byte, 32), Size: 1 << 20, Length: 1 << 20}
	without := &filing{dir: t.TempDir()}
	back := filer(t, without, nil)
	for name, s := range map[string]*store{
		"an older controller":    filer(t, &pb.UnimplementedAgentServiceServer{}, nil),
		"a socket without files": back,
		"another host":           {files: &files{}},
		"a test's controller":    {},
	} {
		for range 2 {
			if w, err := s.write(t.Context(), x); w != nil || err != nil {
				t.Errorf("%s: %v, %v", name, w, err)
			}
		}
	}
	if without.begun != 1 {
		t.Errorf("it was tried %d times", without.begun)
	}
	back.files.after.Store(time.Now().Unix() - 1)
	if back.write(t.Context(), x); without.begun != 2 {
		t.Error("it is never tried again")
	}
}

// A full disk is the cache's trouble and not the disc's: the task is tried again later.
func TestWriteToFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0) // full(4)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	err = (&written{file: full}).piece(&pb.Piece{Data: []byte("x")})
	if !errors.Is(err, unix.ENOSPC) || failureOf(err) != pb.Failure_FAILURE_RETRY {
		t.Errorf("%v is %v", err, failureOf(err))
	}
}
