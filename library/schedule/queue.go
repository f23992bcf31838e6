package schedule

import (
	"cmp"
	"slices"
	"time"
)

// place puts a disc where its state says that it waits: among those of its unit that are wanted, among the blank ones, or nowhere.
func (p *Planner) place(d *disc) {
	p.unplace(d)
	if d.Slot == 0 || d.claimed || d.Unknown {
		return
	}
	u := p.unit(d.Unit)
	if d.Blank {
		b := u.blanksOf(d.Medium, d.Capacity, d.Lot)
		d.key, d.heap = time.Duration(d.Slot), &b.discs
		d.heap.add(d)
		u.dirty = true
		return
	}
	first, wanted := d.due()
	if !wanted {
		return
	}
	q := u.queue(d.Medium)
	d.q, d.key, d.read = q, first, d.n
	switch shuns := d.shuns(); {
	case d.urgent > 0:
		d.key, _ = d.express.due(d.tasks)
		d.heap = &q.express
	case shuns != 0:
		d.shy = true
		q.shied++
		d.heap = &q.shunningOf(shuns).discs
	default:
		d.heap = &q.classes[class(d.n)]
	}
	d.heap.add(d)
	u.dirty = true
	if d.n > 0 {
		u.waiting++
		u.reads += d.n
		if !d.shy {
			q.step(d)
		}
	}
}

// unplace takes a disc from where it waits.
func (p *Planner) unplace(d *disc) {
	if d.heap == nil {
		return
	}
	d.heap.remove(d)
	if q := d.q; q != nil {
		if d.shy {
			q.shied--
		}
		if d.read > 0 {
			q.u.waiting--
			q.u.reads -= d.read
		}
	}
	d.q, d.heap, d.read, d.shy = nil, nil, 0, false
}

func (u *unit) queue(medium string) *queue {
	for _, q := range u.queues {
		if q.medium == medium {
			return q
		}
	}
	q := &queue{u: u, medium: medium}
	u.queues = append(u.queues, q)
	return q
}

func (q *queue) shunningOf(drive int) *shunning {
	i, ok := slices.BinarySearchFunc(q.shy, drive, func(s *shunning, n int) int { return cmp.Compare(s.drive, n) })
	if !ok {
		q.shy = slices.Insert(q.shy, i, &shunning{drive: drive})
	}
	return q.shy[i]
}

func (u *unit) blanksOf(medium string, capacity int64, lot string) *blanks {
	for _, b := range u.blanks {
		if b.medium == medium && b.capacity == capacity && b.lot == lot {
			return b
		}
	}
	b := &blanks{medium: medium, capacity: capacity, lot: lot}
	u.blanks = append(u.blanks, b)
	return b
}

func (d *drive) takes(medium string) bool {
	return len(d.Media) == 0 || slices.Contains(d.Media, medium)
}

func (d *drive) distrusts(disc *disc) bool {
	return disc.Set != 0 && slices.Contains(d.Distrust, disc.Set)
}

// against is what speaks against reading from disc in d: that a disc of its set has failed there, and more so that this has, if d is the drive to avoid.
func (d *drive) against(disc *disc, avoid int) int {
	switch {
	case d.Number == avoid:
		return 2
	case d.distrusts(disc):
		return 1
	}
	return 0
}

// better says whether the unit has a drive that could take disc some time and against which less speaks than against d.
func (u *unit) better(d *drive, disc *disc, avoid int) bool {
	much := d.against(disc, avoid)
	return much > 0 && slices.ContainsFunc(u.drives, func(o *drive) bool {
		return o != d && o.Up && o.Known && o.takes(disc.Medium) && o.against(disc, avoid) < much
	})
}

// shuns says that t of disc should rather not be done in d while another drive could take the disc.
func (u *unit) shuns(t *task, d *drive, disc *disc) bool {
	return u.better(d, disc, disc.avoids(t))
}

// refuses says that d should rather not be given disc: a disc of its set has failed there, or what can't wait has.
func (u *unit) refuses(d *drive, disc *disc) bool {
	if disc.urgent > 0 {
		return u.better(d, disc, int(disc.express.top(disc.tasks).avoid))
	}
	return len(d.Distrust) > 0 && d.distrusts(disc) && u.better(d, disc, disc.shuns())
}

// first returns the first disc of h that d doesn't refuse.
func (u *unit) first(h discHeap, d *drive) *disc {
	if len(h) == 0 {
		return nil
	}
	if !u.refuses(d, h[0].disc) {
		return h[0].disc
	}
	var best *disc
	for _, w := range h {
		if (best == nil || w.before(best.keyed())) && !u.refuses(d, w.disc) {
			best = w.disc
		}
	}
	return best
}

// candidate is what a drive could be given next.
type candidate struct {
	disc  *disc
	burn  *burn
	rank  rank
	score time.Duration // when it is due, or what stands for that: of equal rank, the smallest first
}

type rank int

const (
	hurried    rank = iota // somebody waits at the counter
	due                    // what is read or burned, and what is late
	background             // verifies and scrubs that can wait
	none
)

func (c candidate) before(o candidate) bool {
	return c.rank < o.rank || c.rank == o.rank && c.score < o.score
}

// best returns what the empty drive d should be given.
func (p *Planner) best(u *unit, d *drive) candidate {
	var found [none]candidate
	for r := range found {
		found[r].rank = none
	}
	consider := func(disc *disc, r rank, score time.Duration) {
		if disc == nil {
			return
		}
		if c := (candidate{disc: disc, rank: r, score: score}); found[r].rank == none || c.before(found[r]) {
			found[r] = c
		}
	}
	for _, q := range u.queues {
		if !d.takes(q.medium) {
			continue
		}
		if c := u.first(q.express, d); c != nil {
			consider(c, hurried, c.key)
		}
		if c := u.first(q.classes[0], d); c != nil {
			consider(c, p.passRank(c), c.key)
		}
		p.batches(u, q, d, consider)
		if q.shied > 0 {
			p.shied(u, q, d, consider)
		}
	}
	if c := p.burn(u, d); c.rank != none && (found[due].rank == none || c.before(found[due])) {
		// Staging is released by verified discs only: a disc that waits for that comes before another burn.
		if v := found[background]; v.rank == none || u.waiting > 0 || !v.disc.fresh() {
			found[due] = c
		} else {
			found[due] = v
		}
	}
	if found[hurried].rank != none && u.hurried >= 3 && found[due].rank != none && p.late(found[due]) {
		return found[due]
	}
	for _, c := range found {
		if c.rank != none {
			return c
		}
	}
	return candidate{rank: none}
}

// fresh says that the disc waits for its first verify.
func (d *disc) fresh() bool {
	t := d.passes.top(d.tasks)
	return t != nil && t.priority >= 300
}

func (p *Planner) late(c candidate) bool { return c.score <= p.now }

// passRank is the rank of a disc from which nothing is to be read: a verify or scrub that is late gives way no more.
func (p *Planner) passRank(d *disc) rank {
	if d.key <= p.now {
		return due
	}
	return background
}

func (p *Planner) shied(u *unit, q *queue, d *drive, consider func(*disc, rank, time.Duration)) {
	for _, s := range q.shy {
		c := u.first(s.discs, d)
		if c == nil || s.drive == d.Number && u.better(d, c, s.drive) {
			continue
		}
		if c.n > 0 {
			consider(c, due, c.key)
		} else {
			consider(c, p.passRank(c), c.key)
		}
	}
}

// burnable says that a blank should be loaded for a burn: one waits that isn't having its blank fetched, and a drive may be had for it.
func (p *Planner) burnable() bool {
	if len(p.burns) == 0 {
		return false
	}
	fetched := 0
	for _, d := range p.drives {
		if d.disc != nil && d.disc.Blank && d.Up && !d.Ejected && !d.emptying {
			fetched++
		}
	}
	return fetched < len(p.burns) && p.burning+fetched < p.burnLimit()
}

func (p *Planner) burnLimit() int {
	if p.c.BurnLimit > 0 {
		return p.c.BurnLimit
	}
	n := 0
	for _, d := range p.drives {
		if d.Up && d.Known {
			n++
		}
	}
	return max(n-1, 1)
}

// choices is how many discs are compared when a drive is to get one: enough to find one that doesn't collide.
const choices = 16

// batches considers the discs from which something is to be read. When it is their turn is decided by the one that is due first. As
// long as that may wait, the densest one is fetched; otherwise the one that is due first, or what comes close.
func (p *Planner) batches(u *unit, q *queue, d *drive, consider func(*disc, rank, time.Duration)) {
	var first *disc
	for k := 1; k < classes; k++ {
		if c := u.first(q.classes[k], d); c != nil && (first == nil || c.keyed().before(first.keyed())) {
			first = c
		}
	}
	if first == nil {
		return
	}
	if waited, pressed := u.pressed(q, first, p.now); pressed {
		consider(p.earliest(u, q, d, waited), due, first.key)
	} else {
		consider(p.densest(u, q, d), due, first.key)
	}
}

// densest returns the disc that serves the most requests for each second that it keeps the drive, and the picker waiting.
func (p *Planner) densest(u *unit, q *queue, d *drive) (best *disc) {
	t := p.c.Times
	exchange := float64(2*t.Move + t.Load + t.Eject)
	most, left := 0., 4*choices
	for k := classes - 1; k >= 1 && left > 0; k-- {
		h := q.classes[k]
		if len(h) == 0 {
			continue
		}
		// No disc of this class or a smaller one comes up to what was found.
		if best != nil && float64(batch(k+1))/exchange < most {
			break
		}
		some := u.some(h, d)
		left -= len(some)
		for _, w := range some {
			c := w.disc
			density := float64(c.n) / (exchange + float64(c.sectors)*float64(t.Sector))
			if density < most {
				continue
			}
			if density *= 1 - collision*p.collides(u, d, c); best == nil || density > most || density == most && c.key < best.key {
				best, most = c, density
			}
		}
	}
	return best
}

// earliest returns the disc that is due first, but much larger batches before smaller ones, and those before others that let the
// drive want the picker when no other drive does. What they may come to is a share of how long has waited what may wait no more.
func (p *Planner) earliest(u *unit, q *queue, d *drive, longest time.Duration) (best *disc) {
	waited := float64(min(max(longest, 0), p.c.Patience))
	mean := float64(u.reads) / float64(max(u.waiting, 1))
	var found [choices]candidate
	n := 0
	for k := 1; k < classes; k++ {
		h := q.classes[k]
		if len(h) == 0 {
			continue
		}
		advantage := time.Duration(larger * waited * worth(float64(batch(k)-1)/mean))
		for _, w := range u.some(h, d) {
			n = insert(&found, n, candidate{disc: w.disc, score: w.key - advantage})
		}
	}
	least := time.Duration(0)
	for _, c := range found[:n] {
		if score := c.score + time.Duration(apart*min(waited, float64(p.c.Patience)/2)*p.collides(u, d, c.disc)); best == nil || score < least {
			best, least = c.disc, score
		}
	}
	return best
}

// some returns discs of h that d may be given, the first of them included: enough to choose from.
func (u *unit) some(h discHeap, d *drive) discHeap {
	if len(h) == 0 {
		return nil
	}
	if len(d.Distrust) > 0 {
		if c := u.first(h, d); c != nil {
			return discHeap{c.keyed()}
		}
		return nil
	}
	return h[:min(len(h), choices-1)]
}

// insert puts c among the first n of found, which are sorted and of which the last goes when there are too many.
func insert(found *[choices]candidate, n int, c candidate) int {
	i := n
	for i > 0 && c.before(found[i-1]) {
		i--
	}
	if i == choices {
		return n
	}
	n = min(n+1, choices)
	copy(found[i+1:n], found[i:n-1])
	found[i] = c
	return n
}

// collides says how long, in exchanges and at most one, drives would wait for the picker that wouldn't if d got nothing, when it gets disc now.
// Of a unit with very many drives some are looked at.
func (p *Planner) collides(u *unit, d *drive, disc *disc) float64 {
	var room [16]time.Duration
	at := room[:0]
	for _, o := range u.drives {
		if o != d && o.Busy && o.wants > p.now && len(at) < len(room)-1 {
			at = append(at, o.wants)
		}
	}
	slices.Sort(at)
	exchange, wants := 2*p.c.Times.Move, p.wants(disc)
	more := -queues(at, exchange)
	i, _ := slices.BinarySearch(at, wants)
	more += queues(slices.Insert(at, i, wants), exchange)
	return min(float64(more)/float64(exchange), 1)
}

// queues is how long those wait who want the picker at certain times, one after the other and each for so long.
func queues(at []time.Duration, each time.Duration) (sum time.Duration) {
	free := time.Duration(0)
	for _, t := range at {
		free = max(free, t)
		sum += free - t
		free += each
	}
	return sum
}

// wants is when a drive that gets disc now will want the picker again.
func (p *Planner) wants(disc *disc) time.Duration {
	t := p.c.Times
	return p.now + t.Move + t.Load + p.reads(disc) + t.Eject
}

// reads is how long everything takes that is to be read from a disc.
func (p *Planner) reads(disc *disc) time.Duration {
	return time.Duration(disc.n)*p.c.Times.Seek + time.Duration(disc.sectors)*p.c.Times.Sector
}

// A drive that would want the picker at the same time as another one makes a disc less dense by the part collision.
//
// Of what the disc that is due first has waited, larger is the part that a batch is put before it by at most, when it may wait no more, and
// apart the part, of half of Patience at most, that a disc is put behind by which lets drives wait for the picker. More of either lowers the
// mean completion further, and raises the longest above that of oldest first.
const (
	collision = .6
	larger    = .1
	apart     = .2
)

// punctual is the part of what is learned to be the longest wait after which something may wait no more. With more of it the mean falls further and
// the longest waits are longer.
const punctual = .978

// worth says how much of that a batch has, which is larger than the usual one by so many times of it: the rule that is best for
// the mean serves what is much larger at once, and everything else by age.
func worth(larger float64) float64 {
	x := larger / 3
	return min(1, x*x*x)
}
