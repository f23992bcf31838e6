package schedule

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/odarchive/odarchive/library"
)

// BenchmarkEvent is what an event costs with so many queued tasks over 10,000 discs and 100 drives in 25 units: a read ends, another
// comes, discs are loaded and unloaded, and after each a decision is made. MiB is what the planner keeps.
func BenchmarkEvent(b *testing.B) {
	for _, n := range []int{1e4, 3e4, 1e5, 3e5, 1e6} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchmarkEvent(b, n) })
	}
}

func benchmarkEvent(b *testing.B, n int) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	event := queueOf(n)
	runtime.GC()
	runtime.ReadMemStats(&after)
	events, began := 0, processorTime()
	for b.Loop() {
		event()
		events++
	}
	b.ReportMetric(float64(processorTime()-began)/float64(events), "cpu-ns/op")
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MiB")
}

// BenchmarkGrowth is what an event costs with so many queued tasks, and by how many times more than with 10,000: medians over rounds in each of which
// all queues take turns, so that what else the machine does concerns them alike. At each turn the first third isn't counted, until
// the caches hold what they hold of that queue.
func BenchmarkGrowth(b *testing.B) {
	const turn = 150000
	sizes := []int{1e4, 3e4, 1e5, 3e5, 1e6}
	queues, cost := make([]func(), len(sizes)), make([][]float64, len(sizes))
	for i, n := range sizes {
		queues[i] = queueOf(n)
	}
	runtime.GC()
	growth := make([][]float64, len(sizes))
	for b.Loop() {
		for i, event := range queues {
			for range turn / 3 {
				event()
			}
			began := processorTime()
			for range turn * 2 / 3 {
				event()
			}
			took := float64(processorTime()-began) / (turn * 2 / 3)
			cost[i] = append(cost[i], took)
			growth[i] = append(growth[i], took/cost[0][len(cost[i])-1])
		}
	}
	for i, n := range sizes {
		b.ReportMetric(median(cost[i]), fmt.Sprintf("cpu-ns/%d", n))
		if i > 0 {
			b.ReportMetric(median(growth[i]), fmt.Sprintf("times/%d", n))
		}
	}
}

func median(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}

// queueOf returns what lets an event happen to a planner with so many queued tasks, whose queue is being worked off.
func queueOf(n int) (event func()) {
	const units, drives, discs = 25, 100, 10000
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
	// What was begun ends in the order in which it was; each end is an event. A channel keeps it without making garbage.
	begun := make(chan Action, 2*drives)
	decide := func() {
		for _, a := range p.Decide(now) {
			begun <- a
		}
	}
	event = func() {
		now += 10 * time.Millisecond
		switch a := <-begun; {
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
	decide()
	// As many events as there are tasks bring the queue from how it was filled to how it is when it is worked off.
	for range n {
		event()
	}
	return event
}

// processorTime is what the process has used of processors so far: on a machine that others use too the clock says little.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkMachine is what the machine asks of anything that keeps as many tasks over as many discs: for each event the first of a random disc's
// heap is found by its id and forgotten, and another one is made and put into the heap of another disc. How that grows with the number of
// tasks is how much longer memory takes to answer that the caches don't hold.
func BenchmarkMachine(b *testing.B) {
	for _, n := range []int{1e4, 3e4, 1e5, 3e5, 1e6} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchmarkMachine(b, n) })
	}
}

func benchmarkMachine(b *testing.B, n int) {
	r := rand.New(rand.NewPCG(1, 2))
	known := newTasks()
	heaps := make([]taskHeap, 10000)
	id := int64(0)
	add := func() {
		id++
		heaps[r.IntN(len(heaps))].push(known.queue(taskOf(Task{ID: id, Sector: r.Int64N(12e6), Due: time.Duration(id)})).entry())
	}
	event := func() {
		h := &heaps[r.IntN(len(heaps))]
		for len(h.items) == 0 {
			h = &heaps[r.IntN(len(heaps))]
		}
		t := known.find(h.items[0].id)
		h.pop()
		known.remove(t)
		add()
	}
	for range n {
		add()
	}
	for range n {
		event()
	}
	events, began := 0, processorTime()
	for b.Loop() {
		event()
		events++
	}
	b.ReportMetric(float64(processorTime()-began)/float64(events), "cpu-ns/op")
}

// BenchmarkLookup is what the machine takes for one look at one of so many places of 64 bytes, each of which says where to look next.
func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{1e4, 1e5, 1e6} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			places := make([][8]int64, n)
			order := rand.New(rand.NewPCG(1, 2)).Perm(n)
			for i, at := range order {
				places[at][0] = int64(order[(i+1)%n])
			}
			at, looks, began := int64(0), 0, processorTime()
			for b.Loop() {
				at = places[at][0]
				looks++
			}
			b.ReportMetric(float64(processorTime()-began)/float64(looks), "cpu-ns/op")
		})
	}
}
