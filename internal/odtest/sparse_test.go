package odtest

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/odarchive/odarchive/archive"
)

// taken is how many bytes the files below a folder take on the disk, in bytes; a hole takes none.
func taken(t *testing.T, folder string) (bytes int64) {
	t.Helper()
	if err := filepath.WalkDir(folder, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		bytes += st.Blocks * 512
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return bytes
}

// holes makes a sparse file of size bytes, with some at its start, in its middle and before a hole at its end.
func holes(t *testing.T, path string, size int64) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, at := range []int64{0, size/2 + 5, size - size/4} {
		if _, err := f.WriteAt([]byte("bytes between holes"), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
}

// A file of 10 GiB that is nearly all holes goes onto discs and comes back as sparse as it was.
func TestSparse(t *testing.T) {
	if os.Getenv("ODARCHIVE_SLOW") == "" {
		t.Skip("runs with ODARCHIVE_SLOW")
	}
	const size = 10 << 30
	s := New(t, Options{Sectors: size / 3 * 2 / archive.SectorSize, Blanks: 4})
	source := s.path("source")
	if err := os.Mkdir(source, 0o755); err != nil {
		t.Fatal(err)
	}
	holes(t, filepath.Join(source, "sparse"), size)
	a := s.put(source)
	got := s.get(a)
	s.same(source, got)
	if n := taken(t, got); n > 1<<20 {
		t.Errorf("it comes back with %d bytes on the disk", n)
	}
	// Nor do discs of the jukebox hold the zeros, but what protects these: their checksums are none, nor is what corrects those.
	if n := taken(t, s.path("jukebox")); n > size/2 {
		t.Errorf("%d bytes were burned", n)
	}
	s.CheckTruth(0)
}
