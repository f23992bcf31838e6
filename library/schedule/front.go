package schedule

import "time"

// front is the discs of a queue by when the first read of one tier was asked for that waits there. When something is due doesn't say how long it
// has waited: what is bulk may wait for half a day more than what isn't, and neither may be overtaken without end by denser batches.
type front []waiter

// waiter is a disc in a front. It counts as long as the disc waits and knows that time.
type waiter struct {
	disc  *disc
	since time.Duration
}

// fronted is what a disc knows of the fronts of its queue.
type fronted struct {
	q     *queue
	since [tiers]time.Duration
	asked [tiers]bool // reads of the tier wait
	known [tiers]bool // the front has been told
}

// ask takes note that t, a read, waits.
func (f *fronted) ask(t *task) {
	if k := tier(t); !t.express() && (!f.asked[k] || t.created < f.since[k]) {
		f.asked[k], f.since[k], f.known[k] = true, t.created, false
	}
}

// step puts a disc that begins to wait in q into its fronts.
func (q *queue) step(d *disc) {
	f := &d.front
	if f.q != q {
		f.q, f.known = q, [tiers]bool{}
	}
	for k := range q.fronts {
		if f.asked[k] && !f.known[k] {
			f.known[k] = true
			q.fronts[k].push(waiter{d, f.since[k]})
		}
	}
}

// longest returns since when the read of a tier has waited that waits longest, and whether any does.
func (q *queue) longest(tier int) (time.Duration, bool) {
	h := &q.fronts[tier]
	for len(*h) > 0 {
		w := (*h)[0]
		f := &w.disc.front
		own := f.q == q && f.asked[tier] && f.since[tier] == w.since
		if own && w.disc.q == q && !w.disc.shy {
			return w.since, true
		}
		if own {
			f.known[tier] = false // it may wait again
		}
		h.pop()
	}
	return 0, false
}

func (h *front) push(w waiter) {
	s := append(*h, w)
	for i := len(s) - 1; i > 0; {
		up := (i - 1) / 2
		if s[i].since >= s[up].since {
			break
		}
		s[i], s[up] = s[up], s[i]
		i = up
	}
	*h = s
}

func (h *front) pop() {
	s := *h
	last := len(s) - 1
	s[0], s[last] = s[last], waiter{}
	s = s[:last]
	for i := 0; ; {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < last; c++ {
			if s[c].since < s[least].since {
				least = c
			}
		}
		if least == i {
			break
		}
		s[i], s[least] = s[least], s[i]
		i = least
	}
	*h = s
}

// pressed says that the disc which is due first, or another in q, may not wait on while denser batches are served, and how long what presses
// has waited: the shortest of it, where there is more.
func (u *unit) pressed(q *queue, first *disc, now time.Duration) (waited time.Duration, yes bool) {
	press := func(w time.Duration) {
		if !yes || w < waited {
			waited, yes = w, true
		}
	}
	if t := first.oldest(); !u.patient(t, now) {
		press(now - t.created)
	}
	for k := range q.fronts {
		if since, waits := q.longest(k); waits && now-since >= u.limit(k) {
			press(now - since)
		}
	}
	return waited, yes
}
