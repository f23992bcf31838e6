package ecc

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
)

// Test reads a whole augmented image and reports its health: it looks for sectors that can't be read, dead sector markers,
// wrong CRCs, and parity that doesn't fit. h is what Find found. Damage is no error.
func Test(ctx context.Context, source Source, h Header, o Options) (Report, error) {
	r, err := scan(ctx, source, nil, h, o)
	if err != nil {
		return r, fmt.Errorf("test image: %w", err)
	}
	return r, nil
}

// Repair does what Test does and writes every bad sector that can be set right to out, data, header and parity alike, and nothing
// else: out is the image itself, or a copy of it. Repeated after having been broken off, it goes on with what is left. Sectors
// beyond repair are reported, not written.
func Repair(ctx context.Context, source Source, out io.WriterAt, h Header, o Options) (Report, error) {
	r, err := scan(ctx, source, out, h, o)
	if err != nil {
		return r, fmt.Errorf("repair image: %w", err)
	}
	return r, nil
}

func scan(ctx context.Context, source Source, out io.WriterAt, h Header, o Options) (Report, error) {
	report := Report{Header: h}
	if err := h.Validate(); err != nil {
		return report, err
	}
	c, err := newCodec(h.Roots())
	if err != nil {
		return report, err
	}
	gone := lostRuns{}
	var mu sync.Mutex
	workers, rows := share(o.Workers, layers+h.Roots(), h.Geometry)
	err = inChunks(ctx, h.Geometry, workers, rows, o, func() func(first int64, n int) error {
		w := newWindow(&h, c, source, rows)
		return func(first int64, n int) error {
			if err := w.examine(first, n); err != nil {
				return err
			}
			if out != nil {
				if err := w.write(out); err != nil {
					return err
				}
			}
			mu.Lock()
			defer mu.Unlock()
			report.tally(w)
			gone.add(w)
			return nil
		}
	})
	report.LostRuns = gone.runs(h.Geometry, slices.Sorted(maps.Keys(gone)))
	return report, err
}

// examine loads rows and mends them.
func (w *window) examine(first int64, n int) error {
	prior, err := w.prior(first)
	if err != nil {
		return err
	}
	if err := w.load(first, n, prior); err != nil {
		return err
	}
	return w.mend()
}

// prior returns the CRC block of the row before first; of the last row, when first is 0. When it is bad it is repaired: first
// from its row alone, then, since that row may want the CRCs of its own, from the rows before it too. nil is one that can't be.
func (w *window) prior(first int64) ([]byte, error) {
	if first == 0 {
		first = w.h.Layer
	}
	crc := w.h.crcLayer()
	block := make([]byte, sectorSize)
	if err := w.source.read(block, w.h.sector(crc, first-1), func(int) {}); err != nil {
		return nil, err
	}
	if w.h.ours(block) {
		return block, nil
	}
	for _, back := range []int64{1, min(kernelRows, int64(len(w.found)), first)} {
		if err := w.load(first-back, int(back), nil); err != nil {
			return nil, err
		}
		if err := w.mend(); err != nil {
			return nil, err
		}
		if fixed := w.plain(crc, int(back)-1); w.h.ours(fixed) {
			copy(block, fixed)
			return block, nil
		}
	}
	return nil, nil
}

// write writes what was bad and is repaired.
func (w *window) write(out io.WriterAt) error {
	todo := make([]set, w.n)
	for r := range todo {
		if v := w.verdicts[r]; v == proven || v == unproven {
			todo[r] = w.found[r].bad()
		}
	}
	var buffer []byte
	for j := range layers {
		for r := 0; r < w.n; r++ {
			first := r
			for r < w.n && todo[r].has(j) {
				r++
			}
			if r == first {
				continue
			}
			from := w.repaired(j)[first*sectorSize : r*sectorSize]
			buffer = append(buffer[:0], from...)
			fromKernel.rename(buffer, buffer)
			sector := w.h.sector(j, w.first+int64(first))
			if _, err := out.WriteAt(buffer, sector*sectorSize); err != nil {
				return fmt.Errorf("write sector %d: %w", sector, err)
			}
		}
	}
	return nil
}

// repaired returns a layer as it should be.
func (w *window) repaired(layer int) []byte {
	if layer < w.codec.inputs {
		return w.shards[layer]
	}
	return w.calc[layer-w.codec.inputs]
}
