package simulate

import (
	"math"
	"slices"
	"time"
)

// Tier is what a simulated request is, for the measures: three of retrievals, then the library's own work.
type Tier int

// The tiers.
const (
	Expedited Tier = iota
	Standard
	Bulk
	Burning
	Verifying
	Scrub
	Healing // reads of other discs of a set, in place of one that can't be read
	tiers
)

func (t Tier) String() string {
	return [...]string{"expedited", "standard", "bulk", "burn", "verify", "scrub", "heal"}[t]
}

// Use is what a drive spends its time with.
type Use int

// The uses.
const (
	Idle Use = iota
	Switch
	Read
	Write
	Verify
	Scrubbing
	uses
)

func (u Use) String() string {
	return [...]string{"idle", "switch", "read", "write", "verify", "scrub"}[u]
}

// Completion is how long the requests of one tier took, from being asked for to the last byte, in seconds.
type Completion struct {
	Tier     string  `json:"tier"`
	Requests int     `json:"requests"`
	Mean     float64 `json:"mean"`
	P50      float64 `json:"p50"`
	P95      float64 `json:"p95"`
	P99      float64 `json:"p99"`
	P999     float64 `json:"p99_9"`
	Longest  float64 `json:"longest"`
	// Missed is the share that was not done when it was due.
	Missed float64 `json:"missed"`

	sorted []float64
}

// Measures is what a run of one policy came to.
type Measures struct {
	Policy      string             `json:"policy"`
	Completions []Completion       `json:"completions"`
	Drives      map[string]float64 `json:"drive_time"` // shares of all drives' time, by use
	Picker      float64            `json:"picker"`     // share of the time that the pickers carried something
	Moves       int                `json:"moves"`
	PerRequest  float64            `json:"moves_per_request"`
	Makespan    float64            `json:"makespan"` // seconds from the first request to the end of the last
	Bound       float64            `json:"makespan_bound"`
	Preempted   int                `json:"preempted"`
	Failed      int                `json:"drive_faults"`
	Unfinished  int                `json:"unfinished"`
	Queue       []Point            `json:"queue"`
	Troubles    Troubles           `json:"troubles"`

	moves, preempted, failed, decisions int
	picker                              time.Duration
	time                                [uses]time.Duration
	points                              []Point
	every                               time.Duration
	repair                              float64
	still                               time.Duration
}

// Troubles is what went wrong in a run, how often.
type Troubles struct {
	Exchanges   int     `json:"exchanges"`   // that failed
	Slow        int     `json:"slow"`        // moves of the picker
	Unreadable  int     `json:"unreadable"`  // attempts at a read or verify that failed, the second ones included
	Healed      int     `json:"healed"`      // reads and verifies for which the set was read
	Hopeless    int     `json:"hopeless"`    // those of them for which too much of the set was lost
	Unknown     int     `json:"unknown"`     // slots of which nobody knew what they held
	Doors       int     `json:"doors"`       // opened
	Agents      int     `json:"agents"`      // times that the agent was away
	Controllers int     `json:"controllers"` // times that the controller was
	Still       float64 `json:"still"`       // share of the time in which nothing could move
	Spans       []Span  `json:"spans"`       // when, in seconds; the first of them when there are very many
}

// Span is a time in which something was wrong.
type Span struct {
	What string  `json:"what"`
	From float64 `json:"from"`
	To   float64 `json:"to"`
}

// What a span may be called.
const (
	exchangeFailed = "exchange failed"
	doorOpen       = "door open"
	slotUnknown    = "slot unknown"
	agentAway      = "agent away"
	controllerAway = "controller away"
)

func (m *Measures) span(what string, now time.Duration, length float64) {
	if len(m.Troubles.Spans) < 2000 {
		m.Troubles.Spans = append(m.Troubles.Spans, Span{what, now.Seconds(), now.Seconds() + length})
	}
}

// Point is how many requests were open at a time, in seconds.
type Point struct {
	At   float64 `json:"at"`
	Open int     `json:"open"`
}

func (m *Measures) queue(now time.Duration, open int) {
	if n := len(m.points); n > 0 && now-seconds(m.points[n-1].At) < m.every {
		m.points[n-1].Open = max(m.points[n-1].Open, open)
		return
	}
	m.points = append(m.points, Point{now.Seconds(), open})
	if len(m.points) > 2000 {
		m.every = max(2*m.every, time.Second)
		kept := m.points[:0]
		for i := 0; i < len(m.points); i += 2 {
			p := m.points[i]
			if i+1 < len(m.points) {
				p.Open = max(p.Open, m.points[i+1].Open)
			}
			kept = append(kept, p)
		}
		m.points = kept
	}
}

func (m *Measures) used(u Use, d time.Duration) { m.time[u] += d }

func (m *Measures) repairTime() float64 { return m.repair }

func (m *Measures) finish(engines []*engine) {
	var all [tiers]Completion
	done, first, last := 0, math.Inf(1), 0.
	for _, e := range engines {
		for i := range e.requests {
			r := &e.requests[i]
			if r.done == 0 {
				m.Unfinished++
				continue
			}
			first, last = min(first, r.arrive.Seconds()), max(last, r.done.Seconds())
			c := &all[r.tier]
			c.sorted = append(c.sorted, (r.done - r.arrive).Seconds())
			if r.Kind == "read" && r.tier != Healing {
				done++
			}
			if limit := r.Due; limit != 0 && r.done > limit || limit == 0 && r.done > r.arrive+allowance(r) {
				c.Missed++
			}
		}
	}
	for t := range all {
		c := &all[t]
		if c.Requests = len(c.sorted); c.Requests == 0 {
			continue
		}
		slices.Sort(c.sorted)
		sum := 0.
		for _, s := range c.sorted {
			sum += s
		}
		c.Tier, c.Mean, c.Missed = Tier(t).String(), sum/float64(c.Requests), c.Missed/float64(c.Requests)
		c.P50, c.P95, c.P99, c.P999, c.Longest = Quantile(c.sorted, .5), Quantile(c.sorted, .95), Quantile(c.sorted, .99), Quantile(c.sorted, .999), c.sorted[c.Requests-1]
		m.Completions = append(m.Completions, *c)
	}
	var total time.Duration
	for _, d := range m.time {
		total += d
	}
	m.Drives = map[string]float64{}
	for u, d := range m.time {
		m.Drives[Use(u).String()] = d.Seconds() / max(total.Seconds(), 1e-9)
	}
	m.Makespan = max(last-first, 0)
	m.Picker = m.picker.Seconds() / max(last*float64(len(engines)), 1e-9)
	m.Troubles.Still = m.still.Seconds() / max(last*float64(len(engines)), 1e-9)
	m.Moves, m.Preempted, m.Failed, m.Queue = m.moves, m.preempted, m.failed, m.points
	m.PerRequest = float64(m.moves) / float64(max(done, 1))
}

// Quantile returns the smallest value of a sorted list below or at which the share q of it lies.
func Quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(max(int(math.Ceil(q*float64(len(sorted))))-1, 0), len(sorted)-1)]
}

// Completion returns the measures of a tier; those of one without requests are zero.
func (m *Measures) Completion(t Tier) Completion {
	for _, c := range m.Completions {
		if c.Tier == t.String() {
			return c
		}
	}
	return Completion{Tier: t.String()}
}
