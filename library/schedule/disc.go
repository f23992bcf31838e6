package schedule

import (
	"math/bits"
	"slices"
	"time"
)

// disc is a disc with what is wanted from it. What is looked at when a read is added comes first, and together: there are thousands of discs, and
// each part of one that isn't in the processor's cache costs as much as a hundred instructions.
type disc struct {
	n       int    // queued reads
	urgent  int    // queued express reads
	waits   int    // queued verifies and scrubs
	sectors int64  // of the queued reads
	tasks   *tasks // the planner's

	// Where it waits, when it does.
	heap *discHeap
	at   int32
	shy  bool // it is in one of the queue's heaps of those that shun a drive

	claimed bool // on its way, or about to be
	read    int  // n when it was put there
	key     time.Duration
	q       *queue

	reads   taskHeap // those that can wait, by when they are due until the disc is read, and then by sector those that are ahead of the drive's head
	front   fronted
	shaded  shaded
	avoided []avoided
	aside   []entry // reads that the drive which it is in shouldn't do

	place place
	Disc

	express taskHeap // reads that can't wait, by when they are due
	behind  taskHeap // by sector: what came too late to be among the reads
	passes  taskHeap // verifies and scrubs
	head    uint32   // sector that the drive has got to
}

// avoided is how many of a disc's reads, and verifies and scrubs, have failed in a drive; 0 stands for those that haven't in any.
type avoided struct{ drive, reads, passes int }

// push adds a task that has become queued.
func (d *disc) push(t *task) {
	d.count(t, 1)
	if t.pass() {
		d.waits++
		d.passes.push(t.entry())
		return
	}
	d.n++
	d.sectors += int64(t.sectors)
	d.front.ask(t)
	if t.express() {
		d.urgent++
	}
	d.line(t)
}

// line puts a read where it waits.
func (d *disc) line(t *task) {
	switch {
	case t.express():
		d.express.push(t.entry())
	case d.reads.bySector && t.sector < d.head:
		d.behind.push(t.entry())
	default:
		d.reads.push(t.entry())
	}
}

// count takes note that so many tasks more avoid a drive as t does.
func (d *disc) count(t *task, more int) {
	if t.avoid == 0 && !t.pass() {
		return
	}
	i := slices.IndexFunc(d.avoided, func(a avoided) bool { return a.drive == int(t.avoid) })
	if i < 0 {
		i = len(d.avoided)
		d.avoided = append(d.avoided, avoided{drive: int(t.avoid)})
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

// take takes t, which next returned or which is the first of the passes, from what is queued.
func (d *disc) take(t *task) {
	d.pop(t)
	d.drop(t)
}

func (d *disc) pop(t *task) {
	switch {
	case t.pass():
		d.passes.pop()
	case t.express():
		d.express.pop()
	default:
		d.reads.pop()
	}
}

// setAside keeps t, which next returned, from being returned again until the disc leaves its drive or takeBack is called.
func (d *disc) setAside(t *task) {
	d.pop(t)
	d.aside = append(d.aside, t.entry())
}

// takeBack ends that.
func (d *disc) takeBack() {
	if len(d.aside) == 0 {
		return
	}
	for i := range d.aside {
		if d.tasks.hold(&d.aside[i]) {
			d.line(d.tasks.at(d.aside[i].place))
		}
	}
	d.aside = nil
}

// cancel takes note that t, which is queued, is not to be done.
func (d *disc) cancel(t *task) {
	d.express.doubt, d.reads.doubt, d.behind.doubt, d.passes.doubt = true, true, true, true
	d.drop(t)
}

// drop counts t no more.
func (d *disc) drop(t *task) {
	d.count(t, -1)
	if t.pass() {
		d.waits--
		return
	}
	d.n--
	d.sectors -= int64(t.sectors)
	if t.express() {
		d.urgent--
	}
	if d.n == 0 {
		d.express, d.reads, d.behind, d.aside = taskHeap{}, taskHeap{}, taskHeap{}, nil
		d.front.asked = [tiers]bool{}
	}
}

// next returns the read to do next: what can't wait first, otherwise in ascending order of sectors.
func (d *disc) next() (t task, ok bool) {
	if d.n == 0 {
		return task{}, false
	}
	d.bySector()
	if d.urgent > 0 {
		if t := d.express.top(d.tasks); t != nil {
			return *t, true
		}
	}
	if d.reads.clean(d.tasks); len(d.reads.items) == 0 {
		d.reads, d.behind, d.head = d.behind, d.reads, 0
		d.reads.clean(d.tasks)
	}
	switch {
	case len(d.reads.items) == 0:
		return task{}, false
	case len(d.avoided) > 0:
		return *d.tasks.at(d.reads.items[0].place), true
	}
	return d.reads.items[0].taskOf(d), true
}

// bySector sorts the reads of a disc that is in a drive: once for each time that it is there.
func (d *disc) bySector() {
	if d.reads.bySector {
		return
	}
	d.behind = taskHeap{bySector: true, heaped: true, doubt: d.reads.doubt}
	ahead := d.reads.items[:0]
	for _, e := range d.reads.items {
		if e.sector < d.head {
			d.behind.push(e)
		} else {
			ahead = append(ahead, e)
		}
	}
	d.reads.items = ahead
	d.reads.sortBySector()
}

// byDue sorts those of one that waits for a drive.
func (d *disc) byDue() {
	d.takeBack()
	if !d.reads.bySector {
		return
	}
	d.reads.items = append(d.reads.items, d.behind.items...)
	d.reads.doubt = d.reads.doubt || d.behind.doubt
	d.behind = taskHeap{}
	d.reads.sortByDue()
}

// rewind makes the next pass of the head over the disc begin at its first sector.
func (d *disc) rewind() {
	d.head = 0
	d.byDue()
	d.front.asked = [tiers]bool{}
	for i := range d.reads.items {
		if e := &d.reads.items[i]; d.tasks.hold(e) {
			d.front.ask(d.tasks.at(e.place))
		}
	}
}

// due returns when the first of its tasks is due, and whether there is one. The disc waits.
func (d *disc) due() (time.Duration, bool) {
	h := d.firsts()
	return h.due(d.tasks)
}

// oldest returns the task that is due first, or nil.
func (d *disc) oldest() *task { return d.firsts().top(d.tasks) }

// firsts returns the heap of the task that is due first: of those that are due at once the read.
func (d *disc) firsts() *taskHeap {
	d.byDue()
	h := &d.reads
	first, any := h.due(d.tasks)
	if d.urgent > 0 {
		if due, ok := d.express.due(d.tasks); ok && (!any || due < first || due == first && d.express.items[0].id < h.items[0].id) {
			h, first, any = &d.express, due, true
		}
	}
	if d.waits > 0 {
		if due, ok := d.passes.due(d.tasks); ok && (!any || due < first) {
			h = &d.passes
		}
	}
	return h
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
	if t.avoid == 0 && t.pass() {
		return d.Avoid
	}
	return int(t.avoid)
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
