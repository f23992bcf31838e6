package pack

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
)

// bd25 is a BD-R without spare areas, in sectors.
const bd25 = 12_219_392

// logNormal makes n files with log-normal sizes, median bytes in the middle, in folders of folders.
func logNormal(n int, median, sigma float64) Archive {
	rng := rand.New(rand.NewPCG(1, 2))
	a := Archive{Archive: catalogue.Archive{ID: "00000000-0000-0000-0000-000000000001", Name: "x", ManifestSize: int64(n) * 250, Sealed: made}}
	var seed [8]byte
	for i := range n {
		binary.LittleEndian.PutUint64(seed[:], uint64(i))
		size := int64(median * math.Exp(sigma*rng.NormFloat64()))
		a.Files = append(a.Files, File{
			Path:    fmt.Sprintf("%02d/%03d/folder %04d/file number %07d.data", i/100_000, i/5000, i/100, i),
			Content: archive.Content{Hash: sha256.Sum256(seed[:]), Size: size}, Mode: 0o644, ModTime: made,
		})
	}
	return a
}

// wholeFolders returns the share of folders of less than a gigabyte that are on one image.
func wholeFolders(a *Archive, images []*Image) float64 {
	size, on := map[string]int64{}, map[string]map[int]bool{}
	for _, f := range a.Files {
		for i := range len(f.Path) {
			if f.Path[i] == '/' {
				size[f.Path[:i]] += f.Content.Size
			}
		}
	}
	for n, img := range images {
		for _, f := range img.Files {
			p := f.Path[strings.IndexByte(f.Path, '/')+1:]
			for i := range len(p) {
				if p[i] == '/' {
					if on[p[:i]] == nil {
						on[p[:i]] = map[int]bool{}
					}
					on[p[:i]][n] = true
				}
			}
		}
	}
	small, whole := 0, 0
	for dir, n := range size {
		if n < together {
			small++
			if len(on[dir]) == 1 {
				whole++
			}
		}
	}
	return float64(whole) / float64(small)
}

// waste returns the largest share of a disc that is not used, of all but the last, and the mean.
func waste(t testing.TB, capacity int64, images []*Image) (most, mean float64) {
	for _, img := range images[:len(images)-1] {
		c, err := img.Compose()
		if err != nil {
			t.Fatal(err)
		}
		w := float64(capacity-c.Layout.Sectors()) / float64(capacity)
		if w < 0 {
			t.Fatalf("image of %d sectors on a disc of %d", c.Layout.Sectors(), capacity)
		}
		most, mean = max(most, w), mean+w/float64(len(images)-1)
	}
	return most, mean
}

// spent returns the processor time that this process has taken: on a machine with other work the clock says little.
func spent(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func benchmark(b *testing.B, a Archive) {
	var images []*Image
	runtime.GC()
	before := spent(b)
	for b.Loop() {
		var err error
		if images, err = Plan(bd25, []Archive{a}, begin()); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	b.ReportMetric((spent(b)-before).Seconds()/float64(b.N), "cpu-s/op")
	most, mean := waste(b, bd25, images)
	b.ReportMetric(float64(len(images)), "discs")
	b.ReportMetric(100*most, "%worst-waste")
	b.ReportMetric(100*mean, "%waste")
	b.ReportMetric(100*wholeFolders(&a, images), "%whole-folders")
}

func BenchmarkPlanMillion(b *testing.B) { benchmark(b, logNormal(1_000_000, 100_000, 2)) }

// BenchmarkPlanLarge has folders of hundreds of megabytes: few of them fill a disc.
func BenchmarkPlanLarge(b *testing.B) { benchmark(b, logNormal(20_000, 3_000_000, 1.5)) }

// TestFigures holds small forms of the benchmarks to their figures.
func TestFigures(t *testing.T) {
	for name, a := range map[string]Archive{
		"small files": logNormal(30_000, 100_000, 2.5),
		"large files": logNormal(10_000, 5_000_000, 1.5),
	} {
		images, err := Plan(bd25, []Archive{a}, begin())
		if err != nil {
			t.Fatal(err)
		}
		most, _ := waste(t, bd25, images)
		whole := wholeFolders(&a, images)
		if most >= 0.005 || whole < 0.95 || len(images) < 3 {
			t.Errorf("%s: %d discs, waste %.2f %%, %.1f %% of the folders are whole", name, len(images), 100*most, 100*whole)
		}
	}
}

// TestSplitFillsToTheLastSector: where a file is split its disc is full.
func TestSplitFillsToTheLastSector(t *testing.T) {
	const capacity = 100_000
	a := Archive{Archive: catalogue.Archive{ID: "x", Name: "x", ManifestSize: 1000}}
	for i, size := range []int64{30e6, 700e6, 1, 90e6} {
		a.Files = append(a.Files, File{Path: fmt.Sprintf("dir%d/file", i), Content: archive.Content{Hash: archive.Hash{byte(i + 1)}, Size: size}, ModTime: made})
	}
	images, err := Plan(capacity, []Archive{a}, begin())
	if err != nil {
		t.Fatal(err)
	}
	if len(images) != 5 {
		t.Errorf("%d images", len(images))
	}
	for n, img := range images[:len(images)-1] {
		c, err := img.Compose()
		if err != nil {
			t.Fatal(err)
		}
		if c.Layout.Sectors() != capacity {
			t.Errorf("image %d has %d of %d sectors", n, c.Layout.Sectors(), capacity)
		}
	}
}

// firstFitDecreasing returns how many discs of that many sectors first-fit-decreasing takes for whole files.
func firstFitDecreasing(a *Archive, capacity int64, cost func(File) int64) int {
	var room []int64
	costs := make([]int64, len(a.Files))
	for i, f := range a.Files {
		costs[i] = cost(f)
	}
	sortDescending(costs)
next:
	for _, c := range costs {
		for i := range room {
			if room[i] >= c {
				room[i] -= c
				continue next
			}
		}
		room = append(room, capacity-c)
	}
	return len(room)
}

func sortDescending(costs []int64) {
	slices.SortFunc(costs, func(x, y int64) int { return int(y - x) })
}

// TestNoMoreThanFirstFitDecreasing: a plan has no more discs than first-fit-decreasing, which cares for no folder.
func TestNoMoreThanFirstFitDecreasing(t *testing.T) {
	const capacity = 64_000
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 7))
		a := Archive{Archive: catalogue.Archive{ID: "x", Name: "x", ManifestSize: 1000}}
		for i := range 20 + rng.IntN(400) {
			size := rng.Int64N(30_000_000) >> rng.IntN(9)
			a.Files = append(a.Files, File{Path: fmt.Sprintf("d%02d/e%d/%04d", i/60, i/7, i), Content: archive.Content{Hash: archive.Hash{byte(i), byte(i >> 8)}, Size: size}, ModTime: made})
		}
		images, err := Plan(capacity, []Archive{a}, begin())
		if err != nil {
			t.Fatal(err)
		}
		empty, err := (&Image{Disc: images[0].Disc}).Compose()
		if err != nil {
			t.Fatal(err)
		}
		// What every disc carries is the same for both. Besides its data a file takes a File Entry, half a kilobyte in lists and
		// directories, and its share of what a folder takes.
		others := firstFitDecreasing(&a, capacity-empty.Layout.Sectors(), func(f File) int64 { return archive.Sectors(f.Content.Size) + 2 })
		if len(images) > others {
			t.Errorf("seed %d: %d discs, first-fit-decreasing takes %d", seed, len(images), others)
		}
	}
}
