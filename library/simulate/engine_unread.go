package simulate

import (
	"math/rand/v2"
	"slices"

	"github.com/odarchive/odarchive/library"
	"github.com/odarchive/odarchive/library/schedule"
)

// unreadable says whether the next attempt at r fails. It depends on nothing but what is asked for, so that every policy meets the same discs.
func (e *engine) unreadable(r *request) bool {
	if e.trouble.Unreadable == 0 || r.Kind == library.BurnTask {
		return false
	}
	share := e.trouble.Unreadable
	if r.tries > 0 {
		share = e.trouble.Lost
	}
	return rand.New(rand.NewPCG(e.seed, uint64(2*r.ID)+uint64(r.tries))).Float64() < share
}

// unread is the end of an attempt that failed: the first time another drive tries, the second time the set has to give what this disc doesn't.
func (e *engine) unread(d *machine, id int64) {
	e.m.Troubles.Unreadable++
	e.use(d, Idle)
	d.Busy, d.task, d.fails = false, 0, false
	e.tell(func(p Policy) { p.Ended(id) })
	r := &e.requests[id-1]
	e.distrust(d, e.discs[r.Disc].Set)
	if r.tries++; r.tries < 2 {
		r.Avoid = d.Number
		e.tell(func(p Policy) { p.Add(r.Task) })
		return
	}
	switch {
	case r.of != 0: // another disc of the set may have it
		of := r.of
		e.finish(r)
		if e.requests[of-1].done == 0 && !e.ask(of) {
			e.hopeless(of)
		}
	case r.Disc > e.recorded: // its image is still in staging
		e.finish(r)
		e.burnAgain()
	default:
		e.heal(id)
	}
}

// distrust keeps other discs of a set out of a drive in which one has failed, until somebody has looked.
func (e *engine) distrust(d *machine, set int64) {
	if set == 0 || slices.Contains(d.Distrust, set) {
		return
	}
	d.Distrust = append(slices.Clone(d.Distrust), set)
	e.tell(func(p Policy) { p.SetDrive(d.Drive) })
	e.push(e.m.repairTime(), happening{kind: trusted, drive: d.Number, task: set, epoch: anyEpoch})
}

func (e *engine) trust(d *machine, set int64) {
	d.Distrust = slices.DeleteFunc(slices.Clone(d.Distrust), func(s int64) bool { return s == set })
	e.tell(func(p Policy) { p.SetDrive(d.Drive) })
}

// heal has what a disc doesn't give read from as many others of its set as the set has discs with data.
func (e *engine) heal(id int64) {
	if e.trouble.SetDiscs == 0 {
		e.hopeless(id)
		return
	}
	e.m.Troubles.Healed++
	first, last := e.setOf(e.requests[id-1].Disc)
	parts := min(e.trouble.SetDiscs, max(int(last-first)+1-e.trouble.SetParity, 1))
	e.requests[id-1].parts = parts
	for range parts {
		if !e.ask(id) {
			e.hopeless(id)
			return
		}
	}
}

// setOf returns the first and the last disc of a disc's set.
func (e *engine) setOf(disc int64) (first, last int64) {
	n := int64(e.trouble.SetDiscs + e.trouble.SetParity)
	first = (disc-1)/n*n + 1
	return first, min(first+n-1, e.recorded)
}

// ask has the next disc of the set of a request's disc read for it, and says whether there is one.
func (e *engine) ask(of int64) bool {
	r := &e.requests[of-1]
	first, last := e.setOf(r.Disc)
	disc := first + r.asked
	if disc == r.Disc {
		r.asked++
		disc++
	}
	if disc > last {
		return false
	}
	r.asked++
	t := r.Task
	t.Kind, t.Disc, t.Avoid = library.ReadTask, disc, 0
	if r.Kind == library.VerifyTask {
		t.Sector, t.Sectors, t.Priority = 0, e.physics.sectors(), library.PriorityBulk
	}
	e.add(request{Task: t, tier: Healing, of: of})
	return true
}

// add queues a request that the library makes itself.
func (e *engine) add(r request) {
	r.ID, r.arrive = int64(len(e.requests)+1), e.now
	e.requests = append(e.requests, r)
	e.arrive(&e.requests[r.ID-1])
}

// brought takes note that a part of what a request waits for has been read.
func (e *engine) brought(of int64) {
	r := &e.requests[of-1]
	if r.done != 0 {
		return
	}
	if r.parts--; r.parts > 0 {
		return
	}
	verify := r.Kind == library.VerifyTask
	e.finish(r)
	if verify { // the image is whole again, and goes onto another disc
		e.burnAgain()
	}
}

// hopeless ends a request of which the set has lost too much. Who asked is told so.
func (e *engine) hopeless(id int64) {
	e.m.Troubles.Hopeless++
	e.finish(&e.requests[id-1])
}

// burnAgain burns an image on another blank, which somebody puts in.
func (e *engine) burnAgain() {
	e.restock()
	e.add(request{
		Task: schedule.Task{Kind: library.BurnTask, Priority: library.PriorityBurn, Sectors: e.physics.sectors(), Ready: true, Created: e.now}, tier: Burning,
	})
}
