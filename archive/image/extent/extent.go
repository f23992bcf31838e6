// Package extent gives files that are runs of sectors the shape of io/fs, for the readers of both sides of an image. It knows
// neither side.
package extent

import (
	"errors"
	"fmt"
	"io"
	"sort"

	"github.com/odarchive/odarchive/archive"
)

// Extent is a run of a file's bytes.
type Extent struct {
	// Sector is the first one on the image, negative where nothing was ever recorded and the bytes are zeros.
	Sector int64
	Length int64 // bytes
}

// Error is something wrong with one sector: it can't be read, or what it holds makes no sense.
type Error struct {
	Sector int64
	Err    error
}

func (e *Error) Error() string { return fmt.Sprintf("sector %d: %v", e.Sector, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// Sector reads one sector of r. Any error is an *Error; io.ErrUnexpectedEOF within says that r ends before.
func Sector(r io.ReaderAt, lba int64) ([]byte, error) {
	b := make([]byte, archive.SectorSize)
	if n, err := r.ReadAt(b, lba*archive.SectorSize); n < len(b) {
		return nil, &Error{lba, cutShort(err)}
	}
	return b, nil
}

func cutShort(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Reader reads the bytes of extents, one after the other. It may be used by several goroutines as far as what it reads from may.
type Reader struct {
	from    io.ReaderAt
	extents []Extent
	starts  []int64 // of each within the file
	size    int64
}

// NewReader returns a Reader of extents on from. No extent may be of negative length, nor any but the last be broken off within a
// sector.
func NewReader(from io.ReaderAt, extents []Extent) *Reader {
	r := &Reader{from: from, extents: extents, starts: make([]int64, len(extents))}
	for i, e := range extents {
		r.starts[i] = r.size
		r.size += e.Length
	}
	return r
}

// Size returns the sum of the lengths, in bytes.
func (r *Reader) Size() int64 { return r.size }

// ReadAt follows io.ReaderAt. An error of what is read from comes as an *Error with the sector that it stopped at; the bytes before
// that are good.
func (r *Reader) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, fmt.Errorf("read at %d: negative offset", off)
	}
	for n < len(p) && off < r.size {
		i := sort.Search(len(r.starts), func(i int) bool { return r.starts[i] > off }) - 1
		e := r.extents[i]
		within := off - r.starts[i]
		part := p[n : n+int(min(int64(len(p)-n), e.Length-within))]
		if e.Sector < 0 {
			clear(part)
		} else if k, err := r.from.ReadAt(part, e.Sector*archive.SectorSize+within); k < len(part) {
			return n + k, &Error{e.Sector + (within+int64(k))/archive.SectorSize, cutShort(err)}
		}
		n += len(part)
		off += int64(len(part))
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
