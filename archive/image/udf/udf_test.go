package udf

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/image/extent"
)

// program runs a program that we did not write. Where CI is set it must be there.
func program(t testing.TB, name string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

func open(t testing.TB, b []byte) *Volume {
	t.Helper()
	v, err := Open(bytes.NewReader(b), int64(len(b))/archive.SectorSize)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// foreign makes an image with genisoimage of the files in the map.
func foreign(t testing.TB, files map[string]int) []byte {
	t.Helper()
	dir := t.TempDir()
	src := filepath.Join(dir, "src")
	for name, size := range files {
		p := filepath.Join(src, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, bytes.Repeat([]byte(name), size)[:size], 0o644); err != nil {
			t.Fatal(err)
		}
	}
	when := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	if err := os.Chtimes(filepath.Join(src, "hello.txt"), when, when); err != nil {
		t.Fatal(err)
	}
	img := filepath.Join(dir, "x.iso")
	program(t, "genisoimage", "-quiet", "-udf", "-iso-level", "3", "-R", "-J", "-joliet-long", "-o", img, src)
	b, err := os.ReadFile(img)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var tree = map[string]int{"hello.txt": 5, "empty": 0, "dir/sub/file": 2048, "dir/big.bin": 300_000, "d/d/d/d/d/d/d/d/d/d/leaf": 1, "é语.txt": 100, "exact": 4096}

func TestGenisoimage(t *testing.T) {
	v := open(t, foreign(t, tree))
	for name, size := range tree {
		got, err := fs.ReadFile(v, name)
		if err != nil || !bytes.Equal(got, bytes.Repeat([]byte(name), size)[:size]) {
			t.Errorf("%q: %d bytes, %v", name, len(got), err)
		}
	}
	n := 0
	for x := range v.Walk {
		if x.Err != nil {
			t.Errorf("%s: %v", x.Path, x.Err)
		} else if !x.Node.IsDir() {
			n++
		}
	}
	if n != len(tree) {
		t.Errorf("%d files of %d", n, len(tree))
	}
	if i, err := v.Stat("hello.txt"); err != nil || !i.ModTime().Equal(time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)) {
		t.Errorf("%v, %v", i, err)
	}
	if err := fstest.TestFS(v, "hello.txt", "dir/sub/file"); err != nil {
		t.Error(err)
	}
	if v.Revision != 0x0102 || len(v.Anchors) < 2 {
		t.Errorf("revision %x, anchors at %v", v.Revision, v.Anchors)
	}
}

// TestMkudffs: volumes with nothing in them, of every revision that mkudffs makes of this kind.
func TestMkudffs(t *testing.T) {
	for _, kind := range [][]string{{"hd", "1.02"}, {"dvd", "1.50"}, {"hd", "2.01"}, {"hd", "2.00"}} {
		img := filepath.Join(t.TempDir(), "x.udf")
		program(t, "truncate", "-s", "20M", img)
		program(t, "mkudffs", "--media-type="+kind[0], "--blocksize=2048", "--udfrev="+kind[1], "--label=foreign", img)
		b, err := os.ReadFile(img)
		if err != nil {
			t.Fatal(err)
		}
		v := open(t, b)
		entries, err := v.ReadDir(".")
		if err != nil || v.Label != "foreign" {
			t.Errorf("%v: %q, %v, %v", kind, v.Label, entries, err)
		}
	}
	img := filepath.Join(t.TempDir(), "x.udf")
	program(t, "truncate", "-s", "60M", img)
	program(t, "mkudffs", "--media-type=bdr", "--udfrev=2.50", img)
	f, err := os.Open(img)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := Open(f, 60<<20/archive.SectorSize); !errors.Is(err, ErrUnsupported) {
		t.Errorf("a virtual partition: %v", err)
	}
}

// TestLinux reads what Linux's driver wrote: Extended File Entries, files and directories within them, an embedded symbolic link.
func TestLinux(t *testing.T) {
	f, err := os.Open("testdata/linux-2.01.img.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	v := open(t, b)
	sums, err := fs.ReadFile(v, "SHA256SUMS")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(sums)) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		data, err := fs.ReadFile(v, strings.TrimPrefix(name, "./"))
		if got := fmt.Sprintf("%x", sha256.Sum256(data)); err != nil || got != sum {
			t.Errorf("%s: %d bytes, %v", name, len(data), err)
		}
		n++
	}
	if n < 100 {
		t.Errorf("%d files", n)
	}
	if target, err := v.ReadLink("dir/link"); err != nil || target != "../small" {
		t.Errorf("link to %q, %v", target, err)
	}
	if target, err := v.ReadLink("root link"); err != nil || target != "/a/./b" {
		t.Errorf("link to %q, %v", target, err)
	}
	if i, err := v.Stat("script"); err != nil || i.Mode().Perm() != 0o751 {
		t.Errorf("%v, %v", i, err)
	}
	for x := range v.Walk {
		if x.Err != nil {
			t.Errorf("%s: %v", x.Path, x.Err)
		}
	}
	if c, err := v.Counts(); err != nil || !c.Closed || int(c.Files) != n+3 || c.Dirs != 3 {
		t.Errorf("%+v, %v; %d files", c, err, n)
	}
}

// TestUnreadableSectors: an error of the drive is reported with its sector, wherever it is, and the rest is read.
func TestUnreadableSectors(t *testing.T) {
	b := foreign(t, map[string]int{"hello.txt": 5, "dir/a": 3000, "dir/b": 9000})
	broken := errors.New("medium error")
	v := open(t, b)
	i, err := v.Stat("dir/b")
	if err != nil {
		t.Fatal(err)
	}
	bad := i.Sys().(*Node).Extents[0].Sector + 3
	v, err = Open(faulty{b, bad, broken}, int64(len(b))/archive.SectorSize)
	if err != nil {
		t.Fatal(err)
	}
	got, err := fs.ReadFile(v, "dir/b")
	e, ok := errors.AsType[*extent.Error](err)
	if !ok || e.Sector != bad || !errors.Is(err, broken) || len(got) != 3*archive.SectorSize {
		t.Errorf("%d bytes, then %v", len(got), err)
	}
	if got, err := fs.ReadFile(v, "dir/a"); err != nil || len(got) != 3000 {
		t.Errorf("the other: %d, %v", len(got), err)
	}
	// The entry of a file.
	v, err = Open(faulty{b, i.Sys().(*Node).Sector, broken}, int64(len(b))/archive.SectorSize)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := v.ReadDir("dir")
	if err != nil || len(entries) != 2 {
		t.Fatalf("%v, %v", entries, err)
	}
	failed := 0
	for _, x := range entries {
		if _, err := x.Info(); errors.Is(err, broken) {
			failed++
		}
	}
	if failed != 1 {
		t.Errorf("%d of two entries are unreadable", failed)
	}
	for lba := range int64(len(b))/archive.SectorSize - 150 {
		if lba < 256 && lba%32 > 6 {
			continue // nothing is there
		}
		v, err := Open(faulty{b, lba, broken}, int64(len(b))/archive.SectorSize)
		if err != nil {
			continue
		}
		for x := range v.Walk {
			if x.Err != nil && !errors.Is(x.Err, broken) {
				t.Errorf("sector %d: %v", lba, x.Err)
			}
		}
	}
}

type faulty struct {
	b   []byte
	bad int64
	err error
}

func (f faulty) ReadAt(p []byte, off int64) (int, error) {
	at := f.bad * archive.SectorSize
	if off < at+archive.SectorSize && off+int64(len(p)) > at {
		n := max(at-off, 0)
		copy(p[:n], f.b[off:])
		return int(n), f.err
	}
	return bytes.NewReader(f.b).ReadAt(p, off)
}

func TestCRC(t *testing.T) {
	// The check value of CRC-16/XMODEM, which is ECMA-167's.
	if got := CRC([]byte("123456789")); got != 0x31C3 {
		t.Errorf("%04x", got)
	}
}

// FuzzOpen reads volumes whose descriptors were changed and then given right checksums, so that what is behind those is tried too.
func FuzzOpen(f *testing.F) {
	b := foreign(f, map[string]int{"hello.txt": 5, "a/b/c": 3000, "a/d": 0})
	b = b[:min(len(b), 340*archive.SectorSize)]
	var tags []int // of each descriptor
	for at := 0; at+16 <= len(b); at += 4 {
		if n := int(le.Uint16(b[at+10:])); le.Uint16(b[at:]) != 0 && at+16+n <= len(b) && n >= 8 && checkTag(b[at:at+16+n], le.Uint16(b[at:]), le.Uint32(b[at+12:]), 0) == nil {
			tags = append(tags, at)
		}
	}
	if len(tags) < 20 {
		f.Fatalf("%d descriptors", len(tags))
	}
	f.Add([]byte{5, 20, 0, 1})
	for i := 0; i < len(tags); i += 5 {
		f.Add([]byte{byte(i), 18, 0, 2, byte(i), 56, 0, 255})
	}
	f.Fuzz(func(t *testing.T, edits []byte) {
		img := bytes.Clone(b)
		for ; len(edits) >= 4; edits = edits[4:] {
			at := tags[int(edits[0])%len(tags)]
			n := int(le.Uint16(b[at+10:]))
			img[at+16+(int(edits[1])|int(edits[2])<<8)%n] = edits[3]
		}
		for _, at := range tags {
			n := int(le.Uint16(b[at+10:]))
			le.PutUint16(img[at+8:], CRC(img[at+16:at+16+n]))
			img[at+4] = 0
			for i := range 16 {
				if i != 4 {
					img[at+4] += img[at+i]
				}
			}
		}
		explore(t, img)
	})
}

// FuzzBytes reads images of any bytes.
func FuzzBytes(f *testing.F) {
	b := foreign(f, map[string]int{"hello.txt": 5})
	f.Add(b[:min(len(b), 400*archive.SectorSize)])
	f.Fuzz(func(t *testing.T, img []byte) { explore(t, img) })
}

// explore reads all that there is.
func explore(t *testing.T, img []byte) {
	v, err := Open(bytes.NewReader(img), int64(len(img))/archive.SectorSize)
	if err != nil {
		return
	}
	v.Counts()
	visits := 0
	for x := range v.Walk {
		if visits++; visits > len(img) {
			t.Fatal("a walk without end")
		}
		if x.Err != nil || x.Node == nil || x.Node.IsDir() {
			continue
		}
		if f, err := v.Open(x.Path); err == nil {
			io.CopyN(io.Discard, f, 1<<20)
		}
		if x.Node.Kind == kindSymlink {
			v.ReadLink(x.Path)
		}
	}
}
