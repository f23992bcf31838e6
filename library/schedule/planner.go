package schedule

import (
	"cmp"
	"slices"
	"time"
)

// Config is what a planner may and may not do. The zero value serves.
type Config struct {
	// BuildLimit is how many builds may run at a time.
	BuildLimit int
	// BurnLimit is how many drives may burn at a time; 0 means all that can but one, so that a burn, which is never interrupted,
	// is never what everybody waits for. A library with one drive burns in that.
	BurnLimit int
	// Ejects says that ejecting is an action of its own, for which the picker isn't needed. Otherwise an unload does it.
	Ejects bool
	// Experience is what an earlier planner of the same library had learned.
	Experience Experience
	// Patience bounds how long a wait counts when discs are put before or behind others by a share of it; 0 means 2 hours.
	Patience time.Duration
	// MountLimit is how long a disc may keep its drive while something that is due earlier waits; 0 means an hour.
	MountLimit time.Duration
	// Times are how long the machines take, as far as that is known; zero fields stand for usual ones. They only serve to
	// foresee when a drive will want the picker, and how long requests would wait were the disc that is due first always fetched first.
	Times Times
}

// Times is how long a library's machines take for what.
type Times struct {
	Move, Eject, Load time.Duration
	// Sector is how long a sector takes to be read, Seek how long it takes to get to the first one.
	Sector, Seek time.Duration
}

// Planner is the state of one library's queue. What happens is told to it by its methods; each takes O(log n) time for n queued
// tasks. It is deterministic: the same calls give the same actions. It is not safe for concurrent use.
type Planner struct {
	c        Config
	now      time.Duration
	still    bool
	building int
	burning  int
	tasks    tasks
	discs    discs
	drives   map[int]*drive
	units    []*unit // by number
	builds   taskHeap
	releases taskHeap
	burns    []*burn
	out      []Action
}

// drive is a drive with the planner's view of it.
type drive struct {
	Drive
	disc     *disc
	run      *task
	emptying bool          // it is busy with ejecting, stopping or being unloaded
	used     int           // loads so far: the least used one comes first
	wants    time.Duration // when it will want the picker, as far as can be foreseen
	double   double
	fetched  time.Duration // when the disc was that is being loaded; 0 when none is
}

// unit is a picker with the drives and discs that it serves.
type unit struct {
	number int
	drives []*drive // by number
	queues []*queue
	blanks []*blanks
	moving bool
	dirty  bool

	waiting int // discs in queues from which something is to be read
	reads   int // how much in all
	hurried int // express discs mounted in a row while something late waited

	loads int            // of blank discs
	taken map[string]int // by lot: which of these was the last of it

	shadow shadow
	pace   Pace
}

// queue is the discs of one medium that wait in a unit.
type queue struct {
	u       *unit
	medium  string
	express discHeap
	classes [classes]discHeap
	shy     []*shunning // by drive
	shied   int         // discs in shy
	fronts  [tiers]front
}

// shunning is the discs of a queue that would rather not be given to a drive.
type shunning struct {
	drive int
	discs discHeap
}

// blanks is the blank discs of one capacity, medium and lot in a unit, by slot.
type blanks struct {
	medium   string
	capacity int64
	lot      string
	discs    discHeap
}

// New returns a planner that knows of nothing yet.
func New(c Config) *Planner {
	c.Patience = cmp.Or(c.Patience, 2*time.Hour)
	c.MountLimit = cmp.Or(c.MountLimit, time.Hour)
	t := &c.Times
	t.Move, t.Eject, t.Load = cmp.Or(t.Move, 6*time.Second), cmp.Or(t.Eject, 6*time.Second), cmp.Or(t.Load, 22*time.Second)
	t.Sector, t.Seek = cmp.Or(t.Sector, 82*time.Microsecond), cmp.Or(t.Seek, 150*time.Millisecond)
	return &Planner{c: c, tasks: newTasks(), discs: discs{pages: map[int64]*[page]*disc{}}, drives: map[int]*drive{}}
}

func (p *Planner) unit(number int) *unit {
	i, ok := slices.BinarySearchFunc(p.units, number, func(u *unit, n int) int { return cmp.Compare(u.number, n) })
	if !ok {
		p.units = slices.Insert(p.units, i, &unit{number: number, dirty: true, pace: p.c.Experience[number]})
	}
	return p.units[i]
}

func (p *Planner) disc(id int64) *disc {
	d := p.discs.find(id)
	if d == nil {
		d = p.discs.add(id, &p.tasks)
	}
	return d
}

// SetDrive says what a drive is and does. It overrides what the planner believed; a task that ran in it and does so no more is to
// be ended, stopped or cancelled by its own method first.
func (p *Planner) SetDrive(v Drive) {
	d := p.drives[v.Number]
	if d == nil {
		d = &drive{double: double{ends: p.now}}
		p.drives[v.Number] = d
		u := p.unit(v.Unit)
		i, _ := slices.BinarySearchFunc(u.drives, v.Number, func(d *drive, n int) int { return cmp.Compare(d.Number, n) })
		u.drives = slices.Insert(u.drives, i, d)
	}
	if d.disc != nil && d.disc.ID != v.Disc {
		d.disc.Drive, d.disc.claimed = 0, false
		p.place(d.disc)
		d.disc = nil
	}
	d.Drive, d.emptying = v, false
	if v.Disc != 0 {
		d.disc = p.disc(v.Disc)
		d.disc.Drive, d.disc.Slot, d.disc.claimed = v.Number, 0, true
		p.place(d.disc)
	}
	if v.Running.ID != 0 && d.run == nil {
		p.Cancel(v.Running.ID)
		t := p.tasks.run(taskOf(v.Running))
		t.drive = narrow(v.Number)
		if d.disc != nil {
			t.disc = d.disc.place
		}
		d.run = t
		if t.kind == burning {
			p.burning++
		}
	}
	p.unit(v.Unit).dirty = true
}

// SetDisc says what a disc is and where. A disc that has left the library has neither slot nor drive: what is wanted from it waits.
func (p *Planner) SetDisc(v Disc) {
	d := p.disc(v.ID)
	p.unplace(d)
	was := d.Drive
	d.Disc = v
	d.claimed = v.Drive != 0
	if dr := p.drives[was]; dr != nil && was != v.Drive && dr.disc == d {
		dr.disc, dr.Disc = nil, 0
	}
	if dr := p.drives[v.Drive]; dr != nil {
		dr.disc, dr.Disc, dr.Full = d, d.ID, true
		p.unit(dr.Unit).dirty = true
	}
	p.place(d)
}

// SetStill says whether nothing may move.
func (p *Planner) SetStill(still bool) {
	p.still = still
	p.touch()
}

func (p *Planner) touch() {
	for _, u := range p.units {
		u.dirty = true
	}
}

// Add queues a task. One with the same id is replaced by it.
func (p *Planner) Add(v Task) {
	v.Due = v.due()
	task := taskOf(v)
	// The disc is asked for first: until memory answers, the rest is done.
	var of *disc
	if task.kind == verifying || task.kind == reading {
		of = p.disc(v.Disc)
		task.disc = of.place
	}
	p.Cancel(v.ID)
	t := p.tasks.queue(task)
	switch t.kind {
	case building:
		p.builds.push(t.entry())
	case releasing:
		p.releases.push(t.entry())
	case burning:
		if v.Ready {
			p.burns = append(p.burns, &burn{Task: v, task: t})
			p.touch()
		}
	case verifying, reading:
		of.push(t)
		p.place(of)
		if of.q != nil && !t.pass() && !t.express() {
			p.shade(of.q.u, of, t)
		}
		if d := p.drives[of.Drive]; d != nil {
			p.unit(d.Unit).dirty = true
		}
	}
}

// Cancel forgets a task, whether it is queued or runs; the drive of one that runs is free then. Unknown ids are no error.
func (p *Planner) Cancel(id int64) {
	p.Ended(id)
	t := p.tasks.find(id)
	if t == nil {
		return
	}
	disc := p.discs.at(t.disc)
	switch t.kind {
	case building:
		p.builds.doubt = true
	case releasing:
		p.releases.doubt = true
	case burning:
		p.unburn(t)
	case verifying, reading:
		disc.cancel(t)
	}
	p.tasks.remove(t)
	if disc != nil {
		p.place(disc)
	}
}

// Ended says that a task which ran is over, however it ended.
func (p *Planner) Ended(id int64) {
	t := p.tasks.running[id]
	if t == nil {
		return
	}
	switch t.kind {
	case building:
		p.building--
	case burning:
		p.burning--
	}
	p.free(t)
	p.tasks.end(t)
}

// Stopped says that a task which ran was ended before it was done; it is queued again with what is left of it, in sectors.
func (p *Planner) Stopped(id, left int64) {
	t := p.tasks.running[id]
	if t == nil || t.disc == 0 {
		return
	}
	p.free(t)
	rest := p.tasks.whole(t)
	p.tasks.end(t)
	rest.sectors, rest.drive = sectors(left), 0
	t = p.tasks.queue(rest)
	disc := p.discs.at(t.disc)
	disc.push(t)
	p.place(disc)
}

func (p *Planner) free(t *task) {
	if d := p.drives[int(t.drive)]; d != nil && d.run == t {
		d.run, d.Busy, d.emptying = nil, false, false
		p.unit(d.Unit).dirty = true
	}
}

// Loaded says that the disc which was being loaded into a drive is ready to be read there.
func (p *Planner) Loaded(number int) {
	d := p.drives[number]
	d.Busy, d.Full, d.Ejected, d.Since = false, true, false, p.now
	p.unit(d.Unit).dirty = true
}

// Ejected says that a drive's disc lies on the open tray.
func (p *Planner) Ejected(number int) {
	d := p.drives[number]
	d.Busy, d.Ejected, d.emptying = false, true, false
	p.unit(d.Unit).dirty = true
}

// Unloaded says that a drive's disc is back in its slot.
func (p *Planner) Unloaded(number int) {
	d := p.drives[number]
	d.Busy, d.Full, d.Ejected, d.emptying = false, false, false, false
	if disc := d.disc; disc != nil {
		disc.Drive, disc.Slot, disc.claimed, disc.Reload = 0, d.Home, false, false
		disc.rewind()
		p.place(disc)
	}
	d.disc, d.Disc, d.Home = nil, 0, 0
	p.unit(d.Unit).dirty = true
}

// Occupied says that a unit's picker carries something; Released ends that.
func (p *Planner) Occupied(number int) { p.unit(number).moving = true }

// Released says that a unit's picker is free.
func (p *Planner) Released(number int) {
	u := p.unit(number)
	u.moving, u.dirty = false, true
}

// Queued returns how many tasks are known that have not ended.
func (p *Planner) Queued() int { return p.tasks.n }
