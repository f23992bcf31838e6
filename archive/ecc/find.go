package ecc

import (
	"context"
	"crypto/md5"
	"encoding/binary"
	"fmt"
)

// isoPadding is how many sectors some programs append to an image without counting them in its volume descriptor.
const isoPadding = 150

// Find finds the error correction of an image of so many sectors: through its volume descriptor, as dvdisaster does; where that
// or the header is damaged, by CRC blocks where an image of that size or for a usual medium has them, by parity that gives one
// back, and then by CRC blocks anywhere.
// ErrNotFound means that there is none, or nothing left of it.
func Find(ctx context.Context, source Source, sectors int64) (Header, error) {
	f := finder{source: source, sectors: sectors}
	return f.find(ctx, f.byDescriptor, f.bySize, f.byMedium, f.byParity, f.bySearch)
}

// FindQuickly is Find without reading the whole image: it finds the error correction of one that is whole.
func FindQuickly(ctx context.Context, source Source, sectors int64) (Header, error) {
	f := finder{source: source, sectors: sectors}
	return f.find(ctx, f.byDescriptor, f.bySize)
}

func (f *finder) find(ctx context.Context, looks ...func(context.Context) (bool, error)) (Header, error) {
	for _, look := range looks {
		found, err := look(ctx)
		if found {
			err = f.complete()
		}
		if err != nil {
			return Header{}, fmt.Errorf("find error correction: %w", err)
		}
		if found {
			return f.header, nil
		}
	}
	return Header{}, fmt.Errorf("find error correction: %w", ErrNotFound)
}

type finder struct {
	source  Source
	sectors int64
	header  Header

	print     [md5.Size]byte // of sector 16
	printRead bool           // it could be read
	doubted   map[Geometry]int
}

// read reads sectors; false means that not all can be.
func (f *finder) read(b []byte, sector int64) (bool, error) {
	if sector < 0 || sector+int64(len(b))/sectorSize > f.sectors {
		return false, nil
	}
	whole := true
	err := f.source.read(b, sector, func(int) { whole = false })
	return whole, err
}

// byDescriptor looks for the header where the volume descriptor says that the image ends (ECMA-119 §8.4.8).
func (f *finder) byDescriptor(context.Context) (bool, error) {
	var b [headerSize]byte
	sector := b[:sectorSize]
	ok, err := f.read(sector, fingerprintSector)
	if err != nil {
		return false, err
	}
	if ok && !IsDead(sector) {
		f.print, f.printRead = md5.Sum(sector), true
	}
	for at := int64(fingerprintSector); at < 2*fingerprintSector; at++ {
		if ok, err := f.read(sector, at); err != nil {
			return false, err
		} else if !ok || string(sector[:6]) != "\x01CD001" {
			continue
		}
		size := int64(binary.LittleEndian.Uint32(sector[80:]))
		for _, place := range []int64{size, size - isoPadding} {
			if ok, err := f.read(b[:], place); err != nil {
				return false, err
			} else if !ok {
				continue
			}
			if h, err := parseHeader(b[:]); err == nil && h.Data == place {
				f.header = h
				return true, nil
			}
		}
		return false, nil
	}
	return false, nil
}

// bySize looks for CRC blocks where an image of just this size has them.
func (f *finder) bySize(ctx context.Context) (bool, error) { return f.probe(ctx, f.sectors/layers) }

// byMedium looks for CRC blocks where an image has them that was cut off and had filled a medium.
func (f *finder) byMedium(ctx context.Context) (bool, error) {
	for _, m := range Media {
		if m.Capacity >= f.sectors {
			// A larger medium's image would not be so small.
			return f.probe(ctx, m.Capacity/layers)
		}
	}
	return false, nil
}

// probe looks into a few rows of layers of n sectors.
func (f *finder) probe(ctx context.Context, n int64) (bool, error) {
	var b [sectorSize]byte
	for _, r := range []int64{0, n / 3, 2 * n / 3} {
		for j := int64(minLayers); j <= maxLayers; j++ {
			if ctx.Err() != nil {
				return false, context.Cause(ctx)
			}
			if ok, err := f.read(b[:], j*n+r); err != nil {
				return false, err
			} else if !ok {
				continue
			}
			if found, err := f.block(b[:], j*n+r); found || err != nil {
				return found, err
			}
		}
	}
	return false, nil
}

// bySearch reads the image until it finds a CRC block.
func (f *finder) bySearch(ctx context.Context) (bool, error) {
	b := make([]byte, 512*sectorSize)
	for at := int64(0); at < f.sectors; at += int64(len(b)) / sectorSize {
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		b = b[:min(int64(len(b)), (f.sectors-at)*sectorSize)]
		if _, err := f.read(b, at); err != nil {
			return false, err
		}
		for i := range len(b) / sectorSize {
			if found, err := f.block(row(b, i), at+int64(i)); found || err != nil {
				return found, err
			}
		}
	}
	return false, nil
}

// complete takes from the header, where it can be read, what CRC blocks don't repeat.
func (f *finder) complete() error {
	var b [headerSize]byte
	if ok, err := f.read(b[:], f.header.Data); !ok {
		return err
	}
	if h, err := parseHeader(b[:]); err == nil && h.Geometry == f.header.Geometry && h.Fingerprint == f.header.Fingerprint {
		f.header = h
	}
	return nil
}

// mostDoubts is how many CRC blocks of a geometry that doesn't seem to be this image's are looked into.
const mostDoubts = 4

// block takes a CRC block for this image's when it lies where its own geometry says and speaks of this image: an augmented
// image may be a file in another.
func (f *finder) block(b []byte, sector int64) (bool, error) {
	h, err := parseBlock(b)
	if err != nil {
		return false, nil
	}
	r := sector - h.sector(h.crcLayer(), 0)
	if r < 0 || r >= h.Layer {
		return false, nil
	}
	if !f.printRead || f.print != h.Fingerprint {
		// Sector 16 may be what is damaged: then any sector that has the CRC that the block gives it will do.
		if f.doubted == nil {
			f.doubted = map[Geometry]int{}
		}
		if f.doubted[h.Geometry]++; f.doubted[h.Geometry] > mostDoubts {
			return false, nil
		}
		if ok, err := f.agrees(&h, b, (r+1)%h.Layer); !ok {
			return false, err
		}
	}
	f.header = h
	return true, nil
}

// agrees says whether a sector of a row has the CRC that a block gives it.
func (f *finder) agrees(h *Header, block []byte, r int64) (bool, error) {
	var b [sectorSize]byte
	for j := range h.dataLayers() {
		if ok, err := f.read(b[:], h.sector(j, r)); err != nil {
			return false, err
		} else if ok && checksum(b[:]) == le.Uint32(block[4*j:]) {
			return true, nil
		}
	}
	return false, nil
}
