package ecc

import (
	"fmt"
	"runtime"

	"github.com/klauspost/reedsolomon"
)

const (
	// stagger sets the layers of a window apart. Were their addresses equal modulo 4,096, they would fight for the same
	// lines of the first-level cache, and a third of the speed would be gone: BenchmarkStagger.
	stagger = 192
	// mostRows is how many rows a window has at most, and memory how many bytes all windows together.
	mostRows = 32
	memory   = 160 << 20
)

// codec encodes and decodes rows in the kernel's names. Its methods may be called by several goroutines.
type codec struct {
	inputs, roots int
	parity        [][]byte // in RS03's own field
	encoder       reedsolomon.Encoder
}

func newCodec(roots int) (*codec, error) {
	c := &codec{inputs: layers - roots, roots: roots, parity: parityMatrix(roots)}
	var err error
	c.encoder, err = kernel(c.parity)
	return c, err
}

// kernel returns an encoder of one output for each row of a matrix of RS03's field.
func kernel(m [][]byte) (reedsolomon.Encoder, error) {
	e, err := reedsolomon.New(len(m[0]), len(m), reedsolomon.WithCustomMatrix(toKernel.matrix(m)), reedsolomon.WithMaxGoroutines(1))
	if err != nil {
		return nil, fmt.Errorf("prepare RS(%d, %d): %w", len(m[0])+len(m), len(m[0]), err)
	}
	return e, nil
}

// slab returns buffers of size bytes, staggered.
func slab(buffers, size int) [][]byte {
	// Rounded up to the size of a page, the stagger is the whole difference.
	stride := (size+4095)&^4095 + stagger
	all := reedsolomon.AllocAligned(1, buffers*stride)[0]
	out := make([][]byte, buffers)
	for i := range out {
		out[i] = all[i*stride : i*stride+size : i*stride+size]
	}
	return out
}

// share returns how many workers there are, and how many rows the window of each has, of so many buffers for each row.
func share(workers, buffers int, g Geometry) (int, int) {
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	// Fewer rows than 8 spend more on beginning than on going on.
	workers = max(1, min(workers, memory/(8*buffers*sectorSize)))
	rows := max(1, min(mostRows, memory/(workers*buffers*sectorSize)))
	rows = int(min(int64(rows), g.Layer))
	chunks := (g.Layer + int64(rows) - 1) / int64(rows)
	return int(min(int64(workers), chunks)), rows
}

// span cuts rows lo to before hi out of each layer.
func span(shards [][]byte, lo, hi int) [][]byte {
	out := make([][]byte, len(shards))
	for i, s := range shards {
		out[i] = s[lo*sectorSize : hi*sectorSize]
	}
	return out
}

// row cuts one row out of a layer.
func row(shard []byte, r int) []byte { return shard[r*sectorSize : (r+1)*sectorSize] }
