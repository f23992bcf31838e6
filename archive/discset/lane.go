package discset

import (
	"cmp"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/klauspost/reedsolomon"
)

// budget is how many bytes of images are held in memory, and piece the most of one image.
const (
	budget = 96 << 20
	piece  = 1 << 20
)

// pieceOf returns how much of each of n images is held: whole blocks.
func pieceOf(n int) int { return min(piece, max(budget/n/blockSize, 1)*blockSize) }

// buffers returns n buffers whose addresses lie apart modulo the page size: buffers that lie alike share sets of the first cache,
// and coding them takes half as long again.
func buffers(n, size int) [][]byte {
	const apart = 192
	slab := reedsolomon.AllocAligned(1, n*(size+apart))[0]
	b := make([][]byte, n)
	for i := range b {
		b[i] = slab[i*(size+apart):][:size:size]
	}
	return b
}

// lane is one image on its way into the parity, or one parity file on its way into its next generation.
type lane struct {
	r    io.ReaderAt // nil for parity that has none before it
	size int64       // bytes of r; zero behind them
	name string
	sum  hash.Hash // of an image

	out                  *os.File // of parity
	oldChecks, newChecks *os.File
}

// inside returns how many bytes a file of that size has of n from byte at on.
func inside(size int64, n int, at int64) int64 { return max(min(int64(n), size-at), 0) }

func (l *lane) inside(n int, at int64) int64 { return inside(l.size, n, at) }

// load reads the piece at byte at, and hashes it where it is an image's.
func (l *lane) load(b []byte, at int64) error {
	n := int(l.inside(len(b), at))
	clear(b[n:])
	if n == 0 {
		return nil
	}
	if k, err := l.r.ReadAt(b[:n], at); k < n {
		return fmt.Errorf("read %s: byte %d: %w", l.name, at+int64(k), cmp.Or(err, io.ErrUnexpectedEOF))
	}
	if l.sum != nil {
		l.sum.Write(b[:n])
	}
	return nil
}

// known reads what checksums the blocks from byte at on should have.
func (l *lane) known(checks []byte, at int64) error {
	n := blocks(l.inside(len(checks)/checkSize*blockSize, at)/sectorSize) * checkSize
	if n == 0 {
		return nil
	}
	if k, err := l.oldChecks.ReadAt(checks[:n], at/blockSize*checkSize); int64(k) < n {
		return fmt.Errorf("read the checksums of %s: %w", l.name, cmp.Or(err, io.ErrUnexpectedEOF))
	}
	return nil
}

// write writes n bytes of a piece, where it is parity, and its checksums.
func (l *lane) write(b, checks []byte, n, at int64) error {
	_, err := l.newChecks.WriteAt(checks[:blocks(n/sectorSize)*checkSize], at/blockSize*checkSize)
	if l.out != nil {
		_, err2 := l.out.WriteAt(b[:n], at)
		err = errors.Join(err, err2)
	}
	return err
}
