package controller

import (
	"context"
	"fmt"
	"os"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/internal/descriptor"
	"github.com/odarchive/odarchive/internal/staging"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// pieceSize is how many bytes travel in one message of a stream of content.
const pieceSize = 1 << 20

const (
	// inFile is how many bytes are passed in their file rather than sent, where that is asked for.
	inFile = 64 << 10
	// mostOffers is how many files wait for one reader at a time.
	mostOffers = 16
)

// deliverer streams contents from staging: small ones together, large ones in pieces, or in their files.
type deliverer struct {
	staging *staging.Store
	send    func(*pb.Pieces) error
	files   *descriptor.Desk // nil when the bytes themselves are sent

	id     int64
	file   *os.File          // of segment id
	offer  *descriptor.Offer // of file, or nil
	offers []offered
	batch  *pb.Pieces
	bytes  int
}

// offered is a file that a reader is to take.
type offered struct {
	*descriptor.Offer
	file *os.File
}

// deliver sends length bytes of a content from offset on; the content begins at segmentOffset of the segment.
func (d *deliverer) deliver(ctx context.Context, c archive.Content, segment, segmentOffset, offset, length int64) error {
	if d.file == nil || d.id != segment {
		d.leave()
		f, err := d.staging.Read(segment)
		if err != nil {
			return err
		}
		d.file, d.id = f, segment
	}
	if d.files != nil && length >= inFile {
		return d.pass(ctx, c, segmentOffset, offset, length)
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

// pass says where bytes lie in the present file, and offers that.
func (d *deliverer) pass(ctx context.Context, c archive.Content, segmentOffset, offset, length int64) error {
	if d.offer == nil {
		if len(d.offers) == mostOffers {
			if err := d.taken(ctx, 1); err != nil {
				return err
			}
		}
		d.offer = d.files.Offer(d.file)
		d.offers = append(d.offers, offered{d.offer, d.file})
	}
	return d.add(&pb.Piece{
		Hash: c.Hash[:], Size: c.Size, Offset: offset, InFile: &pb.InFile{Ticket: d.offer.Ticket(), Position: segmentOffset + offset, Length: length},
	})
}

// taken sends what has been gathered and waits until the first n of the files that are on offer have been taken.
func (d *deliverer) taken(ctx context.Context, n int) error {
	if err := d.flush(); err != nil {
		return err
	}
	for _, o := range d.offers[:n] {
		if err := o.Wait(ctx); err != nil {
			return err
		}
		o.file.Close()
	}
	d.offers = d.offers[n:]
	return nil
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

// leave is done with the present file, unless it waits to be taken.
func (d *deliverer) leave() {
	if d.file != nil && d.offer == nil {
		d.file.Close()
	}
	d.file, d.offer = nil, nil
}

// end sends what is left and waits until all files have been taken.
func (d *deliverer) end(ctx context.Context) error { return d.taken(ctx, len(d.offers)) }

// close gives up what has not been taken.
func (d *deliverer) close() {
	d.leave()
	for _, o := range d.offers {
		o.Withdraw()
		o.file.Close()
	}
	d.offers = nil
}
