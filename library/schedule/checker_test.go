package schedule

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/odarchive/odarchive/library"
)

// TestCheckerRefuses shows the checker an action for each rule that breaks it, and that it takes the one beside it.
func TestCheckerRefuses(t *testing.T) {
	idle := Drive{Number: 1, Unit: 1, Up: true, Known: true}
	holding := Drive{Number: 2, Unit: 1, Up: true, Known: true, Full: true, Disc: 2, Home: 2}
	base := func() Snapshot {
		return Snapshot{
			Drives: []Drive{idle, holding},
			Discs: []Disc{
				{ID: 1, Unit: 1, Slot: 1, Capacity: 100},
				{ID: 2, Unit: 1, Drive: 2, Capacity: 100},
				{ID: 3, Unit: 2, Slot: 3, Capacity: 100},
			},
			Tasks: []Task{{ID: 1, Kind: library.ReadTask, Disc: 1, Ready: true}, {ID: 9, Kind: library.BuildTask}},
		}
	}
	load, unload := Action{Load: true, Drive: 1, Disc: 1, Slot: 1}, Action{Unload: true, Drive: 2, Disc: 2, Slot: 2}
	read2 := Task{ID: 2, Kind: library.ReadTask, Disc: 2, Ready: true}
	for _, c := range []struct {
		name   string
		change func(s *Snapshot)
		action Action
		good   bool
	}{
		{name: "a load", action: load, good: true},
		{name: "an unload", action: unload, good: true},
		{name: "a build", action: Action{Task: 9}, good: true},
		{name: "an eject", action: Action{Eject: true, Drive: 2, Disc: 2}, good: true},
		{name: "a read", change: func(s *Snapshot) { s.Tasks = append(s.Tasks, read2) }, action: Action{Task: 2, Drive: 2, Disc: 2}, good: true},
		{name: "a read without its drive", action: Action{Task: 1}},
		{name: "a drive that isn't there", action: Action{Load: true, Drive: 7, Disc: 1, Slot: 1}},
		{name: "a busy drive", change: func(s *Snapshot) { s.Drives[0].Busy = true }, action: load},
		{name: "a drive of which nobody knows what it holds", change: func(s *Snapshot) { s.Drives[0].Known = false }, action: load},
		{name: "a drive that is down", change: func(s *Snapshot) { s.Drives[0].Up = false }, action: load},
		{name: "a full drive", action: Action{Load: true, Drive: 2, Disc: 1, Slot: 1}},
		{name: "a moving picker", change: func(s *Snapshot) { s.MovingUnits = []int{1} }, action: load},
		{name: "a robot in trouble", change: func(s *Snapshot) { s.Still = true }, action: unload},
		{name: "a disc elsewhere", action: Action{Load: true, Drive: 1, Disc: 1, Slot: 5}},
		{name: "a disc that may be elsewhere", change: func(s *Snapshot) { s.Discs[0].Unknown = true }, action: load},
		{name: "a disc of another unit", action: Action{Load: true, Drive: 1, Disc: 3, Slot: 3}},
		{name: "another slot than its own", action: Action{Unload: true, Drive: 2, Disc: 2, Slot: 4}},
		{name: "a slot that may be full", change: func(s *Snapshot) { s.Drives[1].HomeUnknown = true }, action: unload},
		{name: "a full slot", change: func(s *Snapshot) { s.Drives[1].Home = 1 }, action: Action{Unload: true, Drive: 2, Disc: 2, Slot: 1}},
		{name: "a disc that is wanted leaves", change: func(s *Snapshot) { s.Tasks = append(s.Tasks, read2) }, action: unload},
		{name: "the tray opens under it", change: func(s *Snapshot) { s.Tasks = append(s.Tasks, read2) }, action: Action{Eject: true, Drive: 2, Disc: 2}},
		{name: "a disc that must be loaded again is read", change: func(s *Snapshot) {
			s.Tasks, s.Discs[1].Reload = append(s.Tasks, read2), true
		}, action: Action{Task: 2, Drive: 2, Disc: 2}},
		{name: "a task of another disc", action: Action{Task: 1, Drive: 2, Disc: 2}},
		{name: "a burn on what isn't blank", change: func(s *Snapshot) {
			s.Tasks = append(s.Tasks, Task{ID: 3, Kind: library.BurnTask, Sectors: 10, Ready: true})
		}, action: Action{Task: 3, Drive: 2, Disc: 2}},
		{name: "a burn is stopped", change: func(s *Snapshot) {
			s.Drives[1].Busy, s.Drives[1].Running = true, Task{ID: 4, Kind: library.BurnTask}
		}, action: Action{Stop: true, Task: 4, Drive: 2, Disc: 2}},
		{name: "a verify is stopped", change: func(s *Snapshot) {
			s.Drives[1].Busy, s.Drives[1].Running = true, Task{ID: 4, Kind: library.VerifyTask}
		}, action: Action{Stop: true, Task: 4, Drive: 2, Disc: 2}, good: true},
		{name: "a second disc of a set in a drive where one failed", change: func(s *Snapshot) {
			s.Drives[0].Distrust, s.Discs[0].Set = []int64{5}, 5
		}, action: load},
		{name: "the same where there is no other drive", change: func(s *Snapshot) {
			s.Drives[0].Distrust, s.Discs[0].Set, s.Drives[1].Up = []int64{5}, 5, false
		}, action: load, good: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := base()
			if c.change != nil {
				c.change(&s)
			}
			k := CheckerFor(s)
			if err := k.Check(c.action); (err == nil) != c.good {
				t.Errorf("%+v: %v", c.action, err)
			} else if err == nil && c.action.Drive != 0 && !c.action.Stop && k.Check(c.action) == nil {
				t.Errorf("%+v is allowed twice", c.action)
			}
		})
	}
}

// The planner's answer to any snapshot obeys the rules.
func TestNextIsChecked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := snapshots(t)
		c := CheckerFor(s)
		for _, a := range Next(s) {
			if err := c.Check(a); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestNobodyStarves holds the planner to its bound: whoever has waited for w, and for longer than all but one in a thousand would were the
// disc that is due first always fetched first, is overtaken by no batch whose oldest request has waited for less than
// (1 - larger - apart)·w, as long as w is below half of Patience, and by none that is due later than it by more than larger of w, of Patience at
// most, and apart of w, of half of Patience at most.
func TestNobodyStarves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var pace Pace
		for k := range pace {
			pace[k].Limit, pace[k].Seen = time.Duration(rapid.IntRange(0, 3*3600).Draw(t, "limit"))*time.Second, 1000
		}
		p := New(Config{Ejects: true, Experience: Experience{1: pace}})
		p.SetDrive(Drive{Number: 1, Unit: 1, Up: true, Known: true})
		var asked []Task
		dueFirst := map[int64]time.Duration{}
		id := int64(0)
		now := time.Duration(0)
		for d := int64(1); d <= 12; d++ {
			p.SetDisc(Disc{ID: d, Unit: 1, Slot: int(d)})
			for range rapid.IntRange(1, 12).Draw(t, "reads") {
				id++
				now += time.Duration(rapid.IntRange(0, 1200).Draw(t, "apart")) * time.Second
				k := Task{
					ID: id, Kind: library.ReadTask, Priority: rapid.SampledFrom([]int{library.PriorityStandard, library.PriorityBulk}).Draw(t, "priority"),
					Disc: d, Sectors: 1000, Created: now,
				}
				p.Add(k)
				k.Due = k.due()
				asked = append(asked, k)
				if due, ok := dueFirst[d]; !ok || k.Due < due {
					dueFirst[d] = k.Due
				}
			}
		}
		actions := p.Decide(now)
		i := slices.IndexFunc(actions, func(a Action) bool { return a.Load })
		if i < 0 {
			t.Fatalf("nothing is loaded: %+v", actions)
		}
		chosen := dueFirst[actions[i].Disc]
		for _, k := range asked {
			w := now - k.Created
			if w < pace[tier(&task{priority: int32(k.Priority)})].Limit && now < k.Due {
				continue
			}
			if latest := k.Due + time.Duration(larger*float64(min(w, 2*time.Hour))+apart*float64(min(w, time.Hour))); chosen > latest {
				t.Fatalf("%+v has waited for %v, and disc %d, of which the first is due at %v, is loaded", k, w, actions[i].Disc, chosen)
			}
		}
	})
}

// Those who can't wait don't keep what is late waiting for ever: every fourth mount is not theirs.
func TestExpeditedLeavesRoom(t *testing.T) {
	p := New(Config{Ejects: true})
	p.SetDrive(Drive{Number: 1, Unit: 1, Up: true, Known: true})
	for d := int64(1); d <= 20; d++ {
		p.SetDisc(Disc{ID: d, Unit: 1, Slot: int(d)})
		p.Add(Task{ID: d, Kind: library.ReadTask, Priority: library.PriorityExpedited, Disc: d, Sectors: 1})
	}
	p.SetDisc(Disc{ID: 21, Unit: 1, Slot: 21})
	p.Add(Task{ID: 21, Kind: library.ReadTask, Priority: library.PriorityBulk, Disc: 21, Sectors: 1})
	now, loads := 13*time.Hour, 0
	for {
		for _, a := range slices.Clone(p.Decide(now)) {
			switch {
			case a.Load && a.Disc == 21:
				if loads != 3 {
					t.Errorf("the late one was served after %d others", loads)
				}
				return
			case a.Load:
				loads++
				p.Released(1)
				p.Loaded(1)
			case a.Eject:
				p.Ejected(1)
			case a.Unload:
				p.Unloaded(1)
				p.Released(1)
			default:
				p.Ended(a.Task)
			}
		}
		if loads > 20 {
			t.Fatal("it never was")
		}
	}
}

// A read stops the scrub that keeps it waiting; what was scrubbed isn't read again.
func TestPreempts(t *testing.T) {
	p := New(Config{Ejects: true})
	p.SetDrive(Drive{Number: 1, Unit: 1, Up: true, Known: true})
	p.SetDisc(Disc{ID: 1, Unit: 1, Slot: 1})
	p.SetDisc(Disc{ID: 2, Unit: 1, Slot: 2})
	p.Add(Task{ID: 1, Kind: library.VerifyTask, Priority: library.PriorityScrub, Disc: 1, Sectors: 1000})
	want := func(what string, ok func(a Action) bool) {
		t.Helper()
		if a := p.Decide(time.Minute); len(a) != 1 || !ok(a[0]) {
			t.Fatalf("want %s, got %+v", what, a)
		}
	}
	want("a load", func(a Action) bool { return a.Load && a.Disc == 1 })
	p.Released(1)
	p.Loaded(1)
	want("the scrub", func(a Action) bool { return a.Task == 1 && !a.Stop })
	p.Add(Task{ID: 2, Kind: library.ReadTask, Priority: library.PriorityBulk, Disc: 2, Sectors: 1, Created: time.Minute})
	want("a stop", func(a Action) bool { return a.Stop && a.Task == 1 })
	p.Stopped(1, 400)
	want("an eject", func(a Action) bool { return a.Eject })
	p.Ejected(1)
	want("an unload", func(a Action) bool { return a.Unload })
	p.Unloaded(1)
	p.Released(1)
	want("the other disc", func(a Action) bool { return a.Load && a.Disc == 2 })
	p.Released(1)
	p.Loaded(1)
	want("the read", func(a Action) bool { return a.Task == 2 })
	p.Ended(2)
	want("an eject", func(a Action) bool { return a.Eject })
	if left := p.tasks.find(1).sectors; left != 400 {
		t.Errorf("%d sectors are left of the scrub", left)
	}
}
