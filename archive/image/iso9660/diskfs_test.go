package iso9660

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	disk "github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/iso9660"

	"github.com/odarchive/odarchive/archive"
)

// written makes an image of files with go-diskfs's own writer.
func written(t testing.TB, files map[string]int, o iso9660.FinalizeOptions) []byte {
	t.Helper()
	dir := t.TempDir()
	img := filepath.Join(dir, "x.iso")
	out, err := disk.CreateFromPath(img, 8<<20)
	if err != nil {
		t.Fatal(err)
	}
	work := filepath.Join(dir, "work") // it is deleted in the end
	for name, size := range files {
		p := filepath.Join(work, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, bytes.Repeat([]byte(name), size)[:size], 0o640); err != nil {
			t.Fatal(err)
		}
	}
	fsys, err := iso9660.Create(out, 8<<20, 0, archive.SectorSize, work)
	if err != nil {
		t.Fatal(err)
	}
	if err := fsys.Finalize(o); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(img)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestWrittenByDiskfs: images that go-diskfs wrote are read, as far as it wrote what it was given. Without Rock
// Ridge names are those of ISO 9660, and files that fill their last sector cost it Joliet.
func TestWrittenByDiskfs(t *testing.T) {
	files := map[string]int{
		"hello.txt": 5, ".hidden": 3, "empty": 0, "dir/sub/file": 2048, "dir/big.bin": 300_001, "d/d/d/d/d/d/leaf": 1, "exact": 4096, "UPPER": 2, "upper2": 3,
		"é語.txt": 100, strings.Repeat("long", 30): 7,
	}
	for name, o := range map[string]iso9660.FinalizeOptions{
		"Rock Ridge":            {RockRidge: true, VolumeIdentifier: "foreign"},
		"Rock Ridge and Joliet": {RockRidge: true, Joliet: true, VolumeIdentifier: "foreign"},
	} {
		t.Run(name, func(t *testing.T) {
			b := written(t, files, o)
			v := open1(t, b)
			other, err := OpenDiskfs(bytes.NewReader(b), int64(len(b))/archive.SectorSize)
			if err != nil {
				t.Fatal(err)
			}
			for name, size := range files {
				want := bytes.Repeat([]byte(name), size)[:size]
				got, err := fs.ReadFile(v, name)
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("%q: %d bytes of %d, %v", name, len(got), size, err)
				}
				found, err := other.Find(name)
				if err != nil || len(found) != 1 || found[0].Size() != int64(size) {
					t.Errorf("%q through go-diskfs: %v, %v", name, found, err)
				}
			}
			n := 0
			for x := range v.Walk {
				if x.Err != nil {
					t.Errorf("%s: %v", x.Path, x.Err)
				} else if !x.Entry.Dir {
					n++
				}
			}
			if n != len(files) || !strings.EqualFold(v.Label, "foreign") {
				t.Errorf("%d files of %d, label %q", n, len(files), v.Label)
			}
			if err := fstest.TestFS(v, "hello.txt", "dir/sub/file"); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("Joliet", func(t *testing.T) {
		b := written(t, map[string]int{"héllo 語.txt": 5, "dir/more.txt": 100}, iso9660.FinalizeOptions{Joliet: true})
		v, err := OpenJoliet(bytes.NewReader(b), int64(len(b))/archive.SectorSize)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := fs.ReadFile(v, "héllo 語.txt"); err != nil || len(got) != 5 {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		// Below its root it leads into the other tree, whose names are in another code: that is said, not read.
		if _, err := fs.ReadFile(v, "dir/more.txt"); err == nil || !strings.Contains(err.Error(), "another parent") {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("neither", func(t *testing.T) {
		v := open1(t, written(t, map[string]int{"hello.txt": 5, "dir/file.bin": 3000}, iso9660.FinalizeOptions{}))
		sizes := map[int64]bool{}
		for x := range v.Walk {
			if x.Err != nil {
				t.Errorf("%s: %v", x.Path, x.Err)
			} else if !x.Entry.Dir {
				sizes[x.Entry.Bytes] = true
			}
		}
		if !sizes[5] || !sizes[3000] {
			t.Errorf("files of %v bytes", sizes)
		}
	})
}
