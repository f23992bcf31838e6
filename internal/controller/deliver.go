package controller

import (
	"fmt"
	"os"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/internal/staging"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// pieceSize is how many bytes travel in one message of a stream of content.
const pieceSize = 1 << 20

// deliverer streams contents from staging: small ones together, large ones in pieces.
type deliverer struct {
	staging *staging.Store
	send    func(*pb.Pieces) error

	id    int64
	file  *os.File // of segment id
	batch *pb.Pieces
	bytes int
}

// deliver sends length bytes of a content from offset on; the content begins at segmentOffset of the segment.
func (d *deliverer) deliver(c archive.Content, segment, segmentOffset, offset, length int64) error {
	if d.file == nil || d.id != segment {
		d.close()
		f, err := d.staging.Read(segment)
		if err != nil {
			return err
		}
		d.file, d.id = f, segment
	}
	for {
		// A buffer of its own for each piece: gRPC may still hold the one before.
		data := make([]byte, min(length, pieceSize))
		if n, err := d.file.ReadAt(data, segmentOffset+offset); n < len(data) {
			return fmt.Errorf("read content %v from segment %d: %w", c.Hash, segment, err)
		}
		if err := d.add(&pb.Piece{Hash: c.Hash[:], Size: c.Size, Offset: offset, Data: data}); err != nil {
			return err
		}
		offset += int64(len(data))
		if length -= int64(len(data)); length == 0 {
			return nil
		}
	}
}

func (d *deliverer) add(p *pb.Piece) error {
	const overhead = 64 // bytes of a piece besides its data, about
	if d.batch != nil && d.bytes+len(p.Data) > pieceSize {
		if err := d.flush(); err != nil {
			return err
		}
	}
	if d.batch == nil {
		d.batch = &pb.Pieces{}
	}
	d.batch.Pieces = append(d.batch.Pieces, p)
	d.bytes += len(p.Data) + overhead
	return nil
}

// flush sends what has been gathered.
func (d *deliverer) flush() error {
	if d.batch == nil {
		return nil
	}
	batch := d.batch
	d.batch, d.bytes = nil, 0
	return d.send(batch)
}

func (d *deliverer) close() {
	if d.file != nil {
		d.file.Close()
		d.file = nil
	}
}
