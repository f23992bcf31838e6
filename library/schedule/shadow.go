package schedule

import "time"

// shadow is a unit as it would be if the disc that is due first were always fetched first: its own queue of discs, drives and picker, which
// take as long as the real ones do. It says how long requests would wait then.
type shadow struct {
	queue  []shade
	ahead  [tiers]ahead
	picker time.Duration // when it is free
	visit  time.Duration // how long a disc keeps a drive besides being read, in the mean
	slower float64       // by how much more than is known loads of the unit have taken, as a part of that
}

// ahead is the discs of a tier that wait in the shadow, and how long their reads take.
type ahead struct {
	discs int
	reads time.Duration
}

// shade is a disc in the shadow's queue. Of several of one disc only that counts which the disc knows.
type shade struct {
	disc         *disc
	due, created time.Duration
	tier         int
}

func (s shade) before(o shade) bool {
	return s.due < o.due || s.due == o.due && s.disc.ID < o.disc.ID
}

func (s shade) holds() bool { return s.disc.shaded.waits && s.disc.shaded.due == s.due }

// shaded is what a disc knows of its unit's shadow.
type shaded struct {
	waits bool          // in its queue
	tier  int           // as what
	due   time.Duration // when
	reads time.Duration // how long everything takes that waits there
	in    *drive        // whose shadow had it last
}

// double is what the shadow of a drive does.
type double struct {
	disc *disc
	ends time.Duration // when everything is read that is wanted from it
	away bool          // its drive has been given something that the shadow doesn't know
}

// can says that the shadow of d can do something.
func (d *drive) can() bool { return d.Up && d.Known && !(d.double.away && d.Full) }

// shade takes note of a read that waits, and takes so long. A disc that is in a drive serves it, one that waits waits for its first read.
func (p *Planner) shade(u *unit, of *disc, t *task) {
	takes := t.foreseen(p.c.Times)
	d := &of.shaded
	if in := d.in; in != nil && in.double.disc == of && t.created < in.double.ends {
		in.double.ends += takes
		return
	}
	if d.waits && d.due <= t.due {
		d.reads += takes
		u.shadow.ahead[d.tier].reads += takes
		return
	}
	if d.waits {
		u.shadow.leaves(d)
	}
	d.waits, d.due, d.tier, d.reads = true, t.due, tier(t), d.reads+takes
	u.foresee(d.tier, p.now-t.created)
	u.shadow.ahead[d.tier].discs++
	u.shadow.ahead[d.tier].reads += d.reads
	u.shadow.push(shade{disc: of, due: t.due, created: t.created, tier: d.tier})
}

// foresee learns from what a disc will have waited that has waited so long and comes to the shadow's queue now. Where the queue is long, what
// it says is as good as what will come of it, and hours earlier.
func (u *unit) foresee(tier int, waited time.Duration) {
	drives, before := 0, ahead{}
	for _, d := range u.drives {
		if d.can() {
			drives++
		}
	}
	for _, a := range u.shadow.ahead[:tier+1] {
		before.discs += a.discs
		before.reads += a.reads
	}
	if drives == 0 || before.discs < 4*drives {
		return
	}
	if w := max(waited, 0) + (u.shadow.visit*time.Duration(before.discs)+before.reads)/time.Duration(drives); w > u.pace[tier].Limit {
		u.learn(tier, w)
	}
}

// leaves takes note that a disc waits no more as it did.
func (s *shadow) leaves(d *shaded) {
	a := &s.ahead[d.tier]
	a.discs--
	a.reads -= d.reads
}

// follow lets a unit's shadow go on until now. It stands still where the unit does.
func (p *Planner) follow(u *unit) {
	s := &u.shadow
	for _, d := range u.drives {
		if d.fetched != 0 && !d.Busy {
			if d.Full && d.Up && d.Known {
				s.measure(p.now-d.fetched, p.c.Times.Move+p.c.Times.Load)
			}
			d.fetched = 0
		}
		if p.still || !d.can() {
			d.double.ends = max(d.double.ends, p.now)
		}
	}
	for len(s.queue) > 0 {
		first := s.queue[0]
		if !first.holds() {
			s.pop()
			continue
		}
		var next *drive
		for _, d := range u.drives {
			if next == nil || d.double.ends < next.double.ends {
				next = d
			}
		}
		if next == nil || next.double.ends >= p.now {
			return
		}
		s.pop()
		u.learn(first.tier, p.fetches(u, next, first)-first.created)
	}
}

// fetches lets the shadow of d fetch a disc, and returns when that leaves its slot. A drive that has had nothing to do is empty.
func (p *Planner) fetches(u *unit, d *drive, of shade) time.Duration {
	s := &u.shadow
	t := s.times(p.c.Times)
	at := max(d.double.ends+t.Eject, s.picker) + t.Move
	if of.created > at {
		at = max(of.created, s.picker)
	}
	began := max(d.double.ends, of.created-t.Eject-t.Move)
	s.picker = at + t.Move
	ready, wanted := s.picker+t.Load, &of.disc.shaded
	d.double.disc, d.double.ends = of.disc, ready+wanted.reads
	s.leaves(wanted)
	*wanted = shaded{in: d}
	if took := ready - began; s.visit == 0 {
		s.visit = took
	} else {
		s.visit += (took - s.visit) / 50
	}
	return at
}

// measure takes note of how long a load took that should have taken so long. One that went wrong counts as four times as long at most.
func (s *shadow) measure(took, known time.Duration) {
	s.slower += (min(float64(took)/float64(known), 4) - 1 - s.slower) / 32
}

// times is how long the machines take, by what is known and by what their loads have taken.
func (s *shadow) times(t Times) Times {
	for _, of := range []*time.Duration{&t.Move, &t.Eject, &t.Load} {
		*of += time.Duration(s.slower * float64(*of))
	}
	return t
}

// meet empties the shadow's queue where nothing is left of the real one, so that what is foreseen wrongly doesn't add up.
func (u *unit) meet() {
	s := &u.shadow
	for _, e := range s.queue {
		e.disc.shaded.waits, e.disc.shaded.reads = false, 0
	}
	clear(s.queue)
	s.queue, s.ahead = s.queue[:0], [tiers]ahead{}
}

func (s *shadow) push(e shade) {
	h := append(s.queue, e)
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if !h[i].before(h[up]) {
			break
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
	s.queue = h
}

func (s *shadow) pop() {
	h := s.queue
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
	s.queue = h
}
