package iso9660

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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

func open1(t testing.TB, b []byte) *Volume {
	t.Helper()
	v, err := Open(bytes.NewReader(b), int64(len(b))/archive.SectorSize)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

var tree = map[string]int{
	"hello.txt": 5, ".hidden": 3, "empty": 0, "dir/sub/file": 2048, "dir/big.bin": 300_000, "d/d/d/d/d/d/d/d/d/d/leaf": 1, "é語.txt": 100, "exact": 4096,
	strings.Repeat("long", 60): 7, strings.Repeat("x", 255): 9, "dir/" + strings.Repeat("y", 254): 10, "trail.": 1, "UPPER": 2, "upper": 3,
}

// foreign makes an image of the files in the map, and a symbolic link, with a program and its arguments.
func foreign(t testing.TB, files map[string]int, tool string, args ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	src := filepath.Join(dir, "src")
	for name, size := range files {
		p := filepath.Join(src, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, bytes.Repeat([]byte(name), size)[:size], 0o640); err != nil {
			t.Fatal(err)
		}
	}
	when := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	if err := os.Chtimes(filepath.Join(src, "hello.txt"), when, when); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/usr/../a/./b", filepath.Join(src, "link")); err != nil {
		t.Fatal(err)
	}
	img := filepath.Join(dir, "x.iso")
	program(t, tool, append(args, "-o", img, src)...)
	b, err := os.ReadFile(img)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestForeign(t *testing.T) {
	for name, command := range map[string][]string{
		"xorriso":     {"xorriso", "-as", "mkisofs", "-quiet", "-R", "-J"},
		"genisoimage": {"genisoimage", "-quiet", "-iso-level", "3", "-R"},
		"relocated":   {"genisoimage", "-quiet", "-R", "-udf", "-J", "-joliet-long"},
	} {
		t.Run(name, func(t *testing.T) {
			v := open1(t, foreign(t, tree, command[0], command[1:]...))
			for name, size := range tree {
				got, err := fs.ReadFile(v, name)
				if err != nil || !bytes.Equal(got, bytes.Repeat([]byte(name), size)[:size]) {
					t.Errorf("%q: %d bytes, %v", name, len(got), err)
				}
			}
			for x := range v.Walk {
				if x.Err != nil || len(x.Faults) > 0 {
					t.Errorf("%s: %v, %v", x.Path, x.Err, x.Faults)
				}
			}
			if i, err := v.Stat("hello.txt"); err != nil || !i.ModTime().Equal(time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)) || i.Mode() != 0o640 && i.Mode() != 0o440 {
				t.Errorf("%v, %v", i, err)
			}
			if target, err := v.ReadLink("link"); err != nil || target != "/usr/../a/./b" {
				t.Errorf("link to %q, %v", target, err)
			}
			if err := fstest.TestFS(v, "hello.txt", "dir/sub/file"); err != nil {
				t.Error(err)
			}
			l, err := v.PathTable(false)
			m, err2 := v.PathTable(true)
			if err != nil || err2 != nil || !slices.Equal(l, m) || len(l) < 13 {
				t.Errorf("path tables of %d and %d, %v, %v", len(l), len(m), err, err2)
			}
			for p, err := range v.Second {
				// It does not follow relocated directories.
				if !strings.HasPrefix(p, "d/d") && p != "." {
					t.Errorf("%s: %v", p, err)
				}
			}
		})
	}
}

func TestJoliet(t *testing.T) {
	b := foreign(t, map[string]int{"hello.txt": 5, "dir/é語.txt": 100}, "xorriso", "-as", "mkisofs", "-quiet", "-R", "-J")
	v, err := OpenJoliet(bytes.NewReader(b), int64(len(b))/archive.SectorSize)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := fs.ReadFile(v, "dir/é語.txt"); err != nil || len(got) != 100 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	b = foreign(t, map[string]int{"hello.txt": 5}, "xorriso", "-as", "mkisofs", "-quiet", "-R")
	if _, err := OpenJoliet(bytes.NewReader(b), int64(len(b))/archive.SectorSize); !errors.Is(err, ErrNone) {
		t.Errorf("without Joliet: %v", err)
	}
	if _, err := Open(bytes.NewReader(nil), 0); !errors.Is(err, ErrNone) {
		t.Errorf("nothing: %v", err)
	}
}

// TestUnreadableSectors: an error of the drive is reported with its sector wherever it is.
func TestUnreadableSectors(t *testing.T) {
	b := foreign(t, map[string]int{"hello.txt": 5, "dir/a": 3000, "dir/b": 9000}, "xorriso", "-as", "mkisofs", "-quiet", "-R")
	broken := errors.New("medium error")
	for lba := range int64(len(b)) / archive.SectorSize {
		r := faulty{b, lba, broken}
		v, err := Open(r, int64(len(b))/archive.SectorSize)
		if err != nil {
			if e, ok := errors.AsType[*extent.Error](err); !ok || e.Sector != lba || !errors.Is(err, broken) {
				t.Errorf("sector %d: %v", lba, err)
			}
			continue
		}
		for x := range v.Walk {
			if x.Err != nil && !errors.Is(x.Err, broken) {
				t.Errorf("sector %d: %v", lba, x.Err)
			}
			if x.Err != nil || x.Entry.Dir || x.Entry.Target != "" {
				continue
			}
			got, err := fs.ReadFile(v, x.Path)
			here := lba >= x.Entry.Sector && lba < x.Entry.Sector+archive.Sectors(x.Entry.Bytes)
			if e, ok := errors.AsType[*extent.Error](err); here != ok || ok && (e.Sector != lba || int64(len(got)) != (lba-x.Entry.Sector)*archive.SectorSize) {
				t.Errorf("sector %d, %s: %d bytes, %v", lba, x.Path, len(got), err)
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

// FuzzOpen reads images of any bytes, with both readers.
func FuzzOpen(f *testing.F) {
	b := foreign(f, map[string]int{"hello.txt": 5, "a/b/c": 3000, "a/" + strings.Repeat("n", 250): 1}, "xorriso", "-as", "mkisofs", "-quiet", "-R", "-J")
	b = bytes.TrimRight(b[:min(len(b), 100*archive.SectorSize)], "\x00")
	b = append(b[16*archive.SectorSize:], make([]byte, archive.SectorSize)...)
	f.Add(b)
	f.Fuzz(func(t *testing.T, img []byte) {
		img = append(make([]byte, 16*archive.SectorSize), img...)
		for _, open := range []func(io.ReaderAt, int64) (*Volume, error){Open, OpenJoliet} {
			v, err := open(bytes.NewReader(img), int64(len(img))/archive.SectorSize)
			if err != nil {
				continue
			}
			visits := 0
			for x := range v.Walk {
				if visits++; visits > len(img) {
					t.Fatal("a walk without end")
				}
				if x.Err == nil && !x.Entry.Dir {
					if file, err := v.Open(x.Path); err == nil {
						io.CopyN(io.Discard, file, 1<<20)
					}
				}
			}
			v.PathTable(false)
			v.PathTable(true)
			for range v.Second {
			}
		}
	})
}
