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
	for j := s.crcLayer() - 1; j < layers; j++ {
		for r := range s.Layer {
			s.hurt(s.sector(j, r), trashed)
		}
	}
	if h, err := Find(t.Context(), s.source(), s.Sectors()); !errors.Is(err, ErrNotFound) {
		t.Errorf("found %v, %v where nothing is left", h, err)
	}
}

// TestFindByParity has a burst over the header and all CRC blocks, which are neighbours, as long as rows bear it.
func TestFindByParity(t *testing.T) {
	t.Parallel()
	for _, g := range []Geometry{small, {Data: 160, Layer: 2}, {Data: 982, Layer: 4}} {
		for _, how := range []harm{unreadable, marked, harms, trashed} {
			n := g.Roots()
			switch how {
			case harms:
				n -= 40 // some sectors of a row are zero by themselves
			case trashed:
				n = 1 // and nobody says where
			}
			for _, before := range []int{1, min(n-1, g.crcLayer()-20)} {
				s := specimenOf(t, g, 13)
				h := s.Header
				if how == trashed {
					s.hurt(s.Data, trashed)
				}
				for j := g.crcLayer() - before; j < g.crcLayer()+n-before; j++ {
					for r := range g.Layer {
						if how == harms {
							clear(row(s.drive.b, int(g.sector(j, r))))
						} else {
							s.hurt(g.sector(j, r), how)
						}
					}
				}
				found, err := Find(t.Context(), s.source(), g.Sectors()+17) // a drive's tail
				if err != nil || found.Geometry != g || found.Fingerprint != h.Fingerprint || found.Last != h.Last {
					t.Fatalf("%v, harm %d, %d layers before: found %v, %v", g, how, before, found, err)
				}
				s.mustHeal(t)
			}
		}
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
