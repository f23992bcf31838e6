package schedule

import (
	"math/bits"
	"slices"
	"time"

	"github.com/odarchive/odarchive/library"
)

type state uint8

const (
	queued state = iota
	running
	gone
)

// task is a task that the planner knows.
type task struct {
	Task
	state state
	disc  *disc // nil for tasks without a certain one
	drive *drive
}

func (t *task) pass() bool { return t.Kind == library.VerifyTask }
func (t *task) express() bool {
	return t.Kind == library.ReadTask && t.Priority >= library.PriorityExpedited
}

// foreseen is how long a read takes.
func (t *task) foreseen(by Times) time.Duration { return by.Seek + time.Duration(t.Sectors)*by.Sector }

// disc is a disc with what is wanted from it.
type disc struct {
	Disc
	claimed bool // on its way, or about to be

	reads   taskHeap // by when they are due
	express taskHeap // those of them that can't wait, likewise
	sweep   taskHeap // by sector: what is still ahead of the drive's head
	behind  taskHeap // by sector: what came too late for that
	passes  taskHeap // verifies and scrubs
	n       int      // queued reads
	urgent  int      // queued express reads
	waits   int      // queued verifies and scrubs
	aside   []*task  // reads that the drive which it is in shouldn't do
	avoided []avoided
	head    int64 // sector that the drive has got to
	sectors int64 // of the queued reads

	// Where it waits, when it does.
	q     *queue
	heap  *discHeap
	at    int
	key   time.Duration
	order int64
	read  int  // n when it was put there
	shy   bool // it is in one of the queue's heaps of those that shun a drive

	front fronted

	shaded shaded
}

// avoided is how many of a disc's reads, and verifies and scrubs, have failed in a drive; 0 stands for those that haven't in any.
type avoided struct{ drive, reads, passes int }

func newDisc(id int64) *disc {
	d := &disc{order: id}
	d.ID = id
	d.sweep.bySector, d.behind.bySector = true, true
	return d
}

// push adds a task that has become queued.
func (d *disc) push(t *task) {
	d.count(t, 1)
	if t.pass() {
		d.passes.push(t)
		d.waits++
		return
	}
	d.n++
	d.sectors += t.Sectors
	d.front.ask(t)
	d.reads.push(t)
	if t.express() {
		d.urgent++
		d.express.push(t)
	}
	d.line(t)
}

// line puts a read among those that are ahead of the drive's head, or behind it.
func (d *disc) line(t *task) {
	if t.Sector < d.head {
		d.behind.push(t)
	} else {
		d.sweep.push(t)
	}
}

// count takes note that so many tasks more avoid a drive as t does.
func (d *disc) count(t *task, more int) {
	if t.Avoid == 0 && !t.pass() {
		return
	}
	i := slices.IndexFunc(d.avoided, func(a avoided) bool { return a.drive == t.Avoid })
	if i < 0 {
		i = len(d.avoided)
		d.avoided = append(d.avoided, avoided{drive: t.Avoid})
	}
	a := &d.avoided[i]
	if t.pass() {
		a.passes += more
	} else {
		a.reads += more
	}
	if a.reads == 0 && a.passes == 0 {
		d.avoided = slices.Delete(d.avoided, i, i+1)
	}
}

// setAside keeps t, which next returned, from being returned again until the disc leaves its drive or takeBack is called.
func (d *disc) setAside(t *task) {
	if d.express.top() == t {
		d.express.pop()
	} else {
		d.sweep.pop()
	}
	if !slices.Contains(d.aside, t) {
		d.aside = append(d.aside, t)
	}
}

// takeBack ends that.
func (d *disc) takeBack() {
	for _, t := range d.aside {
		if t.state != queued {
			continue
		}
		if t.express() {
			d.express.push(t)
		}
		d.line(t)
	}
	d.aside = nil
}

// drop takes note that t, which was queued, is that no more.
func (d *disc) drop(t *task) {
	d.count(t, -1)
	if t.pass() {
		d.waits--
		return
	}
	d.n--
	d.sectors -= t.Sectors
	if t.express() {
		d.urgent--
	}
	if d.n == 0 {
		d.reads.items, d.express.items, d.sweep.items, d.behind.items, d.aside = nil, nil, nil, nil, nil
		d.front.asked = [tiers]bool{}
	}
}

// next returns the read to do next: what can't wait first, otherwise in ascending order of sectors.
func (d *disc) next() *task {
	if d.n == 0 {
		return nil
	}
	if t := d.express.top(); t != nil {
		return t
	}
	if t := d.sweep.top(); t != nil {
		return t
	}
	d.sweep, d.behind, d.head = d.behind, d.sweep, 0
	return d.sweep.top()
}

// rewind makes the next pass of the head over the disc begin at its first sector.
func (d *disc) rewind() {
	d.head = 0
	d.takeBack()
	d.front.asked = [tiers]bool{}
	for _, e := range d.reads.items {
		if e.t.state == queued {
			d.front.ask(e.t)
		}
	}
	for t := d.behind.top(); t != nil; t = d.behind.top() {
		d.behind.pop()
		d.sweep.push(t)
	}
}

// oldest returns the task that is due first, or nil.
func (d *disc) oldest() *task {
	r, p := d.reads.top(), d.passes.top()
	if r == nil || p != nil && p.Due < r.Due {
		return p
	}
	return r
}

// shuns returns the drive that everything to be read from the disc would rather not be read in, or when nothing is, that no verify or scrub
// would; 0 when there is no such drive.
func (d *disc) shuns() int {
	for _, a := range d.avoided {
		switch {
		case d.n > 0:
			if a.reads == d.n {
				return a.drive
			}
		case a.drive == 0 && a.passes == d.waits || a.drive == d.Avoid && a.passes+d.unspoiled() == d.waits:
			return d.Avoid
		case a.drive != 0 && a.passes == d.waits:
			return a.drive
		}
	}
	return 0
}

// unspoiled is how many verifies and scrubs have failed in no drive.
func (d *disc) unspoiled() int {
	for _, a := range d.avoided {
		if a.drive == 0 {
			return a.passes
		}
	}
	return 0
}

// avoids returns the drive that t, which is of this disc, would rather not be done in.
func (d *disc) avoids(t *task) int {
	if t.Avoid == 0 && t.pass() {
		return d.Avoid
	}
	return t.Avoid
}

// classes is how many sizes of batches are told apart: exactly up to 15, then four to a doubling, all above 2^20 as one.
const classes = 16 + 4*16 + 1

// class returns the class of a batch of n reads; 0 is that of discs from which nothing is to be read.
func class(n int) int {
	if n < 16 {
		return n
	}
	log := bits.Len(uint(n)) - 1
	return min(16+4*(log-4)+(n>>(log-2))&3, classes-1)
}

// batch returns the smallest n of a class.
func batch(class int) int {
	if class < 16 {
		return class
	}
	log, quarter := 4+(class-16)/4, (class-16)%4
	return (4 + quarter) << (log - 2)
}
