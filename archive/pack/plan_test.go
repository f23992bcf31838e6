package pack

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
)

var made = time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)

// sample is a content, and its hash.
type sample struct {
	data []byte
	hash archive.Hash
}

// samples keeps what bytesOf made: making and hashing megabytes is most of the work of a test with -race.
var samples = map[[2]int64]sample{}

// bytesOf makes the content that seed stands for.
func bytesOf(seed uint64, size int64) sample {
	key := [2]int64{int64(seed), size}
	if s, ok := samples[key]; ok {
		return s
	}
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(seed + uint64(i)*7)
	}
	if size >= 8 {
		binary.LittleEndian.PutUint64(b, seed)
	}
	samples[key] = sample{b, sha256.Sum256(b)}
	return samples[key]
}

type world struct {
	archives []Archive
	contents map[archive.Hash][]byte
}

func worlds(t *rapid.T, discBytes int64) *world {
	w := &world{contents: map[archive.Hash][]byte{}}
	for a := range rapid.IntRange(1, 3).Draw(t, "archives") {
		arc := Archive{Archive: catalogue.Archive{ID: fmt.Sprintf("0000000%d-0000-0000-0000-000000000000", a), Name: "same name", ManifestSize: 3000, Sealed: made}}
		seen := map[string]bool{}
		for range rapid.IntRange(0, 25).Draw(t, "files") {
			p := rapid.StringMatching(`([a-c]{1,2}/){0,2}[a-zé]{1,8}`).Draw(t, "path")
			if seen[p] || slices.ContainsFunc(arc.Files, func(f File) bool { return strings.HasPrefix(f.Path, p+"/") || strings.HasPrefix(p, f.Path+"/") }) {
				continue
			}
			seen[p] = true
			size := rapid.SampledFrom([]int64{0, 1, 2047, 2048, 5000, discBytes / 300, discBytes / 10, discBytes * 3 / 4, discBytes * 5 / 2}).Draw(t, "size")
			s := bytesOf(uint64(rapid.IntRange(0, 5).Draw(t, "seed")), size)
			h := s.hash
			w.contents[h] = s.data
			arc.Files = append(arc.Files, File{Path: p, Content: archive.Content{Hash: h, Size: size}, Mode: 0o644, ModTime: made})
		}
		slices.SortFunc(arc.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
		w.archives = append(w.archives, arc)
	}
	return w
}

func begin() func() (catalogue.Disc, error) {
	n := int64(0)
	return func() (catalogue.Disc, error) {
		n++
		return catalogue.Disc{
			ImageID: fmt.Sprintf("00000000-0000-0000-0000-%012d", n), Label: fmt.Sprintf("OD_%06d", n), Number: n, Vault: "v", LibraryID: "l", Library: "lib", Medium: "BD-R", Created: made,
		}, nil
	}
}

// TestPlan: every byte of every content is on exactly one image, no image is larger than its disc, each carries the names of the
// archives that are on it, and all but the last are full.
func TestPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const capacity = 2048
		w := worlds(t, capacity*archive.SectorSize)
		images, err := Plan(capacity, w.archives, begin())
		if err != nil {
			t.Fatal(err)
		}
		got := map[archive.Hash]int64{} // bytes from the beginning
		for n, img := range images {
			c, err := img.Compose()
			if err != nil {
				t.Fatal(err)
			}
			if c.Layout.Sectors() > capacity {
				t.Fatalf("image %d takes %d sectors of %d", n, c.Layout.Sectors(), capacity)
			}
			for r := range c.Runs {
				if got[r.Hash] != r.Offset {
					t.Fatalf("content %v: %d bytes so far, a run begins at %d", r.Hash, got[r.Hash], r.Offset)
				}
				got[r.Hash] += r.Length
			}
			checkNames(t, w, img)
			if err := c.Write(io.Discard, w.sources()); err != nil {
				t.Fatal(err)
			}
		}
		for _, a := range w.archives {
			for _, f := range a.Files {
				if got[f.Content.Hash] != f.Content.Size {
					t.Fatalf("%q: %d of %d bytes are on images", f.Path, got[f.Content.Hash], f.Content.Size)
				}
			}
		}
	})
}

func (w *world) sources() Sources {
	return Sources{
		Manifest: func(string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(make([]byte, 3000))), nil },
		Run: func(r Run) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(w.contents[r.Hash][r.Offset : r.Offset+r.Length])), nil
		},
	}
}

// checkNames: an image has just the names that its archives give to its contents, and parts are numbered.
func checkNames(t *rapid.T, w *world, img *Image) {
	on := map[archive.Hash]catalogue.File{}
	for _, f := range img.Files {
		on[f.Content.Hash] = f
	}
	var want []string
	for _, a := range img.Disc.Archives {
		for _, arc := range w.archives {
			if arc.ID != a.ID {
				continue
			}
			for _, f := range arc.Files {
				if like, ok := on[f.Content.Hash]; ok {
					want = append(want, "Data/"+catalogue.PartName(a.Directory+"/"+f.Path, like.Part, like.Parts))
				}
			}
		}
	}
	slices.Sort(want)
	var have []string
	for _, f := range img.Files {
		have = append(have, f.DiscPath())
		if whole := f.Offset == 0 && f.Length == f.Content.Size; whole != (f.Parts == 0) || f.Part > f.Parts || f.Parts == somePart {
			t.Fatalf("%q is part %d of %d", f.Path, f.Part, f.Parts)
		}
	}
	if !slices.Equal(have, want) {
		t.Fatalf("image has the names\n%q, want\n%q", have, want)
	}
}

func TestPlanRefusesTinyDiscs(t *testing.T) {
	a := []Archive{{Archive: catalogue.Archive{ID: "x", Name: "x", ManifestSize: 1 << 20}}}
	if _, err := Plan(700, a, begin()); !errors.Is(err, ErrTooSmall) {
		t.Errorf("a manifest of 1 MiB on 700 sectors: %v", err)
	}
}

// TestFill: a plan of small files wastes less than half a percent of every disc but the last.
func TestFill(t *testing.T) {
	a := Archive{Archive: catalogue.Archive{ID: "x", Name: "x", ManifestSize: 1000}}
	for i := range 30000 {
		h := archive.Hash(sha256.Sum256(fmt.Append(nil, i)))
		a.Files = append(a.Files, File{Path: fmt.Sprintf("%03d/%06d", i/100, i), Content: archive.Content{Hash: h, Size: int64(i%50) * 1000}, ModTime: made})
	}
	const capacity = 100_000
	images, err := Plan(capacity, []Archive{a}, begin())
	if err != nil {
		t.Fatal(err)
	}
	for n, img := range images[:len(images)-1] {
		c, err := img.Compose()
		if err != nil {
			t.Fatal(err)
		}
		if waste := capacity - c.Layout.Sectors(); waste < 0 || waste > capacity/200 {
			t.Errorf("image %d of %d: %d of %d sectors are not used", n, len(images), waste, capacity)
		}
	}
}
