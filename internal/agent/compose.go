package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	pb "github.com/odarchive/odarchive/proto/odarchivev1"

	"github.com/odarchive/odarchive/archive"
)

// Compose lays out an image from its description.
type Compose func(*Description) (Layout, error)

// Layout is an image that is fully determined and not written yet.
type Layout interface {
	// Sectors is the size of the whole image.
	Sectors() int64
	// Write writes the whole image. It opens the extents of contents that it needs in ascending order of sectors, each
	// once, and reads each to its end before it opens the next.
	Write(image io.Writer, open OpenExtent) error
}

// OpenExtent returns the bytes of an extent of a content: length of them from offset on.
type OpenExtent func(content archive.Content, offset, length int64) (io.Reader, error)

// Description is what an image is to contain.
type Description struct {
	Header   *pb.ImageHeader
	Archives []DescribedArchive
	Files    []*pb.ImageFile // in ascending order of paths

	manifests *os.File
}

// DescribedArchive is an archive that touches an image. Its manifest can be read until Compose's layout is written.
type DescribedArchive struct {
	*pb.ImageArchive
	Manifest *io.SectionReader
}

func (d *Description) close() error { return d.manifests.Close() }

// describe asks the controller what an image is to contain. Manifests are kept on the scratch disk: they may be large.
func (a *agent) describe(ctx context.Context, id string) (*Description, error) {
	stream, err := a.client.DescribeImage(ctx, &pb.DescribeImageRequest{ImageId: id})
	if err != nil {
		return nil, fmt.Errorf("ask for its description: %w", err)
	}
	file, err := a.scratch.temporary(id + ".manifests")
	if err != nil {
		return nil, fmt.Errorf("keep its manifests: %w", err)
	}
	d := &Description{manifests: file}
	if err := d.receive(stream.Recv); err != nil {
		return nil, errors.Join(fmt.Errorf("its description: %w", err), d.close())
	}
	if d.Header.GetImageId() != id {
		d.close()
		return nil, defect("its description is of image %q", d.Header.GetImageId())
	}
	return d, nil
}

// receive reads the messages of a description.
func (d *Description) receive(next func() (*pb.ImageDescription, error)) error {
	end, due := int64(0), int64(0) // of the manifests in the file, and what is still to come of the last one
	for {
		m, err := next()
		if err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		chunk := m.GetManifest()
		switch x := m.GetMessage().(type) {
		case *pb.ImageDescription_Header:
			if d.Header != nil {
				return defect("a second header")
			}
			d.Header = x.Header
			continue
		case *pb.ImageDescription_Archive:
			size := x.Archive.GetManifestSize()
			if size < 0 || due != 0 {
				return defect("%d bytes of a manifest are missing before archive %s", due, x.Archive.GetId())
			}
			d.Archives = append(d.Archives, DescribedArchive{x.Archive, io.NewSectionReader(d.manifests, end, size)})
			due = size
		case *pb.ImageDescription_Files:
			d.Files = append(d.Files, x.Files.GetFiles()...)
		case *pb.ImageDescription_Manifest:
		default:
			return defect("a message of no known kind")
		}
		if d.Header == nil {
			return defect("it does not begin with a header")
		}
		if int64(len(chunk)) > due {
			return defect("a manifest is longer than announced")
		}
		if _, err := d.manifests.WriteAt(chunk, end); err != nil {
			return err
		}
		end, due = end+int64(len(chunk)), due-int64(len(chunk))
	}
	if d.Header == nil || due != 0 {
		return defect("it ends too early")
	}
	return nil
}

// contents reads extents from a stream of pieces, in the stream's order.
type contents struct {
	stream interface {
		Recv() (*pb.Pieces, error)
	}
	pieces []*pb.Piece
	extent *extentReader // being read
}

// open begins the next extent.
func (c *contents) open(content archive.Content, offset, length int64) (io.Reader, error) {
	if c.extent != nil && c.extent.left > 0 {
		return nil, defect("content %x: %d bytes were not read", c.extent.hash, c.extent.left)
	}
	c.extent = &extentReader{contents: c, hash: content.Hash[:], at: offset, left: length}
	return c.extent, nil
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
	if c.extent != nil && c.extent.left > 0 {
		return defect("content %x: %d bytes were not read", c.extent.hash, c.extent.left)
	}
	p, err := c.next()
	if err == io.EOF {
		return nil
	} else if err != nil {
		return err
	}
	return defect("staging sent content %x, which has no place in the layout", p.GetHash())
}

// extentReader reads one extent.
type extentReader struct {
	*contents
	hash     []byte
	at, left int64 // bytes
}

func (e *extentReader) Read(p []byte) (int, error) {
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
