package discset

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/klauspost/reedsolomon"
	"golang.org/x/sys/unix"
)

// BenchmarkEncode times the coding of a block of a set's images beside klauspost's own matrix on shards of the same size, turn by
// turn on one core, and prints the ratios: all images at once, and one image at a time onto the parity that is there. A rate counts
// the bytes of the data images. A block is what an addition codes at a time, right after its checksum has brought it into the
// second cache.
func BenchmarkEncode(b *testing.B) {
	const size = blockSize
	for _, g := range []Geometry{{12, 2}, {20, 4}} {
		b.Run(g.String(), func(b *testing.B) {
			in, out := buffers(g.Data, size), buffers(g.Parity, size)
			for i, p := range in {
				copy(p, noise(i, size/sectorSize))
			}
			raw, err := reedsolomon.New(g.Data, g.Parity, reedsolomon.WithMaxGoroutines(1))
			if err != nil {
				b.Fatal(err)
			}
			whole, err := newAdder(g.Parity, indexes(g.Data), true)
			if err != nil {
				b.Fatal(err)
			}
			var single []*adder
			for i := range in {
				c, err := newAdder(g.Parity, []int{i}, false)
				if err != nil {
					b.Fatal(err)
				}
				single = append(single, c)
			}
			none := func(int) bool { return false }
			var took [3]time.Duration
			timed := func(n int, f func() error) {
				start := spent(b)
				if err := f(); err != nil {
					b.Fatal(err)
				}
				took[n] += spent(b) - start
			}
			b.SetBytes(int64(g.Data * size))
			for b.Loop() {
				timed(0, func() error { return code(raw, in, out) })
				timed(1, func() error { return whole.add(in, out, none) })
				timed(2, func() error {
					for i, c := range single {
						if err := c.add(in[i:i+1], out, none); err != nil {
							return err
						}
					}
					return nil
				})
			}
			b.ReportMetric(float64(g.Data*size)*float64(b.N)/took[0].Seconds()/1e6, "raw-MB/s")
			b.ReportMetric(100*took[0].Seconds()/took[1].Seconds(), "%-of-raw")
			b.ReportMetric(100*took[0].Seconds()/took[2].Seconds(), "%-of-raw-one-by-one")
		})
	}
}

// spent returns the processor time that this process has taken: turns of less than a millisecond are lost on a clock that goes on
// while somebody else has the core.
func spent(b *testing.B) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}

// BenchmarkAdd times whole additions on files: reading, hashing, checksums, coding and writing.
func BenchmarkAdd(b *testing.B) {
	const sectors = 8192
	g := Geometry{12, 2}
	data := noise(1, sectors)
	for _, batch := range []int{1, 12} {
		b.Run(fmt.Sprint(batch, " at a time"), func(b *testing.B) {
			b.SetBytes(int64(g.Data * len(data)))
			for b.Loop() {
				a, err := Open(b.TempDir(), setID, g)
				if err != nil {
					b.Fatal(err)
				}
				for i := 0; i < g.Data; i += batch {
					var sources []Source
					for x := range batch {
						sources = append(sources, Source{Member{Index: i + x, ImageID: uuidOf(i + x), Sectors: sectors}, bytes.NewReader(data)})
					}
					if err := a.Add(b.Context(), sources, nil); err != nil {
						b.Fatal(err)
					}
				}
				a.Close()
			}
		})
	}
}
