package ecc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var errMedium = errors.New("medium error")

// drive is an image of which some sectors can't be read; writing one heals it.
type drive struct {
	ram
	bad map[int64]bool
}

func (d *drive) ReadAt(p []byte, off int64) (int, error) {
	for s := off / sectorSize; s*sectorSize < off+int64(len(p)); s++ {
		if d.bad[s] {
			return max(0, int(s*sectorSize-off)), errMedium
		}
	}
	return d.ram.ReadAt(p, off)
}

func (d *drive) WriteAt(p []byte, off int64) (int, error) {
	for s := off / sectorSize; s*sectorSize < off+int64(len(p)); s++ {
		delete(d.bad, s)
	}
	return d.ram.WriteAt(p, off)
}

// specimen is an augmented image and a damaged copy of it.
type specimen struct {
	Header
	whole []byte
	drive *drive
	rng   *rand.Rand
}

func specimenOf(t testing.TB, g Geometry, seed uint64) *specimen {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 7))
	return specimenWith(t, g, iso(g.Data, rng), rng)
}

func specimenWith(t testing.TB, g Geometry, data []byte, rng *rand.Rand) *specimen {
	t.Helper()
	whole := augmented(t, data, g)
	s := &specimen{whole: whole, rng: rng, drive: &drive{ram: ram{bytes.Clone(whole)}, bad: map[int64]bool{}}}
	h, err := Find(context.Background(), s.source(), g.Sectors())
	if err != nil {
		t.Fatal(err)
	}
	if h.Geometry != g {
		t.Fatalf("found %v, want %v", h.Geometry, g)
	}
	s.Header = h
	return s
}

func (s *specimen) source() Source {
	return Source{s.drive, func(err error) bool { return errors.Is(err, errMedium) }}
}

// harm is a way to damage a sector.
type harm int

const (
	unreadable harm = iota
	marked
	trashed // silently
	flipped // one byte of it
	harms
)

func (s *specimen) hurt(sector int64, how harm) {
	b := row(s.drive.b, int(sector))
	switch how {
	case unreadable:
		s.drive.bad[sector] = true
	case marked:
		PutDead(b, sector, s.Fingerprint)
	case trashed:
		for i := range b {
			b[i] ^= byte(1 + s.rng.IntN(255))
		}
	case flipped:
		b[s.rng.IntN(sectorSize)] ^= byte(1 + s.rng.IntN(255))
	}
}

func (s *specimen) repair(t interface{ Fatal(...any) }) Report {
	r, err := Repair(context.Background(), s.source(), s.drive, s.Header, Options{Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// different returns how many sectors are not as they were.
func (s *specimen) different() (n int) {
	for i := range len(s.whole) / sectorSize {
		if s.drive.bad[int64(i)] || !bytes.Equal(row(s.whole, i), row(s.drive.b, i)) {
			n++
		}
	}
	return n
}

func (s *specimen) mustHeal(t testing.TB) Report {
	t.Helper()
	tested, err := Test(t.Context(), s.source(), s.Header, Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := s.repair(t)
	if n := s.different(); n != 0 || !r.Whole() {
		t.Fatalf("%d sectors differ after repair: %s", n, told(r))
	}
	if tested.Bad() != r.Bad() || tested.Worst != r.Worst || tested.Repairable != r.Repairable {
		t.Errorf("tested as %s, repaired as %s", told(tested), told(r))
	}
	if again := s.repair(t); again.Bad() != 0 || again.Worst != 0 {
		t.Errorf("not good after repair: %s", told(again))
	}
	return r
}

var small = Geometry{Data: 2200, Layer: 10} // 221 layers of data and 33 roots

func TestRepairHarms(t *testing.T) {
	t.Parallel()
	for how := range harms {
		s := specimenOf(t, small, uint64(how))
		for range 60 {
			s.hurt(s.rng.Int64N(s.Sectors()), how)
		}
		s.mustHeal(t)
	}
}

// TestLimit damages as many layers as there are roots, of which kind soever, and then a sector more.
func TestLimit(t *testing.T) {
	t.Parallel()
	for _, g := range []Geometry{{Data: 660, Layer: 3}, {Data: 160, Layer: 2}, {Data: 982, Layer: 4}} {
		for _, how := range []harm{unreadable, marked} {
			for _, from := range []int{0, 100, layers - g.Roots(), g.crcLayer() - 2} {
				from = min(from, layers-g.Roots())
				s := specimenOf(t, g, 1)
				for j := range g.Roots() {
					for r := range g.Layer {
						s.hurt(g.sector(from+j, r), how)
					}
				}
				if r := s.mustHeal(t); r.Worst != g.Roots() || r.Margin() != 0 {
					t.Errorf("%v, %d from layer %d: worst row %d", g, how, from, r.Worst)
				}
				for j := range g.Roots() {
					for r := range g.Layer {
						s.hurt(g.sector(from+j, r), how)
					}
				}
				s.hurt(g.sector((from+g.Roots())%layers, 1), how)
				r := s.repair(t)
				if r.Whole() || r.LostRows != 1 || r.Lost != int64(g.Roots())+1 || r.Margin() >= 0 {
					t.Errorf("%v, %d from layer %d: one sector more than it bears is reported as %s", g, how, from, told(r))
				}
				if n := s.different(); n != g.Roots()+1 {
					t.Errorf("%v: %d sectors differ besides those of the lost row", g, n)
				}
				lost := int64(0)
				for _, run := range r.LostRuns {
					lost += run.Count
				}
				if lost != r.Lost {
					t.Errorf("%d lost sectors are named of %d", lost, r.Lost)
				}
			}
		}
	}
}

// TestSilent has damage that no read error tells of, in every layer, the CRC layer as a whole, and parity beyond half the roots.
func TestSilent(t *testing.T) {
	t.Parallel()
	layersFrom := func(s *specimen, from, n int, how harm) {
		for j := from; j < from+n; j++ {
			for r := range s.Layer {
				s.hurt(s.sector(j, r), how)
			}
		}
	}
	for name, hurt := range map[string]func(s *specimen){
		"data up to the roots": func(s *specimen) { layersFrom(s, 5, s.Roots(), trashed) },
		"CRC layer":            func(s *specimen) { layersFrom(s, s.crcLayer(), 1, trashed) },
		"last CRC block":       func(s *specimen) { s.hurt(s.sector(s.crcLayer(), s.Layer-1), trashed) },
		"all parity":           func(s *specimen) { layersFrom(s, s.inputs(), s.Roots(), trashed) },
		"CRC, data and parity": func(s *specimen) { layersFrom(s, s.crcLayer()-5, 12, trashed) },
		"dead, data and parity": func(s *specimen) {
			layersFrom(s, 0, 10, marked)
			layersFrom(s, 20, 5, trashed)
			layersFrom(s, 240, 5, trashed)
		},
		"header": func(s *specimen) { s.hurt(s.Data, trashed); s.hurt(s.Data+1, flipped) },
		"a byte in 100 of a row": func(s *specimen) {
			for j := range 100 {
				s.drive.b[s.sector(2*j, 4)*sectorSize+int64(20*j)] ^= 1
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := specimenOf(t, small, 9)
			hurt(s)
			s.mustHeal(t)
		})
	}
}

// TestZeroed has rows of which so much is zero silently, the CRC blocks too, that the word of the code that is nearest is all zero.
func TestZeroed(t *testing.T) {
	t.Parallel()
	g := Geometry{Data: 82, Layer: 1} // 170 roots
	rng := rand.New(rand.NewPCG(12, 7))
	data := iso(g.Data, rng)
	for j := range int(g.Data) {
		clear(row(data, j)[200:]) // every column with something in it takes a race detector 20 ms
	}
	s := specimenWith(t, g, data, rng)
	for j := 18; j < 188; j++ {
		for r := range g.Layer {
			clear(row(s.drive.b, int(g.sector(j, r))))
		}
	}
	if r := s.repair(t); r.Whole() || r.LostRows != g.Layer {
		t.Errorf("%d sectors differ: %s", s.different(), told(r))
	}
}

// TestAlike has damage that goes through many rows in the same layers, or nearly, without CRCs that tell of it: rows are taken for alike,
// where they are, and each comes out as when it is looked at alone.
func TestAlike(t *testing.T) {
	t.Parallel()
	g := Geometry{Data: 190*13 - 2, Layer: 13} // 64 roots
	through := func(s *specimen, how harm, layers ...int) {
		for _, j := range layers {
			for r := range s.Layer {
				s.hurt(s.sector(j, r), how)
			}
		}
	}
	for name, hurt := range map[string]func(s *specimen){
		"parity": func(s *specimen) {
			through(s, trashed, s.crcLayer(), 200, 201, 202, 203, 210, 220)
		},
		"data, and in some rows another": func(s *specimen) {
			through(s, marked, s.crcLayer())
			through(s, trashed, 3, 4, 5, 6, 7)
			for r := int64(3); r < s.Layer; r += 5 {
				s.hurt(s.sector(100+int(r), r), trashed)
			}
		},
		"data and parity, and not in some rows": func(s *specimen) {
			through(s, unreadable, s.crcLayer())
			for _, j := range []int{17, 18, 250} {
				for r := range s.Layer {
					if r%7 != 2 {
						s.hurt(s.sector(j, r), flipped)
					}
				}
			}
		},
		"at the limit, and one row beyond": func(s *specimen) {
			through(s, trashed, s.crcLayer())
			for j := range (s.Roots() - 1) / 2 {
				through(s, trashed, 3*j)
			}
			for j := range s.Roots() + 1 {
				s.hurt(s.sector(2*j, 9), trashed)
			}
		},
	} {
		for _, rows := range []int{1, 4, 13} {
			t.Run(fmt.Sprint(name, rows), func(t *testing.T) {
				s := specimenOf(t, g, 11)
				hurt(s)
				damaged := s.different()
				c, err := newCodec(s.Roots())
				if err != nil {
					t.Fatal(err)
				}
				report := Report{Header: s.Header}
				w := newWindow(&s.Header, c, s.source(), rows)
				for first := int64(0); first < s.Layer; first += int64(rows) {
					if err := w.examine(first, int(min(int64(rows), s.Layer-first))); err != nil {
						t.Fatal(err)
					}
					if err := w.write(s.drive); err != nil {
						t.Fatal(err)
					}
					report.tally(w)
				}
				left := s.different()
				if (left == 0) != report.Whole() || report.Repairable != int64(damaged-left) {
					t.Errorf("%d of %d bad sectors are left: %s", left, damaged, told(report))
				}
				if strings.Contains(name, "beyond") != (left > 0) || report.LostRows > 1 {
					t.Errorf("%d sectors are left: %s", left, told(report))
				}
			})
		}
	}
}

// TestAnyDamage draws damage: within the limits everything comes back, beyond them it is reported.
func TestAnyDamage(t *testing.T) {
	t.Parallel()
	specimens := map[Geometry]*specimen{}
	rapid.Check(t, func(rt *rapid.T) {
		g := rapid.SampledFrom([]Geometry{{Data: 660, Layer: 3}, {Data: 436, Layer: 2}, {Data: 490, Layer: 2}}).Draw(rt, "geometry")
		s := specimens[g]
		if s == nil {
			s = specimenOf(t, g, 3)
			specimens[g] = s
		}
		copy(s.drive.b, s.whole)
		clear(s.drive.bad)
		s.rng = rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		wounds := map[int64]harm{}
		for range rapid.IntRange(1, 6).Draw(rt, "wounds") {
			first := rapid.Int64Range(0, g.Sectors()-1).Draw(rt, "first")
			n := rapid.Int64Range(1, g.Layer*int64(g.Roots())/3).Draw(rt, "sectors")
			how := harm(rapid.IntRange(0, int(harms)-1).Draw(rt, "harm"))
			for i := first; i < min(first+n, g.Sectors()); i++ {
				if _, ok := wounds[i]; !ok {
					wounds[i] = how
					s.hurt(i, how)
				}
			}
		}
		r := s.repair(rt)
		healed := curable(g, wounds)
		differ := s.different()
		for i := range wounds {
			if healed[i%g.Layer] && (s.drive.bad[i] || !bytes.Equal(row(s.whole, int(i)), row(s.drive.b, int(i)))) {
				rt.Fatalf("sector %d in row %d was not repaired: %s", i, i%g.Layer, told(r))
			}
		}
		if differ != 0 && r.Whole() || differ == 0 && !r.Whole() && r.Unproven == 0 {
			rt.Fatalf("%d sectors differ: %s", differ, told(r))
		}
	})
}

// curable says which rows must come back: a row bears as many bad sectors as there are roots, where those count twice of which
// nothing tells that they are bad. That is parity, and without CRCs the data too. The CRCs of a row are known when the row before it comes back or its block is good.
func curable(g Geometry, wounds map[int64]harm) []bool {
	hard, silent, parity := make([]int, g.Layer), make([]int, g.Layer), make([]int, g.Layer)
	for i, how := range wounds {
		if how == unreadable || how == marked {
			hard[i%g.Layer]++
		} else if i >= g.sector(g.inputs(), 0) {
			parity[i%g.Layer]++
		} else {
			silent[i%g.Layer]++
		}
	}
	ok := make([]bool, g.Layer)
	for range g.Layer + 1 {
		for r := range g.Layer {
			before := (r + g.Layer - 1) % g.Layer
			_, gone := wounds[g.sector(g.crcLayer(), before)]
			known := !gone || ok[before]
			ok[r] = hard[r]+2*silent[r]+2*parity[r] <= g.Roots() || known && hard[r]+silent[r]+2*parity[r] <= g.Roots()
		}
	}
	return ok
}

func told(r Report) string {
	return fmt.Sprintf("%+v", struct {
		Unreadable, Marked, Wrong, Parity, Repairable, Lost, LostRows, Unproven int64
		Worst                                                                   int
	}{r.Unreadable, r.Marked, r.Wrong, r.Parity, r.Repairable, r.Lost, r.LostRows, r.Unproven, r.Worst})
}
