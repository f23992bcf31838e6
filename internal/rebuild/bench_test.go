package rebuild_test

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/odarchive/odarchive/internal/rebuild"
)

// forgeVariable names a folder in which TestForge makes the images of a large library, for scripts/bench-rebuild.sh.
const forgeVariable = "REBUILD_FORGE"

// TestForge makes images of 600 discs with 2 million files in the folder that REBUILD_FORGE names, some 10 GB. REBUILD_DISCS says how many
// discs instead. What was made before stays.
func TestForge(t *testing.T) {
	dir := os.Getenv(forgeVariable)
	if dir == "" {
		t.Skip("scripts/bench-rebuild.sh runs it")
	}
	discs := 600
	if n, err := strconv.Atoi(os.Getenv("REBUILD_DISCS")); err == nil {
		discs = n
	}
	// Three discs to an archive of 10,000 files: each disc has the whole list of its archive.
	for i := range discs / 3 {
		done := filepath.Join(dir, strconv.Itoa(i))
		if _, err := os.Stat(done); err == nil {
			continue // made before
		}
		f := &forge{TB: t, dir: done + ".part", capacity: 9600, numbers: 3 * i, first: i}
		if err := os.MkdirAll(f.dir, 0o755); err != nil {
			t.Fatal(err)
		}
		f.archive(10_000, func(n int) int64 { return int64(8 + n%2000) })
		f.burn()
		if len(f.images) != 3 {
			t.Fatalf("%d images, want 3", len(f.images))
		}
		if err := os.Rename(f.dir, done); err != nil {
			t.Fatal(err)
		}
		clear(seeds)
	}
}

// BenchmarkRebuild takes in the discs that TestForge has made.
func BenchmarkRebuild(b *testing.B) {
	dir := os.Getenv(forgeVariable)
	if dir == "" {
		b.Skip("scripts/bench-rebuild.sh runs it")
	}
	places, err := rebuild.Places([]string{dir})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		result, err := run(b.Context(), empty(b), places)
		if err != nil || len(result.Doubts) > 0 {
			b.Fatal(err, result)
		}
		b.ReportMetric(float64(result.Entries)/b.Elapsed().Seconds()*float64(b.N), "entries/s")
	}
}
