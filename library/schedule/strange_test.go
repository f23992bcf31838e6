package schedule

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/odarchive/odarchive/library"
)

// Deadlines, priorities and clocks that make no sense: every action still obeys the rules, and everything that is wanted from a disc that
// is there gets done. What is wanted from a disc that has left the library waits, and is done when it is back.
func TestNothingIsLostToNonsense(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const discs, gone = 6, 3
		p, c := New(Config{}), NewChecker()
		both := []interface {
			SetDrive(Drive)
			SetDisc(Disc)
			Add(Task)
			Ended(int64)
			Stopped(id, left int64)
			Loaded(int)
			Unloaded(int)
			Released(int)
		}{p, c}
		for _, l := range both {
			for n := 1; n <= 2; n++ {
				l.SetDrive(Drive{Number: n, Unit: 1, Up: true, Known: true})
			}
			for id := int64(1); id <= discs; id++ {
				l.SetDisc(Disc{ID: id, Unit: 1, Slot: int(id)})
			}
		}
		open := map[int64]int64{}
		for id := int64(1); id <= 20; id++ {
			task := Task{
				ID: id, Kind: rapid.SampledFrom([]library.TaskKind{library.ReadTask, library.VerifyTask}).Draw(t, "kind"), Disc: id%discs + 1, Sectors: 10,
				Priority: rapid.SampledFrom([]int{-7, 0, 100, 400, 500, math.MaxInt32}).Draw(t, "priority"),
				Created:  rapid.SampledFrom([]time.Duration{-time.Hour, 0, math.MaxInt64 / 2}).Draw(t, "created"),
				Due:      rapid.SampledFrom([]time.Duration{math.MinInt64 / 2, -1, 0, time.Second, math.MaxInt64}).Draw(t, "due"),
			}
			open[id] = task.Disc
			for _, l := range both {
				l.Add(task)
			}
		}
		left := false
		now := time.Duration(0)
		step := func() (busy bool) {
			// The clock goes on, stands, goes back, or jumps by a year.
			now += rapid.SampledFrom([]time.Duration{time.Minute, 0, -time.Hour, 365 * 24 * time.Hour}).Draw(t, "jump")
			c.Decide(now)
			actions := slices.Clone(p.Decide(now))
			stopped := map[int64]bool{}
			for _, a := range actions {
				if err := c.Check(a); err != nil {
					t.Fatal(err)
				}
				if a.Stop {
					stopped[a.Task] = true
				}
			}
			for _, a := range actions {
				busy = true
				for _, l := range both {
					switch {
					case a.Load:
						l.Released(1)
						l.Loaded(a.Drive)
					case a.Unload:
						l.Unloaded(a.Drive)
						l.Released(1)
					case a.Stop:
						l.Stopped(a.Task, 10)
					case !stopped[a.Task]:
						l.Ended(a.Task)
					}
				}
				if !stopped[a.Task] {
					delete(open, a.Task)
				}
			}
			return busy
		}
		for idle := 0; idle < 3; {
			if d := p.discs.find(gone); !left && d.Slot != 0 {
				left = true
				for _, l := range both {
					l.SetDisc(Disc{ID: gone, Unit: 1})
				}
			}
			if idle++; step() {
				idle = 0
			}
		}
		for id, disc := range open {
			if disc != gone || !left {
				t.Fatalf("task %d of disc %d was never done", id, disc)
			}
		}
		for _, l := range both {
			l.SetDisc(Disc{ID: gone, Unit: 1, Slot: gone})
		}
		for idle := 0; idle < 3; {
			if idle++; step() {
				idle = 0
			}
		}
		if len(open) > 0 {
			t.Fatalf("the disc is back, and of it are left %v", open)
		}
	})
}
