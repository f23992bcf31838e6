// Package simulate runs whole libraries in simulated time around library/schedule itself: what would two more drives do? It knows how
// long machines take and what people ask for. It does no I/O, and the same seed gives the same run.
package simulate

import (
	"fmt"
	"math"
	"slices"

	"github.com/odarchive/odarchive/library"
	"github.com/odarchive/odarchive/library/schedule"
)

// Config is what is simulated.
type Config struct {
	Libraries int      `toml:"libraries" json:"libraries"` // each with a picker of its own
	Drives    int      `toml:"drives" json:"drives"`       // of one library
	Discs     int      `toml:"discs" json:"discs"`         // of one library, recorded
	Physics   Physics  `toml:"physics" json:"physics"`
	Workload  Workload `toml:"workload" json:"workload"`
	// Faults is how many faults a drive has in a year, Repair how many seconds one takes to be put right.
	Faults float64 `toml:"faults" json:"faults"`
	Repair float64 `toml:"repair" json:"repair"`
	// Trouble is what else goes wrong.
	Trouble Trouble `toml:"trouble" json:"trouble"`
	Seed    uint64  `toml:"seed" json:"seed"`
	// Policy is "planner", "fifo" or "by-disc"; the last two are baselines that serve reads only.
	Policy string `toml:"policy" json:"policy"`
	// Unchecked leaves out the checker, which otherwise looks at every action.
	Unchecked bool `toml:"unchecked" json:"unchecked"`
}

// Default is one library of 600 BD-R 25 GB and 4 drives with people who ask for a file now and then.
func Default() Config {
	return Config{Libraries: 1, Drives: 4, Discs: 600, Physics: DefaultPhysics(), Workload: DefaultWorkload(), Repair: 4 * 3600, Trouble: DefaultTrouble(), Seed: 1, Policy: "planner"}
}

// limit is what a parameter may be.
type limit struct {
	name               string
	value, least, most float64
}

// Validate returns an error with the fault Invalid that names what makes no sense.
func (c Config) Validate() error {
	p, w := c.Physics, c.Workload
	for _, x := range append(c.Trouble.limits(), []limit{
		{"libraries", float64(c.Libraries), 1, math.MaxFloat64},
		{"drives", float64(c.Drives), 1, math.MaxFloat64},
		{"discs", float64(c.Discs), 1, math.MaxFloat64},
		{"physics.move", p.Move, 0, math.MaxFloat64},
		{"physics.eject", p.Eject, 0, math.MaxFloat64},
		{"physics.load", p.Load, 0, math.MaxFloat64},
		{"physics.seek", p.Seek, 0, math.MaxFloat64},
		{"physics.read_rate", p.ReadRate, 1, math.MaxFloat64},
		{"physics.outer_ratio", p.OuterRatio, 1, math.MaxFloat64},
		{"physics.burn_rate", p.BurnRate, 1, math.MaxFloat64},
		{"physics.disc_bytes", p.DiscBytes, sector, math.MaxFloat64},
		{"faults", c.Faults, 0, math.MaxFloat64},
		{"repair", c.Repair, 0, math.MaxFloat64},
		{"workload.requests", float64(w.Requests), 0, math.MaxFloat64},
		{"workload.rate", w.Rate, 0, math.MaxFloat64},
		{"workload.mean_bytes", w.MeanBytes, 1, math.MaxFloat64},
		{"workload.sigma", w.Sigma, 0, math.MaxFloat64},
		{"workload.burns", w.Burns, 0, math.MaxFloat64},
		{"workload.scrub_days", w.ScrubDays, 0, math.MaxFloat64},
		{"workload.expedited", w.Expedited, 0, math.MaxFloat64},
		{"workload.bulk", w.Bulk, 0, math.MaxFloat64},
	}...) {
		if !(x.value >= x.least) || math.IsInf(x.value, 0) {
			return library.Errorf(library.Invalid, "simulate: %s is %v, want at least %v", x.name, x.value, x.least)
		}
		if x.value > x.most {
			return library.Errorf(library.Invalid, "simulate: %s is %v, want at most %v", x.name, x.value, x.most)
		}
	}
	switch {
	case w.ScrubDays > 0 && w.ScrubDays < .1:
		return library.Errorf(library.Invalid, "simulate: no library reads every disc in %v days", w.ScrubDays)
	case w.Expedited+w.Bulk > 1:
		return library.Errorf(library.Invalid, "simulate: the shares of expedited and bulk requests come to more than 1")
	case w.Rate == 0 && w.Requests > 0 && w.Kind != "batch":
		return library.Errorf(library.Invalid, "simulate: %d requests at no rate never come; a batch comes at once", w.Requests)
	case !slices.Contains(Workloads(), w.Kind):
		return library.Errorf(library.Invalid, "simulate: there is no workload %q, there are %v", w.Kind, Workloads())
	case !slices.Contains(Policies(), c.Policy):
		return library.Errorf(library.Invalid, "simulate: there is no policy %q, there are %v", c.Policy, Policies())
	case c.Policy != "planner" && (w.Burns > 0 || w.ScrubDays > 0 || c.Faults > 0 || c.Trouble.any()):
		return library.Errorf(library.Invalid, "simulate: %s is a baseline, which serves reads only", c.Policy)
	}
	return nil
}

// Policies returns the policies by name.
func Policies() []string { return []string{"planner", "by-disc", "fifo"} }

// Run simulates until everything that was asked for is done.
func Run(c Config) (*Measures, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	m := &Measures{Policy: c.Policy, repair: c.Repair}
	engines := make([]*engine, c.Libraries)
	for i := range engines {
		e := c.engine(m, uint64(i))
		engines[i] = e
		for e.open > 0 || e.next < e.arrivals {
			if !e.step() {
				break
			}
		}
		if e.err != nil {
			return nil, fmt.Errorf("simulate: %w", e.err)
		}
		for _, d := range e.drives {
			e.use(d, Idle)
		}
		if e.stills > 0 {
			m.still += e.now - e.stillSince
		}
		m.Bound = max(m.Bound, e.bound())
	}
	m.finish(engines)
	return m, nil
}

// engine makes the i-th library.
func (c Config) engine(m *Measures, i uint64) *engine {
	e := &engine{physics: c.Physics, m: m, discs: map[int64]*schedule.Disc{}, recorded: int64(c.Discs)}
	switch c.Policy {
	case "planner":
		e.policy = schedule.New(schedule.Config{Ejects: true})
	default:
		e.policy = newBaseline(c.Policy == "by-disc")
	}
	// First come first served lets discs leave that are wanted: it breaks that rule by its nature.
	if !c.Unchecked && c.Policy != "fifo" {
		e.checker = schedule.NewChecker()
	}
	for n := 1; n <= c.Drives; n++ {
		d := &machine{Drive: schedule.Drive{Number: n, Unit: 1, Up: true, Known: true}}
		e.drives = append(e.drives, d)
		e.tell(func(p Policy) { p.SetDrive(d.Drive) })
	}
	requests, blanks := c.Workload.generate(c, i)
	for id := int64(1); id <= int64(c.Discs+blanks); id++ {
		d := &schedule.Disc{ID: id, Unit: 1, Slot: int(id), Capacity: c.Physics.sectors()}
		if d.Blank = id > e.recorded; !d.Blank {
			d.Set = c.Trouble.set(id)
		}
		e.discs[id] = d
		e.tell(func(p Policy) { p.SetDisc(*d) })
	}
	e.requests, e.arrivals = requests, len(requests)
	c.faults(e, i)
	c.troubles(e, i)
	return e
}

// bound is the least time in which any plan could have served what has been: the drives' work over the drives, or the picker's, or
// the longest single chain. Every disc that is read is exchanged at least once.
func (e *engine) bound() float64 {
	p := e.physics
	discs := map[int64]float64{}
	work, moves := 0., 0.
	for i := range e.requests {
		r := &e.requests[i]
		t := p.read(r.Sector, r.Sectors)
		if r.Kind == library.BurnTask {
			t = p.burn(r.Sectors)
			work, moves = work+p.Load+p.Eject+2*p.Move, moves+2
		} else if _, known := discs[r.Disc]; !known {
			work, moves = work+p.Load+p.Eject+2*p.Move, moves+2
		}
		work += t
		discs[r.Disc] += t
	}
	longest := 0.
	for _, t := range discs {
		longest = max(longest, t+p.Move+p.Load)
	}
	// Nobody waits for the last disc of each drive to go home, nor for the first to leave.
	n := float64(len(e.drives))
	last := p.Eject + p.Move
	return max(work/n-last, moves*p.Move-p.Move+p.Load, longest, 0)
}
