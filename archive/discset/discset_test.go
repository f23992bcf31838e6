package discset

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const setID = "11111111-1111-1111-1111-111111111111"

func uuidOf(n int) string { return fmt.Sprintf("00000000-0000-0000-0000-%012d", n) }

func noise(seed, sectors int) []byte {
	b := make([]byte, sectors*sectorSize)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	r.Read(b)
	return b
}

func sourceOf(index int, b []byte) Source {
	return Source{Member{Index: index, ImageID: uuidOf(index), Label: fmt.Sprintf("OD_%06d", index), Sectors: int64(len(b) / sectorSize), SHA256: sha256.Sum256(b)}, bytes.NewReader(b)}
}

func names(g Geometry) (p []Parity) {
	for i := range g.Parity {
		p = append(p, Parity{ImageID: uuidOf(1000 + i), Label: fmt.Sprintf("OP_%06d", i)})
	}
	return p
}

type tester interface {
	Fatal(...any)
	Helper()
}

// made is a whole set in memory.
type made struct {
	set    *Set
	checks []byte
	images [][]byte // by index; nil where a short set has none
}

func must[T any](t tester, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// seal ends a set and takes its parity and checksums out of it.
func seal(t tester, a *Accumulator, g Geometry, data map[int][]byte) *made {
	t.Helper()
	s, err := a.Seal(names(g), time.Unix(1e9, 0))
	m := &made{set: must(t, s, err), images: make([][]byte, g.images())}
	c, err := a.OpenChecks()
	checks, err2 := io.ReadAll(must(t, c, err))
	m.checks = must(t, checks, errors.Join(err2, c.Close()))
	for i, b := range data {
		m.images[i] = b
	}
	for i := range g.Parity {
		f, err := a.OpenParity(i)
		b, err2 := io.ReadAll(must(t, f, err))
		m.images[g.Data+i] = must(t, b, errors.Join(err2, f.Close()))
	}
	return m
}

// disc is an image on a damaged disc.
type disc struct {
	b   []byte
	bad map[int64]bool
}

func (d *disc) ReadAt(p []byte, off int64) (n int, err error) {
	for ; n < len(p); n += sectorSize {
		s := off/sectorSize + int64(n/sectorSize)
		if d.bad[s] {
			return n, errors.New("medium error")
		}
		if (s+1)*sectorSize > int64(len(d.b)) {
			return n, io.EOF
		}
		copy(p[n:n+sectorSize], d.b[s*sectorSize:])
	}
	return n, nil
}

func (m *made) recovery(t tester, checks bool) (*Recovery, []*disc) {
	r := &Recovery{Set: m.set, Images: make([]io.ReaderAt, len(m.images))}
	if checks {
		c, err := OpenChecks(m.set, bytes.NewReader(m.checks))
		r.Checks = must(t, c, err)
	}
	discs := make([]*disc, len(m.images))
	for i, b := range m.images {
		if b != nil {
			discs[i] = &disc{b: slices.Clone(b), bad: map[int64]bool{}}
			r.Images[i] = discs[i]
		}
	}
	return r, discs
}

func geometries(t *rapid.T) Geometry {
	return rapid.SampledFrom([]Geometry{{1, 1}, {2, 1}, {3, 2}, {12, 2}, {5, 4}, {20, 4}, {250, 5}}).Draw(t, "geometry")
}

// build makes a set with images of any length that come in any order and in any groups.
func build(t *rapid.T, g Geometry) *made {
	dir, err := os.MkdirTemp("", "discset")
	must(t, dir, err)
	defer os.RemoveAll(dir)
	a, err := Open(dir, setID, g)
	must(t, a, err)
	defer a.Close()
	data := map[int][]byte{}
	order := rapid.Permutation(indexes(min(g.Data, 14))).Draw(t, "order")
	order = order[:rapid.IntRange(1, len(order)).Draw(t, "members")]
	for len(order) > 0 {
		var batch []Source
		n := rapid.IntRange(1, len(order)).Draw(t, "batch")
		for _, i := range order[:n] {
			i = i * g.Data / min(g.Data, 14)
			data[i] = noise(i, rapid.IntRange(1, 100).Draw(t, "sectors"))
			batch = append(batch, sourceOf(i, data[i]))
		}
		order = order[n:]
		if err := a.Add(t.Context(), batch, nil); err != nil {
			t.Fatal(err)
		}
	}
	return seal(t, a, g, data)
}

func indexes(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

// TestHeals: whatever rows have at most m bad sectors come back bit by bit; those beyond are named, all of them and no others.
func TestHeals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := geometries(t)
		m := build(t, g)
		r, discs := m.recovery(t, rapid.Bool().Draw(t, "checks"))
		var present []int
		for i := range discs {
			if discs[i] != nil {
				present = append(present, i)
			}
		}
		for _, i := range present {
			switch rapid.IntRange(0, 5).Draw(t, "damage") {
			case 0:
				r.Images[i], discs[i] = nil, &disc{bad: map[int64]bool{}}
				for s := range len(m.images[i]) / sectorSize {
					discs[i].bad[int64(s)] = true
				}
			case 1:
				first := rapid.IntRange(0, len(m.images[i])/sectorSize-1).Draw(t, "first")
				for s := first; s < min(first+rapid.IntRange(1, 70).Draw(t, "count"), len(m.images[i])/sectorSize); s++ {
					discs[i].bad[int64(s)] = true
				}
			}
		}
		target := rapid.SampledFrom(present).Draw(t, "target")
		want := slices.Clone(m.images[target])
		lost := int64(0)
		for s := range int64(len(want) / sectorSize) {
			bad := 0
			for _, i := range present {
				if discs[i].bad[s] {
					bad++
				}
			}
			if discs[target].bad[s] && bad > g.Parity {
				lost++
				clear(want[s*sectorSize : (s+1)*sectorSize])
			}
		}
		var out bytes.Buffer
		_, err := r.Rebuild(t.Context(), map[int]io.Writer{target: &out}, nil)
		e, isLost := errors.AsType[*LostError](err)
		if lost == 0 && err != nil || lost > 0 && (!isLost || e.Sectors != lost) {
			t.Fatalf("%d sectors are lost, and: %v", lost, err)
		}
		if !bytes.Equal(out.Bytes(), want) {
			t.Fatal("the image is not what it was")
		}
		first := rapid.Int64Range(0, int64(len(want)/sectorSize)-1).Draw(t, "from")
		part := make([]byte, rapid.Int64Range(1, int64(len(want)/sectorSize)-first).Draw(t, "length")*sectorSize)
		if _, err := r.ReadSectors(t.Context(), target, part, first); err != nil && lost == 0 {
			t.Fatal(err)
		}
		if !bytes.Equal(part, want[first*sectorSize:first*sectorSize+int64(len(part))]) {
			t.Fatal("a part is not what it was")
		}
		// As a file it ends at the first sector that can't be had, and what comes before is right.
		at := first*sectorSize + rapid.Int64Range(0, sectorSize-1).Draw(t, "within")
		rest := make([]byte, int64(len(want))-at)
		n, err := r.Reader(t.Context(), target).ReadAt(rest, at)
		if n < len(rest) && (err == nil || lost == 0) || !bytes.Equal(rest[:n], want[at:at+int64(n)]) {
			t.Fatalf("%d of %d bytes from %d on, %v", n, len(rest), at, err)
		}
	})
}

// TestNeverSilent: any bytes changed on any discs either come back or are reported.
func TestNeverSilent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := geometries(t)
		m := build(t, g)
		r, discs := m.recovery(t, true)
		touched := map[int]bool{}
		for range rapid.IntRange(1, 6).Draw(t, "changes") {
			i := rapid.IntRange(0, len(discs)-1).Draw(t, "image")
			if discs[i] == nil {
				continue
			}
			touched[i] = true
			discs[i].b[rapid.IntRange(0, len(discs[i].b)-1).Draw(t, "byte")] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
			if rapid.Bool().Draw(t, "and unreadable") {
				discs[i].bad[rapid.Int64Range(0, int64(len(discs[i].b)/sectorSize)-1).Draw(t, "sector")] = true
			}
		}
		for target := range touched {
			var out bytes.Buffer
			_, err := r.Rebuild(t.Context(), map[int]io.Writer{target: &out}, nil)
			if len(touched) <= g.Parity && err != nil {
				t.Fatal(err)
			}
			if err == nil && !bytes.Equal(out.Bytes(), m.images[target]) {
				t.Fatal("wrong bytes came back in silence")
			}
		}
		report, err := r.Verify(t.Context(), nil)
		if err != nil || len(touched) > 0 && report.Good() || len(touched) <= g.Parity && !report.Recoverable() {
			t.Fatalf("%+v, %v", report, err)
		}
	})
}

// crashed is thrown where a test kills an addition.
type crashed struct{}

// TestCrash kills an addition, and the sealing, between any two steps. What is there then is the set before or after, and adding
// again makes it what it would have been.
func TestCrash(t *testing.T) {
	g := Geometry{3, 2}
	data := map[int][]byte{0: noise(0, 40), 1: noise(1, 77), 2: noise(2, 12)}
	whole := func(dir string, at int) (steps int, m *made) {
		run := func(at int) (steps int, m *made) {
			a, err := Open(dir, setID, g)
			must(t, a, err)
			defer a.Close()
			a.crash = func(string) {
				if steps++; steps == at {
					panic(crashed{})
				}
			}
			defer func() {
				if x := recover(); x != nil && x != (crashed{}) {
					panic(x)
				}
			}()
			for i := range 3 {
				if err := a.Add(t.Context(), []Source{sourceOf(i, data[i])}, nil); err != nil {
					t.Fatal(err)
				}
			}
			return steps, seal(t, a, g, data)
		}
		steps, m = run(at)
		if m == nil {
			_, m = run(0)
		}
		return steps, m
	}
	steps, want := whole(t.TempDir(), 0)
	if steps < 20 {
		t.Fatalf("only %d steps", steps)
	}
	for at := 1; at <= steps; at++ {
		_, got := whole(t.TempDir(), at)
		if got.set.Checks != want.set.Checks || !slices.EqualFunc(got.images, want.images, bytes.Equal) {
			t.Errorf("killed at step %d: another set", at)
		}
	}
}

func TestRefuses(t *testing.T) {
	g := Geometry{3, 1}
	dir := t.TempDir()
	a, err := Open(dir, setID, g)
	must(t, a, err)
	defer a.Close()
	if _, err := Open(dir, setID, g); !errors.Is(err, ErrInUse) {
		t.Errorf("opened twice: %v", err)
	}
	ctx := context.Background()
	add := func(s Source) error { return a.Add(ctx, []Source{s}, nil) }
	wrong := sourceOf(0, noise(0, 5))
	wrong.SHA256[3]++
	if err := add(wrong); !errors.Is(err, ErrHash) || len(a.Members()) != 0 {
		t.Errorf("an image with another hash: %v", err)
	}
	for range 2 {
		if err := add(sourceOf(0, noise(0, 5))); err != nil || len(a.Members()) != 1 {
			t.Fatal(err)
		}
	}
	if err := add(sourceOf(1, noise(0, 5))); !errors.Is(err, ErrTwice) || len(a.Members()) != 1 {
		t.Errorf("the same image under another number: %v", err)
	}
	if err := a.Add(ctx, []Source{sourceOf(1, noise(1, 5)), sourceOf(2, noise(1, 5))}, nil); !errors.Is(err, ErrTwice) || len(a.Members()) != 1 {
		t.Errorf("one image twice: %v", err)
	}
	if err := add(sourceOf(0, noise(7, 5))); !errors.Is(err, ErrConflict) {
		t.Errorf("another image in its place: %v", err)
	}
	moved := sourceOf(0, noise(0, 5))
	moved.Index = 1
	if err := add(moved); !errors.Is(err, ErrConflict) {
		t.Errorf("the same image twice: %v", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, parityName(1, 0)), os.O_RDWR, 0)
	must(t, f, err)
	f.WriteAt([]byte("x"), 5000)
	f.Close()
	if err := add(sourceOf(1, noise(1, 9))); !errors.Is(err, ErrDamaged) {
		t.Errorf("damaged parity: %v", err)
	}
}

// TestDecoder: the decoder that goes onto parity discs rebuilds images, data and parity, from files.
func TestDecoder(t *testing.T) {
	g := Geometry{4, 2}
	dir := t.TempDir()
	a, err := Open(filepath.Join(dir, "set"), setID, g)
	must(t, a, err)
	defer a.Close()
	data := map[int][]byte{0: noise(0, 40), 1: noise(1, 77), 3: noise(3, 12)}
	for i, b := range data {
		if err := a.Add(t.Context(), []Source{sourceOf(i, b)}, nil); err != nil {
			t.Fatal(err)
		}
	}
	m := seal(t, a, g, data)
	program := filepath.Join(dir, "decode.go")
	binary := filepath.Join(dir, "decode")
	js, err := m.set.JSON()
	for name, b := range map[string][]byte{program: decoder, filepath.Join(dir, "set.json"): must(t, js, err), filepath.Join(dir, "set.crc32c"): m.checks} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("go", "build", "-o", binary, program).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if n := bytes.Count(decoder, []byte("\n")); n > 300 {
		t.Errorf("the decoder has %d lines", n)
	}
	decode := func(target int, given ...int) ([]byte, error) {
		out := filepath.Join(dir, "out")
		args := []string{"-set", filepath.Join(dir, "set.json"), "-checks", filepath.Join(dir, "set.crc32c"), "-out", out, "-image", fmt.Sprint(target)}
		for _, i := range given {
			b := slices.Clone(m.images[i])
			if i == target || i == 1 {
				b[7*sectorSize+5]++ // changed in silence
			}
			name := filepath.Join(dir, fmt.Sprint(i))
			os.WriteFile(name, b, 0o600)
			args = append(args, fmt.Sprintf("%d=%s", i, name))
		}
		if text, err := exec.Command(binary, args...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%w\n%s", err, text)
		}
		return os.ReadFile(out)
	}
	for _, c := range []struct {
		target int
		given  []int
		fails  bool
	}{{0, []int{3, 4, 5}, false}, {1, []int{1, 0, 3, 5}, false}, {0, []int{0, 1, 3, 4, 5}, false}, {4, []int{0, 3, 5}, false}, {0, []int{3, 4}, true}, {0, []int{1, 3, 4}, true}} {
		got, err := decode(c.target, c.given...)
		if (err != nil) != c.fails || err == nil && !bytes.Equal(got, m.images[c.target]) {
			t.Errorf("image %d from %v: %v", c.target, c.given, err)
		}
	}
}

// TestMain keeps the property tests short: every set of theirs is on a disk. -rapid.checks says otherwise.
func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if !given {
		flag.Set("rapid.checks", "20")
	}
	os.Exit(m.Run())
}
