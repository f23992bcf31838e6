package ecc

import (
	"bytes"
	"context"
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

// FuzzFlip changes bytes anywhere: an image is found and repaired, or it is said that it is not.
func FuzzFlip(f *testing.F) {
	g := Geometry{Data: 490, Layer: 2}
	s := specimenOf(f, g, 1)
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8})
	f.Fuzz(func(t *testing.T, flips []byte) {
		image := &ram{bytes.Clone(s.whole)}
		for ; len(flips) >= 4; flips = flips[4:] {
			at := (int(flips[0])<<16 | int(flips[1])<<8 | int(flips[2])) % len(image.b)
			image.b[at] ^= flips[3]
		}
		h, err := Find(context.Background(), Source{ReaderAt: image}, g.Sectors())
		if err != nil {
			return
		}
		r, err := Repair(context.Background(), Source{ReaderAt: image}, image, h, Options{Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		if same := bytes.Equal(image.b, s.whole); same != r.Whole() {
			t.Errorf("equal: %v, reported whole: %v: %s", same, r.Whole(), told(r))
		}
	})
}
