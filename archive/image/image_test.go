package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var options = Options{Label: "OD_TEST", ID: [16]byte{0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, Time: time.Date(2026, 11, 24, 10, 20, 30, 0, time.UTC)}

// corpus is a set of files with contents that are made from their names.
type corpus struct {
	contents []Content
	files    []File
}

func (c *corpus) add(path string, size int64) {
	c.contents = append(c.contents, Content{Size: size})
	c.files = append(c.files, File{Path: path, Content: len(c.contents) - 1, Mode: 0o644, ModTime: time.Date(2020, 1, 2, 3, 4, 5, 678901000, time.UTC)})
}

func (c *corpus) layout(t testing.TB) *Layout {
	t.Helper()
	return c.layoutWith(t, options)
}

func (c *corpus) layoutWith(t testing.TB, o Options) *Layout {
	t.Helper()
	files := slices.Clone(c.files)
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	l, err := New(o, c.contents, files)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// data returns byte k of content i.
func data(i int, k int64) byte { return byte(int64(i)*31 + k + k>>8) }

type generated struct{ c *corpus }

func (g generated) ReadContentAt(i int, p []byte, off int64) (int, error) {
	for k := range p {
		p[k] = data(i, off+int64(k))
	}
	return len(p), nil
}

func (g generated) open(i int) (io.ReadCloser, error) {
	return io.NopCloser(io.NewSectionReader(readerFunc(func(p []byte, off int64) (int, error) { return g.ReadContentAt(i, p, off) }), 0, g.c.contents[i].Size)), nil
}

type readerFunc func(p []byte, off int64) (int, error)

func (f readerFunc) ReadAt(p []byte, off int64) (int, error) { return f(p, off) }

func (c *corpus) image(t testing.TB, l *Layout) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := l.Write(&b, generated{c}.open); err != nil {
		t.Fatal(err)
	}
	if int64(b.Len()) != l.Sectors()*sectorSize {
		t.Fatalf("the image has %d bytes, %d sectors were planned", b.Len(), l.Sectors())
	}
	return b.Bytes()
}

// nasty holds names that are hard on every reader.
func nasty() *corpus {
	c := &corpus{}
	for i, name := range []string{
		"plain.txt", "empty", "noext", ".hidden", "two.dots.tar.gz", "trail.", "name;1", "UPPER", "upper", "space in name",
		"éàü.txt", "日本語の名前.txt", "emoji😀😀.txt", "CON", "colon:b*c?\"<>|", "back\\slash", "new\nline", "not\xffutf8",
		strings.Repeat("a", 255), strings.Repeat("b", 254) + "c", strings.Repeat("é", 127), strings.Repeat("語", 85), strings.Repeat("x", 200) + ".txt",
		strings.Repeat("deep/", 11) + "leaf", "dir/a", "dir/b", "dir.x/c", "n\u0303", "\u00f1",
	} {
		size := int64(i * 700)
		if name == "empty" {
			size = 0
		}
		c.add(name, size)
	}
	for i := range 300 {
		c.add(fmt.Sprintf("many/file number %03d with a name of some length.data", i), int64(i))
	}
	c.add("run.sh", 10)
	c.files[len(c.files)-1].Mode = 0o755
	for _, extra := range []string{"links/one", "links/two", "other/three"} {
		f := c.files[0]
		f.Path = extra
		c.files = append(c.files, f)
	}
	return c
}

func TestStreamAndReaderAtAgree(t *testing.T) {
	c := nasty()
	l := c.layout(t)
	img := c.image(t, l)
	r := l.ReaderAt(generated{c})
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		off := rng.Int64N(int64(len(img)))
		p := make([]byte, rng.IntN(9000))
		n, err := r.ReadAt(p, off)
		if want := min(len(p), len(img)-int(off)); n != want || n < len(p) && !errors.Is(err, io.EOF) || n == len(p) && err != nil {
			t.Fatalf("read %d at %d: %d, %v", len(p), off, n, err)
		}
		if !bytes.Equal(p[:n], img[off:off+int64(n)]) {
			t.Fatalf("bytes at %d differ", off)
		}
	}
	if again := c.image(t, c.layout(t)); !bytes.Equal(img, again) {
		t.Error("the same files made another image")
	}
}

func TestSectorsHoldContents(t *testing.T) {
	c := nasty()
	l := c.layout(t)
	img := c.image(t, l)
	for i, content := range c.contents {
		if content.Size == 0 {
			continue
		}
		at := l.Sector(i) * sectorSize
		for k := range content.Size {
			if img[at+k] != data(i, k) {
				t.Fatalf("content %d differs at %d", i, k)
			}
		}
	}
}

func TestIdentity(t *testing.T) {
	c := nasty()
	img := c.image(t, c.layout(t))
	id, err := ReadIdentity(bytes.NewReader(img))
	if err != nil || id.ID != options.ID || id.Label != options.Label {
		t.Errorf("%+v, %v", id, err)
	}
	clear(img[mainVDS*sectorSize : (mainVDS+vdsSectors)*sectorSize])
	if id, err := ReadIdentity(bytes.NewReader(img)); err != nil || id.ID != options.ID {
		t.Errorf("from the reserve: %+v, %v", id, err)
	}
	if _, err := ReadIdentity(bytes.NewReader(make([]byte, 1<<20))); !errors.Is(err, ErrForeign) {
		t.Errorf("zeros: %v", err)
	}
	if _, err := ReadIdentity(bytes.NewReader(nil)); !errors.Is(err, ErrForeign) {
		t.Errorf("nothing: %v", err)
	}
	broken := errors.New("unreadable")
	if _, err := ReadIdentity(readerFunc(func([]byte, int64) (int, error) { return 0, broken })); !errors.Is(err, broken) {
		t.Errorf("a broken disc: %v", err)
	}
}

func FuzzIdentity(f *testing.F) {
	c := &corpus{}
	c.add("x", 1)
	l := c.layout(f)
	img := c.image(f, l)[:320*sectorSize]
	f.Add(img)
	f.Add(img[:mainVDS*sectorSize])
	f.Fuzz(func(t *testing.T, b []byte) {
		if id, err := ReadIdentity(bytes.NewReader(b)); err == nil && len(id.Label) > 31 {
			t.Errorf("label %q", id.Label)
		}
	})
}

func TestSourceThatLies(t *testing.T) {
	c := &corpus{}
	c.add("file", 5000)
	l := c.layout(t)
	for _, size := range []int{0, 4999, 5001, 9000} {
		err := l.Write(io.Discard, func(int) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(make([]byte, size))), nil })
		if !errors.Is(err, ErrSource) || !strings.Contains(err.Error(), "file") {
			t.Errorf("a source of %d bytes for 5000: %v", size, err)
		}
	}
}

func TestRefuses(t *testing.T) {
	for name, files := range map[string][]File{
		"order":     {{Path: "b"}, {Path: "a"}},
		"twice":     {{Path: "a"}, {Path: "a"}},
		"escape":    {{Path: "../a"}},
		"file, dir": {{Path: "a"}, {Path: "a/b"}},
		"content":   {{Path: "a", Content: 1}},
		"root":      {{Path: "."}},
	} {
		if _, err := New(options, []Content{{1}}, files); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := New(options, []Content{{maxContent + 1}}, nil); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a content beyond a File Entry: %v", err)
	}
	if _, err := New(Options{Label: "lower"}, nil, nil); err == nil {
		t.Error("a lower-case label was accepted")
	}
}

// TestEstimate: it is never below the layout, and above it by less than a hundredth and a few sectors.
func TestEstimate(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		o := options
		o.Protected = rapid.Bool().Draw(rt, "protected")
		e := NewEstimate()
		e.Protected = o.Protected
		c := &corpus{}
		seen := map[string]bool{}
		for range rapid.IntRange(0, 60).Draw(rt, "files") {
			depth := rapid.IntRange(0, 3).Draw(rt, "depth")
			p := ""
			for range depth {
				p += rapid.StringMatching(`d[a-zé語]{0,3}`).Draw(rt, "dir") + "/"
			}
			p += "f" + rapid.StringMatching(`[a-zA-Z0-9é語 .]{0,70}`).Draw(rt, "name") + "!"
			if seen[p] || len(p) > 1000 {
				continue
			}
			seen[p] = true
			size := rapid.Int64Range(0, 9000).Draw(rt, "size")
			if rapid.IntRange(0, 20).Draw(rt, "large") == 0 {
				size = rapid.Int64Range(1<<32-5000, 1<<34).Draw(rt, "large size")
			}
			c.add(p, size)
			e.AddContent(size)
			e.AddFile(p, size)
		}
		files := slices.Clone(c.files)
		slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
		l, err := New(o, c.contents, files)
		if err != nil {
			rt.Fatal(err)
		}
		if got, want := e.Sectors(0), l.Sectors(); got < want || got > want+int64(len(seen))+64 {
			rt.Fatalf("estimate %d, layout %d for %d files", got, want, len(seen))
		}
	})
}

func BenchmarkLayoutMillionFiles(b *testing.B) {
	const n = 1_000_000
	contents := make([]Content, n)
	files := make([]File, n)
	for i := range files {
		contents[i].Size = 4096
		files[i] = File{Path: fmt.Sprintf("Data/%04d/file%06d.dat", i/1000, i), Content: i, ModTime: options.Time}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := New(options, contents, files); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkStreamSmallFiles(b *testing.B) {
	c := &corpus{}
	for i := range 100_000 {
		c.add(fmt.Sprintf("Data/%03d/%06d", i/1000, i), 4096)
	}
	l := c.layout(b)
	zero := make([]byte, 4096)
	b.SetBytes(l.Sectors() * sectorSize)
	for b.Loop() {
		if err := l.Write(io.Discard, func(int) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(zero)), nil }); err != nil {
			b.Fatal(err)
		}
	}
}

func writeImage(t testing.TB, c *corpus) (path string, l *Layout) {
	t.Helper()
	l = c.layout(t)
	path = filepath.Join(t.TempDir(), "test.iso")
	if err := os.WriteFile(path, c.image(t, l), 0o644); err != nil {
		t.Fatal(err)
	}
	return path, l
}
