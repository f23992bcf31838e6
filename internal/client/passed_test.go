package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"google.golang.org/grpc"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/tree"
	"github.com/odarchive/odarchive/internal/descriptor"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// cache is the part of a controller from which retrieved contents are downloaded: one file that holds them one behind the other.
type cache struct {
	pb.UnimplementedRetrievalServiceServer
	desk *descriptor.Desk // nil for none
	path string
	at   map[archive.Hash]int64
	size map[archive.Hash]int64

	mu             sync.Mutex
	passed, copied int
}

func (c *cache) add(t *testing.T, content []byte) archive.Content {
	t.Helper()
	f, err := os.OpenFile(c.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(content); err != nil {
		t.Fatal(err)
	}
	h := archive.Hash(sha256.Sum256(content))
	c.at[h], c.size[h] = info.Size(), int64(len(content))
	return archive.Content{Hash: h, Size: int64(len(content))}
}

func (c *cache) Download(r *pb.DownloadRequest, s grpc.ServerStreamingServer[pb.Pieces]) error {
	f, err := os.Open(c.path)
	if err != nil {
		return err
	}
	defer f.Close()
	offer := &descriptor.Offer{}
	if r.GetByDescriptor() && c.desk != nil {
		offer = c.desk.Offer(f)
		defer offer.Withdraw()
	}
	for _, x := range r.GetRanges() {
		h := archive.Hash(x.GetHash())
		p := &pb.Piece{Hash: x.GetHash(), Size: c.size[h], Offset: x.GetOffset()}
		c.mu.Lock()
		if r.GetByDescriptor() && c.desk != nil {
			c.passed++
			p.InFile = &pb.InFile{Ticket: offer.Ticket(), Position: c.at[h] + x.GetOffset(), Length: c.size[h] - x.GetOffset()}
		} else {
			c.copied++
			p.Data = make([]byte, c.size[h]-x.GetOffset())
			if _, err := f.ReadAt(p.Data, c.at[h]+x.GetOffset()); err != nil {
				return err
			}
		}
		c.mu.Unlock()
		if err := s.Send(&pb.Pieces{Pieces: []*pb.Piece{p}}); err != nil {
			return err
		}
	}
	if r.GetByDescriptor() && c.desk != nil {
		return offer.Wait(s.Context())
	}
	return nil
}

// cached is a cache with two large contents and a small one, a client of it, and what a download of all three is to write.
func cached(t *testing.T, desk *descriptor.Desk, attended bool) (c *cache, d *downloader, want map[string][]byte) {
	t.Helper()
	dir := t.TempDir()
	c = &cache{desk: desk, path: filepath.Join(dir, "segment"), at: map[archive.Hash]int64{}, size: map[archive.Hash]int64{}}
	want = map[string][]byte{
		"a": bytes.Repeat([]byte("a large one "), 300_000), "b": []byte("a small one"), "c": append(make([]byte, 3<<20), "behind a hole"...),
	}
	var entries []archive.Entry
	for _, name := range []string{"a", "b", "c"} {
		entries = append(entries, archive.Entry{Path: name, Kind: archive.File, Mode: 0o600, Content: c.add(t, want[name])})
	}
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpc.MaxSendMsgSize(64 << 20))
	pb.RegisterRetrievalServiceServer(server, c)
	ctx, cancel := context.WithCancel(context.Background())
	var served sync.WaitGroup
	served.Go(func() { server.Serve(l) })
	if attended {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "s.files"), Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		served.Go(func() { desk.Serve(ctx, l) })
	}
	client, err := Dial("unix://"+filepath.Join(dir, "s"), nil)
	if err != nil {
		t.Fatal(err)
	}
	restore, err := tree.NewRestore(filepath.Join(dir, "restored"), entries)
	if err != nil {
		t.Fatal(err)
	}
	restore.Sync = true
	t.Cleanup(func() {
		restore.Close()
		client.Close()
		server.Stop()
		cancel()
		served.Wait()
	})
	if err := restore.Begin(); err != nil {
		t.Fatal(err)
	}
	return c, newDownloader(client, &Get{Retrieval: "r"}, restore), want
}

func (d *downloader) all(ctx context.Context) error {
	return d.pass(ctx, func(ctx context.Context, batches chan<- []*content) error { return split(ctx, d.order, batches) })
}

// Contents come as files where that is possible, and as bytes where it is not.
func TestDownloadByDescriptor(t *testing.T) {
	for name, c := range map[string]struct {
		desk     *descriptor.Desk
		attended bool
		passed   int // contents, 0 for none at all
		copied   int
	}{
		"on one host":             {&descriptor.Desk{}, true, 3, 0},
		"nobody at the socket":    {&descriptor.Desk{}, false, 3, 3},
		"a controller that can't": {nil, false, 0, 3},
	} {
		t.Run(name, func(t *testing.T) {
			cache, d, want := cached(t, c.desk, c.attended)
			if err := d.all(t.Context()); err != nil {
				t.Fatal(err)
			}
			for name, data := range want {
				f, err := d.restore.Open(&archive.Entry{Path: name})
				if err != nil {
					t.Fatal(err)
				}
				var got bytes.Buffer
				if _, err := got.ReadFrom(f); err != nil || !bytes.Equal(got.Bytes(), data) {
					t.Errorf("%s: %d bytes, %v", name, got.Len(), err)
				}
				f.Close()
			}
			if cache.passed != c.passed || cache.copied != c.copied {
				t.Errorf("%d contents were passed and %d copied, want %d and %d", cache.passed, cache.copied, c.passed, c.copied)
			}
			if p := d.progress; p.Files != 3 || p.Bytes != p.TotalBytes {
				t.Errorf("progress says %+v", p)
			}
		})
	}
}

// Bytes of a passed file are not believed any more than others: they have the hash, or nothing is written.
func TestDownloadOfADamagedFile(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"other bytes": func(path string) error {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteAt([]byte("x"), 1000)
			}
			return errors.Join(err, f.Close())
		},
		"too short": func(path string) error { return os.Truncate(path, 1000) },
	} {
		t.Run(name, func(t *testing.T) {
			cache, d, _ := cached(t, &descriptor.Desk{}, true)
			if err := damage(cache.path); err != nil {
				t.Fatal(err)
			}
			if err := d.all(t.Context()); err == nil {
				t.Fatal("it was taken")
			}
			if _, err := d.restore.Open(&archive.Entry{Path: "a"}); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a file is there: %v", err)
			}
		})
	}
}
