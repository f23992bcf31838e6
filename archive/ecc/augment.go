package ecc

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// Options are how to work through an image. The zero value works.
type Options struct {
	// Workers is how many cores to use; 0 means all.
	Workers int
	// Progress is told how many sectors of how many are done, by one goroutine at a time.
	Progress func(done, total int64)
}

// Plan is an image to augment.
type Plan struct {
	Geometry
	// Last is how many bytes of the last data sector there are; the rest of it is taken as zero. 0 means all 2,048.
	Last int
	// Sum is the MD5 of the data when the caller wants it in the header, where dvdisaster compares it; see Sum.
	Sum *[md5.Size]byte
}

// Augment reads the data of an image and writes what makes it an augmented one: all sectors from p.Data to before
// p.Sectors(), each once, in no order. What comes of it is byte for byte what dvdisaster 0.79.5 makes for the same capacity, but
// for the MD5. data and out may be one file; what had been written before an error is worth nothing.
func Augment(ctx context.Context, data io.ReaderAt, out io.WriterAt, p Plan, o Options) error {
	a, err := newAugmenter(data, out, p)
	if err != nil {
		return fmt.Errorf("augment image: %w", err)
	}
	workers, rows := share(o.Workers, layers, p.Geometry)
	err = inChunks(ctx, p.Geometry, workers, rows, o, func() func(first int64, n int) error {
		shards := slab(layers, rows*sectorSize)
		return func(first int64, n int) error { return a.chunk(shards, first, n) }
	})
	if err != nil {
		return fmt.Errorf("augment image: %w", err)
	}
	return nil
}

// inChunks has workers go through all rows, so many at a time.
func inChunks(ctx context.Context, g Geometry, workers, rows int, o Options, worker func() func(first int64, n int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	var progress sync.Mutex
	var done int64
	for range workers {
		group.Go(func() error {
			work := worker()
			for {
				first := next.Add(int64(rows)) - int64(rows)
				if first >= g.Layer {
					return nil
				}
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				n := int(min(int64(rows), g.Layer-first))
				if err := work(first, n); err != nil {
					return err
				}
				if o.Progress != nil {
					progress.Lock()
					done += int64(n) * layers
					o.Progress(done, g.Sectors())
					progress.Unlock()
				}
			}
		})
	}
	return group.Wait()
}

// augmenter makes the sectors behind the data.
type augmenter struct {
	Header
	codec  *codec
	data   io.ReaderAt
	out    io.WriterAt
	header [headerSize]byte
}

func newAugmenter(data io.ReaderAt, out io.WriterAt, p Plan) (*augmenter, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if p.Last == 0 {
		p.Last = sectorSize
	}
	if p.Last < 0 || p.Last > sectorSize {
		return nil, fmt.Errorf("%d bytes in the last sector", p.Last)
	}
	a := &augmenter{Header: Header{Geometry: p.Geometry, Last: p.Last}, data: data, out: out}
	if p.Sum != nil {
		a.HasSum, a.Sum = true, *p.Sum
	}
	var sector [sectorSize]byte
	if err := a.readData(sector[:], fingerprintSector); err != nil {
		return nil, err
	}
	a.Fingerprint = md5.Sum(sector[:])
	a.encode(a.header[:])
	var err error
	a.codec, err = newCodec(p.Roots())
	return a, err
}

// chunk augments n rows.
func (a *augmenter) chunk(shards [][]byte, first int64, n int) error {
	size := n * sectorSize
	blocks := shards[a.crcLayer()]
	for j, shard := range shards[:a.dataLayers()] {
		if err := a.load(shard[:size], a.sector(j, first)); err != nil {
			return err
		}
		// A row's CRCs are in the block of the row before it: those of the first row are another chunk's, and the
		// row behind the last is read for its CRCs alone.
		for r := 1; r < n; r++ {
			le.PutUint32(row(blocks, r-1)[4*j:], checksum(row(shard, r)))
		}
		toKernel.rename(shard[:size], shard[:size])
	}
	if err := a.behind(row(blocks, n-1), (first+int64(n))%a.Layer); err != nil {
		return err
	}
	for r := range n {
		a.putBlock(row(blocks, r))
	}
	if err := a.write(blocks[:size], a.crcLayer(), first); err != nil {
		return err
	}
	toKernel.rename(blocks[:size], blocks[:size])
	for lo, hi := range spans(0, n) {
		if err := a.codec.encoder.Encode(span(nil, shards, lo, hi)); err != nil {
			return err
		}
	}
	for k := a.inputs(); k < layers; k++ {
		fromKernel.rename(shards[k][:size], shards[k][:size])
		if err := a.write(shards[k][:size], k, first); err != nil {
			return err
		}
	}
	return nil
}

// behind puts the CRCs of a row into the block of the row before it.
func (a *augmenter) behind(block []byte, r int64) error {
	var sector [sectorSize]byte
	for j := range a.dataLayers() {
		if err := a.readLayers(sector[:], a.sector(j, r)); err != nil {
			return err
		}
		le.PutUint32(block[4*j:], checksum(sector[:]))
	}
	return nil
}

// load reads sectors of a data layer; those that are not the image's own are written out.
func (a *augmenter) load(b []byte, sector int64) error {
	if err := a.readLayers(b, sector); err != nil {
		return err
	}
	end := sector + int64(len(b))/sectorSize
	for s := sector; s < min(end, a.Data); s++ {
		if IsDead(row(b, int(s-sector))) {
			return fmt.Errorf("sector %d: %w", s, ErrMarker)
		}
	}
	if own := max(sector, a.Data); own < end {
		return a.writeAt(b[(own-sector)*sectorSize:], own)
	}
	return nil
}

// readLayers makes the sectors of data layers: data, header, padding.
func (a *augmenter) readLayers(b []byte, sector int64) error {
	if n := min(a.Data-sector, int64(len(b))/sectorSize); n > 0 {
		if err := a.readData(b[:n*sectorSize], sector); err != nil {
			return err
		}
		b, sector = b[n*sectorSize:], sector+n
	}
	for ; len(b) > 0; b, sector = b[sectorSize:], sector+1 {
		if k := sector - a.Data; k < headerSectors {
			copy(b[:sectorSize], row(a.header[:], int(k)))
		} else {
			putPadding(b[:sectorSize], sector, a.Fingerprint)
		}
	}
	return nil
}

// readData reads sectors of the image itself.
func (a *augmenter) readData(b []byte, sector int64) error {
	have := b
	if end := sector + int64(len(b))/sectorSize; end == a.Data {
		have = b[:len(b)-sectorSize+a.Last]
		clear(b[len(have):])
	}
	if n, err := a.data.ReadAt(have, sector*sectorSize); n < len(have) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("read sector %d of %d: %w", sector+int64(n)/sectorSize, a.Data, err)
	}
	return nil
}

func (a *augmenter) write(b []byte, layer int, r int64) error {
	return a.writeAt(b, a.sector(layer, r))
}

func (a *augmenter) writeAt(b []byte, sector int64) error {
	if _, err := a.out.WriteAt(b, sector*sectorSize); err != nil {
		return fmt.Errorf("write sector %d: %w", sector, err)
	}
	return nil
}

// Sum returns the MD5 of the data of an image of size bytes, as Plan takes it.
func Sum(ctx context.Context, data io.ReaderAt, size int64) (sum [md5.Size]byte, err error) {
	h := md5.New()
	r := io.NewSectionReader(data, 0, size)
	for done := int64(0); done < size; {
		if ctx.Err() != nil {
			return sum, context.Cause(ctx)
		}
		n, err := io.CopyN(h, r, min(size-done, 1<<20))
		if done += n; err != nil {
			return sum, fmt.Errorf("sum image: %w", err)
		}
	}
	h.Sum(sum[:0])
	return sum, nil
}
