package tree

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"github.com/odarchive/odarchive/archive"
)

// Files that are to be durable have the same bytes however they are written: from a Buffer or not, in whatever portions, with holes.
func TestDirect(t *testing.T) {
	for name, dir := range map[string]string{"a disk": t.TempDir(), "memory": "/dev/shm"} {
		dir, err := os.MkdirTemp(dir, "direct")
		if err != nil {
			t.Logf("no %s: %v", name, err)
			continue
		}
		defer os.RemoveAll(dir)
		t.Run(name, func(t *testing.T) {
			n := 0
			pattern := bytes.Repeat([]byte("what is no block of zeros "), 10_000)
			rapid.Check(t, func(t *rapid.T) {
				data := make([]byte, directSize+rapid.IntRange(0, 3*directBlock).Draw(t, "more"))
				for at := 0; at < len(data); {
					at += copy(data[at:], pattern[at/directBlock%100:])
				}
				if rapid.Bool().Draw(t, "hole") {
					at := rapid.IntRange(0, len(data)).Draw(t, "from")
					clear(data[at:min(len(data), at+rapid.IntRange(0, 100_000).Draw(t, "length"))])
				}
				n++
				e := archive.Entry{Path: fmt.Sprint(n), Kind: archive.File, Mode: 0o600, Content: archive.Content{Hash: sha256.Sum256(data), Size: int64(len(data))}}
				r, err := NewRestore(dir, []archive.Entry{e})
				if err != nil {
					t.Fatal(err)
				}
				defer r.Close()
				r.Sync = true
				f, err := r.Create(&e)
				if err != nil {
					t.Fatal(err)
				}
				buffer := Buffer(256 << 10)
				for rest := data; len(rest) > 0; {
					from := buffer[rapid.SampledFrom([]int{0, 0, 0, 0, 1, 512}).Draw(t, "skip"):]
					k := copy(from[:min(len(from), rapid.SampledFrom([]int{256 << 10, 64 << 10, directBlock, 20_000}).Draw(t, "portion"))], rest)
					if _, err := f.Write(from[:k]); err != nil {
						t.Fatal(err)
					}
					rest = rest[k:]
				}
				r.Sync = false // the disk's time is not what is tested
				if err := f.Commit(); err != nil {
					t.Fatal(err)
				}
				if got, err := os.ReadFile(filepath.Join(dir, e.Path)); err != nil || !bytes.Equal(got, data) {
					t.Fatalf("other bytes came back: %v", err)
				}
				if err := os.Remove(filepath.Join(dir, e.Path)); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

// The first portion that is none of whole blocks from a Buffer ends direct writing, and not before.
func TestDirectEnds(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	d := directFile{File: f}
	defer d.Close()
	if d.goDirect(); !d.direct {
		t.Skip("this file system has no direct writes")
	}
	b := Buffer(8 * directBlock)
	for _, c := range []struct {
		b      []byte
		at     int64
		direct bool
	}{{b, 0, true}, {b[directBlock:], 16 * directBlock, true}, {b[:directBlock+1], 8 * directBlock, false}, {b, 24 * directBlock, false}} {
		if n, err := d.WriteAt(c.b, c.at); n != len(c.b) || err != nil {
			t.Fatalf("wrote %d of %d: %v", n, len(c.b), err)
		}
		if d.direct != c.direct {
			t.Errorf("%d bytes at %d: direct is %v", len(c.b), c.at, d.direct)
		}
	}
}
