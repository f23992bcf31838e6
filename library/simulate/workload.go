package simulate

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/odarchive/odarchive/library"
	"github.com/odarchive/odarchive/library/schedule"
)

// Workload is what is asked for. Each library gets as much.
type Workload struct {
	// Kind is "uniform" (any disc, sizes log-normal), "batch" (the same, all at once), "site" (folders of a photo library, now and then a
	// legal discovery), "hyperscale" (large objects, half of the reads to one disc in twenty) or "cloud" (most reads small, bursts).
	Kind     string  `toml:"kind" json:"kind"`
	Requests int     `toml:"requests" json:"requests"`
	Rate     float64 `toml:"rate" json:"rate"` // requests an hour, Poisson
	// MeanBytes and Sigma are of the log-normal sizes of "uniform" and "batch".
	MeanBytes float64 `toml:"mean_bytes" json:"mean_bytes"`
	Sigma     float64 `toml:"sigma" json:"sigma"`
	// Expedited and Bulk are shares of the requests; the rest is standard.
	Expedited float64 `toml:"expedited" json:"expedited"`
	Bulk      float64 `toml:"bulk" json:"bulk"`
	// Burns is how many discs an hour are to be burned while requests come, each verified after that.
	Burns float64 `toml:"burns" json:"burns"`
	// ScrubDays is the interval in which every disc is to be read as a whole; 0 for no scrubs.
	ScrubDays float64 `toml:"scrub_days" json:"scrub_days"`
}

// DefaultWorkload is a thousand requests at 40 an hour.
func DefaultWorkload() Workload {
	return Workload{Kind: "uniform", Requests: 1000, Rate: 40, MeanBytes: 100e6, Sigma: 1}
}

// Workloads returns the kinds of workloads.
func Workloads() []string { return []string{"uniform", "batch", "site", "hyperscale", "cloud"} }

// allowance is what the tier of a request promises.
func allowance(r *request) time.Duration { return schedule.Allowance(r.Priority) }

// generate makes the requests of the i-th library, in the order in which they arrive, and says how many blanks their burns need.
func (w Workload) generate(c Config, i uint64) (requests []request, blanks int) {
	g := &generator{Workload: w, c: c, rand: rand.New(rand.NewPCG(c.Seed, 2*i))}
	for len(g.out) < w.Requests {
		g.next()
	}
	g.out = g.out[:w.Requests]
	span := g.at
	own := rand.New(rand.NewPCG(c.Seed, 2*i+1)) // the library's own work doesn't change what people ask for
	if w.Burns > 0 {
		for t := own.ExpFloat64() / w.Burns * 3600; t < span; t += own.ExpFloat64() / w.Burns * 3600 {
			blanks++
			g.add(t, Burning, 0, 0, c.Physics.sectors())
		}
	}
	if w.ScrubDays > 0 {
		interval := w.ScrubDays * 86400
		for n := range int64(float64(c.Discs) * span / interval) {
			g.add(float64(n)*interval/float64(c.Discs), Scrub, n%int64(c.Discs)+1, 0, c.Physics.sectors())
		}
	}
	slices.SortStableFunc(g.out, func(a, b request) int { return int(a.arrive - b.arrive) })
	for n := range g.out {
		g.out[n].ID = int64(n + 1)
	}
	return g.out, blanks
}

type generator struct {
	Workload
	c    Config
	rand *rand.Rand
	at   float64
	last float64 // how long it took the latest to come, in means
	out  []request
}

var tierTasks = [tiers]struct {
	kind     library.TaskKind
	priority int
}{
	Expedited: {library.ReadTask, library.PriorityExpedited},
	Standard:  {library.ReadTask, library.PriorityStandard},
	Bulk:      {library.ReadTask, library.PriorityBulk},
	Burning:   {library.BurnTask, library.PriorityBurn},
	Verifying: {library.VerifyTask, library.PriorityVerify},
	Scrub:     {library.VerifyTask, library.PriorityScrub},
}

func (g *generator) add(at float64, tier Tier, disc, first, n int64) {
	t := tierTasks[tier]
	g.out = append(g.out, request{
		Task: schedule.Task{
			Kind: t.kind, Priority: t.priority, Disc: disc, Sector: first, Sectors: n, Ready: true, Created: seconds(at),
		}, arrive: seconds(at), tier: tier,
	})
}

// read adds a read of so many bytes, from that disc, at a place of its own choice when first is negative.
func (g *generator) read(tier Tier, disc, first int64, bytes float64) {
	all := g.c.Physics.sectors()
	n := min(max(int64(math.Ceil(bytes/sector)), 1), all)
	if first < 0 {
		first = g.rand.Int64N(all - n + 1)
	}
	g.add(g.at, tier, disc, min(first, all-n), n)
}

func (g *generator) tier() Tier {
	switch x := g.rand.Float64(); {
	case x < g.Expedited:
		return Expedited
	case x < g.Expedited+g.Bulk:
		return Bulk
	}
	return Standard
}

func (g *generator) disc() int64 { return g.rand.Int64N(int64(g.c.Discs)) + 1 }

func (g *generator) lognormal(mean, sigma float64) float64 {
	return mean * math.Exp(g.rand.NormFloat64()*sigma-sigma*sigma/2)
}

// between is a size between two, even in the logarithm.
func (g *generator) between(low, high float64) float64 {
	return low * math.Exp(g.rand.Float64()*math.Log(high/low))
}

func (g *generator) next() {
	if g.Kind != "batch" {
		g.last = g.rand.ExpFloat64()
		g.at += g.last * 3600 / g.Rate
	}
	switch g.Kind {
	case "site":
		g.site()
	case "hyperscale":
		disc := g.disc()
		if g.rand.IntN(2) == 0 {
			disc = g.rand.Int64N(int64(max(g.c.Discs/20, 1))) + 1
		}
		bytes := g.between(50e6, 100e6)
		switch x := g.rand.Float64(); {
		case x < .24:
			bytes = g.between(100e6, 500e6)
		case x < .30:
			bytes = g.between(500e6, 5e9)
		}
		g.read(g.tier(), disc, -1, bytes)
	case "cloud":
		g.cloud()
	default:
		g.read(g.tier(), g.disc(), -1, g.lognormal(g.MeanBytes, g.Sigma))
	}
}

// site asks for a folder: many files that lie one behind the other on few discs; one time in 500 for files here and there.
func (g *generator) site() {
	tier := g.tier()
	files := int(g.between(20, 2000))
	if g.rand.IntN(500) == 0 {
		for range files {
			g.read(Bulk, g.disc(), -1, g.lognormal(8e6, 1.5))
		}
		return
	}
	disc, first := g.disc(), g.rand.Int64N(g.c.Physics.sectors())
	for range files {
		bytes := g.lognormal(8e6, 1.5)
		g.read(tier, disc, first, bytes)
		if first += int64(bytes/sector) + 1; first >= g.c.Physics.sectors() {
			disc, first = disc%int64(g.c.Discs)+1, 0
		}
	}
}

// cloud asks for small things mostly, and in one hour of a day sixteen times as often.
func (g *generator) cloud() {
	if int(g.at/3600)%24 == 9 {
		g.at += (g.rand.ExpFloat64()/16 - g.last) * 3600 / g.Rate
	}
	bytes := g.between(4e3, 4<<20)
	switch x := g.rand.Float64(); {
	case x < .02:
		bytes = g.between(256<<20, 8e9)
	case x < .413:
		bytes = g.between(4<<20, 256<<20)
	}
	g.read(g.tier(), g.disc(), -1, bytes)
}

// faults lets drives fail while requests come.
func (c Config) faults(e *engine, i uint64) {
	if c.Faults == 0 || len(e.requests) == 0 {
		return
	}
	r := rand.New(rand.NewPCG(c.Seed+1, i))
	span := e.requests[len(e.requests)-1].arrive.Seconds()
	mean := 365.25 * 86400 / c.Faults
	for _, d := range e.drives {
		for t := r.ExpFloat64() * mean; t < span; t += r.ExpFloat64() * mean {
			e.push(t, happening{kind: fails, drive: d.Number, epoch: anyEpoch})
		}
	}
}
