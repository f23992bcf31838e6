package iso9660

import (
	"bytes"
	"io/fs"
	"runtime"
	"strings"
	"testing"

	"github.com/odarchive/odarchive/archive"
)

// hostile is a volume that others wrote, whose records can be changed.
func hostile(t testing.TB) []byte {
	b := foreign(t, map[string]int{"hello.txt": 5, "a/b/c": 3000, "a/" + strings.Repeat("n", 250): 1, "a/b/d/e": 2}, "xorriso", "-as", "mkisofs", "-quiet", "-R", "-J")
	return b[:min(len(b), 100*archive.SectorSize)]
}

// asked are paths that somebody looks for on a hostile volume.
var asked = []string{"hello.txt", "a/b/c", "a/" + strings.Repeat("n", 250), "a/b/d/e", ".", "", "a//b", "a/../a", "hello.txt/x", "HELLO.TXT;1"}

// tryDiskfs looks for files through go-diskfs and reads a little of them, and returns how many bytes that took.
func tryDiskfs(img []byte) (took uint64) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	d, err := OpenDiskfs(bytes.NewReader(img), int64(len(img))/archive.SectorSize)
	if err == nil {
		for _, name := range asked {
			files, err := d.Find(name)
			if err != nil {
				continue
			}
			for _, f := range files {
				var some [100]byte
				f.Read(some[:])
				f.Stat()
			}
		}
	}
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// most is what looking for files may take of a volume of so many bytes. Every look reads each directory on the way again.
func most(size int) uint64 { return 64<<20 + 1000*uint64(size) }

// TestHostileDiskfs: lengths that go-diskfs would believe, and continuation areas that lead back to themselves, are errors that cost nothing.
func TestHostileDiskfs(t *testing.T) {
	good := hostile(t)
	d, err := OpenDiskfs(bytes.NewReader(good), int64(len(good))/archive.SectorSize)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range asked[:4] {
		if _, err := d.Find(name); err != nil {
			t.Errorf("unchanged: %v", err)
		}
	}
	const pvd = 16 * archive.SectorSize
	root := int(le.Uint32(good[pvd+156+2:])) * archive.SectorSize
	ce := bytes.Index(good, []byte("CE\x1c\x01"))
	dir := root // the record of a
	for good[dir+33] != 'A' {
		dir += int(good[dir])
	}
	for what, change := range map[string]func(b []byte){
		"path table":        func(b []byte) { le.PutUint32(b[pvd+132:], 1<<32-1) },
		"root":              func(b []byte) { le.PutUint32(b[pvd+156+10:], 1<<32-1) },
		"directory":         func(b []byte) { le.PutUint32(b[dir+10:], 1<<32-1) },
		"continuation area": func(b []byte) { le.PutUint32(b[ce+20:], 1<<32-1) },
		"circle": func(b []byte) {
			area := int(le.Uint32(b[ce+4:])) * archive.SectorSize
			copy(b[area:], b[ce:ce+28])
			le.PutUint32(b[ce+12:], 0)
			le.PutUint32(b[area+12:], 0)
			le.PutUint32(b[ce+20:], 28)
			le.PutUint32(b[area+20:], 28)
		},
		"no end of descriptors": func(b []byte) {
			for at := pvd + archive.SectorSize; at < len(b); at += archive.SectorSize {
				copy(b[at:], good[pvd:pvd+archive.SectorSize])
			}
		},
	} {
		b := bytes.Clone(good)
		change(b)
		took := tryDiskfs(b)
		if took > most(len(b)) {
			t.Errorf("%s: it took %d bytes", what, took)
		}
		d, err := OpenDiskfs(bytes.NewReader(b), int64(len(b))/archive.SectorSize)
		for _, name := range asked[:4] {
			if err == nil {
				_, err = d.Find(name)
			}
		}
		if err == nil {
			t.Errorf("%s: nothing is noticed", what)
		}
	}
}

// FuzzDiskfs reads volumes of any bytes through go-diskfs: those that others wrote, with bytes changed, and what isn't one at all.
func FuzzDiskfs(f *testing.F) {
	b := hostile(f)
	f.Add([]byte{}, []byte("no volume"))
	f.Add([]byte{0, 16, 132, 0, 255}, []byte{})
	f.Add([]byte{0, 20, 10, 0, 1, 0, 25, 60, 0, 7}, []byte{})
	f.Fuzz(func(t *testing.T, edits, other []byte) {
		if len(edits) > 5000 || len(other) > 1<<20 {
			return
		}
		img := bytes.Clone(b)
		for ; len(edits) >= 5; edits = edits[5:] { // sector, place in it, value
			img[((int(edits[0])<<8|int(edits[1]))*archive.SectorSize+int(edits[2])+int(edits[3])<<8)%len(img)] = edits[4]
		}
		for _, img := range [][]byte{img, append(make([]byte, 16*archive.SectorSize), other...)} {
			if took := tryDiskfs(img); took > most(len(img)) {
				t.Errorf("a volume of %d bytes took %d", len(img), took)
			}
			if v, err := Open(bytes.NewReader(img), int64(len(img))/archive.SectorSize); err == nil {
				for range v.Second {
				}
			}
		}
	})
}

var _ fs.FS = (*Diskfs)(nil)
