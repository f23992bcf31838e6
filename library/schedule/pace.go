package schedule

import (
	"time"

	"github.com/odarchive/odarchive/library"
)

// Experience is what a planner has learned of how long its units let requests wait. It outlives the planner: who makes another one for the
// same library gives it to that.
type Experience map[int]Pace

// Pace is, for each tier of reads, how long the request waits that waits longest in 99.9 of 100 visits when the disc that is due first is
// always fetched first, as the unit's shadow shows or foresees it. Nothing is to wait longer than that for the sake of others.
type Pace [tiers]struct {
	Limit time.Duration // 0 while nothing is known
	Seen  int           // visits
}

// tiers are standard reads, bulk reads, and everything else.
const tiers = 3

func tier(t *task) int {
	switch {
	case t.priority >= library.PriorityStandard:
		return 0
	case t.priority >= library.PriorityBulk:
		return 1
	}
	return 2
}

// learn moves a tier's limit so that one visit in a thousand is above it: up by a step when one is, and otherwise down by a thousandth of
// it. The first steps are larger.
func (u *unit) learn(tier int, waited time.Duration) {
	p := &u.pace[tier]
	if p.Seen++; p.Seen == 1 {
		p.Limit = waited
		return
	}
	step := float64(waited) * (.001 + 1/float64(10+p.Seen))
	if waited > p.Limit {
		p.Limit += time.Duration(step)
	} else {
		p.Limit = max(p.Limit-time.Duration(step/1000), 1)
	}
}

// limit is how long a read of that tier may wait while denser batches are fetched. What may wait no more isn't fetched at once: a drive has to be
// done first, and others may have come of age at the same time.
func (u *unit) limit(tier int) time.Duration {
	l := u.pace[tier].Limit
	return time.Duration(punctual*float64(l)) - min(2*u.shadow.visit, l/10)
}

// patient says that a request, the one of its unit that is due first, may wait on while denser batches are served.
func (u *unit) patient(t *task, now time.Duration) bool {
	return t.due > now && now-t.created < u.limit(tier(t))
}

// Experience returns what the planner has learned so far.
func (p *Planner) Experience() Experience {
	e := Experience{}
	for _, u := range p.units {
		e[u.number] = u.pace
	}
	return e
}
