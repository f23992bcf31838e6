package tree

import (
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/odarchive/odarchive/archive"
)

// emptyHash is that of no bytes.
var emptyHash = archive.Hash(sha256.Sum256(nil))

// hole makes a file that is nothing but a hole.
func hole(t *testing.T, size int64) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "hole"), nil, 0o644), os.Truncate(filepath.Join(dir, "hole"), size)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestSparseTakesNoMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("hashes 10 GiB of zeros")
	}
	const size = 10 << 30
	dir := hole(t, size)
	var before, after runtime.MemStats
	var last int64
	runtime.ReadMemStats(&before)
	entries, err := Scan(t.Context(), dir, Options{Progress: func(_, bytes int64) { last = max(last, bytes) }, Jobs: 1})
	runtime.ReadMemStats(&after)
	if err != nil || len(entries) != 2 || entries[1].Content.Size != size || last != size {
		t.Fatalf("%v, %v, progress to %d", entries, err, last)
	}
	// sha256sum of as many zeros.
	if got := entries[1].Content.Hash.String(); got != "732377e7f4a2abdc13ddfa1eb4c9c497fd2a2b294674d056cf51581b47dd586d" {
		t.Errorf("its hash is %s", got)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 16<<20 {
		t.Errorf("%d bytes were allocated", n)
	}
}

// A hole of a terabyte takes many minutes to hash; whoever waits may give up at once.
func TestHoleEndsWithContext(t *testing.T) {
	dir := hole(t, 1<<40)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	began := time.Now()
	_, err := Scan(ctx, dir, Options{Progress: func(_, _ int64) { cancel() }})
	if !errors.Is(err, context.Canceled) || time.Since(began) > 30*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}

// A file whose place something else has taken is not opened, and nobody waits for the other end of a FIFO.
func TestOpenWhatChanged(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "file"), nil, 0o644), unix.Mkfifo(filepath.Join(dir, "fifo"), 0o644), os.Mkdir(filepath.Join(dir, "dir"), 0o755)); err != nil {
		t.Fatal(err)
	}
	f, err := Open(root, &archive.Entry{Path: "file"})
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	for _, path := range []string{"fifo", "dir"} {
		if _, err := Open(root, &archive.Entry{Path: path}); !errors.Is(err, ErrChanging) {
			t.Errorf("open %s: %v", path, err)
		}
	}
}

// Entries that lead out through a symlink, made by them or found in the target, touch nothing outside: no name, mode, time or byte.
func TestNothingOutside(t *testing.T) {
	file := func(path string) archive.Entry {
		return archive.Entry{Path: path, Kind: archive.File, Mode: 0o777, Content: archive.Content{Hash: emptyHash}}
	}
	dir := func(path string) archive.Entry { return archive.Entry{Path: path, Kind: archive.Dir, Mode: 0o777} }
	link := func(path, target string) archive.Entry {
		return archive.Entry{Path: path, Kind: archive.Symlink, Target: target}
	}
	for name, c := range map[string]struct {
		found   string // target of a symlink "link" that is there before
		entries []archive.Entry
	}{
		"a folder through a new link":        {"", []archive.Entry{link("link", "../outside"), dir("link/new")}},
		"a file through a new link":          {"", []archive.Entry{link("link", "../outside"), file("link/new")}},
		"a folder that becomes a link":       {"", []archive.Entry{dir("link"), link("link", "../outside")}},
		"a link that becomes a folder":       {"", []archive.Entry{link("link", "../outside"), dir("link")}},
		"a folder where a link is":           {"../outside", []archive.Entry{dir("link")}},
		"a file through a link that is":      {"../outside", []archive.Entry{file("link/kept")}},
		"a folder through a link that is":    {"../outside", []archive.Entry{dir("link/new")}},
		"a link through a link that is":      {"../outside", []archive.Entry{link("link/new", "x")}},
		"a file over a link to a file":       {"../outside/kept", []archive.Entry{file("link")}},
		"a hard link to a link to a file":    {"../outside/kept", []archive.Entry{file("a"), {Path: "z", Kind: archive.File, HardLink: "link", Content: archive.Content{Hash: emptyHash}}}},
		"an absolute path":                   {"", []archive.Entry{file("/../outside/new")}},
		"a path that goes up and down again": {"", []archive.Entry{file("a/../../outside/new")}},
	} {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			outside, target := filepath.Join(base, "outside"), filepath.Join(base, "target")
			if err := errors.Join(os.Mkdir(outside, 0o750), os.WriteFile(filepath.Join(outside, "kept"), []byte("mine"), 0o600), os.Mkdir(target, 0o755)); err != nil {
				t.Fatal(err)
			}
			if c.found != "" {
				if err := os.Symlink(c.found, filepath.Join(target, "link")); err != nil {
					t.Fatal(err)
				}
			}
			before, err := Scan(t.Context(), outside, Options{})
			if err != nil {
				t.Fatal(err)
			}
			r := newRestore(t, target, c.entries)
			r.Overwrite = true
			// Each step is taken whatever became of the one before.
			r.Begin()
			for _, e := range r.Files() {
				if f, err := r.Create(e); err == nil {
					f.Commit()
				}
			}
			r.Finish(t.Context())
			after, err := Scan(t.Context(), outside, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := CompareEntries(before, after, true); len(diff) > 0 {
				t.Errorf("outside: %v", diff)
			}
			if all, err := os.ReadDir(base); err != nil || len(all) != 2 {
				t.Errorf("beside the target: %v %v", all, err)
			}
		})
	}
}
