package schedule

import "time"

// Decide returns what should start now, and takes it as begun. A clock that goes back stands still. The slice is good until the
// next call.
func (p *Planner) Decide(now time.Duration) []Action {
	p.now = max(p.now, now)
	p.out = p.out[:0]
	p.startWithoutDrive()
	for _, u := range p.units {
		if u.dirty {
			u.dirty = false
			p.decide(u)
		}
	}
	return p.out
}

func (p *Planner) startWithoutDrive() {
	for t := p.builds.top(&p.tasks); t != nil && p.building < p.c.BuildLimit; t = p.builds.top(&p.tasks) {
		p.building++
		p.builds.pop()
		p.start(t, nil)
	}
	for t := p.releases.top(&p.tasks); t != nil; t = p.releases.top(&p.tasks) {
		p.releases.pop()
		p.start(t, nil)
	}
}

// start starts a task that was queued and is in no heap any more.
func (p *Planner) start(t *task, d *drive) {
	a := Action{Task: t.id}
	run := p.tasks.run(*t)
	if d != nil {
		a.Drive, a.Disc = d.Number, d.disc.ID
		run.drive, d.run, d.Busy = narrow(d.Number), run, true
	}
	p.out = append(p.out, a)
}

func (p *Planner) decide(u *unit) {
	p.follow(u)
	for _, d := range u.drives {
		if d.idle() && d.Full {
			p.serve(u, d)
		}
	}
	p.preempt(u)
	if p.still {
		return
	}
	if p.c.Ejects {
		for _, d := range u.drives {
			if d.idle() && d.Full && !d.Ejected && d.Home != 0 {
				d.Busy, d.emptying = true, true
				p.out = append(p.out, Action{Eject: true, Drive: d.Number, Disc: d.Disc})
			}
		}
	}
	if !u.moving && !p.load(u) {
		p.unload(u)
	}
}

// copied notes in which drive a copy is burned, for those that are to follow.
func (p *Planner) copied(t *burn, d *drive) {
	if t.Image == 0 {
		return
	}
	for _, o := range p.burns {
		if o.Image == t.Image {
			o.Burned = d.Number
		}
	}
}

func (d *drive) idle() bool { return d.Known && !d.Busy }

// serve starts the next task that the disc in d can serve, if there is one.
func (p *Planner) serve(u *unit, d *drive) {
	disc := d.disc
	if disc == nil || disc.Reload || !d.Up || d.Ejected || !d.takes(disc.Medium) {
		return
	}
	if disc.Blank {
		if d.ReadOnly || p.burning >= p.burnLimit() {
			return
		}
		if b := p.burnFor(d, disc); b != nil {
			p.burning++
			p.unburn(b.task)
			b.task.disc, disc.Blank = disc.place, false
			p.start(b.task, d)
			p.copied(b, d)
		}
		return
	}
	if t, ok := u.next(d, disc); ok {
		if p.overstayed(u, d, &t) {
			return
		}
		disc.head = t.sector
		disc.take(&t)
		d.wants = p.now + t.foreseen(p.c.Times) + p.reads(disc) + p.c.Times.Eject
		p.start(&t, d)
		return
	}
	if t := disc.passes.top(&p.tasks); t != nil && !u.shuns(t, d, disc) {
		if t.due > p.now && (u.waiting > p.spare(u)-1 || disc.n > 0) {
			return
		}
		disc.take(t)
		p.start(t, d)
	}
}

// next returns the read of its disc that d should do next, or nil. What has failed there before waits for another drive.
func (u *unit) next(d *drive, disc *disc) (t task, ok bool) {
	if d.distrusts(disc) && u.better(d, disc, disc.shuns()) {
		return task{}, false
	}
	waits := u.better(d, disc, d.Number)
	if !waits {
		disc.takeBack()
	}
	for t, ok = disc.next(); ok && waits && int(t.avoid) == d.Number; t, ok = disc.next() {
		disc.setAside(&t)
	}
	return t, ok
}

// overstayed says that the disc in d must make room although t still wants it.
func (p *Planner) overstayed(u *unit, d *drive, t *task) bool {
	if p.now-d.Since < p.c.MountLimit || u.waiting == 0 || p.spare(u) > 1 {
		return false
	}
	for _, q := range u.queues {
		if !d.takes(q.medium) {
			continue
		}
		for n := range q.classes {
			if k, ok := q.classes[n].key(); ok && k < t.due && k <= p.now {
				return true
			}
		}
	}
	return false
}

// spare is how many drives of u are empty, or will be as soon as drive and picker can.
func (p *Planner) spare(u *unit) (n int) {
	for _, d := range u.drives {
		if d.Up && d.Known && (!d.Busy || d.emptying) {
			n++
		}
	}
	return n
}

// preempt stops verifies and scrubs that keep a drive from what is more urgent: from reads of the same disc, then from other
// discs, beginning with the one that can wait longest. What is late is left alone, and a burn waits until one of them ends: it has
// hours, and each exchange costs a minute.
func (p *Planner) preempt(u *unit) {
	if u.waiting == 0 && !p.disturbed(u) {
		return
	}
	for _, d := range u.drives {
		if p.yields(d) && d.disc.n > 0 {
			p.stop(d)
		}
	}
	for {
		var last *drive
		for _, d := range u.drives {
			if p.yields(d) && (last == nil || d.run.due > last.run.due) {
				last = d
			}
		}
		if last == nil || u.waiting <= p.spare(u) {
			return
		}
		p.stop(last)
	}
}

// disturbed says that something is to be read from a disc that is being verified.
func (p *Planner) disturbed(u *unit) bool {
	for _, d := range u.drives {
		if d.run != nil && d.disc != nil && d.disc.n > 0 && d.run.pass() {
			return true
		}
	}
	return false
}

func (p *Planner) yields(d *drive) bool {
	return d.run != nil && !d.emptying && d.run.pass() && d.run.due > p.now && d.disc != nil
}

func (p *Planner) stop(d *drive) {
	d.emptying = true
	p.out = append(p.out, Action{Stop: true, Task: d.run.id, Drive: d.Number, Disc: d.Disc})
}

// load starts the most urgent load into an empty drive of u, if there is one.
func (p *Planner) load(u *unit) bool {
	var into *drive
	best := candidate{rank: none}
	for _, d := range u.drives {
		if !d.idle() || !d.Up || d.Full {
			continue
		}
		c := p.best(u, d)
		if c.rank == none {
			continue
		}
		if into == nil || c.before(best) || c.disc == best.disc && fitter(d, into, c) {
			best, into = c, d
		}
	}
	if into == nil {
		return false
	}
	disc := best.disc
	u.hurry(best, p.now)
	if disc.Blank {
		u.take(disc)
	}
	if into.double.away = best.rank != due || disc.n == 0; !into.double.away && u.waiting <= 1 {
		u.meet()
	}
	slot := disc.Slot
	p.unplace(disc)
	disc.claimed, disc.Slot, disc.Drive = true, 0, into.Number
	into.disc, into.Disc, into.Home, into.HomeUnknown = disc, disc.ID, slot, false
	into.Busy, into.Full, into.Ejected = true, true, false
	into.used++
	into.wants, into.fetched = p.wants(disc), p.now
	u.moving = true
	p.out = append(p.out, Action{Load: true, Drive: into.Number, Disc: disc.ID, Slot: slot})
	return true
}

// hurry counts how often those who can't wait were preferred to what is late.
func (u *unit) hurry(c candidate, now time.Duration) {
	if c.rank != hurried {
		u.hurried = 0
		return
	}
	for _, q := range u.queues {
		for n := range q.classes {
			if k, ok := q.classes[n].key(); ok && k <= now {
				u.hurried++
				return
			}
		}
	}
}

// fitter says that a suits a candidate better than b: drives that can't burn take what is to be read, one that hasn't burned the copy before
// burns the next, and the least used one takes the next disc, so that the discs of a set come into different drives.
func fitter(a, b *drive, c candidate) bool {
	switch {
	case c.burn == nil && a.ReadOnly != b.ReadOnly:
		return a.ReadOnly
	case c.burn != nil && c.burn.Burned != 0 && (a.Number == c.burn.Burned) != (b.Number == c.burn.Burned):
		return b.Number == c.burn.Burned
	}
	return a.used < b.used
}

// unload starts sending home a disc that nothing wants where it is: one on an open tray first.
func (p *Planner) unload(u *unit) {
	var from *drive
	for _, d := range u.drives {
		if !d.idle() || !d.Full || d.Home == 0 || d.HomeUnknown || p.c.Ejects && !d.Ejected {
			continue
		}
		if from == nil || d.Ejected && !from.Ejected {
			from = d
		}
	}
	if from == nil {
		return
	}
	from.Busy, from.emptying = true, true
	u.moving = true
	p.out = append(p.out, Action{Unload: true, Drive: from.Number, Disc: from.Disc, Slot: from.Home})
}
