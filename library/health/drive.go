package health

import "math"

// Conduct is how a drive has done.
type Conduct struct {
	Readings int // of whole discs that it made, those included that failed
	Charges  int // of these: discs that it could not read and another drive could
	Discs    int // different ones among these
}

// The rule by which a drive is suspected.
const (
	// leastDiscs: two discs may have been dirty.
	leastDiscs = 3
	// tolerated is how often a drive that is well may fail with a disc that is well: a speck of dust, a disc that lies badly.
	tolerated = 0.01
	// doubt is how likely a suspicion of any of a library's drives may be to be wrong.
	doubt = 0.01
)

// Suspect says that so many discs of different kinds failed in a drive, and were well in others, that it is the drive's fault:
// three different discs at least, and so many that a drive that is well would come to them with a probability of less than 1 %,
// divided by the number of drives that are asked about (Bonferroni). One that is well fails once in a hundred readings, or as
// often as the library's other drives do, if that is more. Chance is that probability.
func (c Conduct) Suspect(others Conduct, drives int) (suspect bool, chance float64) {
	rate := max(tolerated, (float64(others.Charges)+0.5)/(float64(others.Readings)+1))
	if others.Readings == 0 {
		rate = tolerated
	}
	chance = atLeast(c.Charges, max(c.Readings, c.Charges), min(rate, 1))
	return c.Discs >= leastDiscs && chance < doubt/float64(max(drives, 1)), chance
}

// atLeast returns the probability of k or more successes in n trials.
func atLeast(k, n int, p float64) (sum float64) {
	if k <= 0 {
		return 1
	}
	if p >= 1 {
		return 1
	}
	lg := func(x int) float64 { l, _ := math.Lgamma(float64(x) + 1); return l }
	for i := k; i <= n; i++ {
		sum += math.Exp(lg(n) - lg(i) - lg(n-i) + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
	}
	return min(sum, 1)
}
