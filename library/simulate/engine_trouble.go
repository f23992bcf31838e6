package simulate

import (
	"maps"
	"slices"

	"github.com/odarchive/odarchive/library/schedule"
)

// slowed is how long a move of the picker takes, which may be a slow one.
func (e *engine) slowed(move float64) float64 {
	if e.trouble.Slow > 0 && e.luck.Float64() < e.trouble.Slow {
		e.m.Troubles.Slow++
		return move * e.trouble.SlowTimes
	}
	return move
}

// sticks says whether the picker's next move fails.
func (e *engine) sticks() bool {
	return e.trouble.Exchange > 0 && e.luck.Float64() < e.trouble.Exchange
}

// still says that nothing may move, for one reason more, or for one less.
func (e *engine) still(reasons int) {
	before := e.stills
	e.stills += reasons
	switch {
	case before == 0 && e.stills > 0:
		e.stillSince = e.now
		e.tell(func(p Policy) { p.SetStill(true) })
	case before > 0 && e.stills == 0:
		e.m.still += e.now - e.stillSince
		e.tell(func(p Policy) { p.SetStill(false) })
	}
}

// stick is the end of a move that failed. Nobody knows what the drive holds, nor where the disc is, until somebody has looked: it is where
// it was. Nothing moves until then.
func (e *engine) stick(d *machine) {
	e.m.Troubles.Exchanges++
	e.use(d, Idle)
	e.moving = false
	d.Busy, d.Known = false, false
	disc := e.discs[d.Disc]
	loading := !d.leaves
	d.leaves = false
	e.still(1)
	if loading {
		d.Full, d.Disc = false, 0
		disc.Drive, disc.Slot, disc.Unknown = 0, d.Home, true
		d.Home = 0
	}
	e.tell(func(p Policy) { p.SetDrive(d.Drive) })
	if loading {
		e.tell(func(p Policy) { p.SetDisc(*disc) })
	}
	e.tell(func(p Policy) { p.Released(d.Unit) })
	e.m.span(exchangeFailed, e.now, e.trouble.Freeing)
	e.push(e.trouble.Freeing, happening{kind: freed, drive: d.Number, task: disc.ID, epoch: anyEpoch})
}

// freed ends that.
func (e *engine) freed(d *machine, id int64) {
	d.Known = true
	e.tell(func(p Policy) { p.SetDrive(d.Drive) })
	if disc := e.discs[id]; disc.Unknown {
		disc.Unknown = false
		e.tell(func(p Policy) { p.SetDisc(*disc) })
	}
	e.still(-1)
}

// openDoor opens the door, which is locked while the picker moves. What is in a drive is read on.
func (e *engine) openDoor(h happening) {
	if e.moving {
		e.push(1, h)
		return
	}
	e.m.Troubles.Doors++
	e.m.span(doorOpen, e.now, e.trouble.Open)
	e.still(1)
	e.push(e.trouble.Open, happening{kind: closes, epoch: anyEpoch})
}

// doubt makes the slot of a disc one of which nobody knows what it holds: the disc stays in it, or out of it, until somebody has looked.
func (e *engine) doubt(h happening) {
	disc := e.discs[h.task]
	d := e.holder(disc)
	if disc.Unknown || d != nil && (d.HomeUnknown || d.Home == 0 || d.Busy && d.task == 0) {
		e.push(60, h)
		return
	}
	e.m.Troubles.Unknown++
	e.m.span(slotUnknown, e.now, e.trouble.Looking)
	e.know(disc, d, false)
	e.push(e.trouble.Looking, happening{kind: seen, task: h.task, epoch: anyEpoch})
}

// know says whether it is known what the slot of a disc holds.
func (e *engine) know(disc *schedule.Disc, d *machine, known bool) {
	if d != nil {
		d.HomeUnknown = !known
		e.tell(func(p Policy) { p.SetDrive(d.Drive) })
		return
	}
	disc.Unknown = !known
	e.tell(func(p Policy) { p.SetDisc(*disc) })
}

// holder returns the drive that a disc is in, or nil.
func (e *engine) holder(disc *schedule.Disc) *machine {
	if disc.Drive == 0 {
		return nil
	}
	return e.drives[disc.Drive-1]
}

// leave takes the agent or the controller away for a while.
func (e *engine) leave(h happening) {
	length, what := e.trouble.AgentAway, agentAway
	if h.kind == controllerLeaves {
		length, what = e.trouble.ControllerAway, controllerAway
		e.m.Troubles.Controllers++
	} else {
		e.m.Troubles.Agents++
	}
	e.m.span(what, e.now, length)
	e.away++
	h.kind++ // its return
	e.push(length, h)
}

// reported says that nobody learns of h while agent or controller is away.
func (h happening) reported() bool {
	switch h.kind {
	case arrives, ticks, agentLeaves, agentReturns, controllerLeaves, controllerReturns:
		return false
	}
	return true
}

// hold keeps what has happened for the report after the outage. The drive has nothing to do from now on.
func (e *engine) hold(d *machine, h happening) {
	if d != nil && h.kind != fails && h.kind != repaired && h.kind != freed {
		e.use(d, Idle)
	}
	e.held = append(e.held, h)
}

// comeBack ends an outage: what has happened is reported. A controller makes its planner anew from what is known.
func (e *engine) comeBack(k kind) {
	if e.away--; e.away == 0 {
		held := e.held
		e.held = nil
		for _, h := range held {
			e.happen(h)
		}
	}
	if _, own := e.policy.(*schedule.Planner); own && k == controllerReturns {
		e.policy = schedule.FromSnapshot(e.snapshot(), schedule.Config{Ejects: true})
	}
}

// snapshot is the library as it is known.
func (e *engine) snapshot() schedule.Snapshot {
	s := schedule.Snapshot{Now: e.now, Still: e.stills > 0}
	runs := map[int64]bool{}
	for _, d := range e.drives {
		v := d.Drive
		if d.task != 0 {
			v.Running = e.requests[d.task-1].Task
			runs[d.task] = true
		}
		s.Drives = append(s.Drives, v)
	}
	if e.moving {
		s.MovingUnits = []int{1}
	}
	for _, id := range slices.Sorted(maps.Keys(e.discs)) {
		s.Discs = append(s.Discs, *e.discs[id])
	}
	for i := range e.requests {
		r := &e.requests[i]
		arrived := i < e.next || i >= e.arrivals
		if arrived && r.done == 0 && r.parts == 0 && !runs[r.ID] {
			s.Tasks = append(s.Tasks, r.Task)
		}
	}
	return s
}
