package simulate

import (
	"math"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/odarchive/odarchive/library"
)

// Whatever is asked of whatever library, with burns, scrubs and whatever goes wrong: every action obeys the rules, and everything ends.
func TestEverythingEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Default()
		c.Seed = rapid.Uint64().Draw(t, "seed")
		c.Drives = rapid.IntRange(1, 6).Draw(t, "drives")
		c.Discs = rapid.IntRange(1, 80).Draw(t, "discs")
		c.Workload = Workload{
			Kind: rapid.SampledFrom(Workloads()).Draw(t, "kind"), Requests: rapid.IntRange(1, 300).Draw(t, "requests"),
			Rate: rapid.Float64Range(10, 2000).Draw(t, "rate"), MeanBytes: rapid.Float64Range(1, 1e9).Draw(t, "bytes"), Sigma: 1,
			Expedited: rapid.Float64Range(0, .5).Draw(t, "expedited"), Bulk: rapid.Float64Range(0, .5).Draw(t, "bulk"),
			Burns: rapid.Float64Range(0, 20).Draw(t, "burns"), ScrubDays: rapid.SampledFrom([]float64{0, 1, 3}).Draw(t, "scrub"),
		}
		c.Faults = rapid.SampledFrom([]float64{0, 100, 2000}).Draw(t, "faults")
		c.Trouble = troubles(t)
		m, err := Run(c)
		if err != nil {
			t.Fatal(err)
		}
		if m.Unfinished > 0 {
			t.Fatalf("%d requests were never done: %+v", m.Unfinished, m.Completions)
		}
		sum := 0.
		for _, share := range m.Drives {
			sum += share
		}
		if math.Abs(sum-1) > 1e-6 {
			t.Fatalf("the shares of the drives' time come to %v", sum)
		}
	})
}

func TestSameSeed(t *testing.T) {
	c := Default()
	c.Workload.Burns, c.Workload.ScrubDays, c.Faults, c.Workload.Kind = 2, 5, 100, "site"
	c.Trouble = everything()
	a, err := Run(c)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Run(c)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(a, b) {
		t.Error("two runs with one seed differ")
	}
}

func TestPhysics(t *testing.T) {
	p := DefaultPhysics()
	all := p.sectors()
	if whole := p.read(0, all); math.Abs(whole-p.DiscBytes/p.ReadRate) > 1e-3 {
		t.Errorf("a whole disc takes %v s", whole)
	}
	inner, outer := p.read(0, 1000), p.read(all-1000, 1000)
	if r := inner / outer; math.Abs(r-1.7) > 1e-2 {
		t.Errorf("the outer edge is %v times as fast", r)
	}
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.Int64Range(0, all-1).Draw(t, "first")
		n := rapid.Int64Range(1, all-first).Draw(t, "n")
		if got := p.reached(first, p.read(first, n)); got < n-1 || got > n+1 {
			t.Fatalf("after the time of %d sectors %d were read", n, got)
		}
	})
}

// A batch ends within 5 % of the least time in which it can be done at all.
func TestBatch(t *testing.T) {
	c := Default()
	c.Workload.Kind, c.Workload.Requests = "batch", 5000
	m, err := Run(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("makespan %.0f s, bound %.0f s", m.Makespan, m.Bound)
	if m.Makespan > 1.05*m.Bound {
		t.Errorf("5,000 restores take %.0f s, bound is %.0f s", m.Makespan, m.Bound)
	}
	if m.Makespan < m.Bound {
		t.Errorf("the bound of %.0f s is none: they took %.0f s", m.Bound, m.Makespan)
	}
}

// Somebody at the counter waits three minutes at most in 99 of 100 cases while bulk retrievals keep all drives busy.
func TestExpeditedBesideBulk(t *testing.T) {
	c := Default()
	c.Workload.Requests, c.Workload.Rate, c.Workload.Expedited, c.Workload.Bulk = 20000, 1500, .01, .99
	m, err := Run(c)
	if err != nil {
		t.Fatal(err)
	}
	x := m.Completion(Expedited)
	t.Logf("99 %% of the expedited requests took up to %.0f s, the bulk ones %.0f s in the mean", x.P99, m.Completion(Bulk).Mean)
	if x.P99 > 180 {
		t.Errorf("99 %% of the expedited requests took up to %.0f s", x.P99)
	}
}

// Scrubs and verifies fill the time that nobody else wants.
func TestDrivesAreBusy(t *testing.T) {
	c := Default()
	c.Workload.Requests, c.Workload.Rate, c.Workload.Burns, c.Workload.ScrubDays = 200, 2, 2, 2
	m, err := Run(c)
	if err != nil {
		t.Fatal(err)
	}
	busy := m.Drives["read"] + m.Drives["write"] + m.Drives["verify"] + m.Drives["scrub"]
	t.Logf("busy %.3f: %v, %d preempted", busy, m.Drives, m.Preempted)
	if busy < .95 {
		t.Errorf("the drives are busy %.3f of the time although there are scrubs to do: %v", busy, m.Drives)
	}
}

func TestInvalid(t *testing.T) {
	for _, change := range []func(c *Config){
		func(c *Config) { c.Drives = 0 },
		func(c *Config) { c.Physics.ReadRate = math.NaN() },
		func(c *Config) { c.Workload.Kind = "tape" },
		func(c *Config) { c.Policy = "lifo" },
		func(c *Config) { c.Workload.Rate = 0 },
		func(c *Config) { c.Workload.Bulk = 2 },
		func(c *Config) { c.Policy, c.Faults = "fifo", 1 },
		func(c *Config) { c.Policy, c.Trouble.Doors = "by-disc", 1 },
		func(c *Config) { c.Trouble.Exchange = 1 },
		func(c *Config) { c.Trouble.Unreadable = math.NaN() },
		func(c *Config) { c.Trouble.Unreadable = 1 },
		func(c *Config) { c.Trouble.Open = 1e9 },
	} {
		c := Default()
		change(&c)
		if _, err := Run(c); library.FaultOf(err) != library.Invalid {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
