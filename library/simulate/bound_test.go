package simulate

import (
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"pgregory.net/rapid"
)

// No policy betters the bound: not the planner, and not the baselines.
func TestLeastMean(t *testing.T) {
	libraries := 10
	if os.Getenv("ODARCHIVE_SLOW") != "" {
		libraries = 200
	}
	tightest := math.Inf(1)
	r := rand.New(rand.NewPCG(1, 2))
	for range libraries {
		c := Default()
		c.Drives, c.Discs = 1+r.IntN(4), 10+r.IntN(51)
		c.Workload.Requests, c.Workload.Rate = 150, float64(c.Drives)*(60+540*r.Float64())
		c.Workload.MeanBytes, c.Workload.Sigma = 1e6+399e6*r.Float64(), float64(r.IntN(2))
		bound := LeastMean(c)
		for _, c.Policy = range Policies() {
			const runs = 8
			sum, squares := 0., 0.
			for c.Seed = range uint64(runs) {
				m, err := Run(c)
				if err != nil {
					t.Fatal(err)
				}
				mean := m.Completion(Standard).Mean
				sum, squares = sum+mean, squares+mean*mean
			}
			mean := sum / runs
			// The bound is one of the mean over all courses of events, of which these are a few.
			doubt := 4 * math.Sqrt(max(squares/runs-mean*mean, 0)/runs)
			if mean+doubt < bound {
				t.Errorf("%+v: %s takes %.1f ± %.1f s, and the bound is %.1f s", c, c.Policy, mean, doubt, bound)
			}
			tightest = min(tightest, mean/max(bound, 1e-9))
		}
	}
	if tightest > 1.3 {
		t.Errorf("no policy comes nearer to the bound than %.2f times: it says nothing", tightest)
	}
}

// Whatever the prices are, what they give is a bound: none is above what the planner does in the mean.
func TestAnyPricesBound(t *testing.T) {
	c := Default()
	c.Drives, c.Discs = 1, 20
	c.Workload.Requests, c.Workload.Rate = 200, 150
	sum := 0.
	const runs = 40
	for c.Seed = range uint64(runs) {
		m, err := Run(c)
		if err != nil {
			t.Fatal(err)
		}
		sum += m.Completion(Standard).Mean / runs
	}
	f := newForesight(c)
	rapid.Check(t, func(t *rapid.T) {
		scale := math.Exp(rapid.Float64Range(-2, 8).Draw(t, "scale"))
		level := rapid.SliceOfN(rapid.Float64Range(0, 1), 1, 12).Draw(t, "level")
		for k := range f.price {
			f.price[k] = scale * level[k*len(level)/f.steps]
		}
		if v := f.bellman() / 200; v > 1.02*sum {
			t.Fatalf("these prices say that no plan does it in less than %.1f s, and the planner does it in %.1f", v, sum)
		}
	})
}

// By itself a request takes a fetch, a load and its read; the bound of single requests says so.
func TestLeastMeanOfFew(t *testing.T) {
	c := Default()
	c.Workload.Rate, c.Workload.Requests = 6, 100
	if own := 32.; math.Abs(LeastMean(c)/own-1) > .01 {
		t.Errorf("single requests take at least %.2f s, want %.2f", LeastMean(c), own)
	}
}
