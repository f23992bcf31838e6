package health

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// years makes one reading a year whose worst row needs what f says.
func years(n int, f func(year int) int) (readings []Reading) {
	for k := range n {
		r := fresh(epoch.Add(time.Duration(k)*year), "1")
		r.WorstRow = f(k)
		readings = append(readings, r)
	}
	return readings
}

func TestTrend(t *testing.T) {
	trends := Trends(years(6, func(k int) int { return k }))
	if len(trends) != 1 {
		t.Fatalf("one indicator gets worse, got %+v", trends)
	}
	got := trends[0]
	// One root of 32 a year: a quarter is gone after 8 years.
	if got.Indicator != "margin" || !got.Told() || got.Next != MigrateSoon || math.Abs(got.Slope-1./32) > 1e-9 {
		t.Errorf("%+v", got)
	}
	if years := got.Likely.Sub(epoch).Hours() / year.Hours(); math.Abs(years-8) > 0.01 {
		t.Errorf("it crosses the limit after %.2f years, want 8", years)
	}
	if got.Earliest.After(got.Likely) || got.Latest.Before(got.Likely) {
		t.Errorf("%v to %v, likely %v", got.Earliest, got.Latest, got.Likely)
	}

	// Three rising readings may be chance (1 of 6), four are not at 95 % (1 of 24).
	if got := Trends(years(3, func(k int) int { return 2 * k })); len(got) != 1 || got[0].Told() || !got[0].Latest.IsZero() {
		t.Errorf("three readings: %+v", got)
	}
	if got := Trends(years(4, func(k int) int { return 2 * k })); len(got) != 1 || !got[0].Told() {
		t.Errorf("four readings: %+v", got)
	}
	// One wild reading doesn't turn the line.
	wild := Trends(years(9, func(k int) int {
		if k == 4 {
			return 20
		}
		return k / 2
	}))
	if len(wild) != 1 || math.Abs(wild[0].Slope-0.5/32) > 0.2/32 {
		t.Errorf("with one wild reading: %+v", wild)
	}
	if got := Trends(years(8, func(int) int { return 0 })); len(got) != 0 {
		t.Errorf("a disc that stays as it is: %+v", got)
	}
	if got := Trends(years(8, func(k int) int { return 8 - k })); len(got) != 0 {
		t.Errorf("a disc that reads better and better: %+v", got)
	}
}

// Kendall's distribution, by counting (n up to 6) and from its tables: 4 readings fall in no pair with a probability of 1/24, 5 in at
// most one with 5/120, 6 in at most two with 20/720, 10 in at most 12 with 0.036 and in at most 13 with 0.054.
func TestExtreme(t *testing.T) {
	for n, want := range map[int]int{2: 0, 3: 0, 4: 1, 5: 2, 6: 3, 10: 13} {
		if got := extreme(n); got != want {
			t.Errorf("%d readings: %d, want %d", n, got, want)
		}
	}
}

// When doesn't depend on which day is called zero, and values that never fall never give a falling line.
func TestTrendProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(3, 12).Draw(t, "n")
		row, day := 0, 0
		var a, b []Reading
		shift := time.Duration(rapid.IntRange(0, 9999).Draw(t, "shift")) * 24 * time.Hour
		for range n {
			row += rapid.IntRange(0, 1).Draw(t, "more")
			day += rapid.IntRange(1, 500).Draw(t, "days")
			r := fresh(epoch.Add(time.Duration(day)*24*time.Hour), "1")
			r.WorstRow = row
			a = append(a, r)
			r.At = r.At.Add(shift)
			b = append(b, r)
		}
		x, y := Trends(a), Trends(b)
		if len(x) != len(y) {
			t.Fatalf("%+v and, later, %+v", x, y)
		}
		for k := range x {
			if d := y[k].Likely.Sub(x[k].Likely) - shift; d.Abs() > time.Minute {
				t.Fatalf("%v later it comes %v later", shift, d+shift)
			}
			if x[k].Likely.Before(a[n-1].At) || x[k].Earliest.After(x[k].Likely) || !x[k].Latest.IsZero() && x[k].Latest.Before(x[k].Likely) {
				t.Fatalf("%+v", x[k])
			}
		}
	})
}

// The bounds hold as often as they say: of discs that get worse at a known rate, with noise, 90 % have it within them; and of discs
// that don't get worse, no more than 5 % are said to.
func TestTrendIsHonest(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	const discs = 4000
	for _, n := range []int{4, 6, 10} {
		within, told := 0, 0
		x, y, flat := make([]float64, n), make([]float64, n), make([]float64, n)
		for range discs {
			for k := range n {
				x[k] = float64(k) + random.Float64()/4
				y[k] = 0.7*x[k] + random.NormFloat64()
				flat[k] = random.NormFloat64()
			}
			if _, low, high := sen(x, y); low <= 0.7 && 0.7 <= high {
				within++
			}
			if _, low, _ := sen(x, flat); low > 0 {
				told++
			}
		}
		if within < discs*89/100 {
			t.Errorf("%d readings: the slope is within its bounds for %d of %d discs", n, within, discs)
		}
		if told > discs*6/100 {
			t.Errorf("%d readings: %d of %d discs that stay as they are are said to get worse", n, told, discs)
		}
	}
}

func TestRisk(t *testing.T) {
	const interval = year
	calm := Risk{Grade: Healthy, Spare: 1}
	if got := calm.Share(interval); got != 1 {
		t.Errorf("a disc that nothing speaks against: %g", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		r := Risk{
			Grade: Grade(rapid.IntRange(0, 4).Draw(t, "grade")), Suspect: rapid.Bool().Draw(t, "suspect"),
			Age: time.Duration(rapid.IntRange(0, 40).Draw(t, "age")) * year, Worsens: time.Duration(rapid.IntRange(0, 3000).Draw(t, "worsens")) * 24 * time.Hour,
			Mates: rapid.IntRange(0, 50).Draw(t, "mates"), Spare: rapid.IntRange(0, 4).Draw(t, "spare"),
		}
		r.FailedMates = rapid.IntRange(0, r.Mates).Draw(t, "failed")
		share := r.Share(interval)
		if share < leastShare || share > 1 {
			t.Fatalf("%+v: %g", r, share)
		}
		for name, worse := range map[string]func(r *Risk){
			"suspect": func(r *Risk) { r.Suspect = true },
			"older":   func(r *Risk) { r.Age += 3 * year },
			"a mate":  func(r *Risk) { r.Mates++; r.FailedMates++ },
			"no spare": func(r *Risk) {
				r.Spare = 0
			},
			"grade": func(r *Risk) { r.Grade = min(max(r.Grade, Healthy)+1, MigrateNow) },
		} {
			w := r
			worse(&w)
			if w.Share(interval) > share {
				t.Fatalf("%+v is read after %g; %s, after %g", r, share, name, w.Share(interval))
			}
		}
	})
}

// The turns of discs with consecutive numbers are spread: no tenth of the span has more than twice its due.
func TestSpread(t *testing.T) {
	var tenths [10]int
	for n := range int64(1000) {
		s := Spread(n + 17)
		if s < 0.67 || s >= 1 {
			t.Fatalf("disc %d: %g", n, s)
		}
		tenths[int((s-0.67)/0.033)]++
	}
	for k, n := range tenths {
		if n < 95 || n > 105 {
			t.Errorf("tenth %d has %d of 1,000 discs", k, n)
		}
	}
}
