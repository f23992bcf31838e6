package client

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/odarchive/odarchive/archive/tree"
)

// A file that changes after it was scanned is read again: what is sealed is what some moment saw whole. One that can't be read any more
// is named, and left out when that is asked for.
func TestChangesAfterTheScan(t *testing.T) {
	const size = 3 << 20 // several pieces
	other := bytes.Repeat([]byte("other "), size/6)
	for _, c := range []struct {
		name   string
		change func(path string) error
		want   []byte // nil when the file can't be archived
		why    error
	}{
		{"rewritten", func(path string) error {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err == nil {
				_, err = f.Write(other)
			}
			return errors.Join(err, f.Close())
		}, other, nil},
		{"replaced", func(path string) error {
			return errors.Join(os.WriteFile(path+".new", other, 0o600), os.Rename(path+".new", path))
		}, other, nil},
		{"shorter", func(path string) error { return os.Truncate(path, 1000) }, bytes.Repeat([]byte("x"), 1000), nil},
		{"empty", func(path string) error { return os.Truncate(path, 0) }, []byte{}, nil},
		{"longer", func(path string) error {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteString("more")
			}
			return errors.Join(err, f.Close())
		}, append(bytes.Repeat([]byte("x"), size), "more"...), nil},
		{"gone", os.Remove, nil, fs.ErrNotExist},
		{"a folder", func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) }, nil, nil},
		{"a FIFO", func(path string) error { return errors.Join(os.Remove(path), unix.Mkfifo(path, 0o600)) }, nil, nil},
		{"a symlink", func(path string) error { return errors.Join(os.Remove(path), os.Symlink("/etc/passwd", path)) }, nil, nil},
	} {
		for _, moment := range []string{"before the upload", "during the upload"} {
			for _, keepGoing := range []bool{false, true} {
				name := c.name + " " + moment
				if keepGoing {
					name += ", left out when need be"
				}
				t.Run(name, func(t *testing.T) {
					dir := t.TempDir()
					path := filepath.Join(dir, "changes")
					for _, name := range []string{path, filepath.Join(dir, "stays")} {
						if err := os.WriteFile(name, bytes.Repeat([]byte("x"), size), 0o600); err != nil {
							t.Fatal(err)
						}
					}
					if err := os.WriteFile(filepath.Join(dir, "stays"), []byte("it stays"), 0o600); err != nil {
						t.Fatal(err)
					}
					once := func(call int) {
						if call == 1 {
							if err := c.change(path); err != nil {
								t.Error(err)
							}
						}
					}
					f := &fake{}
					if moment == "before the upload" {
						f.asked = once
					} else {
						f.first = once
					}
					var skipped []string
					_, err := f.start(t).Put(t.Context(), Put{Dir: dir, KeepGoing: keepGoing, Skipped: func(path string, _ error) { skipped = append(skipped, path) }})

					// What was in the client's hands before it changed may have been archived as it was, and so may what only grew.
					got, archived := f.bytes("changes")
					before := (moment == "during the upload" || len(c.want) > size) && bytes.Equal(got, bytes.Repeat([]byte("x"), size))
					switch {
					case err == nil && before && len(skipped) == 0:
					case c.want == nil && !keepGoing:
						if err == nil || !strings.Contains(err.Error(), `"changes"`) || c.why != nil && !errors.Is(err, c.why) {
							t.Fatalf("want an error that names the file, got: %v", err)
						}
						return
					case err != nil:
						t.Fatal(err)
					case c.want == nil:
						if archived || len(skipped) != 1 || skipped[0] != "changes" {
							t.Errorf("archived: %v, said to be left out: %q", archived, skipped)
						}
					default:
						if !bytes.Equal(got, c.want) {
							t.Errorf("%d bytes were archived, want %d", len(got), len(c.want))
						}
					}
					if got, _ := f.bytes("stays"); string(got) != "it stays" {
						t.Errorf("the other file was archived as %q", got)
					}
				})
			}
		}
	}
}

// A file that never comes to rest is an error that names it, whatever is asked for.
func TestChangesForEver(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "log")
	if err := os.WriteFile(path, []byte("line 0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := &fake{}
	f.asked = func(call int) {
		if err := os.WriteFile(path, fmt.Appendf(nil, "%d times", call), 0o600); err != nil {
			t.Error(err)
		}
	}
	_, err := f.start(t).Put(t.Context(), Put{Dir: dir})
	if !errors.Is(err, tree.ErrChanging) || !strings.Contains(err.Error(), `"log"`) {
		t.Fatalf("got: %v", err)
	}
	if f.asks != mostChanges+1 {
		t.Errorf("it was tried %d times, want %d", f.asks, mostChanges+1)
	}
	if f.sealed != nil {
		t.Error("an archive was sealed")
	}
}

// Two names of one file: when the first is gone the other stands for it.
func TestFirstNameGone(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(path("a"), []byte("twice"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"b", "c"} {
		if err := os.Link(path("a"), path(name)); err != nil {
			t.Fatal(err)
		}
	}
	f := &fake{asked: func(call int) {
		if call == 1 {
			if err := os.Remove(path("a")); err != nil {
				t.Error(err)
			}
		}
	}}
	if _, err := f.start(t).Put(t.Context(), Put{Dir: dir, KeepGoing: true}); err != nil {
		t.Fatal(err)
	}
	var shown []string
	for _, e := range f.sealed {
		shown = append(shown, e.Path+">"+e.HardLink)
	}
	if got := strings.Join(shown, " "); got != ".> b> c>b" {
		t.Errorf("sealed %q", got)
	}
	if got, _ := f.bytes("b"); string(got) != "twice" {
		t.Errorf("b was archived as %q", got)
	}
}
