// Package durability says how likely discs are to lose data: failure rates with their confidence bounds from what was observed, and
// what a code over k+m discs that are scrubbed every so often makes of them. It is arithmetic; it knows no clock and no catalogue.
package durability

import (
	"errors"
	"fmt"
	"math"
)

// Observed is what became of discs so far.
type Observed struct {
	Failures  int     // discs that could not be read whole any more
	DiscYears float64 // years that all discs together were kept
}

// Rate is failures per disc and year.
type Rate struct{ Low, Likely, High float64 }

// Rate returns the failure rate with the exact two-sided bounds of a Poisson count (Garwood 1936) at a confidence between 0 and 1.
// Without failures Low and Likely are 0, and High is what could still have gone unseen.
func (o Observed) Rate(confidence float64) (Rate, error) {
	if o.Failures < 0 || !(o.DiscYears > 0) || !(confidence > 0 && confidence < 1) {
		return Rate{}, fmt.Errorf("failure rate of %d failures in %g disc-years at confidence %g: not what can be observed", o.Failures, o.DiscYears, confidence)
	}
	tail := (1 - confidence) / 2
	r := Rate{Likely: float64(o.Failures) / o.DiscYears, High: mean(o.Failures, tail) / o.DiscYears}
	if o.Failures > 0 {
		r.Low = mean(o.Failures-1, 1-tail) / o.DiscYears
	}
	return r, nil
}

// mean returns the mean of the Poisson distribution that gives n or fewer with probability p.
func mean(n int, p float64) float64 {
	low, high := 0.0, float64(n)+10
	for atMost(n, high) > p {
		high *= 2
	}
	for range 200 {
		middle := (low + high) / 2
		if atMost(n, middle) > p {
			low = middle
		} else {
			high = middle
		}
	}
	return (low + high) / 2
}

// atMost returns the probability of n or fewer events where mean are expected.
func atMost(n int, mean float64) (sum float64) {
	for i := range n + 1 {
		l, _ := math.Lgamma(float64(i) + 1)
		sum += math.Exp(float64(i)*math.Log(mean) - mean - l)
	}
	return min(sum, 1)
}

// Plan is how discs are protected and looked after.
type Plan struct {
	Data, Parity int     // images of a set; copies are sets of 1+n
	Sets         int     // how many
	Interval     float64 // years from one scrub to the next, the rebuilding included
	Rate         float64 // independent failures per disc and year
	// BatchRate is how often per set and year something hits all discs of a set at once (a bad batch, a drive, heat), and BatchLoss
	// the fraction of discs that it kills, each by itself. Sets are struck independently.
	BatchRate, BatchLoss float64
}

// Loss is what to expect.
type Loss struct {
	SetPerWindow float64 `json:"set_per_window"` // probability that a set loses data between two scrubs
	AnyPerYear   float64 `json:"any_per_year"`   // probability that any set does within a year
	DiscsPerYear float64 `json:"discs_per_year"` // expected data discs lost for good in a year
	Nines        float64 `json:"nines"`          // -log10 of the expected part of the data that a year loses
}

// Validate says what is wrong with p.
func (p Plan) Validate() error {
	switch {
	case p.Data < 1 || p.Parity < 0 || p.Data+p.Parity > 255 || p.Sets < 1:
		return fmt.Errorf("%d sets of %d+%d discs: want at least one, of 1+0 to 255 discs", p.Sets, p.Data, p.Parity)
	case !(p.Interval > 0) || math.IsInf(p.Interval, 0):
		return errors.New("the interval between scrubs is not a time")
	case !(p.Rate >= 0) || !(p.BatchRate >= 0) || math.IsInf(p.Rate+p.BatchRate, 0):
		return errors.New("a rate is at least 0")
	case !(p.BatchLoss >= 0 && p.BatchLoss <= 1):
		return errors.New("the fraction of a batch that is lost lies between 0 and 1")
	}
	return nil
}

// Loss returns what p loses. Every scrub finds all that failed since the one before, and what can be rebuilt is good again; a set in which
// more than Parity discs failed in one window loses those of them that are data discs.
func (p Plan) Loss() (l Loss, err error) {
	if err := p.Validate(); err != nil {
		return l, fmt.Errorf("expected loss: %w", err)
	}
	quiet := -math.Expm1(-p.Rate * p.Interval) // a disc fails within a window
	struck := quiet + (1-quiet)*p.BatchLoss
	batch := -math.Expm1(-p.BatchRate * p.Interval)
	a, lostA := p.tail(quiet)
	b, lostB := p.tail(struck)
	l.SetPerWindow = (1-batch)*a + batch*b
	windows := 1 / p.Interval
	l.AnyPerYear = -math.Expm1(windows * float64(p.Sets) * math.Log1p(-min(l.SetPerWindow, 1-1e-16)))
	perSet := (1-batch)*lostA + batch*lostB
	l.DiscsPerYear = perSet * windows * float64(p.Sets)
	l.Nines = -math.Log10(min(perSet*windows/float64(p.Data), 1))
	if perSet == 0 {
		l.Nines = 0 // nothing fails at all: no figure says how well
	}
	return l, nil
}

// tail returns the probability that more than Parity discs fail, and the data discs then lost on average.
func (p Plan) tail(q float64) (probability, lost float64) {
	n := p.Data + p.Parity
	for f := p.Parity + 1; f <= n; f++ {
		x := binomial(n, f, q)
		probability += x
		lost += x * float64(f) * float64(p.Data) / float64(n)
	}
	return min(probability, 1), lost
}

func binomial(n, k int, q float64) float64 {
	switch {
	case q == 0:
		return 0 // k is not 0
	case q == 1 && k == n:
		return 1
	case q == 1:
		return 0
	}
	a, _ := math.Lgamma(float64(n) + 1)
	b, _ := math.Lgamma(float64(k) + 1)
	c, _ := math.Lgamma(float64(n-k) + 1)
	return math.Exp(a - b - c + float64(k)*math.Log(q) + float64(n-k)*math.Log1p(-q))
}
