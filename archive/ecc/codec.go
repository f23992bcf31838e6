package ecc

import (
	"fmt"
	"iter"
	"runtime"

	"github.com/klauspost/reedsolomon"
)

const (
	// stagger sets the layers of a window apart. Were their addresses equal modulo 4,096, they would fight for the same
	// lines of the first-level cache, and a third of the speed would be gone: BenchmarkStagger.
	stagger = 192
	// memory is how many bytes all windows have together, and mostRows how many rows each at most. The more rows, the longer the runs
	// that are read of each layer, and the fewer: where a disc or a hard disk seeks, these are what takes the time. Go's heap may grow to
	// twice of what lives before it is swept.
	memory   = 64 << 20
	mostRows = 256
	// kernelRows is how many rows the kernel is given at a time.
	kernelRows = 32
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
	e, err := reedsolomon.New(len(m[0]), len(m), reedsolomon.WithCustomMatrix(toKernel.matrix(m)), reedsolomon.WithMaxGoroutines(1), reedsolomon.WithInversionCache(false))
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
	// Fewer rows than 16 spend more on beginning than on going on.
	workers = max(1, min(workers, memory/(16*buffers*sectorSize)))
	rows := min(mostRows, memory/(workers*buffers*sectorSize))
	// Every worker has something to do, as long as there are runs of rows for it.
	rows = int(min(int64(rows), max(kernelRows, (g.Layer+int64(workers)-1)/int64(workers)), g.Layer))
	chunks := (g.Layer + int64(rows) - 1) / int64(rows)
	return int(min(int64(workers), chunks)), rows
}

// spans cuts rows lo to before hi into what the kernel is given at a time.
func spans(lo, hi int) iter.Seq2[int, int] {
	return func(yield func(lo, hi int) bool) {
		for ; lo < hi; lo += kernelRows {
			if !yield(lo, min(lo+kernelRows, hi)) {
				return
			}
		}
	}
}

// span appends rows lo to before hi of each layer to out.
func span(out, shards [][]byte, lo, hi int) [][]byte {
	for _, s := range shards {
		out = append(out, s[lo*sectorSize:hi*sectorSize])
	}
	return out
}

// row cuts one row out of a layer.
func row(shard []byte, r int) []byte { return shard[r*sectorSize : (r+1)*sectorSize] }
