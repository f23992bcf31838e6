package simulate

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/odarchive/odarchive/library"
	"github.com/odarchive/odarchive/library/schedule"
)

func site(drives, discs int) (s schedule.Snapshot) {
	for n := 1; n <= drives; n++ {
		s.Drives = append(s.Drives, schedule.Drive{Number: n, Unit: 1, Up: true, Known: true})
	}
	for n := 1; n <= discs; n++ {
		s.Discs = append(s.Discs, schedule.Disc{ID: int64(n), Unit: 1, Slot: n, Capacity: 1 << 23})
	}
	s.Now = seconds(1e9)
	return s
}

func read(disc int64) schedule.Task {
	return schedule.Task{Kind: library.ReadTask, Priority: library.PriorityStandard, Disc: disc, Sectors: 50000}
}

func TestForward(t *testing.T) {
	s := site(2, 20)
	f := Forecast{Physics: DefaultPhysics()}
	alone := Forward(s, []schedule.Task{read(1)}, f)
	if alone.Discs != 1 || alone.Exchanges != 1 || alone.P50 < 25 || alone.P50 > 40 || alone.P999 < alone.P50 {
		t.Errorf("one read in an idle library: %+v", alone)
	}
	for n := int64(1); n <= 19; n++ {
		q := read(n + 1)
		q.ID, q.Created = n, s.Now-seconds(60)
		s.Tasks = append(s.Tasks, q)
	}
	behind := Forward(s, []schedule.Task{read(1)}, f)
	if behind.P50 < 19*28/2 {
		t.Errorf("a read behind 19 others: %+v", behind)
	}
	s.Still = true
	if e := Forward(s, []schedule.Task{read(1)}, f); e.Impossible == "" {
		t.Errorf("a robot that must not move promises %+v", e)
	}
	s.Still = false
	if e := Forward(s, []schedule.Task{read(99)}, f); e.Impossible == "" {
		t.Errorf("a disc that isn't there is promised: %+v", e)
	}
	for i := range s.Drives {
		s.Drives[i].Up = false
	}
	if e := Forward(s, []schedule.Task{read(1)}, f); e.Impossible == "" {
		t.Errorf("a library without a drive promises %+v", e)
	}
}

// A disc that is being carried home when somebody asks is fetched again once it is there.
func TestForwardOfADiscOnItsWayHome(t *testing.T) {
	s := site(2, 5)
	s.Discs[0].Slot, s.Discs[0].Drive = 0, 2
	s.MovingUnits = []int{1}
	e := Forward(s, []schedule.Task{read(1), read(2)}, Forecast{Physics: DefaultPhysics()})
	if e.Impossible != "" || e.P50 < 25 {
		t.Errorf("%+v", e)
	}
}

// Whatever is under way, a forecast ends and its percentiles are in order.
func TestForwardEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := site(rapid.IntRange(1, 4).Draw(t, "drives"), 10)
		for i := range s.Drives {
			d := &s.Drives[i]
			if rapid.Bool().Draw(t, "full") {
				disc := &s.Discs[i]
				d.Full, d.Disc, d.Home = true, disc.ID, disc.Slot
				disc.Slot, disc.Drive = 0, d.Number
				switch rapid.IntRange(0, 2).Draw(t, "busy") {
				case 1:
					d.Busy = true
					d.Running = schedule.Task{ID: 900 + int64(i), Kind: library.VerifyTask, Priority: library.PriorityScrub, Disc: disc.ID, Sectors: 1 << 22, Created: s.Now}
				case 2:
					d.Busy = true
					if len(s.MovingUnits) == 0 {
						s.MovingUnits = []int{1}
					}
				}
			}
		}
		for n := range rapid.IntRange(0, 30).Draw(t, "queued") {
			q := read(int64(rapid.IntRange(1, 10).Draw(t, "disc")))
			q.ID, q.Created = int64(n+1), s.Now
			s.Tasks = append(s.Tasks, q)
		}
		e := Forward(s, []schedule.Task{read(1), read(9)}, Forecast{Physics: DefaultPhysics(), Rate: 20, Sectors: 1000, Runs: 5})
		if e.Impossible != "" || e.P50 <= 0 || e.P50 > e.P95 || e.P95 > e.P999 {
			t.Fatalf("%+v", e)
		}
	})
}
