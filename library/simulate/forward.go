package simulate

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/odarchive/odarchive/library"
	"github.com/odarchive/odarchive/library/schedule"
)

// Forecast is what is assumed when a library's queue is run forward.
type Forecast struct {
	Physics Physics
	// Rate is how many other reads an hour are to be expected, each of Sectors.
	Rate    float64
	Sectors int64
	Runs    int // 0 for as many as take a reasonable time
	Seed    uint64
}

// Estimate is what some reads would take, from now on.
type Estimate struct {
	Discs     int
	Exchanges int     // of discs that aren't in a drive by now
	Drive     float64 // seconds that drives spend on it: loading, reading, ejecting
	// Seconds until the last of them is done, in 50, 95 and 99.9 of 100 courses of events.
	P50, P95, P999 float64
	// Impossible says why it would never be done as things are; empty when it would.
	Impossible string
}

// Forward says what wanted, reads of discs that s names, would take beside everything that is queued in s: it lets the same planner
// run with the queue as it is, over and over, with machines that are a little faster or slower and with other people who ask.
func Forward(s schedule.Snapshot, wanted []schedule.Task, f Forecast) Estimate {
	est := f.cost(s, wanted)
	if est.Impossible = impossible(s, wanted); est.Impossible != "" || len(wanted) == 0 {
		return est
	}
	runs := f.Runs
	if runs == 0 {
		runs = min(max(100000/(len(s.Tasks)+len(wanted)+10), 25), 1000)
	}
	took := make([]float64, 0, runs)
	for i := range runs {
		t, ok := f.run(s, wanted, uint64(i))
		if !ok {
			est.Impossible = "nothing would bring it about: see what waits with 'odarchive jobs'"
			return est
		}
		took = append(took, t)
	}
	slices.Sort(took)
	est.P50, est.P95, est.P999 = Quantile(took, .5), Quantile(took, .95), Quantile(took, .999)
	return est
}

func (f Forecast) cost(s schedule.Snapshot, wanted []schedule.Task) (est Estimate) {
	mounted, seen := map[int64]bool{}, map[int64]bool{}
	for _, d := range s.Drives {
		mounted[d.Disc] = d.Full
	}
	for _, t := range wanted {
		est.Drive += f.Physics.read(t.Sector, t.Sectors)
		if seen[t.Disc] {
			continue
		}
		seen[t.Disc] = true
		est.Discs++
		if !mounted[t.Disc] {
			est.Exchanges++
			est.Drive += f.Physics.Load + f.Physics.Eject + 2*f.Physics.Move
		}
	}
	return est
}

// impossible says what an operator has to do before wanted can be read at all.
func impossible(s schedule.Snapshot, wanted []schedule.Task) string {
	if s.Still {
		return "the robot must not move: see 'odarchive library'"
	}
	discs := map[int64]schedule.Disc{}
	for _, d := range s.Discs {
		discs[d.ID] = d
	}
	for _, t := range wanted {
		d, ok := discs[t.Disc]
		switch {
		case !ok || d.Slot == 0 && d.Drive == 0:
			return "a disc that it needs is in no known place: find it and say where it is with 'odarchive library set-element'"
		case d.Unknown:
			return "nobody knows whether a disc that it needs is in its place: look, and say so with 'odarchive library set-element'"
		case !slices.ContainsFunc(s.Drives, func(v schedule.Drive) bool {
			return v.Unit == d.Unit && v.Up && v.Known && (len(v.Media) == 0 || slices.Contains(v.Media, d.Medium))
		}):
			return "no drive that reaches a disc which it needs can read it: see 'odarchive drives'"
		}
	}
	return ""
}

// horizon is how far it is looked ahead: what isn't done by then can't be promised.
const horizon = 60 * 24 * time.Hour

// run is one course of events. It returns after how many seconds the last of wanted was done.
func (f Forecast) run(s schedule.Snapshot, wanted []schedule.Task, i uint64) (float64, bool) {
	r := rand.New(rand.NewPCG(f.Seed, i))
	vary := func(s float64) float64 { return s * max(.5, 1+.15*r.NormFloat64()) }
	p := f.Physics
	p.Move, p.Eject, p.Load, p.ReadRate = vary(p.Move), vary(p.Eject), vary(p.Load), p.ReadRate/max(.5, 1+.05*r.NormFloat64())
	e := &engine{physics: p, m: &Measures{}, discs: map[int64]*schedule.Disc{}, now: s.Now}
	planner := schedule.New(schedule.Config{})
	e.policy = planner
	e.restore(s)
	open := map[int64]bool{}
	add := func(t schedule.Task) int64 {
		t.ID = int64(len(e.requests) + 1)
		e.requests = append(e.requests, request{Task: t, arrive: s.Now})
		e.open++
		e.policy.Add(t)
		return t.ID
	}
	for _, t := range s.Tasks {
		switch t.Kind {
		case library.BurnTask, library.VerifyTask, library.ReadTask:
			t.Ready = true
			add(t)
		}
	}
	for _, t := range wanted {
		t.Created = s.Now
		open[add(t)] = true
	}
	e.onDone = func(r *request) { delete(open, r.ID) }
	e.push(0, happening{kind: ticks})
	e.expect(f, r, s)
	for len(open) > 0 {
		if !e.step() || e.now-s.Now > horizon {
			return 0, false
		}
		e.expect(f, r, s)
	}
	return (e.now - s.Now).Seconds(), true
}

// expect makes the next read that somebody else asks for, unless it is to come still.
func (e *engine) expect(f Forecast, r *rand.Rand, s schedule.Snapshot) {
	if f.Rate <= 0 || len(s.Discs) == 0 || e.others > 0 && e.requests[e.others-1].arrive > e.now {
		return
	}
	d := s.Discs[r.IntN(len(s.Discs))]
	if e.discs[d.ID].Blank {
		return
	}
	after := r.ExpFloat64() * 3600 / f.Rate
	at := e.now + seconds(after)
	id := int64(len(e.requests) + 1)
	e.requests = append(e.requests, request{Task: schedule.Task{
		ID: id, Kind: library.ReadTask, Priority: library.PriorityStandard, Disc: d.ID, Sectors: max(f.Sectors, 1), Ready: true, Created: at,
	}, arrive: at})
	e.others = id
	e.push(after, happening{kind: arrives, task: id})
}

// nowhere is above the numbers of all slots.
const nowhere = 1 << 30

// goesHome says whether the picker is carrying a disc out of its drive, which is empty by now.
func goesHome(s schedule.Snapshot, d schedule.Disc) bool {
	return d.Slot == 0 && slices.ContainsFunc(s.Drives, func(v schedule.Drive) bool { return v.Number == d.Drive && !v.Full && !v.Busy })
}

// restore brings the machines into the state of a snapshot. What is under way ends: a move after its usual time, a task when what
// is left of it has been done.
func (e *engine) restore(s schedule.Snapshot) {
	for _, d := range s.Discs {
		if goesHome(s, d) {
			// Where that is doesn't matter: the picker is busy until it is there.
			d.Drive, d.Slot = 0, nowhere+int(d.ID)
		}
		e.discs[d.ID] = &d
		e.policy.SetDisc(d)
	}
	most := 0
	for _, d := range s.Drives {
		most = max(most, d.Number)
	}
	e.drives = make([]*machine, most)
	for _, d := range s.Drives {
		if d.Disc != 0 && e.discs[d.Disc] == nil {
			e.discs[d.Disc] = &schedule.Disc{ID: d.Disc, Unit: d.Unit, Drive: d.Number}
		}
		m := &machine{Drive: d}
		e.drives[d.Number-1] = m
		if t := d.Running; t.ID != 0 {
			t.ID = int64(len(e.requests) + 1)
			e.requests = append(e.requests, request{Task: t, arrive: s.Now})
			e.open++
			m.Running.ID, m.task, m.began = t.ID, t.ID, s.Now
			left := e.physics.read(0, t.Sectors)
			if t.Kind == library.BurnTask {
				left = e.physics.burn(t.Sectors)
			}
			e.push(left, happening{kind: ends, drive: d.Number, task: t.ID})
		} else if d.Busy {
			m.Full = m.Full || d.Disc != 0
			e.push(e.physics.Move+e.physics.Load, happening{kind: loaded, drive: d.Number})
		}
		e.policy.SetDrive(m.Drive)
	}
	for _, u := range s.MovingUnits {
		for _, d := range s.Drives {
			if d.Unit == u {
				e.policy.(*schedule.Planner).Occupied(u)
				e.push(e.physics.Move+e.physics.Load, happening{kind: released, drive: d.Number, epoch: anyEpoch})
				break
			}
		}
	}
}
