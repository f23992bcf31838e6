package schedule

import (
	"time"

	"github.com/odarchive/odarchive/library"
)

// Experience is what a planner has learned of how long its units let requests wait. It outlives the planner: who makes another one for the
// same library gives it to that.
type Experience map[int]Pace

// Pace is, for each tier of reads, how long the request waits that waits longest in 99.9 of 100 visits when the disc that is due first is
// always fetched first. Nothing is to wait longer than that for the sake of others.
type Pace [tiers]struct {
	Limit time.Duration // 0 while nothing is known
	Seen  int           // visits
}

// tiers are standard reads, bulk reads, and everything else.
const tiers = 3

func tier(t *task) int {
	switch {
	case t.Priority >= library.PriorityStandard:
		return 0
	case t.Priority >= library.PriorityBulk:
		return 1
	}
	return 2
}

// shadow is a queue of a unit's discs as it would be if the disc that is due first were always fetched first: each time that the unit
// fetches any disc, the shadow's first one leaves. It says how long requests would wait then.
type shadow []shade

// shade is a disc in the shadow. Of several of one disc only that counts which the disc knows.
type shade struct {
	disc         *disc
	due, created time.Duration
	tier         int
}

func (s shade) before(o shade) bool {
	return s.due < o.due || s.due == o.due && s.disc.order < o.disc.order
}

func (s shade) holds() bool { return s.disc.shaded && s.disc.shade == s.due }

// shade takes note of a read that waits. Only the first one of a disc counts until the shadow has fetched it.
func (u *unit) shade(t *task) {
	d := t.disc
	if d.shaded && d.shade <= t.Due {
		return
	}
	d.shaded, d.shade = true, t.Due
	h := append(u.shadow, shade{disc: d, due: t.Due, created: t.Created, tier: tier(t)})
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if !h[i].before(h[up]) {
			break
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
	u.shadow = h
}

func (s *shadow) pop() {
	h := *s
	last := len(h) - 1
	h[0], h[last] = h[last], shade{}
	h = h[:last]
	for i := 0; ; {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < last; c++ {
			if h[c].before(h[least]) {
				least = c
			}
		}
		if least == i {
			break
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
	*s = h
}

// visited takes note that a disc is fetched to be read: the shadow's first one leaves too, and what that has waited is learned from.
func (u *unit) visited(now time.Duration) {
	for len(u.shadow) > 0 {
		s := u.shadow[0]
		holds := s.holds()
		u.shadow.pop()
		if holds {
			s.disc.shaded = false
			u.learn(s.tier, now-s.created)
			break
		}
	}
	// The two queues part in what is merged. They meet again where nothing is left.
	if u.waiting <= 1 {
		for _, s := range u.shadow {
			s.disc.shaded = false
		}
		clear(u.shadow)
		u.shadow = u.shadow[:0]
	}
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

// patient says that a request, the one of its unit that is due first, may wait on while denser batches are served.
func (u *unit) patient(t *task, now time.Duration) bool {
	return t.Due > now && now-t.Created < u.pace[tier(t)].Limit
}

// Experience returns what the planner has learned so far.
func (p *Planner) Experience() Experience {
	e := Experience{}
	for _, u := range p.units {
		e[u.number] = u.pace
	}
	return e
}
