package health

import (
	"fmt"
	"math"
	"strings"
)

// Indicator is one thing that a reading tells of a disc, and from which values on it means what. A value at a limit is beyond it. A
// limit of +Inf is none: some indicators alone never condemn a disc.
type Indicator struct {
	Name             string
	Watch, Soon, Now float64
	// Source is the standard and its clause, or "ours" and why.
	Source string
	// format shows a value.
	format string
	// value is of a reading; ok is false when the reading doesn't tell.
	value func(r *Reading) (v float64, ok bool)
}

var never = math.Inf(1)

// Indicators are all that readings are judged by. The standards' metrics come first; few drives measure them. The rest every drive
// tells while it reads.
var Indicators = []Indicator{
	{
		Name: "C1", Watch: 55, Soon: 110, Now: 220, format: "%.0f C1 errors a second",
		Source: "JIS Z 6017 for CD-R and CD-RW, block error rate: below 110 good, from 220 on migrate at once; the half of 110 is ours",
		value:  metric("C1", "CD"),
	},
	{
		Name: "C2", Watch: 1, Soon: 1, Now: 1, format: "%.0f bytes beyond the first two stages of correction (C2)",
		Source: "JIS Z 6017 for CD-R and CD-RW: any E32 or uncorrectable error fails the disc",
		value:  metric("C2", "CD"),
	},
	{
		Name: "PI8", Watch: 100, Soon: 140, Now: 280, format: "%.0f PI errors in 8 ECC blocks",
		Source: "JIS Z 6017 for DVD-R, DVD-RW, DVD+R and DVD+RW, PI sum 8: below 100 when new (2013), 140, 280",
		value:  metric("PI8", "DVD-R", "DVD-RW", "DVD+R", "DVD+RW"),
	},
	{
		Name: "BER", Watch: 2.25e-4, Soon: 4.5e-4, Now: 9e-4, format: "byte error rate %.2g",
		Source: "JIS Z 6017 for DVD-RAM: 4.5e-4, 9e-4; the half of the first is ours",
		value:  metric("BER", "DVD-RAM"),
	},
	{
		Name: "RSER", Watch: 2e-4, Soon: 3.5e-4, Now: 1e-3, format: "random symbol error rate %.2g",
		Source: "BD: a new recording is to have less than 2e-4 (BDA) and is made again from 3.5e-4 on (JIS Z 6017:2013); what those mean for an old one, " +
			"and the limit of 1e-3, is ours: ECMA-413's own table is not at hand",
		value: metric("RSER", "BD"),
	},
	{
		Name: "margin", Watch: math.SmallestNonzeroFloat64, Soon: 0.25, Now: 0.5, format: "%.0f %% of the worst row's error correction is used up",
		Source: "ours: a row with half of its roots gone doesn't bear the same damage once more",
		value: func(r *Reading) (float64, bool) {
			if r.Roots <= 0 {
				return 0, false
			}
			return float64(r.WorstRow) / float64(r.Roots), true
		},
	},
	{
		Name: "unreadable", Watch: math.SmallestNonzeroFloat64, Soon: 1e-3, Now: 1e-2, format: "%.2g of the sectors can't be read without repair",
		Source: "ours: damage of a hundredth of a disc is an eighth of what 32 roots bear, if it is spread well, and it seldom is",
		value:  func(r *Reading) (float64, bool) { return r.part(r.Unreadable + r.Wrong), r.Sectors > 0 },
	},
	{
		Name: "disagreed", Watch: math.SmallestNonzeroFloat64, Soon: 1e-5, Now: never, format: "%.2g of the sectors read one way and then another",
		Source: "ours: the drive's correction gives out by chance",
		value:  func(r *Reading) (float64, bool) { return r.part(r.Disagreed), r.Sectors > 0 },
	},
	{
		Name: "retries", Watch: 1e-5, Soon: 1e-3, Now: never, format: "%.2g of the sectors had to be read again",
		Source: "ours: a good disc has none; a fingerprint costs a few",
		value:  func(r *Reading) (float64, bool) { return r.part(r.Retries), r.Sectors > 0 },
	},
	{
		Name: "recovered", Watch: 1e-4, Soon: 1e-2, Now: never, format: "the drive had trouble with %.2g of what it read",
		Source: "ours: sense key 1, recovered error (SPC-4 §4.5.6), of which drives tell as they like",
		value:  func(r *Reading) (float64, bool) { return r.part(r.Recovered), r.Sectors > 0 },
	},
	{
		Name: "speed", Watch: 2, Soon: 8, Now: never, format: "its slowest place takes %.1f times as long as it should",
		Source: "ours: a drive that reads again by itself, or slows down, doesn't say so; against the disc's own curve at constant speed of rotation",
		value:  func(r *Reading) (float64, bool) { return r.Slowest, r.Slowest > 0 },
	},
	{
		Name: "slow", Watch: math.SmallestNonzeroFloat64, Soon: 0.25, Now: never, format: "%.2g of its regions take twice as long as they should",
		Source: "ours, as speed",
		value:  func(r *Reading) (float64, bool) { return r.Slow, r.Slowest > 0 },
	},
}

func metric(name string, media ...string) func(r *Reading) (float64, bool) {
	return func(r *Reading) (float64, bool) {
		if r.Metric != name {
			return 0, false
		}
		for _, m := range media {
			if r.Medium == m || (m == "CD" || m == "BD") && strings.HasPrefix(r.Medium, m) || strings.HasPrefix(r.Medium, m+" ") {
				return r.Measured, true
			}
		}
		return 0, false
	}
}

// grade is what a value means.
func (i *Indicator) grade(v float64) Grade {
	switch {
	case v >= i.Now:
		return MigrateNow
	case v >= i.Soon:
		return MigrateSoon
	case v >= i.Watch:
		return Watch
	}
	return Healthy
}

// limit is the least value that means a grade.
func (i *Indicator) limit(g Grade) float64 {
	switch g {
	case Watch:
		return i.Watch
	case MigrateSoon:
		return i.Soon
	case MigrateNow:
		return i.Now
	}
	return never
}

// say shows a value in words.
func (i *Indicator) say(v float64) string {
	if i.Name == "margin" {
		v *= 100
	}
	return fmt.Sprintf(i.format, v)
}

// Grade is what r alone says of the disc, with the reasons for anything that is not healthy, the worst first. A disc that doesn't come
// out as it was burned is to be migrated now, whatever else is told of it.
func (r *Reading) Grade() (g Grade, reasons []string) {
	g = Healthy
	if !r.Good {
		g, reasons = MigrateNow, append(reasons, "it can't be read as it was burned")
	}
	var by [MigrateNow + 1][]string
	for k := range Indicators {
		i := &Indicators[k]
		v, ok := i.value(r)
		if !ok {
			continue
		}
		if found := i.grade(v); found > Healthy {
			g = max(g, found)
			by[found] = append(by[found], i.say(v))
		}
	}
	for found := MigrateNow; found > Healthy; found-- {
		reasons = append(reasons, by[found]...)
	}
	return g, reasons
}
