package simulate

import (
	"fmt"
	"io"
	"math"
)

// Row is one line of the comparison with the baselines: a load, what each policy makes of it, and what none can better.
type Row struct {
	Drives  int        `json:"drives"`
	Rate    float64    `json:"rate"` // requests an hour
	FIFO    Completion `json:"fifo"`
	ByDisc  Completion `json:"by_disc"`
	Planner Completion `json:"planner"`
	// Moves are the picker's moves per request, of by-disc and the planner.
	Moves [2]float64 `json:"moves_per_request"`
	// Bound is a mean in seconds that no policy betters in the long run without a request older than ByDisc's 99.9th percentile.
	Bound float64 `json:"bound"`
	// Least is a mean in seconds that no policy without foresight betters in the mean over all seeds, however long requests wait.
	Least float64 `json:"least"`
}

// Table runs the loads by which the policies are compared: 600 discs, sizes log-normal with a mean of 100 MB, requests one by one.
func Table(requests int, seed uint64) ([]Row, error) {
	rows, err := runLoads(requests, seed)
	for i := range rows {
		rows[i].Least = LeastMean(rows[i].config(requests))
	}
	return rows, err
}

// config is what a row runs.
func (r Row) config(requests int) Config {
	c := Default()
	c.Drives, c.Workload.Rate, c.Workload.Requests = r.Drives, r.Rate, requests
	return c
}

func runLoads(requests int, seed uint64) ([]Row, error) {
	var rows []Row
	for _, load := range []struct {
		drives int
		rate   float64
	}{{2, 80}, {2, 160}, {2, 240}, {2, 800}, {4, 240}, {4, 800}} {
		row := Row{Drives: load.drives, Rate: load.rate}
		c := row.config(requests)
		c.Seed = seed
		for _, p := range Policies() {
			c.Policy = p
			m, err := Run(c)
			if err != nil {
				return nil, err
			}
			done := m.Completion(Standard)
			switch p {
			case "fifo":
				row.FIFO = done
			case "by-disc":
				row.ByDisc, row.Moves[0] = done, m.PerRequest
			default:
				row.Planner, row.Moves[1] = done, m.PerRequest
			}
		}
		row.Bound = Bound(c, row.ByDisc.P999)
		rows = append(rows, row)
	}
	return rows, nil
}

// WriteTable prints rows for people.
func WriteTable(w io.Writer, rows []Row) {
	fmt.Fprintln(w, "drives  requests/h  FIFO mean/99.9 %   by disc mean/99.9 %   planner mean/99.9 %    mean   99.9 %   moves/request   least mean: however long some wait, and by the 99.9 % of by disc in the long run")
	for _, r := range rows {
		fmt.Fprintf(w, "%6d  %10.0f  %7.0f / %7.0f  %9.0f / %7.0f  %9.0f / %7.0f  %+5.0f %%  %+5.0f %%   %5.2f → %4.2f  %7.0f (%+.0f %%)  %7.0f (%+.0f %%)\n", r.Drives, r.Rate,
			r.FIFO.Mean, r.FIFO.P999, r.ByDisc.Mean, r.ByDisc.P999, r.Planner.Mean, r.Planner.P999,
			change(r.Planner.Mean, r.ByDisc.Mean), change(r.Planner.P999, r.ByDisc.P999), r.Moves[0], r.Moves[1], r.Least, change(r.Least, r.ByDisc.Mean), r.Bound, change(r.Bound, r.ByDisc.Mean))
	}
}

func change(now, before float64) float64 { return 100 * (now/before - 1) }

// Bound is a mean completion, in seconds, that no policy betters for single reads of uniformly chosen discs in the long run while no
// request waits longer than oldest seconds.
//
// A visit of a disc keeps a drive for the exchange, the load, the reads and the eject, and the picker for the exchange. When there are
// more requests than single visits can serve, a visit must serve several, and they have to wait for each other: of all rules for when
// to visit a disc, judged by what waits there and for how long, the one that visits as soon as n requests wait (n fixed, mixed
// with n+1), or when the oldest is too old, has the least mean for a number of requests per visit: n only grows while nothing is
// done, so that waiting on pays exactly as long as n is below a constant. A run that is short against the age of its oldest request
// hasn't reached that state, and may end below. When single visits suffice, all that is known is that nobody is served in less than a
// load, a seek and a read take: how long requests wait for each other depends on their order, which a policy may choose.
func Bound(c Config, oldest float64) float64 {
	p := c.Physics
	overhead := 2*p.Move + p.Eject + p.Load
	mean := c.Workload.MeanBytes / p.ReadRate
	own := p.Move + p.Load + mean + p.Seek
	perSecond := c.Workload.Rate / 3600
	drives := float64(c.Drives)
	// Requests per visit that drives and picker need.
	need := max(overhead*perSecond/(drives-perSecond*(mean+p.Seek)), 2*p.Move*perSecond)
	if need < 1 {
		return own
	}
	each := perSecond / float64(c.Discs) // requests of one disc in a second
	size, area := 1., 0.
	tail := 1 - math.Exp(-each*oldest) // that at least n more come before the first is too old
	term := math.Exp(-each * oldest)
	for n := 1; n < 100000 && size < need; n++ {
		part := min(1, (need-size)/max(tail, 1e-12))
		if tail < 1e-9 {
			return math.NaN() // no policy keeps up within that age
		}
		size += part * tail
		area += part * float64(n) * tail / each
		term *= each * oldest / float64(n)
		tail -= term
	}
	return own + area/need
}

// Judgement is what the planner does better than by-disc under one load, over several seeds: changes in percent.
type Judgement struct {
	Drives int     `json:"drives"`
	Rate   float64 `json:"rate"`
	Mean   float64 `json:"mean"` // of the mean completion, in the mean over the seeds; P999 likewise of the 99.9th percentile
	P999   float64 `json:"p99_9"`
	Worst  float64 `json:"worst_p99_9"`
	Least  float64 `json:"least"` // of Row.Least

	least float64
}

// Judge runs the loads of Table with so many seeds from the first on.
func Judge(requests int, first uint64, seeds int) (list []Judgement, err error) {
	for s := range seeds {
		rows, err := runLoads(requests, first+uint64(s))
		if err != nil {
			return nil, err
		}
		if list == nil {
			list = make([]Judgement, len(rows))
			for i, r := range rows {
				list[i].least = LeastMean(r.config(requests))
			}
		}
		for i, r := range rows {
			j, p := &list[i], change(r.Planner.P999, r.ByDisc.P999)
			if s == 0 {
				j.Worst = p
			}
			j.Drives, j.Rate, j.Worst = r.Drives, r.Rate, max(j.Worst, p)
			j.Mean += change(r.Planner.Mean, r.ByDisc.Mean) / float64(seeds)
			j.P999 += p / float64(seeds)
			j.Least += change(j.least, r.ByDisc.Mean) / float64(seeds)
		}
	}
	return list, nil
}

// WriteJudgement prints a judgement for people.
func WriteJudgement(w io.Writer, list []Judgement) {
	fmt.Fprintln(w, "drives  requests/h     mean   99.9 %  its worst   least mean")
	for _, j := range list {
		fmt.Fprintf(w, "%6d  %10.0f  %+5.1f %%  %+5.1f %%    %+5.1f %%      %+5.1f %%\n", j.Drives, j.Rate, j.Mean, j.P999, j.Worst, j.Least)
	}
}
