package agent

import (
	"slices"
	"sync"
)

// queue is the slots of a unit that are still to be looked into, and who does it. A disc that a drive could not read is kept for another one.
type queue struct {
	mu     sync.Mutex
	change *sync.Cond
	fresh  []int
	again  []retried
	tries  map[int]int
	taken  map[int]bool // their discs are being looked at
	stuck  map[int]bool // their discs are in drives that have not been emptied yet, or can't be
	drives int          // that work
	halted bool
}

// retried is a slot whose disc is to be tried once more, by another drive than not.
type retried struct {
	slot  int
	not   int32
	known bool // something is known of it already
}

// mostTries is how often a disc is tried, each time by another drive than before.
const mostTries = 2

func newQueue() *queue {
	q := &queue{taken: map[int]bool{}, stuck: map[int]bool{}, tries: map[int]int{}}
	q.change = sync.NewCond(&q.mu)
	return q
}

func (q *queue) add(slot int) { q.fresh = append(q.fresh, slot) }

// join and leave say that a drive works, and that it doesn't any more.
func (q *queue) join() { q.update(func() { q.drives++ }) }

func (q *queue) leave() { q.update(func() { q.drives-- }) }

func (q *queue) update(f func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	f()
	q.change.Broadcast()
}

// take takes a slot for the drive that has its disc already; was is false when nobody wants it.
func (q *queue) take(slot int) (was bool) {
	q.update(func() {
		if was = q.stuck[slot]; was {
			delete(q.stuck, slot)
			q.taken[slot] = true
		}
	})
	return was
}

// stick gives a slot back whose disc is in a drive and stays there.
func (q *queue) stick(slot int) {
	q.update(func() {
		delete(q.taken, slot)
		q.stuck[slot] = true
	})
}

// next returns the next slot for a drive; ok is false when there is nothing more for it. It waits while another drive may fail with a disc.
// Second says that the disc was in another drive before.
func (q *queue) next(drive int32) (slot int, second, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for {
		if q.halted {
			return 0, false, false
		}
		if i := slices.IndexFunc(q.again, func(r retried) bool { return r.not != drive && q.tries[r.slot] < mostTries }); i >= 0 {
			slot = q.again[i].slot
			q.again = slices.Delete(q.again, i, i+1)
			q.taken[slot] = true
			return slot, true, true
		}
		if len(q.fresh) > 0 {
			slot = q.fresh[0]
			q.fresh = q.fresh[1:]
			q.taken[slot] = true
			return slot, false, true
		}
		if len(q.taken) == 0 {
			return 0, false, false
		}
		q.change.Wait()
	}
}

// done says that a slot needs nothing more.
func (q *queue) done(slot int) { q.update(func() { delete(q.taken, slot) }) }

// retry keeps a slot for another drive than this one; known says that something is known of it.
func (q *queue) retry(slot int, drive int32, known bool) {
	q.update(func() {
		delete(q.taken, slot)
		q.tries[slot]++
		q.again = append(q.again, retried{slot, drive, known})
	})
}

// back gives a slot back: nothing was done with it.
func (q *queue) back(slot int) {
	q.update(func() {
		delete(q.taken, slot)
		q.fresh = append([]int{slot}, q.fresh...)
	})
}

// halt ends the work of the unit.
func (q *queue) halt() { q.update(func() { q.halted = true }) }

// left returns the slots of which nothing is known, when nobody works any more.
func (q *queue) left() []int {
	all := slices.Clone(q.fresh)
	for slot := range q.stuck {
		all = append(all, slot)
	}
	for _, r := range q.again {
		if !r.known {
			all = append(all, r.slot)
		}
	}
	return all
}
