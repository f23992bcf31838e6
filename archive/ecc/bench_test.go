package ecc

import (
	"fmt"
	"runtime"
	"syscall"
	"testing"
)

// perCore reports how many bytes a second of processor time does, which says more than the clock on a busy machine.
func perCore(b *testing.B, size int) func() {
	used := func() int64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	before := used()
	return func() {
		b.ReportMetric(float64(b.N)*float64(size)/1e6/(float64(used()-before)/1e9), "MB/cpu-s")
	}
}

// benchRows is what a window has at most.
const benchRows = 32

func filled(buffers, size int, shards [][]byte) {
	for j := range buffers {
		for i := range size {
			shards[j][i] = byte(i*7 + j*13 + i>>8)
		}
	}
}

// BenchmarkCodec is all that a byte of data goes through on one core but for its CRC: the renaming, the kernel, and the
// renaming of the parity back.
func BenchmarkCodec(b *testing.B) {
	for _, roots := range []int{15, 32, 69} {
		b.Run(fmt.Sprintf("roots=%d", roots), func(b *testing.B) {
			c, err := newCodec(roots)
			if err != nil {
				b.Fatal(err)
			}
			shards := slab(layers, benchRows*sectorSize)
			filled(c.inputs, benchRows*sectorSize, shards)
			b.SetBytes(int64(c.inputs * benchRows * sectorSize))
			defer perCore(b, c.inputs*benchRows*sectorSize)()
			for b.Loop() {
				for _, s := range shards[:c.inputs] {
					toKernel.rename(s, s)
				}
				if err := c.encoder.Encode(shards); err != nil {
					b.Fatal(err)
				}
				for _, s := range shards[c.inputs:] {
					fromKernel.rename(s, s)
				}
			}
		})
	}
}

// BenchmarkCores is the codec with 32 roots on as many cores as -cpu says, each with buffers of its own as the workers of Augment have
// them: what a second of processor time does must not fall with their number.
func BenchmarkCores(b *testing.B) {
	const size = benchRows * sectorSize
	c, err := newCodec(32)
	if err != nil {
		b.Fatal(err)
	}
	all := make(chan [][]byte, runtime.GOMAXPROCS(0))
	for range cap(all) {
		shards := slab(layers, size)
		filled(c.inputs, size, shards)
		all <- shards
	}
	b.SetBytes(int64(c.inputs * size))
	b.ResetTimer()
	defer perCore(b, c.inputs*size)()
	b.RunParallel(func(next *testing.PB) {
		shards := <-all
		for next.Next() {
			for _, s := range shards[:c.inputs] {
				toKernel.rename(s, s)
			}
			if err := c.encoder.Encode(shards); err != nil {
				b.Error(err)
				return
			}
			for _, s := range shards[c.inputs:] {
				fromKernel.rename(s, s)
			}
		}
	})
}

// BenchmarkStagger holds the kernel on the buffers that slab gives against buffers whose addresses are equal modulo a page.
func BenchmarkStagger(b *testing.B) {
	c, err := newCodec(32)
	if err != nil {
		b.Fatal(err)
	}
	const size = benchRows * sectorSize
	aligned := make([][]byte, layers)
	all := slab(1, layers*size)[0]
	for i := range aligned {
		aligned[i] = all[i*size : (i+1)*size]
	}
	for _, v := range []struct {
		name   string
		shards [][]byte
	}{{"staggered", slab(layers, size)}, {"aligned", aligned}} {
		b.Run(v.name, func(b *testing.B) {
			filled(c.inputs, size, v.shards)
			b.SetBytes(int64(c.inputs * size))
			defer perCore(b, c.inputs*size)()
			for b.Loop() {
				if err := c.encoder.Encode(v.shards); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRename(b *testing.B) {
	buf := slab(1, 64<<10)[0]
	for name, f := range map[string]func(to, from []byte){"vectors": toKernel.rename, "table": toKernel.scalar} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(buf)))
			for b.Loop() {
				f(buf, buf)
			}
		})
	}
}

// BenchmarkSolve prepares for an erasure pattern, as each row of scattered damage does.
func BenchmarkSolve(b *testing.B) {
	for _, n := range []int{1, 13, 69} {
		b.Run(fmt.Sprintf("erased=%d", n), func(b *testing.B) {
			m := parityMatrix(69)
			erased, spare := make([]int, n), make([]int, n)
			for i := range erased {
				erased[i], spare[i] = i*2, i
			}
			for b.Loop() {
				solve(m, erased, spare)
			}
		})
	}
}
