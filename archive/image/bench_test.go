package image

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"syscall"
	"testing"
	"time"
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
	start := spent(b)
	for b.Loop() {
		var err error
		if l, err = New(options, contents, files); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((spent(b)-start).Seconds()/float64(b.N), "cpu-s/op")
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MiB-kept")
	runtime.KeepAlive(l)
}

// zeros are the bytes of every content.
type zeros struct{}

func (zeros) ReadContentAt(_ int, p []byte, _ int64) (int, error) { clear(p); return len(p), nil }
func (zeros) ReadAt(p []byte, _ int64) (int, error)               { clear(p); return len(p), nil }

// spent returns the processor time that this process has taken: on a machine with other work the clock says little.
func spent(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func streamAll(b *testing.B, contents []Content, files []File) {
	l, err := New(options, contents, files)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(l.Sectors() * sectorSize)
	start := spent(b)
	for b.Loop() {
		if err := l.Write(io.Discard, func(i int) (io.ReadCloser, error) {
			return io.NopCloser(io.NewSectionReader(zeros{}, 0, contents[i].Size)), nil
		}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(l.Sectors()*sectorSize)*float64(b.N)/(spent(b)-start).Seconds()/1e6, "MB/cpu-s")
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
