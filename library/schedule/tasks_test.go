package schedule

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/odarchive/odarchive/library"
)

// Tasks are found by id as long as they are queued, whatever came and went; entries of what is gone hold nothing, also when the same id is back.
func TestTasks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newTasks()
		queued, stale := map[int64]entry{}, []entry{}
		ids := rapid.SampledFrom([]int64{0, 1, 2, 15, 16, 17, 31, 32, 1000, 1 << 40, -1, -16})
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			id := ids.Draw(t, "id")
			e, known := queued[id]
			switch found := s.find(id); {
			case known != (found != nil) || known && (found.id != id || found.due != e.due):
				t.Fatalf("task %d: %+v, want %+v", id, found, e)
			case known && rapid.Bool().Draw(t, "runs"):
				run := s.run(e.taskOf(&disc{}))
				if whole := s.whole(run); whole.created != e.due {
					t.Fatalf("of task %d is left %+v", id, whole)
				}
				s.end(run)
				delete(queued, id)
				stale = append(stale, e)
			case known:
				s.remove(found)
				delete(queued, id)
				stale = append(stale, e)
			default:
				due := time.Duration(rapid.IntRange(1, 1000).Draw(t, "due"))
				queued[id] = s.queue(task{id: id, due: due, created: due}).entry()
			}
			for id, e := range queued {
				if !s.hold(&e) {
					t.Fatalf("the entry of task %d doesn't hold", id)
				}
			}
			for _, e := range stale {
				if s.hold(&e) {
					t.Fatalf("an entry of task %d, which is gone, holds", e.id)
				}
			}
			if s.n != len(queued) {
				t.Fatalf("%d tasks, want %d", s.n, len(queued))
			}
		}
	})
}

// A heap of tasks gives them in order, however they were added, taken, cancelled and sorted anew in between.
func TestTaskHeap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newTasks()
		var h taskHeap
		var want []*task
		order := func(a, b *task) int { return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.id, b.id)) }
		bySector := func(a, b *task) int { return cmp.Or(cmp.Compare(a.sector, b.sector), order(a, b)) }
		for id := range rapid.Int64Range(1, 300).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				if len(want) > 0 {
					i := rapid.IntRange(0, len(want)-1).Draw(t, "cancelled")
					h.doubt = true
					s.remove(want[i])
					want = slices.Delete(want, i, i+1)
				}
			case 1:
				h.sortBySector()
			case 2:
				h.sortByDue()
			case 3, 4:
				if h.top(&s) != nil {
					h.pop()
					want = want[1:]
				}
			default:
				k := s.queue(task{id: id, due: time.Duration(rapid.IntRange(0, 9).Draw(t, "due")), sector: uint32(rapid.IntRange(0, 9).Draw(t, "sector"))})
				want = append(want, k)
				h.push(k.entry())
			}
			if h.bySector {
				slices.SortFunc(want, bySector)
			} else {
				slices.SortFunc(want, order)
			}
			first := h.top(&s)
			switch due, ok := h.due(&s); {
			case ok != (len(want) > 0) || ok != (first != nil):
				t.Fatalf("%v of %d tasks", first, len(want))
			case ok && (first != want[0] || due != first.due):
				t.Fatalf("the first is %+v, due at %v, want %+v", first, due, want[0])
			}
		}
	})
}

// The same calls give the same actions: of two discs that shun different drives and are due at once, too.
func TestSameCallsSameActions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s Snapshot
		for n := 1; n <= 4; n++ {
			s.Drives = append(s.Drives, Drive{Number: n, Unit: 1, Up: true, Known: true})
		}
		for id := int64(1); id <= 8; id++ {
			s.Discs = append(s.Discs, Disc{ID: id, Unit: 1, Slot: int(id)})
			s.Tasks = append(s.Tasks, Task{
				ID: id, Kind: library.ReadTask, Priority: library.PriorityBulk, Disc: id, Sectors: 1, Avoid: rapid.IntRange(0, 4).Draw(t, "avoid"),
			})
		}
		first := Next(s)
		for range 10 {
			if again := Next(s); !slices.Equal(again, first) {
				t.Fatalf("%+v, and then %+v", first, again)
			}
		}
	})
}
