package ecc

import (
	"bytes"
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
