package disc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/ecc"
	"github.com/odarchive/odarchive/archive/image"
)

// made is an image whose contents are made from their numbers.
type made struct {
	contents []image.Content
	files    []image.File
	own      [][]byte // contents that are given
}

var when = time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)

func (m *made) add(path string, size int64) {
	m.files = append(m.files, image.File{Path: path, Content: len(m.contents), Mode: 0o644, ModTime: when})
	m.contents = append(m.contents, image.Content{Size: size})
	m.own = append(m.own, nil)
}

// give adds a file with its bytes.
func (m *made) give(path string, b []byte) {
	m.add(path, int64(len(b)))
	m.own[len(m.own)-1] = b
}

func (m *made) ReadContentAt(i int, p []byte, off int64) (int, error) {
	if m.own[i] != nil {
		return copy(p, m.own[i][off:]), nil
	}
	for k := range p {
		p[k] = byte(int64(i+1)*31 + off + int64(k) + (off+int64(k))>>8)
	}
	return len(p), nil
}

// lay lays the image out, as a disc that says of itself what one has to.
func (m *made) lay(t testing.TB) (*image.Layout, io.ReaderAt) {
	t.Helper()
	d := catalogue.NewDisc("00000000-0000-0000-0000-000000000001", 1, "v", "00000000-0000-0000-0000-000000000002", "north", "BD-R", when)
	info, err := catalogue.Info(&d)
	if err != nil {
		t.Fatal(err)
	}
	m.give(catalogue.InfoName, info)
	m.give(catalogue.NamesName, bytes.Repeat([]byte("#"), 1)) // its size is known when it is
	names := len(m.own) - 1
	var l *image.Layout
	for range 2 {
		slices.SortFunc(m.files, func(a, b image.File) int { return strings.Compare(a.Path, b.Path) })
		if l, err = image.New(image.Options{Label: "TEST", ID: [16]byte{1}, Time: when}, m.contents, m.files); err != nil {
			t.Fatal(err)
		}
		list := []byte(catalogue.NamesHead)
		for _, x := range l.Mapped() {
			list = catalogue.AppendMapping(list, x.Path, x.UDF, x.Rock)
		}
		m.own[names], m.contents[names].Size = list, int64(len(list))
	}
	return l, l.ReaderAt(m)
}

var nasty = []string{
	"plain", ".x", "x", "x.", ".x.", "x;1", "UPPER", "upper", "space in it", "é語😀", "back\\slash", "new\nline", "not\xffutf8", "CON",
	strings.Repeat("a", 255), strings.Repeat("a", 254) + "b", strings.Repeat("a", 250), strings.Repeat("é", 127), strings.Repeat("語", 85),
	".dir/.y", "dir./y", strings.Repeat("d", 255) + "/y", strings.Repeat("deep/", 40) + "leaf",
}

// TestSides: every file is found on each side under its own name, also one of more than a section; go-diskfs can't tell apart just those
// whose names differ in what it loses.
func TestSides(t *testing.T) {
	m := &made{}
	for _, name := range nasty {
		m.add("Data/"+name, 3000)
	}
	m.add("Data/huge", 9<<30)
	l, r := m.lay(t)
	for side, alike := range map[Side][]string{
		Any: nil, UDF: nil,
		Diskfs: {".x", ".x.", "x", "x.", "x;1", strings.Repeat("a", 250), strings.Repeat("a", 254) + "b", strings.Repeat("a", 255)},
	} {
		d, err := New(t.Context(), "image", r, l.Sectors(), side)
		if err != nil {
			t.Fatal(err)
		}
		var several []string
		for _, f := range m.files {
			name, ok := strings.CutPrefix(f.Path, "Data/")
			if !ok {
				continue
			}
			size := m.contents[f.Content].Size
			found, err := d.Files(f.Path, size)
			if err != nil {
				t.Errorf("side %d: %q: %v", side, name, err)
				continue
			}
			if len(found) > 1 {
				several = append(several, name)
			}
			if !slices.ContainsFunc(found, func(g fs.File) bool { return same(m, f.Content, g, size) }) {
				t.Errorf("side %d: %q: none of %d files is it", side, name, len(found))
			}
		}
		slices.Sort(alike)
		if slices.Sort(several); !slices.Equal(several, alike) {
			t.Errorf("side %d can't tell apart %q", side, several)
		}
		if _, err := d.File("Data/none"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("side %d: a file that is not there: %v", side, err)
		}
	}
}

// same compares the beginning, the middle and the end of a file.
func same(m *made, content int, f fs.File, size int64) bool {
	r, ok := f.(io.ReaderAt)
	if !ok {
		return false
	}
	for _, at := range []int64{0, size / 2, size - 1000} {
		got, want := make([]byte, 1000), make([]byte, 1000)
		m.ReadContentAt(content, want, at)
		if n, _ := r.ReadAt(got, at); n < len(got) || !bytes.Equal(got, want) {
			return false
		}
	}
	info, err := f.Stat()
	return err == nil && info.Size() == size
}

// TestFolder: a folder has no side that could be asked for.
func TestFolder(t *testing.T) {
	if _, err := Open(t.Context(), t.TempDir(), Diskfs); !errors.Is(err, ErrFolder) {
		t.Errorf("error is %v", err)
	}
	if _, err := Open(t.Context(), t.TempDir()+"/none", Any); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error is %v", err)
	}
}

// broken is an image of which some sectors can't be read, or read as something else.
type broken struct {
	b     []byte
	gone  map[int64]bool
	wrong map[int64]bool
}

func (b broken) ReadAt(p []byte, off int64) (int, error) {
	n := copy(p, b.b[min(off, int64(len(b.b))):])
	for at := off / archive.SectorSize; at <= (off+int64(n)-1)/archive.SectorSize; at++ {
		if b.gone[at] {
			return int(max(at*archive.SectorSize-off, 0)), errors.New("medium error")
		}
		if b.wrong[at] {
			p[max(at*archive.SectorSize-off, 0)] ^= 0x55
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// TestReadsThroughDamage: of a protected image any sector that can't be read comes back, on every side and behind the protection too; and
// every one that is wrong when it is read carefully.
func TestReadsThroughDamage(t *testing.T) {
	m := &made{}
	for i := range 20 {
		m.add(fmt.Sprint("Data/file", i), int64(i*9000))
	}
	l, r := m.lay(t)
	data := make([]byte, l.Sectors()*archive.SectorSize)
	if _, err := r.ReadAt(data, 0); err != nil {
		t.Fatal(err)
	}
	g, err := ecc.Shrink(l.Sectors(), 64)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(t.TempDir() + "/image")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := ecc.Augment(t.Context(), f, f, ecc.Plan{Geometry: g}, ecc.Options{}); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	bad := map[int64]bool{}
	for s := int64(16); s < l.Sectors(); s += 5 {
		bad[s] = true
	}
	for name, b := range map[string]broken{"gone": {whole, bad, nil}, "wrong": {whole, nil, bad}} {
		t.Run(name, func(t *testing.T) {
			d := &Disc{Where: name, source: newSource(t.Context(), b, int64(len(whole))/archive.SectorSize)}
			d.source.careful = name == "wrong" && d.source.doubt()
			got := make([]byte, len(data)+3*archive.SectorSize)
			for at := 0; at < len(got); at += 7777 {
				k := min(7777, len(got)-at)
				if n, err := d.source.ReadAt(got[at:at+k], int64(at)); n < k {
					t.Fatalf("byte %d: %d of %d, %v", at, n, k, err)
				}
			}
			if !bytes.Equal(got, whole[:len(got)]) {
				t.Error("what was read is not what was written")
			}
			if d.Repaired() == 0 {
				t.Error("nothing was repaired")
			}
			for _, side := range []Side{UDF, Diskfs} {
				d.want = side
				if err := d.read(); err != nil || d.Info == nil {
					t.Errorf("side %d: %v", side, err)
				}
				for i, f := range m.files {
					size := m.contents[f.Content].Size
					if size < 1000 || !strings.HasPrefix(f.Path, "Data/") {
						continue
					}
					if all, err := d.Files(f.Path, size); err != nil || !same(m, f.Content, all[0], size) {
						t.Errorf("side %d: file %d: %v", side, i, err)
					}
				}
			}
		})
	}
}

// BenchmarkSides opens and reads 20,000 small files in 100 folders on each side.
func BenchmarkSides(b *testing.B) {
	m := &made{}
	for i := range 20_000 {
		m.add(fmt.Sprintf("Data/d%02d/file %05d", i%100, i), 4096)
	}
	l, r := m.lay(b)
	data := make([]byte, l.Sectors()*archive.SectorSize)
	if _, err := r.ReadAt(data, 0); err != nil {
		b.Fatal(err)
	}
	for name, side := range map[string]Side{"udf": UDF, "go-diskfs": Diskfs} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				d, err := New(b.Context(), "image", bytes.NewReader(data), l.Sectors(), side)
				if err != nil {
					b.Fatal(err)
				}
				for _, f := range m.files {
					all, err := d.Files(f.Path, m.contents[f.Content].Size)
					if err != nil {
						b.Fatal(err)
					}
					if _, err := io.Copy(io.Discard, all[0]); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
