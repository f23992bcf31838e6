package health

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// year is the unit of slopes.
const year = 365.25 * 24 * time.Hour

// Trend is a robust line through the values of an indicator over time.
type Trend struct {
	Indicator string
	Readings  int
	// Slope is how much the value grows in a year: the median of the slopes between all pairs of readings (Sen 1968), which a third
	// of wild readings doesn't turn. Low and High bound it at 90 %; they are -Inf and +Inf when the readings are too few.
	Slope, Low, High float64
	// Next is the grade that it leads to, and when: most likely at Likely, not before Earliest and not after Latest at 90 %. A zero Latest
	// is a trend that may as well be none; then there is no telling that it comes to that at all.
	Next                     Grade
	Earliest, Likely, Latest time.Time
}

// Told says that the disc does get worse, at 95 %.
func (t *Trend) Told() bool { return t.Low > 0 }

// confidence is how likely a bound of a slope is to be right, each for itself.
const confidence = 0.95

// Trends returns, for each indicator that grows from reading to reading, when its line crosses the limit of the next grade; the
// earliest comes first. Only whole readings count, in ascending order of time. Fewer than three make no line.
func Trends(readings []Reading) (trends []Trend) {
	for k := range Indicators {
		i := &Indicators[k]
		var at []time.Time
		var values []float64
		for k := range readings {
			r := &readings[k]
			if v, ok := i.value(r); ok && r.Whole {
				at, values = append(at, r.At), append(values, v)
			}
		}
		if t, ok := i.trend(at, values); ok {
			trends = append(trends, t)
		}
	}
	slices.SortStableFunc(trends, func(a, b Trend) int {
		return cmp.Or(cmp.Compare(b2i(b.Told()), b2i(a.Told())), a.Likely.Compare(b.Likely))
	})
	return trends
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// trend is of values at times; ok is false when they lead to no worse grade.
func (i *Indicator) trend(at []time.Time, values []float64) (t Trend, ok bool) {
	n := len(values)
	if n < 3 || !at[n-1].After(at[0]) {
		return t, false
	}
	next := i.grade(values[n-1]) + 1
	for next <= MigrateNow && i.limit(next) <= values[n-1] {
		next++
	}
	if next > MigrateNow || math.IsInf(i.limit(next), 1) {
		return t, false
	}
	x := make([]float64, n)
	for k := range x {
		x[k] = at[k].Sub(at[0]).Seconds() / year.Seconds()
	}
	slope, low, high := sen(x, values)
	if slope <= 0 {
		return t, false
	}
	last := x[n-1]
	crossing := func(slope float64) (time.Time, bool) {
		if slope <= 0 {
			return time.Time{}, false
		}
		rest := make([]float64, n)
		for k := range rest {
			rest[k] = values[k] - slope*x[k]
		}
		years := max((i.limit(next)-median(rest))/slope, last) // the last reading says that it has not come to that yet
		if years-last > horizon {
			return time.Time{}, false
		}
		date := at[0].Add(time.Duration(years * float64(year)))
		if date.Before(at[n-1]) { // by a few nanoseconds, when years is last
			date = at[n-1]
		}
		return date, true
	}
	t = Trend{Indicator: i.Name, Readings: n, Slope: slope, Low: low, High: high, Next: next}
	if t.Likely, ok = crossing(slope); !ok {
		return t, false
	}
	t.Earliest = at[n-1]
	if !math.IsInf(high, 1) {
		t.Earliest, _ = crossing(high)
	}
	t.Latest, _ = crossing(low)
	return t, true
}

// horizon is how many years ahead a date is worth naming.
const horizon = 100

// sen returns the median of the slopes between all pairs, and the bounds on it.
func sen(x, y []float64) (slope, low, high float64) {
	var slopes []float64
	for a := range x {
		for b := a + 1; b < len(x); b++ {
			if x[b] > x[a] {
				slopes = append(slopes, (y[b]-y[a])/(x[b]-x[a]))
			}
		}
	}
	slices.Sort(slopes)
	slope, low, high = median(slopes), math.Inf(-1), math.Inf(1)
	// So many of the smallest, and of the largest, are too extreme to be the slope by chance.
	if k := extreme(len(x)); k > 0 && k <= len(slopes) {
		low, high = slopes[k-1], slopes[len(slopes)-k]
	}
	return slope, low, high
}

// extreme returns the largest k for which n readings without a trend have fewer than k pairs that fall with a
// probability of at most 1-confidence (Kendall's distribution, exact); 0 for none.
func extreme(n int) int {
	ways := []float64{1} // of k falling pairs, as a part of all orders
	for m := 2; m <= n; m++ {
		next := make([]float64, len(ways)+m-1)
		for k, w := range ways {
			for j := range m {
				next[k+j] += w / float64(m)
			}
		}
		ways = next
	}
	sum := 0.0
	for k, w := range ways {
		if sum += w; sum > 1-confidence {
			return k
		}
	}
	return 0
}

// median of values, which it sorts.
func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	if n == 0 {
		return 0
	}
	if n%2 == 1 {
		return values[n/2]
	}
	return (values[n/2-1] + values[n/2]) / 2
}
