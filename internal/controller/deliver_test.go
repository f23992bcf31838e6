package controller

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/internal/descriptor"
	"github.com/odarchive/odarchive/internal/staging"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// More files than are on offer at a time are passed one after the other; small contents between them are sent, in order.
func TestDeliverByDescriptor(t *testing.T) {
	stage, err := staging.Open(staging.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer stage.Close()
	desk := &descriptor.Desk{}
	socket := filepath.Join(t.TempDir(), "files")
	l, err := listenUnix(socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var served sync.WaitGroup
	defer served.Wait()
	defer cancel()
	served.Go(func() { desk.Serve(ctx, l) })

	const segments = 2*mostOffers + 3
	var want []archive.Content
	data := func(segment, n int) []byte {
		return bytes.Repeat(fmt.Appendf(nil, "%d of segment %d, ", n, segment), []int{1, 5000, 6000}[n])
	}
	for id := range segments {
		s, err := stage.Create(int64(id))
		if err != nil {
			t.Fatal(err)
		}
		for n := range 3 {
			b := data(id, n)
			want = append(want, archive.Content{Hash: sha256.Sum256(b), Size: int64(len(b))})
			if _, err := s.Write(b); err != nil {
				t.Fatal(err)
			}
		}
		s.Close()
	}

	pieces := make(chan *pb.Piece, 1000)
	var read sync.WaitGroup
	read.Go(func() { takeAll(t, socket, pieces, want) })
	d := deliverer{staging: stage, files: desk, send: func(m *pb.Pieces) error {
		for _, p := range m.GetPieces() {
			pieces <- p
		}
		return nil
	}}
	for i, c := range want {
		offset := int64(0)
		for n := range i % 3 {
			offset += int64(len(data(i/3, n)))
		}
		if err := d.deliver(t.Context(), c, int64(i/3), offset, 0, c.Size); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.end(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.close()
	close(pieces)
	read.Wait()

	// One who takes nothing is waited for no longer than the call lasts.
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	d = deliverer{staging: stage, files: desk, send: func(*pb.Pieces) error { return nil }}
	if err := d.deliver(t.Context(), want[2], 0, want[0].Size+want[1].Size, 0, want[2].Size); err != nil {
		t.Fatal(err)
	}
	if err := d.end(gone); err == nil {
		t.Error("a file that nobody took counts as taken")
	}
	d.close()
}

// takeAll reads pieces as a client does, and checks that they are the contents that are wanted.
func takeAll(t *testing.T, socket string, pieces <-chan *pb.Piece, want []archive.Content) {
	files := map[string]*os.File{}
	passed := 0
	for p := range pieces {
		b := p.GetData()
		if in := p.GetInFile(); in != nil {
			f := files[string(in.GetTicket())]
			if f == nil {
				var err error
				if f, err = descriptor.Take(t.Context(), socket, in.GetTicket()); err != nil {
					t.Error(err)
					return
				}
				defer f.Close()
				files[string(in.GetTicket())] = f
			}
			b = make([]byte, in.GetLength())
			if _, err := f.ReadAt(b, in.GetPosition()); err != nil && err != io.EOF {
				t.Error(err)
			}
			passed++
		}
		if sha256.Sum256(b) != want[0].Hash {
			t.Errorf("content %v came as %d other bytes", want[0].Hash, len(b))
		}
		want = want[1:]
	}
	if len(want) > 0 || passed != 2*len(files) {
		t.Errorf("%d contents did not come, %d came in %d files", len(want), passed, len(files))
	}
}
