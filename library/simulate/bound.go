package simulate

import (
	"math"
	"slices"
)

// LeastMean is a mean completion, in seconds, that no plan betters in the mean over all courses of events of a "uniform" workload, as
// long as it doesn't know what will be asked for: single reads of any disc, with sizes that are known when they are asked for, from an
// empty queue until the last is done. It may let requests wait as long as it likes.
//
// It is a bound by prices (Lagrange's). Let a second of a drive at time t cost p(t) ≥ 0. A plan keeps to the drives that there are, so that
// what it uses costs at most drives·∫p, and
//
//	E Σ completions ≥ E Σ (completions + cost of what is used) − drives·∫p ≥ discs · V − drives·∫p,
//
// where V is the least that one disc's completions and drive time can come to if nothing else is in its way. That is reckoned backwards
// in steps of time (bellman), each of them in favour of the plan:
//   - A visit has its drive to itself for the exchange that comes before its disc can be read (the disc before it is ejected and carried
//     home, this one is carried and loaded), and for its reads. It pays the least that the exchange costs if it ends within the step.
//   - It serves all that waits. That is best: a read costs p·size when it is made, or less later, and what later saves is taken off
//     at once (charge), so that what it comes to never falls by waiting.
//   - What is asked for within a step is known at its beginning, and waits only from its end on.
//   - Whoever is served waits for a fetch and for his own read, not for those of others.
//   - What is asked for while its disc is in a drive, or on its way there, may be served as if nothing was to pay. All drives together
//     hold discs for so long at most; the value of a request more is taken off for each that comes to one of those.
//
// Every p gives such a bound. The picker is left out.
func LeastMean(c Config) float64 {
	f := newForesight(c)
	return f.best() / float64(c.Workload.Requests)
}

// foresight is what LeastMean is reckoned from.
type foresight struct {
	drives, discs  float64
	exchange, own  float64 // seconds: of a drive for a visit besides its reads; from the decision to fetch until a read's end
	each, until    float64 // requests a second for one disc, and until when
	step           float64 // seconds
	steps, open    int     // in all, and those in which requests come
	coming         []float64
	sizes, weights []float64 // seconds that reads take, and how many of them are to be reckoned as that
	soft           float64   // seconds by which two choices may differ and still both be made

	price, over, read, use []float64 // by step
	value                  [][]float64
}

// most is how many requests of a disc are told apart, spans for how many parts of the time prices are looked for, rounds how often.
const (
	most   = 40
	spans  = 100
	rounds = 60
)

func newForesight(c Config) *foresight {
	p, w := c.Physics, c.Workload
	f := &foresight{drives: float64(c.Drives), discs: float64(c.Discs), exchange: 2*p.Move + p.Eject + p.Load, step: 30, soft: 1}
	f.own = p.Move + p.Load + w.MeanBytes/p.ReadRate
	f.each = w.Rate / 3600 / f.discs
	f.until = float64(w.Requests) / w.Rate * 3600
	f.open = int(f.until / f.step)
	f.steps = f.open + int((3*f.exchange*f.discs/f.drives)/f.step) + 1
	for a, m := 0, f.each*f.step; a < 4; a++ {
		f.coming = append(f.coming, math.Exp(-m)*math.Pow(m, float64(a))/math.Gamma(float64(a)+1))
	}
	f.quantiles(w.MeanBytes/p.ReadRate, w.Sigma)
	f.price, f.over, f.read, f.use = make([]float64, f.steps), make([]float64, f.steps), make([]float64, f.steps), make([]float64, f.steps)
	f.value = make([][]float64, f.steps+1)
	for k := range f.value {
		f.value[k] = make([]float64, most+1)
	}
	for n := range f.value[f.steps] {
		f.value[f.steps][n] = float64(n) * f.own
	}
	return f
}

// quantiles divides the log-normal sizes into parts. What a read is charged is a concave function of its size: between a part's ends
// it is above the straight line, so that the ends stand for the part by how far its mean is from each. Of the largest only the lower end counts.
func (f *foresight) quantiles(mean, sigma float64) {
	if sigma == 0 {
		f.sizes, f.weights = []float64{mean}, []float64{1}
		return
	}
	mu := math.Log(mean) - sigma*sigma/2
	phi := func(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }
	f.weights = make([]float64, 0, 16)
	for z := -4.; z <= 4; z += .5 {
		f.sizes, f.weights = append(f.sizes, math.Exp(mu+sigma*z)), append(f.weights, 0)
	}
	for i := range f.sizes {
		z := -4 + .5*float64(i)
		if i+1 == len(f.sizes) {
			f.weights[i] += 1 - phi(z)
			break
		}
		share := phi(z+.5) - phi(z)
		part := mean * (phi(z+.5-sigma) - phi(z-sigma)) / share
		up := min(max((part-f.sizes[i])/(f.sizes[i+1]-f.sizes[i]), 0), 1)
		f.weights[i] += share * (1 - up)
		f.weights[i+1] += share * up
	}
}

// charge reckons for each step what an exchange costs at least that ends in it, and what a read costs that is made in it or, with the wait
// that this means, later.
func (f *foresight) charge() {
	back := int(math.Ceil(f.exchange / f.step))
	for k := range f.over {
		f.over[k], f.read[k] = 0, 0
		if k >= back {
			f.over[k] = f.exchange * slices.Min(f.price[k-back:k+1])
		}
	}
	for i, size := range f.sizes {
		ahead := int(math.Ceil(size/f.step)) + 1
		least := size * f.price[f.steps-1]
		for k := f.steps - 1; k >= 0; k-- {
			now := slices.Min(f.price[k:min(k+ahead, f.steps)])
			if k+ahead > f.steps {
				now = 0
			}
			least = min(size*now, f.step+least)
			f.read[k] += f.weights[i] * least
		}
	}
}

// choices calls g for each number of requests that may come in step k while n wait, with how likely that is, how many wait then, and what a
// visit and what waiting comes to.
func (f *foresight) choices(k, n int, g func(likely float64, waiting int, visit, wait float64)) {
	next, left := f.value[k+1], 1.
	for a, likely := range f.coming {
		if k >= f.open || a == len(f.coming)-1 {
			likely = left
		}
		left -= likely
		w := min(n+a, most)
		visit, wait := float64(w)*(f.own+f.read[k])+f.over[k]+next[0], float64(n)*f.step+next[w]
		if w == 0 {
			visit = math.Inf(1)
		}
		g(likely, w, visit, wait)
		if k >= f.open {
			return
		}
	}
}

// bellman returns the bound on the sum of completions that the prices give.
func (f *foresight) bellman() float64 {
	f.charge()
	bound := 0.
	for k := f.steps - 1; k >= 0; k-- {
		for n := range f.value[k] {
			sum := 0.
			f.choices(k, n, func(likely float64, _ int, visit, wait float64) { sum += likely * min(visit, wait) })
			f.value[k][n] = sum
		}
		if k < f.open {
			bound -= f.drives * f.each * f.step * (f.value[k][1] - f.value[k][0])
		}
		bound -= f.drives * f.price[k] * f.step
	}
	return bound + f.discs*f.value[0][0]
}

// wanted reckons how many seconds of drives are wanted in each step at the prices for which bellman was called.
func (f *foresight) wanted() {
	now, next := make([]float64, most+1), make([]float64, most+1)
	now[0] = 1
	size := 0.
	for i, s := range f.sizes {
		size += s * f.weights[i]
	}
	for k := range f.use {
		f.use[k] = 0
		clear(next)
		for n, share := range now {
			if share < 1e-9 {
				continue
			}
			f.choices(k, n, func(likely float64, w int, visit, wait float64) {
				goes := 1 / (1 + math.Exp((visit-wait)/f.soft))
				f.use[k] += share * likely * goes * (f.exchange + float64(w)*size) * f.discs
				next[0] += share * likely * goes
				next[w] += share * likely * (1 - goes)
			})
		}
		now, next = next, now
	}
}

// best looks for prices that give a high bound: first such as rise from nothing while the queue fills and are the same from then on until
// some time, then by raising them where more is wanted than there is and lowering them where less is.
func (f *foresight) best() (highest float64) {
	level := make([]float64, spans)
	set := func() {
		for k := range f.price {
			f.price[k] = level[k*spans/f.steps]
		}
	}
	span := float64(f.steps) * f.step / spans
	top := 0.
	start := make([]float64, spans)
	try := func(x, rise, end float64) (better bool) {
		whole := f.exchange * f.discs / f.drives
		for i := range level {
			t := (float64(i) + .5) * span
			level[i] = x * min(1, t/max(rise*whole, 1))
			if t > f.until+end*whole {
				level[i] = 0
			}
		}
		set()
		v := f.bellman()
		if better = v > highest; better {
			highest, top = v, x
			copy(start, level)
		}
		return better
	}
	for x := 1.; x < 1e5 && (try(x, .5, .25) || x < 4*top); x *= 1.5 {
	}
	for _, x := range []float64{top, 1.25 * top, 1.6 * top} {
		for _, rise := range []float64{0, .5, 1, 2} {
			for _, end := range []float64{0, .5, 1, 1.5} {
				try(x, rise, end)
			}
		}
	}
	copy(level, start)
	for i := range rounds {
		fade := math.Pow(.95, float64(i))
		f.soft = max(1, .05*f.exchange*top*fade)
		set()
		highest = max(highest, f.bellman())
		f.wanted()
		for s := range level {
			use, n := 0., 0.
			for k := s * f.steps / spans; k < (s+1)*f.steps/spans; k++ {
				use, n = use+f.use[k], n+1
			}
			level[s] = max(0, level[s]+.2*top*fade*max(-1, min(1, use/(f.drives*f.step*n)-1)))
		}
	}
	return highest
}
