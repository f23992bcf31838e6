package agent

import (
	"bytes"
	"fmt"
	"io"

	"github.com/odarchive/odarchive/archive/pack"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// contents reads runs of contents from a stream of pieces, in the stream's order.
type contents struct {
	stream interface {
		Recv() (*pb.Pieces, error)
	}
	pieces []*pb.Piece
	run    *runReader // being read
}

// open begins the next run.
func (c *contents) open(run pack.Run) (io.ReadCloser, error) {
	if c.run != nil && c.run.left > 0 {
		return nil, defect("content %x: %d bytes were not read", c.run.hash, c.run.left)
	}
	c.run = &runReader{contents: c, hash: run.Hash[:], at: run.Offset, left: run.Length}
	return io.NopCloser(c.run), nil
}

// next returns the first piece that has not been used up, or io.EOF. The one piece of an empty content is left out.
func (c *contents) next() (*pb.Piece, error) {
	for {
		if len(c.pieces) > 0 && c.pieces[0].GetSize() == 0 {
			c.pieces = c.pieces[1:]
			continue
		}
		if len(c.pieces) > 0 {
			return c.pieces[0], nil
		}
		m, err := c.stream.Recv()
		if err == io.EOF {
			return nil, err
		} else if err != nil {
			return nil, fmt.Errorf("read its contents from staging: %w", err)
		}
		c.pieces = m.GetPieces()
	}
}

// end makes sure that nothing is left.
func (c *contents) end() error {
	if c.run != nil && c.run.left > 0 {
		return defect("content %x: %d bytes were not read", c.run.hash, c.run.left)
	}
	p, err := c.next()
	if err == io.EOF {
		return nil
	} else if err != nil {
		return err
	}
	return defect("staging sent content %x, which has no place in the layout", p.GetHash())
}

// runReader reads one run.
type runReader struct {
	*contents
	hash     []byte
	at, left int64 // bytes
}

func (e *runReader) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	piece, err := e.next()
	if err == io.EOF {
		err = defect("staging sent nothing more, %d bytes of content %x are missing", e.left, e.hash)
	}
	if err != nil {
		return 0, err
	}
	data := piece.GetData()
	if !bytes.Equal(piece.GetHash(), e.hash) || piece.GetOffset() != e.at || len(data) == 0 || int64(len(data)) > e.left {
		return 0, defect("staging sent %d bytes at %d of content %x, want at most %d at %d of %x",
			len(data), piece.GetOffset(), piece.GetHash(), e.left, e.at, e.hash)
	}
	n := copy(p, data)
	e.at, e.left = e.at+int64(n), e.left-int64(n)
	if n == len(data) {
		e.pieces = e.pieces[1:]
	} else {
		e.pieces[0] = &pb.Piece{Hash: piece.GetHash(), Size: piece.GetSize(), Offset: e.at, Data: data[n:]}
	}
	return n, nil
}
