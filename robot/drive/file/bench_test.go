package file

import (
	"bytes"
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// bd12 is twelve times the single speed of a BD, in bytes per second.
const bd12 = 12 * 4_495_500

// BenchmarkTwelveDrives has eight drives burn and four verify at BD 12x, with the hashes that the agent makes of both, and
// reports how many cores that keeps busy at full speed. TMPDIR should be in memory: the disk is not what is measured. One iteration
// takes about four seconds.
func BenchmarkTwelveDrives(b *testing.B) {
	const burning, verifying, size = 8, 4, 4 * bd12 / sectorSize * sectorSize
	root := b.TempDir()
	image := filepath.Join(root, "image")
	if err := os.WriteFile(image, bytes.Repeat([]byte("odarchive"), size/9+1)[:size], 0o600); err != nil {
		b.Fatal(err)
	}
	open := func(n int, name string) *Drive {
		dir, disc := filepath.Join(root, "drive"+strconv.Itoa(n)), filepath.Join(root, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			b.Fatal(err)
		}
		os.Remove(filepath.Join(dir, DiscLink))
		err := NewDisc(disc, Medium{Type: "BD-R", Sectors: size / sectorSize})
		if err == nil && n >= burning {
			err = os.Link(image, filepath.Join(disc, closedName))
		}
		if err == nil {
			err = Insert(dir, disc)
		}
		if err == nil {
			err = SetRates(dir, Rates{Read: bd12, Write: bd12})
		}
		if err != nil {
			b.Fatal(err)
		}
		d, err := Open(dir)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := d.Load(b.Context()); err != nil {
			b.Fatal(err)
		}
		return d
	}
	var busy, elapsed time.Duration
	for round := 0; b.Loop(); round++ {
		b.StopTimer()
		var drives []*Drive
		for n := range burning + verifying {
			drives = append(drives, open(n, "disc"+strconv.Itoa(round)+"-"+strconv.Itoa(n)))
		}
		b.StartTimer()
		start, before := time.Now(), cpu(b)
		var all sync.WaitGroup
		for n, d := range drives {
			all.Go(func() {
				sum := sha256.New()
				var err error
				if n < burning {
					source, openErr := os.Open(image)
					if openErr != nil {
						b.Error(openErr)
						return
					}
					defer source.Close()
					err = d.Burn(b.Context(), io.TeeReader(source, sum), size, nil)
				} else {
					_, err = io.CopyBuffer(sum, io.NewSectionReader(d, 0, size), make([]byte, burnBuffer))
				}
				if err != nil {
					b.Error(err)
				}
			})
		}
		all.Wait()
		busy, elapsed = busy+cpu(b)-before, elapsed+time.Since(start)
		b.StopTimer()
		for _, d := range drives {
			d.Close()
		}
		for n := range burning {
			os.RemoveAll(filepath.Join(root, "disc"+strconv.Itoa(round)+"-"+strconv.Itoa(n)))
		}
		b.StartTimer()
	}
	// On a machine that is too busy for the full speed the work is the same: it is counted against the time that it should take.
	moved := float64(b.N) * (burning + verifying) * size
	b.ReportMetric(busy.Seconds()/(moved/((burning+verifying)*bd12)), "cores")
	b.ReportMetric(moved/elapsed.Seconds()/1e6, "MB/s")
}

// cpu is what this process has used of the processors.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
