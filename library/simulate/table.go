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
}

// Table runs the loads by which the policies are compared: 600 discs, sizes log-normal with a mean of 100 MB, requests one by one.
func Table(requests int, seed uint64) ([]Row, error) {
	var rows []Row
	for _, load := range []struct {
		drives int
		rate   float64
	}{{2, 80}, {2, 160}, {2, 240}, {2, 800}, {4, 240}, {4, 800}} {
		c := Default()
		c.Drives, c.Seed = load.drives, seed
		c.Workload.Rate, c.Workload.Requests = load.rate, requests
		row := Row{Drives: load.drives, Rate: load.rate}
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
	fmt.Fprintln(w, "drives  requests/h  FIFO mean/99.9 %   by disc mean/99.9 %   planner mean/99.9 %    mean   99.9 %   moves/request  least mean in the long run")
	for _, r := range rows {
		fmt.Fprintf(w, "%6d  %10.0f  %7.0f / %7.0f  %9.0f / %7.0f  %9.0f / %7.0f  %+5.0f %%  %+5.0f %%   %5.2f → %4.2f  %7.0f (%+.0f %%)\n", r.Drives, r.Rate,
			r.FIFO.Mean, r.FIFO.P999, r.ByDisc.Mean, r.ByDisc.P999, r.Planner.Mean, r.Planner.P999,
			change(r.Planner.Mean, r.ByDisc.Mean), change(r.Planner.P999, r.ByDisc.P999), r.Moves[0], r.Moves[1], r.Bound, change(r.Bound, r.ByDisc.Mean))
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
