package durability

import (
	"math"
	"math/rand/v2"
	"testing"
)

func near(got, want, relative float64) bool { return math.Abs(got-want) <= relative*math.Abs(want) }

// TestRate holds bounds against tables of the Poisson distribution (two-sided 95 %: 0, 1, 3 and 10 events).
func TestRate(t *testing.T) {
	for n, want := range map[int][2]float64{0: {0, 3.689}, 1: {0.0253, 5.572}, 3: {0.619, 8.767}, 10: {4.795, 18.39}} {
		r, err := Observed{n, 1}.Rate(0.95)
		if err != nil || !near(r.Low, want[0], 0.002) || !near(r.High, want[1], 0.001) || r.Likely != float64(n) {
			t.Errorf("%d events: %+v, %v", n, r, err)
		}
	}
	if _, err := (Observed{1, 0}).Rate(0.95); err == nil {
		t.Error("a rate from no time at all")
	}
}

// TestTable holds the independent case against the table of redundancy: q is a disc's loss within a window.
func TestTable(t *testing.T) {
	for _, c := range []struct {
		k, m    int
		q, want float64
	}{{1, 1, 1e-3, 1e-6}, {11, 1, 1e-3, 6.6e-5}, {12, 2, 1e-2, 3.4e-4}, {12, 2, 1e-4, 3.6e-10}, {16, 3, 1e-2, 3.4e-5}} {
		l, err := Plan{Data: c.k, Parity: c.m, Sets: 1, Interval: 1, Rate: -math.Log1p(-c.q)}.Loss()
		if err != nil || !near(l.SetPerWindow, c.want, 0.03) {
			t.Errorf("%d+%d at %g: %+v, %v", c.k, c.m, c.q, l, err)
		}
	}
}

// TestMonteCarlo lets discs die one by one, in time, and counts: the arithmetic must agree within five standard deviations.
func TestMonteCarlo(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, p := range []Plan{
		{Data: 4, Parity: 1, Sets: 1, Interval: 0.5, Rate: 0.1},
		{Data: 12, Parity: 2, Sets: 1, Interval: 0.25, Rate: 0.2},
		{Data: 12, Parity: 2, Sets: 1, Interval: 1, Rate: 0.03, BatchRate: 0.1, BatchLoss: 0.3},
		{Data: 1, Parity: 1, Sets: 1, Interval: 1, Rate: 0.1, BatchRate: 0.2, BatchLoss: 0.5},
	} {
		l, err := p.Loss()
		if err != nil {
			t.Fatal(err)
		}
		const windows = 200_000
		bad, discs := 0.0, 0.0
		for range windows {
			struck := r.ExpFloat64()/p.BatchRate < p.Interval // never when the rate is 0
			failed, data := 0, 0
			for d := range p.Data + p.Parity {
				if r.ExpFloat64()/p.Rate < p.Interval || struck && r.Float64() < p.BatchLoss {
					failed++
					if d < p.Data {
						data++
					}
				}
			}
			if failed > p.Parity {
				bad++
				discs += float64(data)
			}
		}
		if sd := math.Sqrt(l.SetPerWindow / windows); math.Abs(bad/windows-l.SetPerWindow) > 5*sd {
			t.Errorf("%+v: %g of sets lose data in a window, computed %g", p, bad/windows, l.SetPerWindow)
		}
		if got := discs / windows / p.Interval; !near(got, l.DiscsPerYear, 0.1) {
			t.Errorf("%+v: %g discs a year, computed %g", p, got, l.DiscsPerYear)
		}
	}
}

func TestRefuses(t *testing.T) {
	good := Plan{Data: 12, Parity: 2, Sets: 1, Interval: 1, Rate: 0.01}
	for i, spoil := range []func(*Plan){
		func(p *Plan) { p.Data = 0 }, func(p *Plan) { p.Parity = 250 }, func(p *Plan) { p.Sets = 0 }, func(p *Plan) { p.Interval = 0 },
		func(p *Plan) { p.Rate = math.NaN() }, func(p *Plan) { p.BatchLoss = 1.5 }, func(p *Plan) { p.BatchRate = -1 },
	} {
		p := good
		spoil(&p)
		if _, err := p.Loss(); err == nil {
			t.Errorf("case %d: %+v is taken", i, p)
		}
	}
}
