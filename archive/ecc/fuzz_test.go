package ecc

import (
	"bytes"
	"context"
	"errors"
	"testing"
)

func FuzzHeader(f *testing.F) {
	h := Header{Geometry: small, Last: sectorSize}
	b := make([]byte, headerSize)
	h.encode(b)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		b = append(b, make([]byte, max(0, headerSize-len(b)))...)[:headerSize]
		// Most of what is drawn has no valid checksum; give it one, so that what is behind is tried too.
		le.PutUint32(b[96:], seed)
		le.PutUint32(b[96:], checksum(b))
		copy(b, cookie)
		if h, err := parseHeader(b); err == nil && (h.Validate() != nil || h.Roots() < MinRoots || h.Roots() > MaxRoots || h.Sectors() < h.Data) {
			t.Errorf("accepted %v", h.Geometry)
		}
	})
}

func FuzzBlock(f *testing.F) {
	h := Header{Geometry: small, Last: sectorSize}
	b := make([]byte, sectorSize)
	h.putBlock(b)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		b = append(b, make([]byte, max(0, sectorSize-len(b)))...)[:sectorSize]
		copy(b[blockCookie:], cookie)
		le.PutUint32(b[blockSelfCRC:], seed)
		le.PutUint32(b[blockSelfCRC:], checksum(b))
		if h, err := parseBlock(b); err == nil && (h.Validate() != nil || h.Roots() < MinRoots || h.Roots() > MaxRoots) {
			t.Errorf("accepted %v", h.Geometry)
		}
	})
}

// Kinds of damage that FuzzFlip reads from its input, four bytes each: kind, place (2), bits.
const (
	flipByte    = iota
	noSector    // can't be read
	deadSector  // a dead sector marker
	noRow       // all sectors of a row but some
	likeAnother // another sector of the image in its place, with whatever checksums that has
	zeros       // a run of sectors is zero
	kindsOfDamage
)

// FuzzFlip does anything to an image: it is found and repaired bit by bit, or it is said that it is not, never anything else. Testing
// it first says the same as repairing it. Where no row has more bad sectors than half the roots it must come back.
func FuzzFlip(f *testing.F) {
	g := Geometry{Data: 490, Layer: 2}
	s := specimenOf(f, g, 1)
	f.Add([]byte{0, 2, 3, 4, 0, 6, 7, 8})
	f.Add([]byte{1, 0, 3, 0, 2, 0, 7, 0, 4, 0, 1, 9})
	f.Add([]byte{3, 0, 1, 12, 0, 0, 1, 1})
	f.Add([]byte{5, 1, 200, 40})
	f.Add([]byte{3, 0, 0, 15, 3, 0, 1, 16, 0, 1, 200, 1})
	f.Fuzz(func(t *testing.T, wounds []byte) {
		d := &drive{ram: ram{bytes.Clone(s.whole)}, bad: map[int64]bool{}}
		source := Source{d, func(err error) bool { return errors.Is(err, errMedium) }}
		bad := map[int64]bool{}
		for ; len(wounds) >= 4; wounds = wounds[4:] {
			at := int64(wounds[1])<<8 | int64(wounds[2])
			sector := at % g.Sectors()
			switch wounds[0] % kindsOfDamage {
			case flipByte:
				d.b[sector*sectorSize+at*7%sectorSize] ^= wounds[3] | 1
			case noSector:
				d.bad[sector] = true
			case deadSector:
				PutDead(row(d.b, int(sector)), sector, s.Fingerprint)
			case noRow:
				for j := range int64(wounds[3]) % (layers + 1) {
					x := (sector + j*g.Layer) % g.Sectors()
					d.bad[x], bad[x] = true, true
				}
			case likeAnother:
				copy(row(d.b, int(sector)), row(s.whole, int(int64(wounds[3])*2%g.Sectors())))
			case zeros:
				for x := sector; x < min(sector+int64(wounds[3]), g.Sectors()); x++ {
					clear(row(d.b, int(x)))
					bad[x] = true
				}
			}
			bad[sector] = true
		}
		rows := make([]int, g.Layer)
		most := 0
		for x := range bad {
			rows[x%g.Layer]++
			most = max(most, rows[x%g.Layer])
		}
		h, err := Find(context.Background(), source, g.Sectors())
		if err != nil {
			return
		}
		tested, err := Test(context.Background(), source, h, Options{Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		r, err := Repair(context.Background(), source, d, h, Options{Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		same := len(d.bad) == 0 && bytes.Equal(d.b, s.whole)
		if r.Whole() && !same {
			t.Errorf("reported whole, and it is not: %s", told(r))
		}
		if !r.Whole() && same && r.Unproven == 0 {
			t.Errorf("it is whole, reported as: %s", told(r))
		}
		if tested.Bad() != r.Bad() || tested.Lost != r.Lost || tested.Whole() != r.Whole() {
			t.Errorf("tested as %s, repaired as %s", told(tested), told(r))
		}
		if h.Geometry == g && most <= g.Roots()/2 && !same {
			t.Errorf("%d bad sectors in a row of %d roots did not come back: %s", most, g.Roots(), told(r))
		}
	})
}

// FuzzFind looks for error correction in images of which only some sectors are left, and in some that never had any: what is found is
// a geometry that the image can have, and looking ends.
func FuzzFind(f *testing.F) {
	g := Geometry{Data: 490, Layer: 2}
	s := specimenOf(f, g, 1)
	f.Add([]byte{16, 0}, []byte{})
	f.Add([]byte{0, 0xff}, row(s.whole, int(g.Data)))
	f.Add([]byte{1}, row(s.whole, int(g.sector(g.crcLayer(), 0))))
	f.Fuzz(func(t *testing.T, left, put []byte) {
		image := &ram{bytes.Clone(s.whole)}
		for i := range g.Sectors() {
			if n := int(i) / 8 % max(len(left), 1); len(left) > 0 && left[n]>>(i%8)&1 == 0 {
				clear(row(image.b, int(i)))
			}
		}
		if len(put) > sectorSize {
			put = put[:sectorSize]
		}
		for _, i := range []int64{g.Data, g.sector(g.crcLayer(), 0)} {
			if len(put) > 0 {
				copy(row(image.b, int(i)), put)
			}
		}
		h, err := Find(context.Background(), Source{ReaderAt: image}, g.Sectors())
		if err != nil {
			return
		}
		if h.Validate() != nil || h.Roots() < MinRoots || h.Roots() > MaxRoots {
			t.Fatalf("found %v in an image of %d sectors", h.Geometry, g.Sectors())
		}
		if h.Sectors() > 1<<20 {
			return // a disc that would be larger: most of it can't be read, and it takes long to say so
		}
		if _, err := Test(context.Background(), Source{ReaderAt: image}, h, Options{Workers: 1}); err != nil {
			t.Fatal(err)
		}
	})
}
