package ecc

import "sync"

const (
	// sumsMemory is how many bytes of CRCs are kept: all that an image of 25 GB has.
	sumsMemory = 48 << 20
	// sumsAhead is how many CRC blocks are read at a time: going there and back costs a drive as long as reading so many.
	sumsAhead = 2048
)

// sums are the CRCs of an image's data sectors, fetched as they are asked for. Rows that came first are kept.
type sums struct {
	h      *Header
	source Source

	mu   sync.Mutex
	kept map[int64][]uint32 // by row; nil for one whose CRC block can't be read
	now  map[int64][]uint32 // of rows beyond what is kept: those fetched last
}

// check returns the sectors of b that fail their CRC, and those whose CRC can't be read, both in ascending order.
func (s *sums) check(b []byte, first int64) (wrong, unknown []int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range int64(len(b)) / sectorSize {
		layer, r := int((first+i)/s.h.Layer), (first+i)%s.h.Layer
		crcs, err := s.of(r)
		switch {
		case err != nil:
			return nil, nil, err
		case crcs == nil:
			unknown = append(unknown, i)
		case checksum(row(b, int(i))) != crcs[layer]:
			wrong = append(wrong, i)
		}
	}
	return wrong, unknown, nil
}

// of returns the CRCs of a row, by layer.
func (s *sums) of(r int64) ([]uint32, error) {
	for _, known := range []map[int64][]uint32{s.kept, s.now} {
		if crcs, ok := known[r]; ok {
			return crcs, nil
		}
	}
	if err := s.fetch(r); err != nil {
		return nil, err
	}
	if crcs, ok := s.kept[r]; ok {
		return crcs, nil
	}
	return s.now[r], nil
}

// fetch reads the CRCs of a row and of those behind it. They are in the block of the row before; those of row 0 in the last.
func (s *sums) fetch(r int64) error {
	before, n := r-1, min(sumsAhead, s.h.Layer-r)
	if r == 0 {
		before, n = s.h.Layer-1, 1
	}
	blocks := make([]byte, n*sectorSize)
	if err := s.source.read(blocks, s.h.sector(s.h.crcLayer(), before), func(int) {}); err != nil {
		return err
	}
	if s.kept == nil {
		s.kept = map[int64][]uint32{}
	}
	s.now = map[int64][]uint32{}
	for i := range n {
		var crcs []uint32
		if block := row(blocks, int(i)); s.h.ours(block) {
			crcs = make([]uint32, s.h.dataLayers())
			for j := range crcs {
				crcs[j] = le.Uint32(block[4*j:])
			}
		}
		if len(s.kept) < sumsMemory/(4*s.h.dataLayers()) {
			s.kept[r+i] = crcs
		} else {
			s.now[r+i] = crcs
		}
	}
	return nil
}
