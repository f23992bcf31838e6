package excerpt

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"
)

var errScratch = errors.New("a scratch")

// scratched is a disc with sectors that can't be read. It refuses what a drive does: reads that are not of whole sectors.
type scratched struct {
	data  []byte
	bad   map[int64]bool
	reads map[int64]int
}

func (d *scratched) ReadAt(p []byte, off int64) (n int, err error) {
	if off%sectorSize != 0 || len(p)%sectorSize != 0 {
		return 0, errors.New("not whole sectors")
	}
	for ; n < len(p); n += sectorSize {
		s := off/sectorSize + int64(n/sectorSize)
		if d.bad[s] {
			return n, errScratch
		}
		d.reads[s]++
		copy(p[n:n+sectorSize], d.data[s*sectorSize:])
	}
	return n, nil
}

func disc(sectors int, seed uint64) *scratched {
	b := make([]byte, sectors*sectorSize)
	var s [32]byte
	s[0] = byte(seed)
	rand.NewChaCha8(s).Read(b)
	return &scratched{data: b, bad: map[int64]bool{}, reads: map[int64]int{}}
}

// TestExcerpt: whatever was read of a disc is in its excerpt, byte for byte; of nothing else is anything said; and no sector is read twice.
func TestExcerpt(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		sectors := rapid.IntRange(1, 300).Draw(t, "sectors")
		d := disc(sectors, uint64(sectors))
		for _, s := range rapid.SliceOfN(rapid.Int64Range(0, int64(sectors-1)), 0, 5).Draw(t, "bad") {
			d.bad[s] = true
		}
		name := filepath.Join(dir, "x")
		f, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r, err := NewRecorder(f, d, int64(sectors))
		if err != nil {
			t.Fatal(err)
		}
		type read struct {
			off int64
			b   []byte
			err error
		}
		var reads []read
		for range rapid.IntRange(0, 12).Draw(t, "reads") {
			off := rapid.Int64Range(0, int64(len(d.data))).Draw(t, "off")
			b := make([]byte, rapid.IntRange(0, 70*sectorSize).Draw(t, "length"))
			n, err := r.ReadAt(b, off)
			if !bytes.Equal(b[:n], d.data[off:off+int64(n)]) || n < len(b) && err == nil {
				t.Fatalf("read %d of %d bytes at %d: %v", n, len(b), off, err)
			}
			reads = append(reads, read{off, b[:n], err})
		}
		about := About{Image: "i", Label: "OD_000001", Lists: []string{"a b"}, Own: 7}
		if err := r.Finish(about); err != nil {
			t.Fatal(err)
		}
		x, err := Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		if x.Label != about.Label || x.Own != 7 || x.Sectors != int64(sectors) || x.Kept()*sectorSize != r.Bytes() {
			t.Fatalf("%+v, %d kept", x, x.Kept())
		}
		for _, a := range reads {
			b := make([]byte, len(a.b))
			if n, err := x.ReadAt(b, a.off); n != len(b) || err != nil || !bytes.Equal(b, a.b) {
				t.Fatalf("the excerpt has %d of %d bytes at %d: %v", n, len(b), a.off, err)
			}
			if errors.Is(a.err, errScratch) {
				_, err := x.ReadAt(make([]byte, 1), a.off+int64(len(a.b)))
				if _, ok := errors.AsType[*UnreadableError](err); !ok {
					t.Fatalf("of a sector that can't be read the excerpt says %v", err)
				}
			}
		}
		for s := range int64(sectors) {
			b := make([]byte, sectorSize)
			_, err := x.ReadAt(b, s*sectorSize)
			_, absent := errors.AsType[*AbsentError](err)
			_, unreadable := errors.AsType[*UnreadableError](err)
			switch {
			case (absent || unreadable) != (d.reads[s] == 0), unreadable && !d.bad[s], err == nil && !bytes.Equal(b, d.data[s*sectorSize:(s+1)*sectorSize]):
				t.Fatalf("sector %d was read %d times, and the excerpt says %v", s, d.reads[s], err)
			case d.reads[s] > 1:
				t.Fatalf("sector %d was read %d times", s, d.reads[s])
			}
		}
		if n, err := x.ReadAt(make([]byte, 1), int64(len(d.data))); n != 0 || !errors.Is(err, io.EOF) {
			t.Fatalf("behind the end: %d, %v", n, err)
		}
	})
}

// made is an excerpt of a few sectors.
func made(t testing.TB) []byte {
	t.Helper()
	name := filepath.Join(t.TempDir(), "x")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := NewRecorder(f, disc(200, 1), 200)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int64{100, 16} {
		if _, err := r.ReadAt(make([]byte, 1), at*sectorSize); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Finish(About{Label: "l"}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestTorn: a file that ends anywhere, or of which a byte is another one, is none.
func TestTorn(t *testing.T) {
	b := made(t)
	refused := func(b []byte, what string, n int) {
		t.Helper()
		if _, err := open(bytes.NewReader(b), int64(len(b))); err == nil {
			t.Errorf("%s %d is no error", what, n)
		}
	}
	for n := 0; n < len(b); n += 1 + n/50 {
		refused(b[:n], "end at byte", n)
	}
	for n := 0; n < len(b)-4; n += 1 + (len(b)-n)/400 { // the last four are not used
		c := bytes.Clone(b)
		c[n] ^= 1
		refused(c, "another byte", n)
	}
}

// TestTake: an excerpt goes on from an older one of the same disc, and the disc is not read again for what that had.
func TestTake(t *testing.T) {
	name := filepath.Join(t.TempDir(), "old")
	if err := os.WriteFile(name, made(t), 0o600); err != nil {
		t.Fatal(err)
	}
	old, err := Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	f, err := os.Create(name + ".new")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := disc(200, 1)
	r, err := NewRecorder(f, d, 200)
	if err == nil {
		err = r.Take(old)
	}
	all := make([]byte, len(d.data))
	if err == nil {
		_, err = r.ReadAt(all, 0)
	}
	if err != nil || !bytes.Equal(all, d.data) {
		t.Fatalf("the whole disc: %v", err)
	}
	if d.reads[16] != 0 || d.reads[100] != 0 || d.reads[0] != 1 {
		t.Errorf("sectors 16, 100 and 0 were read %d, %d and %d times", d.reads[16], d.reads[100], d.reads[0])
	}
}

// TestFatal: an error that is not of a sector ends the reading, and nothing comes of the file.
func TestFatal(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := disc(100, 1)
	d.bad[50] = true
	r, err := NewRecorder(f, d, 100)
	if err != nil {
		t.Fatal(err)
	}
	r.Fatal = func(err error) bool { return errors.Is(err, errScratch) }
	if _, err := r.ReadAt(make([]byte, 1), 50*sectorSize); !errors.Is(err, errScratch) {
		t.Errorf("%v", err)
	}
	if _, err := r.ReadAt(make([]byte, 1), 10*sectorSize); !errors.Is(err, errScratch) {
		t.Errorf("read on: %v", err)
	}
	if err := r.Finish(About{}); !errors.Is(err, errScratch) {
		t.Errorf("finished: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(made(f))
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		for s := range min(x.Sectors, 1000) {
			_, _ = x.ReadAt(make([]byte, 3*sectorSize), s*sectorSize)
		}
	})
}
