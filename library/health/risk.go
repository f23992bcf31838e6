package health

import (
	"cmp"
	"time"
)

// Risk is what speaks for reading a disc sooner than its turn.
type Risk struct {
	Grade   Grade
	Suspect bool          // it failed, and nothing was concluded yet
	Age     time.Duration // since it was burned
	// Worsens is how soon its trend may take it to a worse grade; 0 when no trend can be told.
	Worsens time.Duration
	// Mates are the other discs of its lot (or, when no lot is known, those of the same medium burned within a month), and
	// FailedMates those of them that went bad.
	Mates, FailedMates int
	// Spare is how many more discs may be lost before data is: further copies, or parity discs. 0: this disc is the last one.
	Spare int
}

// Compare orders discs by which is to be replaced first: it is negative when r is, positive when o is, and 0 when it is all the same. First comes the
// disc without which least is left, then the one that is worst, then the one that is likely to become worse first.
func (r Risk) Compare(o Risk) int {
	after := func(x Risk) int {
		switch {
		case x.Suspect:
			return 0
		case x.Worsens > 0:
			return 1
		case x.FailedMates > 0:
			return 2
		}
		return 3
	}
	return cmp.Or(cmp.Compare(r.Spare, o.Spare), cmp.Compare(o.Grade, r.Grade), cmp.Compare(after(r), after(o)),
		cmp.Compare(r.Worsens, o.Worsens), cmp.Compare(o.FailedMates, r.FailedMates), cmp.Compare(o.Age, r.Age))
}

// leastShare is the least part of its interval after which a disc is read again: reading wears drives, too.
const leastShare = 1.0 / 16

// Share returns after which part of its vault's interval a disc should be read again, from 1/16 to 1, by what is known of it. The
// factors are ours; the order of discs that they make matters more than their size.
func (r Risk) Share(interval time.Duration) float64 {
	share := 1.0
	switch {
	case r.Suspect || r.Grade == MigrateNow:
		share = 0.25
	case r.Grade == MigrateSoon:
		share = 0.4
	case r.Grade == Watch:
		share = 0.7
	}
	if r.FailedMates > 0 {
		share *= 0.5
		if 10*r.FailedMates > r.Mates {
			share *= 0.67
		}
	}
	if r.Spare <= 0 {
		share *= 0.85
	}
	// Canadian Conservation Institute, Notes 19/1: BD-R and double layer DVD+R, 5 to 10 years.
	if years := float64(r.Age) / float64(year); years > 5 {
		share *= max(1-0.05*(years-5), 0.5)
	}
	if r.Worsens > 0 && interval > 0 {
		// Half the way there it can be seen whether the trend goes on.
		share = min(share, float64(r.Worsens)/2/float64(interval))
	}
	return max(share, leastShare)
}

// LeastSpread is the least that Spread returns.
const LeastSpread = 0.67

// Spread returns the factor by which disc number n's turn comes before its time, from LeastSpread to 1, so that discs that were burned together
// are not due together: the multiples of the golden ratio fill an interval as evenly as any number of points can.
func Spread(n int64) float64 {
	const golden = 0.6180339887498949
	turn := float64(n) * golden
	return LeastSpread + (1-LeastSpread)*(turn-float64(int64(turn)))
}
