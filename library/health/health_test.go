package health

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// fresh is a whole reading of a disc that is as good as new.
func fresh(at time.Time, drive string) Reading {
	return Reading{At: at, Drive: drive, Whole: true, Good: true, Medium: "BD-R", Sectors: 12_219_392, Roots: 32, Slowest: 1.02}
}

func TestGradesByName(t *testing.T) {
	for g := Ungraded; g <= MigrateNow; g++ {
		if back, err := ParseGrade(g.String()); err != nil || back != g {
			t.Errorf("%v comes back as %v: %v", g, back, err)
		}
	}
	if _, err := ParseGrade("splendid"); err == nil {
		t.Error("a grade that doesn't exist is taken")
	}
}

// The limits of the standards' table, on both sides of each.
func TestStandards(t *testing.T) {
	for _, c := range []struct {
		medium, metric string
		value          float64
		want           Grade
	}{
		{"CD-R", "C1", 54, Healthy},
		{"CD-R", "C1", 109.9, Watch},
		{"CD-R", "C1", 110, MigrateSoon},
		{"CD-RW", "C1", 219, MigrateSoon},
		{"CD-R", "C1", 220, MigrateNow},
		{"CD-R", "C2", 0, Healthy},
		{"CD-R", "C2", 1, MigrateNow},
		{"DVD-R", "PI8", 99, Healthy},
		{"DVD+R", "PI8", 139, Watch},
		{"DVD-RW", "PI8", 140, MigrateSoon},
		{"DVD+R DL", "PI8", 280, MigrateNow},
		{"DVD-RAM", "BER", 4.4e-4, Watch},
		{"DVD-RAM", "BER", 4.5e-4, MigrateSoon},
		{"DVD-RAM", "BER", 9e-4, MigrateNow},
		{"BD-R", "RSER", 1.9e-4, Healthy},
		{"BD-R", "RSER", 3.4e-4, Watch},
		{"BD-R", "RSER", 3.5e-4, MigrateSoon},
		{"BD-RE", "RSER", 1e-3, MigrateNow},
		{"DVD-R", "C1", 500, Healthy}, // no such thing on a DVD
		{"DVD-RAM", "PI8", 500, Healthy},
		{"BD-R", "", 500, Healthy},
	} {
		r := fresh(epoch, "1")
		r.Medium, r.Metric, r.Measured = c.medium, c.metric, c.value
		if g, reasons := r.Grade(); g != c.want || (g > Healthy) != (len(reasons) > 0) {
			t.Errorf("%s with %s %g is %v because %q, want %v", c.medium, c.metric, c.value, g, reasons, c.want)
		}
	}
}

func TestOurThresholds(t *testing.T) {
	for name, c := range map[string]struct {
		change func(r *Reading)
		want   Grade
	}{
		"as new":              {func(*Reading) {}, Healthy},
		"not as burned":       {func(r *Reading) { r.Good = false }, MigrateNow},
		"a row of 32 needs 1": {func(r *Reading) { r.WorstRow, r.Repaired, r.Unreadable = 1, 1, 1 }, Watch},
		"a row needs 7":       {func(r *Reading) { r.WorstRow = 7 }, Watch},
		"a row needs 8":       {func(r *Reading) { r.WorstRow = 8 }, MigrateSoon},
		"a row needs 16":      {func(r *Reading) { r.WorstRow = 16 }, MigrateNow},
		"a thousandth dead":   {func(r *Reading) { r.Unreadable = r.Sectors/1000 + 1 }, MigrateSoon},
		"a hundredth dead":    {func(r *Reading) { r.Wrong = r.Sectors/100 + 1 }, MigrateNow},
		"a fingerprint":       {func(r *Reading) { r.Retries = 20 }, Healthy},
		"many retries":        {func(r *Reading) { r.Retries = r.Sectors / 500 }, MigrateSoon},
		"two answers":         {func(r *Reading) { r.Disagreed = 1 }, Watch},
		"a slow place":        {func(r *Reading) { r.Slowest, r.Slow = 3, 1./64 }, Watch},
		"slow everywhere":     {func(r *Reading) { r.Slowest, r.Slow = 3, 0.5 }, MigrateSoon},
		"nobody looked":       {func(r *Reading) { r.Slow, r.Slowest = 0.5, 0 }, Healthy},
	} {
		r := fresh(epoch, "1")
		c.change(&r)
		if g, reasons := r.Grade(); g != c.want {
			t.Errorf("%s: %v because %q, want %v", name, g, reasons, c.want)
		}
	}
}

func TestIndicatorsAreInOrder(t *testing.T) {
	for _, i := range Indicators {
		if !(0 < i.Watch && i.Watch <= i.Soon && i.Soon <= i.Now) {
			t.Errorf("%s: limits %g, %g, %g", i.Name, i.Watch, i.Soon, i.Now)
		}
		if i.Source == "" || !strings.Contains(i.Source, "JIS") && !strings.Contains(i.Source, "ours") {
			t.Errorf("%s: nobody says where its limits come from", i.Name)
		}
	}
}

func drawReading(t *rapid.T) Reading {
	r := fresh(epoch.Add(time.Duration(rapid.IntRange(0, 20*365).Draw(t, "day"))*24*time.Hour), rapid.SampledFrom([]string{"1", "2", "3"}).Draw(t, "drive"))
	r.Sectors = rapid.Int64Range(0, 12_219_392).Draw(t, "sectors")
	count := func(name string) int64 {
		return rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(0, r.Sectors)).Draw(t, name)
	}
	r.Retries, r.Recovered, r.Unreadable, r.Disagreed, r.Wrong = count("retries"), count("recovered"), count("unreadable"), count("disagreed"), count("wrong")
	r.WorstRow = rapid.IntRange(0, 33).Draw(t, "row")
	r.Slowest = rapid.Float64Range(0, 20).Draw(t, "slowest")
	r.Slow = rapid.Float64Range(0, 1).Draw(t, "slow")
	r.Good = rapid.IntRange(0, 3).Draw(t, "good") > 0
	r.Whole = rapid.IntRange(0, 3).Draw(t, "whole") > 0
	return r
}

// More damage never makes a better grade.
func TestWorseIsNeverBetter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawReading(t)
		worse := r
		for _, n := range []*int64{&worse.Retries, &worse.Recovered, &worse.Unreadable, &worse.Disagreed, &worse.Wrong} {
			*n += rapid.Int64Range(0, 1000).Draw(t, "more")
		}
		worse.WorstRow += rapid.IntRange(0, 10).Draw(t, "row more")
		if r.Slowest > 0 {
			worse.Slowest += rapid.Float64Range(0, 5).Draw(t, "slower")
			worse.Slow += rapid.Float64Range(0, 1).Draw(t, "slow more")
		}
		worse.Good = r.Good && rapid.Bool().Draw(t, "still good")
		a, _ := r.Grade()
		if b, _ := worse.Grade(); b < a {
			t.Fatalf("%+v is %v, and worse %+v is %v", r, a, worse, b)
		}
	})
}

// Whatever one drive says, it condemns no disc alone; two that agree do; and no verdict is worse than what some two drives both hold.
func TestNoDriveCondemnsAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		readings := rapid.SliceOfN(rapid.Custom(drawReading), 0, 12).Draw(t, "readings")
		slices.SortStableFunc(readings, func(a, b Reading) int { return a.At.Compare(b.At) })
		v := Judge(readings)
		if v.Confirmed && (v.Grade <= Watch || len(v.Drives) < 2) {
			t.Fatalf("confirmed: %+v", v)
		}
		one := slices.Clone(readings)
		for k := range one {
			one[k].Drive = "1"
		}
		if w := Judge(one); w.Confirmed {
			t.Fatalf("one drive has confirmed: %+v", w)
		}
		if v.Confirmed {
			agree := 0
			for _, d := range v.Drives {
				worst := Ungraded
				for _, r := range readings {
					if g, _ := r.Grade(); r.Drive == d {
						worst = max(worst, g)
					}
				}
				if worst >= v.Grade {
					agree++
				}
			}
			if agree < 2 {
				t.Fatalf("%d drives have ever seen it so bad: %+v", agree, v)
			}
		}
		if len(readings) > 0 {
			again := fresh(readings[len(readings)-1].At.Add(time.Hour), "4")
			if w := Judge(append(readings, again)); w.Grade != Healthy || len(w.Drives) > 0 {
				t.Fatalf("after a reading that went well: %+v", w)
			}
		}
	})
}

func TestJudge(t *testing.T) {
	day := func(n int) time.Time { return epoch.Add(time.Duration(n) * 24 * time.Hour) }
	bad := func(n int, drive string, row int) Reading {
		r := fresh(day(n), drive)
		r.WorstRow, r.Repaired, r.Unreadable = row, int64(row), int64(row)
		return r
	}
	for name, c := range map[string]struct {
		readings  []Reading
		grade     Grade
		confirmed bool
		charged   []string
	}{
		"never read":                 {nil, Ungraded, false, nil},
		"well":                       {[]Reading{fresh(day(0), "1")}, Healthy, false, nil},
		"one drive":                  {[]Reading{fresh(day(0), "1"), bad(9, "1", 20)}, MigrateNow, false, nil},
		"one drive, twice":           {[]Reading{bad(8, "1", 20), bad(9, "1", 20)}, MigrateNow, false, nil},
		"two drives":                 {[]Reading{bad(8, "1", 20), bad(9, "2", 17)}, MigrateNow, true, nil},
		"two drives, one less so":    {[]Reading{bad(8, "1", 20), bad(9, "2", 9)}, MigrateSoon, true, nil},
		"two drives, years between":  {[]Reading{bad(8, "1", 20), fresh(day(400), "2"), bad(800, "2", 20)}, MigrateNow, false, nil},
		"the other one reads well":   {[]Reading{bad(8, "1", 20), fresh(day(9), "2")}, Healthy, false, nil},
		"a drive with a broken lens": {[]Reading{{At: day(1), Drive: "1", Whole: true, Sectors: 5}, fresh(day(9), "2")}, Healthy, false, []string{"1"}},
		"the same drive reads well":  {[]Reading{{At: day(1), Drive: "1", Whole: true, Sectors: 5}, fresh(day(9), "1")}, Healthy, false, nil},
		"a restore found it bad":     {[]Reading{fresh(day(1), "1"), {At: day(2), Drive: "2", Good: true, Sectors: 9000, WorstRow: 9, Roots: 32}}, MigrateSoon, false, nil},
		"a restore can't clear it":   {[]Reading{bad(1, "1", 20), {At: day(2), Drive: "2", Good: true, Sectors: 9000, Roots: 32}}, MigrateNow, false, nil},
	} {
		v := Judge(c.readings)
		if v.Grade != c.grade || v.Confirmed != c.confirmed {
			t.Errorf("%s: %+v", name, v)
		}
		if got := Charged(c.readings); !slices.Equal(got, c.charged) {
			t.Errorf("%s: drives %q are charged, want %q", name, got, c.charged)
		}
	}
}

func TestSuspect(t *testing.T) {
	for _, c := range []struct {
		d, others Conduct
		want      bool
	}{
		{Conduct{}, Conduct{}, false},
		{Conduct{Readings: 50, Charges: 2, Discs: 2}, Conduct{Readings: 50}, false},       // two discs may have been dirty
		{Conduct{Readings: 50, Charges: 9, Discs: 2}, Conduct{Readings: 50}, false},       // always the same two
		{Conduct{Readings: 50, Charges: 6, Discs: 6}, Conduct{Readings: 150}, true},       // a lens is dirty
		{Conduct{Readings: 3, Charges: 3, Discs: 3}, Conduct{}, true},                     // it reads nothing
		{Conduct{Readings: 3000, Charges: 30, Discs: 30}, Conduct{Readings: 3000}, false}, // one in a hundred
		{Conduct{Readings: 50, Charges: 6, Discs: 6}, Conduct{Readings: 150, Charges: 15, Discs: 15}, false},
	} {
		if got, chance := c.d.Suspect(c.others, 4); got != c.want {
			t.Errorf("%+v beside %+v: %v (%g)", c.d, c.others, got, chance)
		}
	}
	// The tail of a binomial distribution, by counting: 3 of 5 at a half are 16 of 32.
	if p := atLeast(3, 5, 0.5); math.Abs(p-0.5) > 1e-12 {
		t.Errorf("3 or more of 5 at a half: %g", p)
	}
}

// Drives that are well are not suspected more often than is promised, and one that fails with a fifth of its discs is found out.
func TestSuspectInTheLongRun(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	run := func(rate float64, n int) (suspected bool) {
		var d, others Conduct
		for range n {
			d.Readings++
			others.Readings += 3
			if random.Float64() < rate {
				d.Charges++
				d.Discs++
			}
			for range 3 {
				if random.Float64() < 0.005 {
					others.Charges++
				}
			}
		}
		suspected, _ = d.Suspect(others, 4)
		return suspected
	}
	wrong, found := 0, 0
	for range 2000 {
		if run(0.005, 200) {
			wrong++
		}
		if run(0.2, 60) {
			found++
		}
	}
	if wrong > 20 { // 1 % of 2,000 over four drives is 5
		t.Errorf("%d of 2,000 drives that are well are suspected", wrong)
	}
	if found < 1900 {
		t.Errorf("%d of 2,000 drives that fail with a fifth of their discs are found out", found)
	}
}

// TestCompare: which of two discs is replaced first.
func TestCompare(t *testing.T) {
	order := []Risk{ // the first before all others, and so on
		{Grade: MigrateSoon, Spare: 0},
		{Grade: MigrateNow, Spare: 1, Suspect: true},
		{Grade: MigrateNow, Spare: 1, Worsens: time.Hour},
		{Grade: MigrateNow, Spare: 1, Worsens: 2 * time.Hour},
		{Grade: MigrateNow, Spare: 1, FailedMates: 2},
		{Grade: MigrateNow, Spare: 1, FailedMates: 1},
		{Grade: MigrateNow, Spare: 1, Age: 2 * year},
		{Grade: MigrateNow, Spare: 1, Age: year},
		{Grade: MigrateSoon, Spare: 1, Suspect: true},
		{Grade: MigrateNow, Spare: 2, Suspect: true},
	}
	for i, a := range order {
		for k, b := range order {
			if got, want := a.Compare(b), cmp.Compare(i, k); got != want {
				t.Errorf("%+v and %+v: %d, want %d", a, b, got, want)
			}
		}
	}
}
