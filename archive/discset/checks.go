package discset

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/odarchive/odarchive/archive"
)

// A block of 32 sectors has a CRC-32C (polynomial 0x1EDC6F41, RFC 3720 appendix B.4) over what the image has of it, so that bytes
// that changed without a drive noticing are found, and so that what was rebuilt is known to be right.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const checkSize = 4 // bytes, little-endian

func blocks(sectors int64) int64 { return (sectors + blockSectors - 1) / blockSectors }

// appendChecks appends the checksum of each block of b, which begins with one.
func appendChecks(checks, b []byte) []byte {
	for len(b) > 0 {
		n := min(blockSize, len(b))
		checks = binary.LittleEndian.AppendUint32(checks, crc32.Checksum(b[:n], castagnoli))
		b = b[n:]
	}
	return checks
}

// putCheck makes b's the checksum of block i. An empty block has none.
func putCheck(checks []byte, i int, b []byte) {
	if len(b) > 0 {
		binary.LittleEndian.PutUint32(checks[i*checkSize:], crc32.Checksum(b, castagnoli))
	}
}

// Checks are the checksums of a whole set: of each member in order, then of each parity image, block by block. Its methods may be
// called by several goroutines when its reader may.
type Checks struct {
	r     io.ReaderAt
	start []int64 // in r, by index of the image; -1 for none
}

// ChecksSize returns the size of a set's file of checksums in bytes.
func (s *Set) ChecksSize() int64 {
	n := int64(len(s.Parities)) * blocks(s.Sectors())
	for _, m := range s.Members {
		n += blocks(m.Sectors)
	}
	return n * checkSize
}

// OpenChecks reads the whole file of a set's checksums and returns ErrHash unless it is the set's.
func OpenChecks(s *Set, r io.ReaderAt) (*Checks, error) {
	sum, err := hashOf(io.NewSectionReader(r, 0, s.ChecksSize()), s.ChecksSize())
	if err != nil {
		return nil, fmt.Errorf("read the checksums of set %s: %w", s.ID, err)
	}
	if sum != s.Checks {
		return nil, fmt.Errorf("read the checksums of set %s: %w", s.ID, ErrHash)
	}
	c := &Checks{r: r, start: make([]int64, s.Geometry.images())}
	at := int64(0)
	for i := range c.start {
		n := blocks(s.sectors(i))
		c.start[i] = -1
		if n > 0 {
			c.start[i] = at
		}
		at += n * checkSize
	}
	return c, nil
}

// of returns the checksums of n blocks of an image.
func (c *Checks) of(index int, first, n int64) ([]byte, error) {
	b := make([]byte, n*checkSize)
	if k, err := c.r.ReadAt(b, c.start[index]+first*checkSize); k < len(b) {
		return nil, fmt.Errorf("read checksums of image %d: %w", index, err)
	}
	return b, nil
}

// matches says whether block i of those of which checks were read is b.
func matches(checks []byte, i int, b []byte) bool {
	return bytes.Equal(checks[i*checkSize:(i+1)*checkSize], appendChecks(nil, b))
}

// hashBlocks reads sectors of r, holds each block against its checksum, and returns the hash of all.
func hashBlocks(r io.ReaderAt, sectors int64, checks func(first, n int64) ([]byte, error)) (sum archive.Hash, err error) {
	h := sha256.New()
	b := make([]byte, piece)
	for at, size := int64(0), sectors*sectorSize; at < size; at += piece {
		b = b[:min(piece, size-at)]
		if n, err := r.ReadAt(b, at); n < len(b) {
			return sum, cmp.Or(err, io.ErrUnexpectedEOF)
		}
		want, err := checks(at/blockSize, blocks(int64(len(b))/sectorSize))
		if err != nil {
			return sum, err
		}
		if !bytes.Equal(want, appendChecks(nil, b)) {
			return sum, fmt.Errorf("near byte %d: %w", at, ErrDamaged)
		}
		h.Write(b)
	}
	return archive.Hash(h.Sum(nil)), nil
}

// hashOf returns the hash of r, which must have size bytes.
func hashOf(r io.Reader, size int64) (sum archive.Hash, err error) {
	h := sha256.New()
	if n, err := io.Copy(h, r); err != nil || n != size {
		return sum, fmt.Errorf("%d bytes of %d: %w", n, size, cmp.Or(err, io.ErrUnexpectedEOF))
	}
	return archive.Hash(h.Sum(nil)), nil
}

func sha(b []byte) archive.Hash { return sha256.Sum256(b) }
