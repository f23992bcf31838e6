package ecc

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
)

func TestFind(t *testing.T) {
	t.Parallel()
	header := func(s *specimen) { s.hurt(s.Data, trashed) }
	for name, hurt := range map[string]func(s *specimen){
		"header":                      header,
		"descriptor unreadable":       func(s *specimen) { s.hurt(16, unreadable) },
		"descriptor and header":       func(s *specimen) { s.hurt(16, marked); header(s) },
		"descriptor silently, header": func(s *specimen) { s.hurt(16, trashed); header(s) },
		"all CRC blocks": func(s *specimen) {
			for r := range s.Layer {
				s.hurt(s.sector(s.crcLayer(), r), unreadable)
			}
		},
		"all CRC blocks but one, header": func(s *specimen) {
			header(s)
			for r := range s.Layer - 1 {
				s.hurt(s.sector(s.crcLayer(), r), flipped)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := specimenOf(t, small, 11)
			hurt(s)
			h, err := Find(t.Context(), s.source(), s.Sectors())
			if err != nil || h.Geometry != small || h.Fingerprint != s.Fingerprint {
				t.Fatalf("found %v, %v", h, err)
			}
			s.mustHeal(t)
		})
	}
	s := specimenOf(t, small, 11)
	header(s)
	for r := range s.Layer {
		s.hurt(s.sector(s.crcLayer(), r), trashed)
	}
	if h, err := Find(t.Context(), s.source(), s.Sectors()); !errors.Is(err, ErrNotFound) {
		t.Errorf("found %v, %v where nothing is left", h, err)
	}
}

// TestFindWithin has an augmented image that is a file in another, whose header is gone.
func TestFindWithin(t *testing.T) {
	inner := augmented(t, iso(700, rand.New(rand.NewPCG(1, 1))), Geometry{Data: 700, Layer: 5})
	data := iso(2200, rand.New(rand.NewPCG(2, 2)))
	copy(data[100*sectorSize:], inner)
	copy(data[1500*sectorSize+5*sectorSize:], inner[:600*sectorSize])
	whole := augmented(t, data, small)
	clear(row(whole, 2200))
	clear(row(whole, 16))
	if h, err := Find(t.Context(), Source{ReaderAt: bytes.NewReader(whole)}, small.Sectors()); err != nil || h.Geometry != small {
		t.Errorf("found %v, %v", h, err)
	}
	if _, err := Find(t.Context(), Source{ReaderAt: bytes.NewReader(data)}, 2200); !errors.Is(err, ErrNotFound) {
		t.Errorf("an image without error correction has that of a file in it: %v", err)
	}
}

func TestMarkerInData(t *testing.T) {
	data := iso(2200, rand.New(rand.NewPCG(2, 2)))
	PutDead(row(data, 1234), 5, [16]byte{})
	r := &ram{make([]byte, small.Sectors()*sectorSize)}
	copy(r.b, data)
	if err := Augment(t.Context(), r, r, Plan{Geometry: small}, Options{}); !errors.Is(err, ErrMarker) {
		t.Errorf("data with a dead sector marker: %v", err)
	}
	if err := Augment(t.Context(), bytes.NewReader(data[:2000*sectorSize]), r, Plan{Geometry: small}, Options{}); err == nil {
		t.Error("data that end early are accepted")
	}
}
