package image

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
)

// million lays out 1,000,000 files of 4 KiB in 1,000 folders.
func million() ([]Content, []File) {
	const n = 1_000_000
	contents := make([]Content, n)
	files := make([]File, n)
	for i := range files {
		contents[i].Size = 4096
		files[i] = File{Path: fmt.Sprintf("Data/%04d/file%06d.dat", i/1000, i), Content: i, ModTime: options.Time}
	}
	return contents, files
}

func BenchmarkLayoutMillionFiles(b *testing.B) {
	contents, files := million()
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	b.ReportAllocs()
	var l *Layout
	for b.Loop() {
		var err error
		if l, err = New(options, contents, files); err != nil {
			b.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MiB-kept")
	runtime.KeepAlive(l)
}

// zeros are the bytes of every content.
type zeros struct{}

func (zeros) ReadContentAt(_ int, p []byte, _ int64) (int, error) { clear(p); return len(p), nil }
func (zeros) ReadAt(p []byte, _ int64) (int, error)               { clear(p); return len(p), nil }

func streamAll(b *testing.B, contents []Content, files []File) {
	l, err := New(options, contents, files)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(l.Sectors() * sectorSize)
	for b.Loop() {
		if err := l.Write(io.Discard, func(i int) (io.ReadCloser, error) {
			return io.NopCloser(io.NewSectionReader(zeros{}, 0, contents[i].Size)), nil
		}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStreamMillionFiles(b *testing.B) {
	contents, files := million()
	streamAll(b, contents, files)
}

func BenchmarkStream120GiB(b *testing.B) {
	streamAll(b, []Content{{120 << 30}}, []File{{Path: "sparse"}})
}

// BenchmarkReaderAt reads an image of a million files through ReadAt, a MiB at a time.
func BenchmarkReaderAt(b *testing.B) {
	contents, files := million()
	l, err := New(options, contents, files)
	if err != nil {
		b.Fatal(err)
	}
	r := l.ReaderAt(zeros{})
	b.SetBytes(l.Sectors() * sectorSize)
	buf := make([]byte, 1<<20)
	for b.Loop() {
		for off := int64(0); off < l.Sectors()*sectorSize; off += int64(len(buf)) {
			if _, err := r.ReadAt(buf, off); err != nil && !errors.Is(err, io.EOF) {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkVerifyMillionFiles(b *testing.B) {
	contents, files := million()
	l, err := New(options, contents, files)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		r, err := Verify(l.ReaderAt(zeros{}), l.Sectors())
		if err != nil || len(r.Findings) > 0 || r.Files != int64(len(files)) {
			b.Fatalf("%+v, %v", r, err)
		}
	}
}

// TestImageDirectory writes the image of a folder as scripts/bench-image.sh asks for it: there is no more to it than walking, laying
// out and writing.
func TestImageDirectory(t *testing.T) {
	dir, out := os.Getenv("IMAGE_DIR"), os.Getenv("IMAGE_OUT")
	if dir == "" {
		t.Skip("IMAGE_DIR names no folder")
	}
	var files []File
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			files = append(files, File{Path: strings.TrimPrefix(p, dir+"/"), Content: len(files)})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	contents := make([]Content, len(files))
	var stats errgroup.Group
	for half := range 2 {
		stats.Go(func() error {
			for i := half; i < len(files); i += 2 {
				s, err := os.Lstat(filepath.Join(dir, files[i].Path))
				if err != nil {
					return err
				}
				files[i].Mode, files[i].ModTime = uint32(s.Mode().Perm()), s.ModTime()
				contents[i].Size = s.Size()
			}
			return nil
		})
	}
	if err := stats.Wait(); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	names := make([]string, len(contents))
	for _, f := range files {
		names[f.Content] = f.Path
	}
	l, err := New(options, contents, files)
	if err != nil {
		t.Fatal(err)
	}
	w, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	err = l.WriteAhead(w, func(i int) (io.ReadCloser, error) { return os.Open(filepath.Join(dir, names[i])) }, 2)
	if err = cmp.Or(err, w.Close()); err != nil {
		t.Fatal(err)
	}
}
