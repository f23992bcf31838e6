package simulate

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/odarchive/odarchive/library"
	"github.com/odarchive/odarchive/library/schedule"
)

// Policy decides what a library does next. schedule.Planner is the one that production uses; the baselines are others.
type Policy interface {
	SetDrive(schedule.Drive)
	SetDisc(schedule.Disc)
	Add(schedule.Task)
	Ended(id int64)
	Stopped(id, left int64)
	Loaded(drive int)
	Ejected(drive int)
	Unloaded(drive int)
	Released(unit int)
	SetStill(still bool)
	Decide(now time.Duration) []schedule.Action
}

// happening is something that will happen in the simulated library.
type happening struct {
	at    time.Duration
	order int64
	kind  kind
	drive int
	task  int64 // or a disc, or a set
	epoch int64 // of the drive: what was to happen in one that has failed since, doesn't
}

// anyEpoch is that of what happens to a drive whatever it does.
const anyEpoch = -1

type kind uint8

const (
	arrives kind = iota
	ends
	loaded
	ejected
	unloaded
	released
	fails
	repaired
	ticks
	sticks
	freed
	gaveUp
	trusted
	opens
	closes
	doubted
	seen
	// Who leaves returns: the next kind.
	agentLeaves
	agentReturns
	controllerLeaves
	controllerReturns
)

func (h happening) before(o happening) bool { return h.at < o.at || h.at == o.at && h.order < o.order }

// request is a task with what became of it.
type request struct {
	schedule.Task
	arrive time.Duration
	tier   Tier
	done   time.Duration // 0 until it is
	tries  int           // that failed
	parts  int           // that other discs of the set are still to give in its place
	asked  int64         // of those discs
	of     int64         // the request of which it is such a part
}

// machine is a simulated drive.
type machine struct {
	schedule.Drive
	epoch  int64
	task   int64
	began  time.Duration
	run    float64 // seconds that the task takes
	head   int64   // sector
	fails  bool    // the task will: the disc can't be read
	leaves bool    // its disc is being carried home
	doing  Use
	since  time.Duration
}

// engine is one simulated library.
type engine struct {
	now      time.Duration
	heap     []happening
	order    int64
	physics  Physics
	policy   Policy
	checker  checker
	drives   []*machine
	discs    map[int64]*schedule.Disc
	requests []request
	arrivals int // how many of them come by themselves; what is added at run time is behind them
	next     int // request that arrives next
	open     int // that have arrived and are not done
	m        *Measures
	onDone   func(r *request)
	others   int64 // the latest request that is foreseen
	err      error

	trouble    Trouble
	seed       uint64
	luck       *rand.Rand
	recorded   int64 // discs
	moving     bool  // the picker is
	stills     int   // reasons for which nothing may move
	stillSince time.Duration
	away       int // of agent and controller
	held       []happening
}

// checker says whether an action obeys the rules.
type checker interface {
	Check(a schedule.Action) error
	Policy
}

func (e *engine) push(after float64, h happening) {
	h.at = e.now + seconds(after)
	e.order++
	h.order = e.order
	e.heap = append(e.heap, h)
	for i := len(e.heap) - 1; i > 0; {
		up := (i - 1) / 2
		if !e.heap[i].before(e.heap[up]) {
			break
		}
		e.heap[i], e.heap[up] = e.heap[up], e.heap[i]
		i = up
	}
}

func (e *engine) pop() happening {
	h := e.heap[0]
	last := len(e.heap) - 1
	e.heap[0] = e.heap[last]
	e.heap = e.heap[:last]
	for i := 0; ; {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < last; c++ {
			if e.heap[c].before(e.heap[least]) {
				least = c
			}
		}
		if least == i {
			return h
		}
		e.heap[i], e.heap[least] = e.heap[least], e.heap[i]
		i = least
	}
}

// step lets everything happen that happens next at the same moment, and then what the policy makes of it. It returns false when
// nothing is left to happen.
func (e *engine) step() bool {
	at := time.Duration(-1)
	if len(e.heap) > 0 {
		at = e.heap[0].at
	}
	if e.next < e.arrivals && (at < 0 || e.requests[e.next].arrive <= at) {
		at = e.requests[e.next].arrive
	}
	if at < 0 {
		return false
	}
	e.now = at
	for e.next < e.arrivals && e.requests[e.next].arrive == at {
		e.arrive(&e.requests[e.next])
		e.next++
	}
	for len(e.heap) > 0 && e.heap[0].at == at {
		e.happen(e.pop())
	}
	if e.away > 0 {
		return true
	}
	if e.checker != nil {
		e.checker.Decide(e.now)
	}
	for _, a := range e.policy.Decide(e.now) {
		if e.checker != nil {
			if err := e.checker.Check(a); err != nil {
				e.err = fmt.Errorf("after %v: %w", e.now, err)
				return false
			}
		}
		e.apply(a)
	}
	e.m.decisions++
	return true
}

func (e *engine) tell(f func(p Policy)) {
	f(e.policy)
	if e.checker != nil {
		f(e.checker)
	}
}

func (e *engine) arrive(r *request) {
	e.open++
	e.m.queue(e.now, e.open)
	e.tell(func(p Policy) { p.Add(r.Task) })
}

func (e *engine) happen(h happening) {
	var d *machine
	if h.drive > 0 {
		d = e.drives[h.drive-1]
		if h.epoch != d.epoch && h.epoch != anyEpoch {
			return
		}
	}
	if e.away > 0 && h.reported() {
		e.hold(d, h)
		return
	}
	switch h.kind {
	case arrives:
		e.arrive(&e.requests[h.task-1])
	case ends:
		e.ended(d, h.task)
	case loaded:
		e.use(d, Idle)
		d.Busy, d.Since = false, e.now
		e.tell(func(p Policy) { p.Loaded(h.drive) })
	case ejected:
		e.use(d, Switch)
		d.Ejected, d.Busy = true, false
		e.tell(func(p Policy) { p.Ejected(h.drive) })
	case unloaded:
		e.use(d, Idle)
		disc := e.discs[d.Disc]
		disc.Drive, disc.Slot, disc.Reload = 0, d.Home, false
		d.Full, d.Ejected, d.Busy, d.Disc, d.Home, d.leaves = false, false, false, 0, 0, false
		e.moving = false
		e.tell(func(p Policy) { p.Unloaded(h.drive) })
		e.tell(func(p Policy) { p.Released(d.Unit) })
	case released:
		e.moving = false
		e.tell(func(p Policy) { p.Released(d.Unit) })
	case fails:
		e.fail(d)
	case repaired:
		e.repair(d)
	default:
		e.goesWrong(d, h)
	}
}

func (e *engine) goesWrong(d *machine, h happening) {
	switch h.kind {
	case sticks:
		e.stick(d)
	case freed:
		e.freed(d, h.task)
	case gaveUp:
		e.unread(d, h.task)
	case trusted:
		e.trust(d, h.task)
	case opens:
		e.openDoor(h)
	case closes:
		e.still(-1)
	case doubted:
		e.doubt(h)
	case seen:
		disc := e.discs[h.task]
		e.know(disc, e.holder(disc), true)
	case agentLeaves, controllerLeaves:
		e.leave(h)
	case agentReturns, controllerReturns:
		e.comeBack(h.kind)
	}
}

func (e *engine) ended(d *machine, id int64) {
	r := &e.requests[id-1]
	e.use(d, Idle)
	d.Busy, d.task = false, 0
	e.finish(r)
	e.tell(func(p Policy) { p.Ended(id) })
	if r.Kind == library.BurnTask {
		disc := e.discs[d.Disc]
		disc.Blank, disc.Reload, disc.Avoid = false, true, d.Number
		e.tell(func(p Policy) { p.SetDisc(*disc) })
		e.burned(r, disc)
	} else if r.of != 0 {
		e.brought(r.of)
	}
}

func (e *engine) finish(r *request) {
	if r.done != 0 {
		e.err = fmt.Errorf("after %v: request %d is done a second time", e.now, r.ID)
	}
	r.done = e.now
	e.open--
	e.m.queue(e.now, e.open)
	if e.onDone != nil {
		e.onDone(r)
	}
}

// burned queues the verify of a disc that has been burned.
func (e *engine) burned(r *request, d *schedule.Disc) {
	e.add(request{
		Task: schedule.Task{Kind: library.VerifyTask, Priority: library.PriorityVerify, Disc: d.ID, Sectors: r.Sectors, Created: e.now}, tier: Verifying,
	})
}

func (e *engine) use(d *machine, u Use) {
	e.m.used(d.doing, e.now-d.since)
	d.doing, d.since = u, e.now
}

func (e *engine) apply(a schedule.Action) {
	d := e.drives[a.Drive-1]
	switch {
	case a.Load:
		disc := e.discs[a.Disc]
		disc.Slot, disc.Drive = 0, d.Number
		d.Full, d.Disc, d.Home, d.Busy, d.head = true, a.Disc, a.Slot, true, 0
		e.use(d, Switch)
		if move, ok := e.move(d); ok {
			e.push(move, happening{kind: released, drive: a.Drive, epoch: d.epoch})
			e.push(move+e.physics.Load, happening{kind: loaded, drive: a.Drive, epoch: d.epoch})
		}
	case a.Unload:
		d.Busy, d.leaves = true, true
		e.use(d, Switch)
		if move, ok := e.move(d); ok {
			e.push(move, happening{kind: unloaded, drive: a.Drive, epoch: d.epoch})
		}
	case a.Eject:
		d.Busy = true
		e.use(d, Switch)
		e.push(e.physics.Eject, happening{kind: ejected, drive: a.Drive, epoch: d.epoch})
	case a.Stop:
		e.stop(d, a.Task)
	default:
		e.start(d, a.Task)
	}
}

// move has the picker carry a disc to or from d. It says how long that takes, and whether it ends well.
func (e *engine) move(d *machine) (move float64, ok bool) {
	move = e.slowed(e.physics.Move)
	e.moving = true
	e.m.moves++
	e.m.picker += seconds(move)
	if e.sticks() {
		e.push(move, happening{kind: sticks, drive: d.Number, epoch: d.epoch})
		return move, false
	}
	return move, true
}

func (e *engine) start(d *machine, id int64) {
	r := &e.requests[id-1]
	d.task, d.Busy, d.began = id, true, e.now
	switch r.Kind {
	case library.BurnTask:
		e.use(d, Write)
		e.discs[d.Disc].Blank = false // not any more, whatever comes of it
		d.run = e.physics.burn(r.Sectors)
	case library.VerifyTask:
		e.use(d, Verify)
		if r.tier == Scrub {
			e.use(d, Scrubbing)
		}
		// What is left is at the end of the disc.
		d.head = e.physics.sectors() - r.Sectors
		d.run = e.physics.read(max(d.head, 0), r.Sectors)
	default:
		e.use(d, Read)
		d.run = e.physics.read(r.Sector, r.Sectors)
		if r.Sector != d.head {
			d.run += e.physics.Seek
		}
		d.head = r.Sector + r.Sectors
	}
	if d.fails = e.unreadable(r); d.fails {
		d.run = e.trouble.GivingUp
		e.push(d.run, happening{kind: gaveUp, drive: d.Number, task: id, epoch: d.epoch})
		return
	}
	e.push(d.run, happening{kind: ends, drive: d.Number, task: id, epoch: d.epoch})
}

func (e *engine) stop(d *machine, id int64) {
	d.epoch++ // its end will not come
	r := &e.requests[id-1]
	read := e.physics.reached(max(d.head, 0), (e.now - d.began).Seconds())
	if d.fails {
		read = 0
	}
	r.Sectors = max(r.Sectors-read, 1)
	e.use(d, Idle)
	d.Busy, d.task = false, 0
	left := r.Sectors
	e.m.preempted++
	// The drive is free at once; it is told as something that happens, after the decisions of this moment.
	e.push(0, happening{kind: ticks, drive: d.Number, task: id, epoch: d.epoch})
	e.tell(func(p Policy) { p.Stopped(id, left) })
}
