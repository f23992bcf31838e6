package tree

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/odarchive/odarchive/archive"
)

// TestFolderReadsWhatWasScanned: with openat2 and without.
func TestFolderReadsWhatWasScanned(t *testing.T) {
	dir := nasty(t)
	entries, err := Scan(t.Context(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, slow := range []bool{false, true} {
		f, err := OpenFolder(dir)
		if err != nil {
			t.Fatal(err)
		}
		f.slow.Store(slow)
		files := 0
		for i := range entries {
			e := &entries[i]
			if e.Kind != archive.File {
				continue
			}
			files++
			s, err := f.Open(e)
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.New()
			if n, err := io.Copy(sum, s.Reader(0, e.Content.Size+1)); err != nil || n != e.Content.Size || archive.Hash(sum.Sum(nil)) != e.Content.Hash {
				t.Errorf("%q: %d bytes, %v", e.Path, n, err)
			}
			if err := s.Close(); err != nil || f.Changed(e) {
				t.Errorf("%q: %v", e.Path, err)
			}
		}
		if files < 10 || f.slow.Load() != slow {
			t.Errorf("%d files, slow %v", files, f.slow.Load())
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestFolderRefusesWhatIsNotTheFile: what took a file's place, or that of a directory on the way to it.
func TestFolderRefusesWhatIsNotTheFile(t *testing.T) {
	for name, change := range map[string]func(dir string) error{
		"longer":  func(dir string) error { return os.Truncate(filepath.Join(dir, "d/f"), 10) },
		"shorter": func(dir string) error { return os.Truncate(filepath.Join(dir, "d/f"), 1) },
		"a FIFO": func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "d/f")), unix.Mkfifo(filepath.Join(dir, "d/f"), 0o600))
		},
		"a symlink": func(dir string) error {
			return errors.Join(os.Rename(filepath.Join(dir, "d/f"), filepath.Join(dir, "d/g")), os.Symlink("g", filepath.Join(dir, "d/f")))
		},
		"a symlink to a folder": func(dir string) error {
			return errors.Join(os.Rename(filepath.Join(dir, "d"), filepath.Join(dir, "e")), os.Symlink("e", filepath.Join(dir, "d")))
		},
		"gone": func(dir string) error { return os.RemoveAll(filepath.Join(dir, "d")) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := errors.Join(os.Mkdir(filepath.Join(dir, "d"), 0o755), os.WriteFile(filepath.Join(dir, "d/f"), []byte("what"), 0o644)); err != nil {
				t.Fatal(err)
			}
			f, err := OpenFolder(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			e := &archive.Entry{Path: "d/f", Kind: archive.File, Content: archive.Content{Size: 4}}
			s, err := f.Open(e)
			if err != nil {
				t.Fatal(err)
			}
			s.Close()
			if err := change(dir); err != nil {
				t.Fatal(err)
			}
			if s, err := f.Open(e); err == nil {
				t.Error("it was opened")
				s.Close()
			}
		})
	}
}

// TestSourceHoles: reads at any place, in any order, give what the file system gives.
func TestSourceHoles(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "f")
	rapid.Check(t, func(t *rapid.T) {
		f, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		const size = 1 << 20
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(0, 4).Draw(t, "runs of data") {
			at := rapid.Int64Range(0, size-1).Draw(t, "at")
			b := bytes.Repeat([]byte{7}, rapid.IntRange(1, 20000).Draw(t, "length"))
			if _, err := f.WriteAt(b[:min(int64(len(b)), size-at)], at); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		folder, err := OpenFolder(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer folder.Close()
		s, err := folder.Open(&archive.Entry{Path: "f", Content: archive.Content{Size: size}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for range 8 {
			off := rapid.Int64Range(0, size).Draw(t, "off")
			got := bytes.Repeat([]byte{9}, rapid.IntRange(0, 300000).Draw(t, "n"))
			n, err := s.ReadAt(got, off)
			if !bytes.Equal(got[:n], want[off:off+int64(n)]) || n < len(got) && (err != io.EOF || off+int64(n) != size) {
				t.Fatalf("at %d: %d of %d bytes, %v", off, n, len(got), err)
			}
		}
	})
}
