package schedule

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/odarchive/odarchive/library"
)

// BenchmarkEvent is what an event costs with so many queued tasks over 10,000 discs and 100 drives in 25 units: a read ends, another
// comes, discs are loaded and unloaded, and after each a decision is made. The heap is what the planner keeps.
func BenchmarkEvent(b *testing.B) {
	for _, n := range []int{1e4, 3e4, 1e5, 3e5, 1e6} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchmarkEvent(b, n) })
	}
}

func benchmarkEvent(b *testing.B, n int) {
	const units, drives, discs = 25, 100, 10000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	p := New(Config{Ejects: true})
	for d := range drives {
		p.SetDrive(Drive{Number: d + 1, Unit: d%units + 1, Up: true, Known: true})
	}
	for d := range discs {
		p.SetDisc(Disc{ID: int64(d + 1), Unit: d%units + 1, Slot: d/units + 1})
	}
	r := rand.New(rand.NewPCG(1, 2))
	now, id := time.Duration(0), int64(0)
	add := func() {
		id++
		p.Add(Task{
			ID: id, Kind: library.ReadTask, Priority: []int{library.PriorityStandard, library.PriorityBulk}[r.IntN(2)], Disc: r.Int64N(discs) + 1,
			Sector: r.Int64N(12e6), Sectors: 50000, Created: now,
		})
	}
	for range n {
		add()
		now += time.Millisecond
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	// What was begun ends in the order in which it was; each end is an event.
	var begun []Action
	decide := func() { begun = append(begun, p.Decide(now)...) }
	decide()
	b.ResetTimer()
	events := 0
	for b.Loop() {
		now += 10 * time.Millisecond
		a := begun[0]
		begun = begun[1:]
		events++
		switch {
		case a.Load:
			p.Released(p.drives[a.Drive].Unit)
			p.Loaded(a.Drive)
		case a.Unload:
			p.Unloaded(a.Drive)
			p.Released(p.drives[a.Drive].Unit)
		case a.Eject:
			p.Ejected(a.Drive)
		default:
			p.Ended(a.Task)
			add()
		}
		decide()
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MiB")
	runtime.KeepAlive(p)
}
