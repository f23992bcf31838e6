package agent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/discset"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// carriedSnapshot is what a parity disc is to carry of the catalogue, on the scratch disk. The zero value is nothing.
type carriedSnapshot struct {
	file *os.File
	blob discset.Blob
}

func (c *carriedSnapshot) Close() error {
	if c.file == nil {
		return nil
	}
	return c.file.Close()
}

func (c *carriedSnapshot) open() io.ReadCloser {
	return io.NopCloser(io.NewSectionReader(c.file, 0, c.blob.Size))
}

// snapshot asks the controller for the bytes of the snapshot that a parity image is to carry; of nil they are none.
func (a *agent) snapshot(ctx context.Context, image string, s *pb.SnapshotRef) (c *carriedSnapshot, err error) {
	if s == nil {
		return &carriedSnapshot{}, nil
	}
	if !validImage(s.GetId()) || s.GetBytes() <= 0 || len(s.GetSha256()) != len(archive.Hash{}) {
		return nil, defect("%q of %d bytes is no snapshot", s.GetId(), s.GetBytes())
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := a.client.ReadSnapshot(ctx, &pb.ReadSnapshotRequest{Id: s.GetId()})
	if err != nil {
		return nil, fmt.Errorf("read snapshot %s: %w", s.GetId(), err)
	}
	c = &carriedSnapshot{blob: discset.Blob{Size: s.GetBytes(), SHA256: archive.Hash(s.GetSha256())}}
	if c.file, err = a.scratch.temporary(image + ".snapshot"); err != nil {
		return nil, fmt.Errorf("keep snapshot %s: %w", s.GetId(), err)
	}
	if err := receiveSnapshot(stream.Recv, c); err != nil {
		return nil, errors.Join(fmt.Errorf("read snapshot %s: %w", s.GetId(), err), c.Close())
	}
	return c, nil
}

func receiveSnapshot(next func() (*pb.ReadSnapshotResponse, error), c *carriedSnapshot) error {
	sum, left := sha256.New(), c.blob.Size
	for {
		m, err := next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		if left -= int64(len(m.GetData())); left < 0 {
			return defect("it has more than %d bytes", c.blob.Size)
		}
		if _, err := c.file.Write(m.GetData()); err != nil {
			return err
		}
		sum.Write(m.GetData())
	}
	if left != 0 || !bytes.Equal(sum.Sum(nil), c.blob.SHA256[:]) {
		return defect("%d bytes with the SHA-256 %x have arrived, want %d with %v", c.blob.Size-left, sum.Sum(nil), c.blob.Size, c.blob.SHA256)
	}
	return nil
}
