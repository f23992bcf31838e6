package ecc

import (
	"errors"
	"fmt"
	"io"
)

// Source is an augmented image to read. ReadAt may fail for sectors that can't be read: what is asked for then in one go is
// asked for again, each sector alone.
type Source struct {
	io.ReaderAt
	// Unreadable says which errors mean that a sector can't be read, and not that all is over. nil means every error. The
	// end of the file is a sector that can't be read, always.
	Unreadable func(error) bool
}

// read fills b from a sector on; those that can't be read are zero and told to missing, as their place in b.
func (s Source) read(b []byte, sector int64, missing func(i int)) error {
	if n, err := s.ReadAt(b, sector*sectorSize); n == len(b) {
		return nil
	} else if err := s.fatal(err, sector); err != nil {
		return err
	}
	for i := range len(b) / sectorSize {
		n, err := s.ReadAt(row(b, i), (sector+int64(i))*sectorSize)
		if n == sectorSize {
			continue
		}
		if err := s.fatal(err, sector+int64(i)); err != nil {
			return err
		}
		clear(row(b, i))
		missing(i)
	}
	return nil
}

func (s Source) fatal(err error, sector int64) error {
	if err == nil || errors.Is(err, io.EOF) || s.Unreadable == nil || s.Unreadable(err) {
		return nil
	}
	return fmt.Errorf("read sector %d: %w", sector, err)
}

// verdict is what is known of a row in the end.
type verdict byte

const (
	pending  verdict = iota
	proven           // every sector is as it was written
	unproven         // solved, and nothing left over to check it with
	lost             // some sectors are wrong, and can't be set right
)

// finding is what was wrong with a row.
type finding struct {
	unreadable, marked, wrong set // could not be read; were dead sector markers; failed their CRC
	parity                    set // silently wrong parity
	located                   set // silently wrong, and found by decoding
}

// bad returns all sectors that were wrong.
func (f *finding) bad() (s set) {
	for i := range s {
		s[i] = f.unreadable[i] | f.marked[i] | f.wrong[i] | f.parity[i] | f.located[i]
	}
	return s
}

// hard returns the sectors that hold nothing.
func (f *finding) hard() (s set) {
	for i := range s {
		s[i] = f.unreadable[i] | f.marked[i]
	}
	return s
}

// window is consecutive rows of an image in memory, in the kernel's names.
type window struct {
	h      *Header
	codec  *codec
	source Source

	first    int64
	n        int
	shards   [][]byte // as read; data and CRCs then as repaired
	calc     [][]byte // parity made anew
	found    []finding
	erased   []set // what is solved for
	stale    []bool
	verdicts []verdict
	known    []bool   // the CRCs that a row should have are known
	want     []uint32 // of row r and layer j at r*dataLayers+j
	have     []uint32
	decoder  decoder
	before   decoder  // the one used before; rows are often solved for two sets in turn
	lanes    [][]byte // of the kernel
	sector   [sectorSize]byte

	// hint is what the last search of a row found to be silently wrong; hinted, that the one before it found the same. run is how many
	// rows more are taken for alike, as long as they turn out to be.
	hint     set
	hinted   bool
	run      int
	residual residual
	kept     []byte
}

func newWindow(h *Header, c *codec, s Source, rows int) *window {
	crcs := rows * h.dataLayers()
	return &window{
		h: h, codec: c, source: s,
		shards: slab(layers, rows*sectorSize), calc: slab(c.roots, rows*sectorSize),
		found: make([]finding, rows), erased: make([]set, rows), stale: make([]bool, rows), verdicts: make([]verdict, rows), known: make([]bool, rows),
		want: make([]uint32, crcs), have: make([]uint32, crcs),
	}
}

// load reads rows and finds what can be seen to be wrong with them. prior is the CRC block of the row before the first, nil when
// it is not known.
func (w *window) load(first int64, n int, prior []byte) error {
	w.first, w.n = first, n
	clear(w.found)
	clear(w.known)
	clear(w.verdicts)
	clear(w.stale)
	if prior != nil {
		w.learn(0, prior)
	}
	crc := w.h.crcLayer()
	if err := w.loadLayer(crc, func(r int, b []byte) bool {
		if !w.h.ours(b) {
			return false
		}
		if r+1 < n {
			w.learn(r+1, b)
		}
		return true
	}); err != nil {
		return err
	}
	for j := range crc {
		if err := w.loadLayer(j, func(r int, b []byte) bool {
			i := r*crc + j
			w.have[i] = checksum(b)
			return !w.known[r] || w.have[i] == w.want[i]
		}); err != nil {
			return err
		}
	}
	for k := w.h.inputs(); k < layers; k++ {
		if err := w.loadLayer(k, func(int, []byte) bool { return true }); err != nil {
			return err
		}
	}
	for r := range n {
		w.erased[r] = w.found[r].bad()
	}
	return nil
}

// loadLayer reads a layer's sectors and tells good of each that holds something.
func (w *window) loadLayer(j int, good func(r int, b []byte) bool) error {
	b := w.shards[j][:w.n*sectorSize]
	if err := w.source.read(b, w.h.sector(j, w.first), func(r int) { w.found[r].unreadable.add(j) }); err != nil {
		return err
	}
	for r := range w.n {
		switch sector := row(b, r); {
		case w.found[r].unreadable.has(j):
		case IsDead(sector):
			w.found[r].marked.add(j)
		case !good(r, sector):
			w.found[r].wrong.add(j)
		}
	}
	toKernel.rename(b, b)
	return nil
}

// learn takes the CRCs of row r from the block of the row before it.
func (w *window) learn(r int, block []byte) {
	w.known[r] = true
	n := w.h.dataLayers()
	for j := range n {
		w.want[r*n+j] = le.Uint32(block[4*j:])
	}
}

// plain returns a sector in its own names, until the next call.
func (w *window) plain(layer, r int) []byte {
	fromKernel.rename(w.sector[:], row(w.shards[layer], r))
	return w.sector[:]
}
