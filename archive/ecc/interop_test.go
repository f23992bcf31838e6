package ecc

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// TestInterop makes images that fill a CD and a DVD with dvdisaster and with Augment, and compares every byte. `make interop` sets
// the variable; it takes some minutes and 10 GB.
func TestInterop(t *testing.T) {
	if os.Getenv("INTEROP") == "" {
		t.Skip("make interop runs it")
	}
	for _, c := range []struct {
		medium Medium
		roots  int
	}{{Media[0], 69}, {Media[0], 15}, {Media[1], 27}} {
		t.Run(fmt.Sprint(c.medium.Name, c.roots), func(t *testing.T) {
			data := DataSectors(c.medium.Capacity, c.roots)
			g, err := Fill(c.medium.Capacity, data)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "x.iso")
			ours := writeISO(t, path, data)
			if out, code := dvdisaster(t, "-i", path, "-mRS03", "-o", "image", "-c"); code != 0 {
				t.Fatal(out)
			}
			if err := Augment(t.Context(), ours, ours, Plan{Geometry: g}, Options{}); err != nil {
				t.Fatal(err)
			}
			same(t, ours.Name(), path)
			judgedGood(t, ours.Name())
		})
	}
}

// writeISO writes an image of random sectors to path, and a copy that it returns open.
func writeISO(t *testing.T, path string, sectors int64) *os.File {
	t.Helper()
	theirs, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	ours, err := os.Create(path + ".ours")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	head := iso(32, rand.New(rand.NewPCG(1, 1)))
	for i, at := range []int{16*sectorSize + 80, 16*sectorSize + 84} {
		if i == 0 {
			le.PutUint32(head[at:], uint32(sectors))
		} else {
			head[at], head[at+1], head[at+2], head[at+3] = byte(sectors>>24), byte(sectors>>16), byte(sectors>>8), byte(sectors)
		}
	}
	w := io.MultiWriter(theirs, ours)
	if _, err := w.Write(head); err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(w, rand.NewChaCha8([32]byte{1}), (sectors-32)*sectorSize); err != nil {
		t.Fatal(err)
	}
	return ours
}

// same compares two files.
func same(t *testing.T, a, b string) {
	t.Helper()
	fa, err := os.Open(a)
	if err != nil {
		t.Fatal(err)
	}
	defer fa.Close()
	fb, err := os.Open(b)
	if err != nil {
		t.Fatal(err)
	}
	defer fb.Close()
	x, y := make([]byte, 1<<20), make([]byte, 1<<20)
	for at := int64(0); ; at += int64(len(x)) {
		n, errA := io.ReadFull(fa, x)
		m, errB := io.ReadFull(fb, y)
		if !bytes.Equal(x[:n], y[:m]) {
			t.Fatalf("they differ at or behind byte %d", at)
		}
		if errA != nil || errB != nil {
			if (errA == nil) != (errB == nil) {
				t.Fatalf("one ends at byte %d", at)
			}
			return
		}
	}
}

// TestInteropLimits damages sparse images of the sizes of a CD, a DVD and a BD in many rows as far as a row bears, exactly: dvdisaster
// and Repair both give them back bit by bit. With one sector more in one row both say that it is lost, and leave the same bytes. `make
// interop` runs CD and DVD. BD takes dvdisaster long, which goes through all of the image whatever is wrong with it: with INTEROP=bd it is
// among them, and dvdisaster is run once, for one row beyond and all others at the limit. Each needs as much disk as a twentieth of the disc.
func TestInteropLimits(t *testing.T) {
	if os.Getenv("INTEROP") == "" {
		t.Skip("make interop runs it")
	}
	for _, c := range []struct {
		medium Medium
		roots  int
	}{{Media[0], 69}, {Media[0], 15}, {Media[1], 8}, {Media[3], 8}} {
		t.Run(fmt.Sprint(c.medium.Name, c.roots), func(t *testing.T) {
			large := c.medium.Name == "BD"
			if large && os.Getenv("INTEROP") != "bd" {
				t.Skip("INTEROP=bd asks for it")
			}
			g, err := Fill(c.medium.Capacity, DataSectors(c.medium.Capacity, c.roots))
			if err != nil {
				t.Fatal(err)
			}
			p := writeSparse(t, g)
			whole := p.sum(t)
			rows := []int64{0, 1, g.Layer / 2, g.Layer - 1}
			for r := int64(2); r < g.Layer; r += g.Layer / 100 {
				rows = append(rows, r)
			}
			limit := func() (sectors []int64) {
				for k, r := range rows {
					for j := range g.Roots() {
						// Layers 1 and up: the descriptor, and header and descriptors of data, stay. A program that is not told the size needs them.
						sectors = append(sectors, g.sector(1+(j+k*7)%(g.crcLayer()-2), r))
					}
				}
				return sectors
			}()
			// One layer more in the third row: none of those that are gone.
			beyond := append(limit[:len(limit):len(limit)], g.sector(layers-1, rows[2]))
			for _, x := range []struct {
				name string
				bad  []int64
				code int // of dvdisaster -f
			}{{"to the limit", limit, 1}, {"one beyond", beyond, 2}} {
				t.Run(x.name, func(t *testing.T) {
					if large && x.code == 1 {
						t.Skip("one beyond has all other rows at the limit")
					}
					p.kill(t, x.bad)
					if out, code := dvdisaster(t, "-i", p.Name(), "-f"); code != x.code {
						t.Fatalf("dvdisaster -f: exit code %d:\n%s", code, out)
					}
					theirs := p.sum(t)
					if (theirs == whole) != (x.code == 1) {
						t.Errorf("dvdisaster gives back what was there: %v", theirs == whole)
					}
					p.heal(t)
					p.kill(t, x.bad)
					r, err := Repair(t.Context(), Source{ReaderAt: p}, p, p.header, Options{})
					if err != nil {
						t.Fatal(err)
					}
					if ours := p.sum(t); ours != theirs {
						t.Error("what is left of the image is not what dvdisaster leaves")
					}
					if lost := int64(x.code - 1); r.Whole() != (lost == 0) || r.LostRows != lost || r.Lost != lost*int64(g.Roots()+1) || r.Marked != int64(len(x.bad)) {
						t.Errorf("%s", told(r))
					}
					p.heal(t)
				})
			}
			if !large {
				judgedGood(t, p.Name())
			}
		})
	}
}

// patient is a large image of which what was damaged is kept.
type patient struct {
	*os.File
	header Header
	was    map[int64][]byte
}

// writeSparse makes an augmented image that is mostly holes.
func writeSparse(t *testing.T, g Geometry) *patient {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "x.iso"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	rng := rand.New(rand.NewPCG(uint64(g.Data), 1))
	head := iso(32, rng)
	le.PutUint32(head[16*sectorSize+80:], uint32(g.Data))
	binary.BigEndian.PutUint32(head[16*sectorSize+84:], uint32(g.Data))
	put := func(b []byte, sector int64) {
		if _, err := f.WriteAt(b, sector*sectorSize); err != nil {
			t.Fatal(err)
		}
	}
	put(head, 0)
	for s := int64(1000); s < g.Data; s += 997 {
		put(head[20*sectorSize+int(s%11)*sectorSize:][:sectorSize], s)
	}
	if err := f.Truncate(g.Data * sectorSize); err != nil {
		t.Fatal(err)
	}
	if err := Augment(t.Context(), f, f, Plan{Geometry: g}, Options{}); err != nil {
		t.Fatal(err)
	}
	h, err := Find(t.Context(), Source{ReaderAt: f}, g.Sectors())
	if err != nil || h.Geometry != g {
		t.Fatalf("found %v, want %v: %v", h.Geometry, g, err)
	}
	return &patient{f, h, map[int64][]byte{}}
}

// kill makes sectors dead, as dvdisaster leaves those that it can't read.
func (p *patient) kill(t *testing.T, sectors []int64) {
	t.Helper()
	dead := make([]byte, sectorSize)
	for _, s := range sectors {
		b := make([]byte, sectorSize)
		if _, err := p.ReadAt(b, s*sectorSize); err != nil {
			t.Fatal(err)
		}
		if p.was[s] == nil {
			p.was[s] = b
		}
		PutDead(dead, s, p.header.Fingerprint)
		if _, err := p.WriteAt(dead, s*sectorSize); err != nil {
			t.Fatal(err)
		}
	}
}

// heal puts back what was there.
func (p *patient) heal(t *testing.T) {
	t.Helper()
	for s, b := range p.was {
		if _, err := p.WriteAt(b, s*sectorSize); err != nil {
			t.Fatal(err)
		}
	}
}

func (p *patient) sum(t *testing.T) [sha256.Size]byte {
	t.Helper()
	h := sha256.New()
	if _, err := io.CopyBuffer(h, io.NewSectionReader(p, 0, p.header.Sectors()*sectorSize), make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	return [sha256.Size]byte(h.Sum(nil))
}
