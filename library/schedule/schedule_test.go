package schedule

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/odarchive/odarchive/library"
)

// tooLarge returns burns that fit on no disc of these tests.
func tooLarge(n int64) (all []Task) {
	for id := int64(1); id <= n; id++ {
		all = append(all, Task{ID: id, Kind: library.BurnTask, Sectors: 5000, Ready: true})
	}
	return all
}

func TestNext(t *testing.T) {
	idle := func(n, unit int) Drive { return Drive{Number: n, Unit: unit, Up: true, Known: true} }
	holding := func(n, unit int, disc int64, home int) Drive {
		return Drive{Number: n, Unit: unit, Up: true, Known: true, Full: true, Disc: disc, Home: home}
	}
	blank := func(id int64, unit, slot int) Disc {
		return Disc{ID: id, Unit: unit, Slot: slot, Blank: true, Capacity: 100}
	}
	burn := func(id int64) Task {
		return Task{ID: id, Kind: library.BurnTask, Priority: library.PriorityBurn, Sectors: 100, Ready: true}
	}
	read := func(id, disc int64) Task {
		return Task{ID: id, Kind: library.ReadTask, Priority: library.PriorityStandard, Disc: disc, Ready: true}
	}
	verify := func(id, disc int64) Task {
		return Task{ID: id, Kind: library.VerifyTask, Priority: library.PriorityVerify, Disc: disc, Ready: true}
	}
	for _, c := range []struct {
		name string
		in   Snapshot
		want []Action
	}{
		{name: "nothing to do"},
		{
			name: "a burn takes the lowest blank",
			in:   Snapshot{Drives: []Drive{idle(1, 1)}, Discs: []Disc{blank(12, 1, 12), blank(11, 1, 11)}, Tasks: []Task{burn(1)}},
			want: []Action{{Load: true, Drive: 1, Disc: 11, Slot: 11}},
		},
		{
			name: "a burn whose image isn't built waits, the build starts",
			in: Snapshot{
				Drives: []Drive{idle(1, 1)}, Discs: []Disc{blank(11, 1, 11)}, BuildLimit: 1,
				Tasks: []Task{{ID: 1, Kind: library.BuildTask}, {ID: 2, Kind: library.BurnTask, Sectors: 100}, {ID: 3, Kind: library.BuildTask}},
			},
			want: []Action{{Task: 1}},
		},
		{
			name: "a blank in a drive is burned there",
			in:   Snapshot{Drives: []Drive{holding(2, 1, 11, 11)}, Discs: []Disc{{ID: 11, Unit: 1, Drive: 2, Blank: true, Capacity: 100}}, Tasks: []Task{burn(1)}},
			want: []Action{{Task: 1, Drive: 2, Disc: 11}},
		},
		{
			name: "a blank that is too small is not",
			in:   Snapshot{Drives: []Drive{holding(2, 1, 11, 11)}, Discs: []Disc{{ID: 11, Unit: 1, Drive: 2, Blank: true, Capacity: 99}}, Tasks: []Task{burn(1)}},
			want: []Action{{Unload: true, Drive: 2, Disc: 11, Slot: 11}},
		},
		{
			name: "a burn takes the smallest blank that it fits on",
			in: Snapshot{
				Drives: []Drive{idle(1, 1)}, Tasks: []Task{burn(1)},
				Discs: []Disc{{ID: 10, Unit: 1, Slot: 10, Blank: true, Capacity: 900}, {ID: 11, Unit: 1, Slot: 11, Blank: true, Capacity: 99}, blank(12, 1, 12)},
			},
			want: []Action{{Load: true, Drive: 1, Disc: 12, Slot: 12}},
		},
		{
			name: "of the medium that it was planned for",
			in: Snapshot{
				Drives: []Drive{idle(1, 1)}, Tasks: []Task{{ID: 1, Kind: library.BurnTask, Sectors: 100, Ready: true, Medium: "BD-R"}},
				Discs: []Disc{
					{ID: 10, Unit: 1, Slot: 10, Blank: true, Capacity: 100, Medium: "DVD-R"}, {ID: 11, Unit: 1, Slot: 11, Blank: true, Capacity: 900, Medium: "BD-R"},
				},
			},
			want: []Action{{Load: true, Drive: 1, Disc: 11, Slot: 11}},
		},
		{
			name: "or another when there is none of that",
			in: Snapshot{
				Drives: []Drive{idle(1, 1)}, Tasks: []Task{{ID: 1, Kind: library.BurnTask, Sectors: 100, Ready: true, Medium: "BD-R"}},
				Discs: []Disc{{ID: 10, Unit: 1, Slot: 10, Blank: true, Capacity: 100, Medium: "DVD-R"}},
			},
			want: []Action{{Load: true, Drive: 1, Disc: 10, Slot: 10}},
		},
		{
			name: "with room for spare areas where they are wanted",
			in: Snapshot{
				Drives: []Drive{idle(1, 1)}, Tasks: []Task{{ID: 1, Kind: library.BurnTask, Sectors: 100, Ready: true, SpareAreas: true}},
				Discs: []Disc{
					{ID: 10, Unit: 1, Slot: 10, Blank: true, Capacity: 100, WithSpares: 96}, {ID: 11, Unit: 1, Slot: 11, Blank: true, Capacity: 110, WithSpares: 100},
				},
			},
			want: []Action{{Load: true, Drive: 1, Disc: 11, Slot: 11}},
		},
		{
			name: "and no disc that has them where they are not",
			in: Snapshot{
				Drives: []Drive{idle(1, 1)}, Tasks: []Task{burn(1)},
				Discs: []Disc{{ID: 10, Unit: 1, Slot: 10, Blank: true, Capacity: 100, Spared: true, WithSpares: 100}},
			},
		},
		{
			name: "a blank in a drive gets what was planned for its medium first",
			in: Snapshot{
				Drives: []Drive{holding(2, 1, 11, 11)}, Discs: []Disc{{ID: 11, Unit: 1, Drive: 2, Blank: true, Capacity: 900, Medium: "BD-R"}},
				Tasks: []Task{
					{ID: 1, Kind: library.BurnTask, Sectors: 100, Ready: true, Medium: "DVD-R"}, {ID: 2, Kind: library.BurnTask, Sectors: 800, Ready: true, Medium: "BD-R"},
				},
			},
			want: []Action{{Task: 2, Drive: 2, Disc: 11}},
		},
		{
			name: "many that fit nowhere don't hold up the rest",
			in: Snapshot{
				Drives: []Drive{idle(1, 1)}, Discs: []Disc{blank(11, 1, 11)},
				Tasks: append(tooLarge(40), burn(41)),
			},
			want: []Action{{Load: true, Drive: 1, Disc: 11, Slot: 11}},
		},
		{
			name: "a burned disc leaves before it is verified",
			in: Snapshot{
				Drives: []Drive{holding(1, 1, 11, 11), idle(2, 1)}, Discs: []Disc{{ID: 11, Unit: 1, Drive: 1, Reload: true, Avoid: 1}}, Tasks: []Task{verify(1, 11)},
			},
			want: []Action{{Unload: true, Drive: 1, Disc: 11, Slot: 11}},
		},
		{
			name: "and is verified in another drive",
			in:   Snapshot{Drives: []Drive{idle(1, 1), idle(2, 1)}, Discs: []Disc{{ID: 11, Unit: 1, Slot: 11, Avoid: 1}}, Tasks: []Task{verify(1, 11)}},
			want: []Action{{Load: true, Drive: 2, Disc: 11, Slot: 11}},
		},
		{
			name: "even when that is busy now",
			in: Snapshot{
				Drives: []Drive{idle(1, 1), {Number: 2, Unit: 1, Up: true, Known: true, Full: true, Disc: 5, Busy: true}},
				Discs:  []Disc{{ID: 11, Unit: 1, Slot: 11, Avoid: 1}}, Tasks: []Task{verify(1, 11)},
			},
		},
		{
			name: "but in the same when there is no other",
			in: Snapshot{
				Drives: []Drive{idle(1, 1), {Number: 2, Unit: 1, Known: true}, idle(3, 2)},
				Discs:  []Disc{{ID: 11, Unit: 1, Slot: 11, Avoid: 1}}, Tasks: []Task{verify(1, 11)},
			},
			want: []Action{{Load: true, Drive: 1, Disc: 11, Slot: 11}},
		},
		{
			name: "a drive in which another of its set has failed is better than the one in which it has itself",
			in: Snapshot{
				Drives: []Drive{{Number: 1, Unit: 1, Up: true, Known: true, Distrust: []int64{5}}, {Number: 2, Unit: 1, Up: true, Known: true, Distrust: []int64{5}}},
				Discs:  []Disc{{ID: 11, Unit: 1, Slot: 11, Set: 5, Avoid: 1}}, Tasks: []Task{verify(1, 11)},
			},
			want: []Action{{Load: true, Drive: 2, Disc: 11, Slot: 11}},
		},
		{
			name: "even when that is busy now, and when nothing else has failed in the one in which it has",
			in: Snapshot{
				Drives: []Drive{idle(1, 1), {Number: 2, Unit: 1, Up: true, Known: true, Full: true, Disc: 5, Busy: true, Distrust: []int64{5}}},
				Discs:  []Disc{{ID: 11, Unit: 1, Slot: 11, Set: 5, Avoid: 1}}, Tasks: []Task{verify(1, 11)},
			},
		},
		{
			name: "the most urgent task gets the picker",
			in: Snapshot{
				Drives: []Drive{idle(1, 1), idle(2, 1)}, Discs: []Disc{blank(11, 1, 11), {ID: 20, Unit: 1, Slot: 20}}, Tasks: []Task{burn(1), read(2, 20)},
			},
			want: []Action{{Load: true, Drive: 1, Disc: 20, Slot: 20}},
		},
		{
			name: "units move at the same time",
			in: Snapshot{
				Drives: []Drive{idle(1, 1), idle(3, 2)}, Discs: []Disc{{ID: 20, Unit: 1, Slot: 20}, {ID: 320, Unit: 2, Slot: 320}}, Tasks: []Task{read(1, 20), read(2, 320)},
			},
			want: []Action{{Load: true, Drive: 1, Disc: 20, Slot: 20}, {Load: true, Drive: 3, Disc: 320, Slot: 320}},
		},
		{
			name: "a disc never crosses units",
			in:   Snapshot{Drives: []Drive{idle(3, 2)}, Discs: []Disc{{ID: 20, Unit: 1, Slot: 20}}, Tasks: []Task{read(1, 20)}},
		},
		{
			name: "a mounted disc serves before it leaves",
			in:   Snapshot{Drives: []Drive{holding(1, 1, 20, 20)}, Discs: []Disc{{ID: 20, Unit: 1, Drive: 1}}, Tasks: []Task{read(1, 20)}},
			want: []Action{{Task: 1, Drive: 1, Disc: 20}},
		},
		{
			name: "a disc that nobody knows goes back",
			in:   Snapshot{Drives: []Drive{holding(1, 1, 0, 7)}},
			want: []Action{{Unload: true, Drive: 1, Slot: 7}},
		},
		{
			name: "while the robot is in doubt nothing moves, what is loaded is served",
			in: Snapshot{
				Still: true, Drives: []Drive{holding(1, 1, 20, 20), holding(2, 1, 21, 21)}, Discs: []Disc{{ID: 20, Unit: 1, Drive: 1}}, Tasks: []Task{read(1, 20), burn(2)},
			},
			want: []Action{{Task: 1, Drive: 1, Disc: 20}},
		},
		{
			name: "nothing goes into a drive that is down or unknown",
			in: Snapshot{
				Drives: []Drive{{Number: 1, Unit: 1, Known: true}, {Number: 2, Unit: 1, Up: true}}, Discs: []Disc{{ID: 20, Unit: 1, Slot: 20}}, Tasks: []Task{read(1, 20)},
			},
		},
		{
			name: "a disc leaves a drive that is down",
			in:   Snapshot{Drives: []Drive{{Number: 1, Unit: 1, Known: true, Full: true, Disc: 20, Home: 20}}, Discs: []Disc{{ID: 20, Unit: 1, Drive: 1}}, Tasks: []Task{read(1, 20)}},
			want: []Action{{Unload: true, Drive: 1, Disc: 20, Slot: 20}},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Next(c.in); !slices.Equal(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

// TestRules holds Next to the rules that every plan must obey, whatever the snapshot.
func TestRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := snapshots(t)
		discs := map[int64]Disc{}
		for _, d := range s.Discs {
			discs[d.ID] = d
		}
		drives := map[int]Drive{}
		for _, d := range s.Drives {
			drives[d.Number] = d
		}
		tasks := map[int64]Task{}
		for _, k := range s.Tasks {
			tasks[k.ID] = k
		}
		usedDrive, usedDisc, movedUnit, startedTask := map[int]bool{}, map[int64]bool{}, map[int]bool{}, map[int64]bool{}
		for _, u := range s.MovingUnits {
			movedUnit[u] = true
		}
		for _, a := range Next(s) {
			if a.Drive != 0 {
				d := drives[a.Drive]
				if d.Busy || usedDrive[a.Drive] {
					t.Fatalf("%+v: drive is busy", a)
				}
				usedDrive[a.Drive] = true
				if !d.Known {
					t.Fatalf("%+v: nobody knows what the drive holds", a)
				}
				if (a.Load || a.Task != 0) && !d.Up {
					t.Fatalf("%+v: drive is down", a)
				}
			}
			if a.Disc != 0 {
				if usedDisc[a.Disc] {
					t.Fatalf("%+v: disc is in use", a)
				}
				usedDisc[a.Disc] = true
			}
			switch disc := discs[a.Disc]; {
			case a.Load || a.Unload:
				unit := drives[a.Drive].Unit
				if s.Still || movedUnit[unit] {
					t.Fatalf("%+v: the picker of unit %d can't move", a, unit)
				}
				movedUnit[unit] = true
				if a.Load && (drives[a.Drive].Full || disc.Slot != a.Slot || disc.Slot == 0 || disc.Unit != unit) {
					t.Fatalf("%+v: impossible load of %+v into %+v", a, disc, drives[a.Drive])
				}
				if a.Unload && (!drives[a.Drive].Full || drives[a.Drive].Disc != a.Disc || drives[a.Drive].Home != a.Slot) {
					t.Fatalf("%+v: impossible unload of %+v", a, drives[a.Drive])
				}
			default:
				k := tasks[a.Task]
				if startedTask[a.Task] {
					t.Fatalf("%+v: started twice", a)
				}
				startedTask[a.Task] = true
				if k.Kind == library.BurnTask && (!disc.Blank || disc.Capacity < k.Sectors || !k.Ready || k.SpareAreas && disc.WithSpares < k.Sectors || !k.SpareAreas && disc.Spared) {
					t.Fatalf("%+v: burns %+v on %+v", a, k, disc)
				}
				if a.Drive != 0 && (drives[a.Drive].Disc != a.Disc || disc.Reload) {
					t.Fatalf("%+v: runs in %+v with %+v", a, drives[a.Drive], disc)
				}
				if (k.Kind == library.ReadTask || k.Kind == library.VerifyTask) && k.Disc != a.Disc {
					t.Fatalf("%+v: %+v with another disc", a, k)
				}
			}
		}
	})
}

func snapshots(t *rapid.T) (s Snapshot) {
	s.Still = rapid.Bool().Draw(t, "still")
	s.BuildLimit = rapid.IntRange(0, 2).Draw(t, "builds")
	nDrives := rapid.IntRange(1, 4).Draw(t, "drives")
	nDiscs := rapid.IntRange(0, 8).Draw(t, "discs")
	inDrive := map[int]bool{}
	for i := range nDiscs {
		d := Disc{
			ID: int64(i + 1), Unit: rapid.IntRange(1, 2).Draw(t, "unit"), Blank: rapid.Bool().Draw(t, "blank"), Capacity: int64(rapid.IntRange(90, 110).Draw(t, "capacity")),
			Reload: rapid.Bool().Draw(t, "reload"), Avoid: rapid.IntRange(0, nDrives).Draw(t, "avoid"),
			Spared: rapid.Bool().Draw(t, "spared"), Medium: rapid.SampledFrom([]string{"BD-R", "DVD-R"}).Draw(t, "medium"),
			Set: int64(rapid.IntRange(0, 1).Draw(t, "set")),
		}
		if d.WithSpares = d.Capacity; !d.Spared {
			d.WithSpares -= 5
		}
		if n := rapid.IntRange(0, nDrives).Draw(t, "in"); n > 0 && !inDrive[n] {
			inDrive[n] = true
			d.Drive, d.Unit = n, (n+1)/2
		} else {
			d.Slot = i + 1
		}
		s.Discs = append(s.Discs, d)
	}
	for n := 1; n <= nDrives; n++ {
		d := Drive{Number: n, Unit: (n + 1) / 2, Up: rapid.Bool().Draw(t, "up"), Busy: rapid.Bool().Draw(t, "busy"), Known: rapid.Bool().Draw(t, "known")}
		if rapid.Bool().Draw(t, "distrusted") {
			d.Distrust = []int64{1}
		}
		for _, disc := range s.Discs {
			if disc.Drive == n {
				d.Full, d.Disc, d.Home = true, disc.ID, 100+n
			}
		}
		s.Drives = append(s.Drives, d)
	}
	if rapid.Bool().Draw(t, "moving") {
		s.MovingUnits = []int{1}
	}
	kinds := []library.TaskKind{library.BurnTask, library.VerifyTask, library.ReadTask, library.BuildTask, library.ReleaseTask}
	for i := range rapid.IntRange(0, 8).Draw(t, "tasks") {
		s.Tasks = append(s.Tasks, Task{
			ID: int64(i + 1), Kind: rapid.SampledFrom(kinds).Draw(t, "kind"), Priority: rapid.IntRange(0, 3).Draw(t, "priority"),
			Disc: int64(rapid.IntRange(1, nDiscs+1).Draw(t, "disc")), Sectors: 100, Ready: rapid.Bool().Draw(t, "ready"), Avoid: rapid.IntRange(0, nDrives).Draw(t, "avoid"),
			SpareAreas: rapid.Bool().Draw(t, "spare areas"), Medium: rapid.SampledFrom([]string{"", "BD-R", "DVD-R"}).Draw(t, "planned for"),
		})
	}
	return s
}
