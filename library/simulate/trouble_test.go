package simulate

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/odarchive/odarchive/library"
	"github.com/odarchive/odarchive/library/schedule"
)

// everything goes wrong, all the time.
func everything() Trouble {
	t := DefaultTrouble()
	t.Exchange, t.Slow, t.Unreadable, t.Unknown, t.Doors, t.Agent, t.Controller = .02, .05, .05, 5000, 5000, 3000, 3000
	return t
}

func troubles(t *rapid.T) Trouble {
	x := DefaultTrouble()
	x.Exchange = rapid.SampledFrom([]float64{0, .01, .2}).Draw(t, "exchange")
	x.Slow = rapid.SampledFrom([]float64{0, .1, 1}).Draw(t, "slow")
	x.Unreadable = rapid.SampledFrom([]float64{0, .01, .5}).Draw(t, "unreadable")
	x.Lost = rapid.SampledFrom([]float64{.1, .5}).Draw(t, "lost")
	x.SetDiscs, x.SetParity = rapid.IntRange(0, 5).Draw(t, "set"), rapid.IntRange(0, 3).Draw(t, "parity")
	often := func(what string) float64 { return rapid.SampledFrom([]float64{0, 1000, 10000}).Draw(t, what) }
	x.Unknown, x.Doors, x.Agent, x.Controller = often("unknown"), often("doors"), often("agent"), often("controller")
	return x
}

// bystander is a checker that also knows who waits, and holds the planner to its bound (schedule.TestNobodyStarves) at each disc that is fetched.
type bystander struct {
	*schedule.Checker
	e       *engine
	fetched int
	waited  int // of those, while something waited that must not be overtaken
	err     func(format string, args ...any)
}

func (b *bystander) Check(a schedule.Action) error {
	if a.Load && b.e.discs[a.Disc] != nil && !b.e.discs[a.Disc].Blank {
		b.fetched++
		b.watch(a)
	}
	return b.Checker.Check(a)
}

// watch says whether a disc may be fetched now, by what waits: whoever is late, or has waited for longer than the planner's limit, is overtaken
// only by those whose oldest request has waited for at least 0.7 as long (of up to an hour), or who can't wait.
func (b *bystander) watch(a schedule.Action) {
	e := b.e
	limits := e.policy.(*schedule.Planner).Experience()[1]
	var oldest *schedule.Task
	var chosen, due time.Duration = -1, -1
	running := map[int64]bool{}
	for _, d := range e.drives {
		running[d.task] = true
	}
	for i := range e.requests {
		r := &e.requests[i]
		if i >= e.next && i < e.arrivals || r.done != 0 || r.parts > 0 || running[r.ID] || r.Kind == library.BurnTask {
			continue
		}
		disc := e.discs[r.Disc]
		if disc.ID == a.Disc {
			at := r.Due
			if at == 0 {
				at = r.Created + schedule.Allowance(r.Priority)
			}
			if r.Priority >= library.PriorityExpedited && r.Kind == library.ReadTask {
				return // who can't wait comes first
			}
			if due < 0 || at < due {
				due, chosen = at, r.Created
			}
			continue
		}
		// What this drive shouldn't do, or nobody can fetch, doesn't wait for it.
		if r.Kind != library.ReadTask || r.Priority < library.PriorityStandard || r.Priority >= library.PriorityExpedited || disc.Slot == 0 || disc.Unknown ||
			r.Avoid != 0 || len(e.drives[a.Drive-1].Distrust) > 0 || disc.Reload {
			continue
		}
		if oldest == nil || r.Created < oldest.Created {
			oldest = &r.Task
		}
	}
	if oldest == nil {
		return
	}
	w := e.now - oldest.Created
	if w < limits[0].Limit && w < schedule.Allowance(oldest.Priority) || limits[0].Limit == 0 {
		return
	}
	b.waited++
	// All count by when they are due, so that tiers compare.
	if allowed := oldest.Created + schedule.Allowance(oldest.Priority) + time.Duration(.1*float64(min(w, 2*time.Hour))+.2*float64(min(w, time.Hour))); due > allowed {
		b.err("after %v disc %d, whose oldest request came after %v and is due at %v, is fetched before disc %d, which is wanted since %v", e.now, a.Disc, chosen, due,
			oldest.Disc, oldest.Created)
	}
}

// While everything goes wrong nobody starves, nothing is lost and nothing is done twice.
func TestTrouble(t *testing.T) {
	c := Default()
	c.Workload.Kind, c.Workload.Requests, c.Workload.Rate, c.Workload.Expedited, c.Workload.Bulk = "uniform", 1500, 60, .02, .3
	c.Workload.Burns, c.Workload.ScrubDays, c.Faults, c.Trouble = .5, 20, 300, everything()
	for c.Seed = range uint64(3) {
		m := &Measures{Policy: c.Policy, repair: c.Repair}
		e := c.engine(m, 0)
		b := &bystander{Checker: e.checker.(*schedule.Checker), e: e, err: t.Errorf}
		e.checker = b
		asked := len(e.requests)
		for (e.open > 0 || e.next < e.arrivals) && e.step() {
			if t.Failed() {
				t.FailNow()
			}
			waits := 0
			for i := range e.requests {
				if r := &e.requests[i]; (i < e.next || i >= e.arrivals) && r.done == 0 {
					waits++
				}
			}
			if waits != e.open {
				t.Fatalf("after %v %d requests wait or run, and %d are not done", e.now, e.open, waits)
			}
		}
		if e.err != nil {
			t.Fatal(e.err)
		}
		for i := range e.requests {
			if r := &e.requests[i]; r.done <= r.arrive && r.parts == 0 {
				t.Fatalf("request %d of %d came after %v and was done after %v", r.ID, asked, r.arrive, r.done)
			}
		}
		m.finish([]*engine{e})
		x := m.Troubles
		t.Logf("seed %d: %+v, %d drives failed, fetched %d, %d of them while somebody had to be next", c.Seed, Troubles{
			x.Exchanges, x.Slow, x.Unreadable, x.Healed, x.Hopeless, x.Unknown, x.Doors, x.Agents, x.Controllers, x.Still, nil,
		}, m.Failed, b.fetched, b.waited)
		for name, n := range map[string]int{
			"exchanges": x.Exchanges, "slow moves": x.Slow, "unreadable": x.Unreadable, "healed": x.Healed, "unknown": x.Unknown, "doors": x.Doors, "agent": x.Agents,
			"controller": x.Controllers, "drives": m.Failed, "nobody overtaken": b.waited,
		} {
			if n == 0 {
				t.Errorf("seed %d: nothing went wrong with %s", c.Seed, name)
			}
		}
		if m.Unfinished > 0 || x.Still <= 0 || len(x.Spans) == 0 {
			t.Errorf("seed %d: %d unfinished, still %v", c.Seed, m.Unfinished, x.Still)
		}
	}
}
