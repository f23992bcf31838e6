package discset

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/odarchive/odarchive/archive/ecc"
)

// store is an image in memory of which some sectors can't be read until they are written.
type store struct{ disc }

func (s *store) WriteAt(p []byte, off int64) (int, error) {
	for at := off; at < off+int64(len(p)); at += sectorSize {
		delete(s.bad, at/sectorSize)
	}
	return copy(s.b[off:], p), nil
}

// protected makes an image of data sectors with error correction of its own.
func protected(t *testing.T, seed int, g ecc.Geometry) []byte {
	t.Helper()
	s := &store{disc{b: append(noise(seed, int(g.Data)), make([]byte, (g.Sectors()-g.Data)*sectorSize)...)}}
	if err := ecc.Augment(t.Context(), s, s, ecc.Plan{Geometry: g}, ecc.Options{Workers: 1}); err != nil {
		t.Fatal(err)
	}
	return s.b
}

// TestBothProtections damages discs that have error correction of their own and share parity, as a library heals them: each disc by
// itself, then the set for what that can't, then the error correction anew. As long as no 32 rows are lost on more discs than there is
// parity, everything comes back bit by bit; beyond that it is said what doesn't, and nothing else comes back.
func TestBothProtections(t *testing.T) {
	g, inside := Geometry{4, 2}, ecc.Geometry{Data: 436, Layer: 2}
	whole := make([][]byte, g.Data)
	data := map[int][]byte{}
	a, err := Open(t.TempDir(), setID, g)
	must(t, a, err)
	defer a.Close()
	for i := range whole {
		whole[i] = protected(t, i, inside)
		data[i] = whole[i][:inside.Data*sectorSize]
		if err := a.Add(t.Context(), []Source{sourceOf(i, data[i])}, nil); err != nil {
			t.Fatal(err)
		}
	}
	m := seal(t, a, g, data)
	within, beyond, drawn := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		r, discs := m.recovery(t, true)
		stores := make([]*store, len(discs))
		for i := range discs {
			stores[i] = &store{disc{b: slices.Clone(m.images[i]), bad: map[int64]bool{}}}
			if i < g.Data {
				stores[i].b = slices.Clone(whole[i])
			}
			r.Images[i] = stores[i]
		}
		// Every other time there are large wounds in one place of several discs, which is what both together don't bear.
		drawn++
		together, place := drawn%2 == 0, rapid.Int64Range(0, inside.Data-120).Draw(t, "place")
		order := rapid.Permutation(indexes(len(stores))).Draw(t, "discs")
		for k := range rapid.IntRange(g.Parity+1, 8).Draw(t, "wounds") {
			s := stores[order[k%len(order)]]
			sectors := int64(len(s.b) / sectorSize)
			first, n := rapid.Int64Range(0, sectors-1).Draw(t, "first"), rapid.Int64Range(1, 200).Draw(t, "sectors")
			if together {
				first, n = place, 100+n
			}
			silent := rapid.Bool().Draw(t, "silent") && !together
			for i := first; i < min(first+n, sectors); i++ {
				if silent {
					s.b[i*sectorSize+i%sectorSize] ^= 0x55
				} else {
					s.bad[i] = true
				}
			}
		}
		// Each disc by itself. What it can't set right is as good as unreadable.
		lost := map[int64]int{} // images by block
		for i, s := range stores {
			hurt := map[int64]bool{}
			if i < g.Data {
				if h, err := ecc.Find(t.Context(), ecc.Source{ReaderAt: s}, inside.Sectors()); err == nil {
					report, err := ecc.Repair(t.Context(), ecc.Source{ReaderAt: s}, s, h, ecc.Options{Workers: 1})
					if err != nil {
						t.Fatal(err)
					}
					same := len(s.bad) == 0 && bytes.Equal(s.b, whole[i])
					if report.Whole() && !same {
						t.Fatalf("disc %d is reported whole and is not", i)
					}
					for _, run := range report.LostRuns {
						for x := run.First; x < run.First+run.Count && x < inside.Data; x++ {
							s.bad[x] = true
						}
					}
				}
			}
			for x := range int64(len(m.images[i]) / sectorSize) {
				if s.bad[x] || !bytes.Equal(s.b[x*sectorSize:][:sectorSize], m.images[i][x*sectorSize:][:sectorSize]) {
					hurt[x/blockSectors] = true
				}
			}
			for b := range hurt {
				lost[b]++
			}
		}
		bears := true
		for _, n := range lost {
			bears = bears && n <= g.Parity
		}
		for i := range g.Data {
			var out bytes.Buffer
			_, err := r.Rebuild(t.Context(), map[int]io.Writer{i: &out}, nil)
			same := bytes.Equal(out.Bytes(), data[i])
			if bears && err != nil || err == nil && !same {
				t.Fatalf("disc %d: within the limits %v, came back %v, %v", i, bears, same, err)
			}
			if _, ok := errors.AsType[*LostError](err); err != nil && !ok && !errors.Is(err, ErrHash) {
				t.Fatal(err)
			}
			if err != nil {
				beyond++
				continue
			}
			within++
			again := &store{disc{b: append(out.Bytes(), make([]byte, (inside.Sectors()-inside.Data)*sectorSize)...)}}
			if err := ecc.Augment(t.Context(), again, again, ecc.Plan{Geometry: inside}, ecc.Options{Workers: 1}); err != nil || !bytes.Equal(again.b, whole[i]) {
				t.Fatalf("disc %d with its error correction is not what it was: %v", i, err)
			}
		}
	})
	if within == 0 || beyond == 0 {
		t.Errorf("%d images came back and %d did not: both should be drawn", within, beyond)
	}
}
