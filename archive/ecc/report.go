package ecc

// mostRuns is how many runs of lost sectors a report names.
const mostRuns = 1000

// Run is sectors without a gap.
type Run struct{ First, Count int64 }

// Report is what was found in an image, in sectors, and what became of it. A sector counts under the first that holds.
type Report struct {
	Header
	Unreadable int64 // the source gave an error, or ended before
	Marked     int64 // dead sector markers
	Wrong      int64 // data and CRC sectors that fail their CRC, or that decoding found wrong
	Parity     int64 // parity that is not what the data give
	// Worst is how many sectors of one row were bad at most. A row bears as many as there are roots.
	Worst int

	Repairable int64 // bad sectors that can be set right; Repair has done so
	// Lost is how many bad sectors can't be, in LostRows rows. A row whose wrong sectors can't be told from the right ones
	// is lost without a sector of it being named.
	Lost     int64
	LostRows int64
	// Unproven is how many rows took all their roots, with no CRC to check what came of it: most likely right.
	Unproven int64
	// LostRuns names the first lost sectors, in ascending order.
	LostRuns []Run
}

// Bad returns how many sectors were not as they were written.
func (r *Report) Bad() int64 { return r.Unreadable + r.Marked + r.Wrong + r.Parity }

// Whole says whether all that was wrong can be set right, and is known to be right then.
func (r *Report) Whole() bool { return r.LostRows == 0 && r.Unproven == 0 }

// Margin returns how many more bad sectors the worst row bears. It is negative when that row is lost, or was saved only because
// the damage in its sectors is small.
func (r *Report) Margin() int { return r.Roots() - r.Worst }

// tally adds what was found in a window.
func (r *Report) tally(w *window) {
	for i := range w.n {
		f := &w.found[i]
		for _, s := range [...]*set{&f.unreadable, &f.marked, &f.wrong, &f.parity} {
			for k := range f.located {
				f.located[k] &^= s[k]
			}
		}
		r.Unreadable += int64(f.unreadable.len())
		r.Marked += int64(f.marked.len())
		r.Wrong += int64(f.wrong.len())
		r.Parity += int64(f.parity.len())
		for j := range f.located.all() {
			if j < w.codec.inputs {
				r.Wrong++
			} else {
				r.Parity++
			}
		}
		bad := f.bad()
		n := bad.len()
		r.Worst = max(r.Worst, n)
		switch w.verdicts[i] {
		case unproven:
			r.Unproven++
			r.Repairable += int64(n)
		case proven:
			r.Repairable += int64(n)
		default:
			r.LostRows++
			r.Lost += int64(n)
			// A row that is lost has more wrong with it than it bears.
			r.Worst = max(r.Worst, r.Roots()+1)
		}
	}
}

// lostRuns gathers lost sectors; rows come in no order.
type lostRuns map[int64]set

func (l lostRuns) add(w *window) {
	for i := range w.n {
		if w.verdicts[i] == lost && len(l) < mostRuns*layers {
			l[w.first+int64(i)] = w.found[i].bad()
		}
	}
}

// runs returns the sectors in ascending order, as many runs as a report names.
func (l lostRuns) runs(g Geometry, rows []int64) (runs []Run) {
	for j := range layers {
		for _, r := range rows {
			if s := l[r]; !s.has(j) {
				continue
			}
			sector := g.sector(j, r)
			if n := len(runs); n > 0 && runs[n-1].First+runs[n-1].Count == sector {
				runs[n-1].Count++
			} else if n == mostRuns {
				return runs
			} else {
				runs = append(runs, Run{sector, 1})
			}
		}
	}
	return runs
}
