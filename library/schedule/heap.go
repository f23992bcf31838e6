package schedule

import (
	"math"
	"time"
)

// taskHeap is a heap of queued tasks.
type taskHeap struct {
	items    []entry
	bySector bool // otherwise by when they are due
	doubt    bool // some may be cancelled: they are forgotten when they come up
}

// entry is a task with what it is sorted by, so that a comparison doesn't fetch the tasks: of a million, hardly any is in the processor's cache.
type entry struct {
	due    time.Duration
	id     int64
	t      *task
	sector uint32 // a disc has fewer
	turn   uint32 // of t
}

func entryOf(t *task) entry {
	return entry{due: t.Due, id: t.ID, t: t, sector: uint32(min(max(t.Sector, 0), math.MaxUint32)), turn: t.turn}
}

// holds says that the task is still queued.
func (e *entry) holds() bool { return e.t.turn == e.turn && e.t.state == queued }

func (h *taskHeap) before(a, b *entry) bool {
	if h.bySector && a.sector != b.sector {
		return a.sector < b.sector
	}
	if a.due != b.due {
		return a.due < b.due
	}
	return a.id < b.id
}

func (h *taskHeap) push(e entry) {
	h.items = append(h.items, e)
	i := len(h.items) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !h.before(&e, &h.items[up]) {
			break
		}
		h.items[i] = h.items[up]
		i = up
	}
	h.items[i] = e
}

func (h *taskHeap) pop() {
	last := len(h.items) - 1
	e := h.items[last]
	h.items[last] = entry{}
	h.items = h.items[:last]
	if last == 0 {
		*h = taskHeap{bySector: h.bySector}
		return
	}
	h.sift(0, e)
}

// sift puts e at i, or below it where it belongs.
func (h *taskHeap) sift(i int, e entry) {
	for c := 2*i + 1; c < len(h.items); c = 2*i + 1 {
		if c+1 < len(h.items) && h.before(&h.items[c+1], &h.items[c]) {
			c++
		}
		if !h.before(&h.items[c], &e) {
			break
		}
		h.items[i] = h.items[c]
		i = c
	}
	h.items[i] = e
}

// sort makes a heap of its entries again, in that order.
func (h *taskHeap) sort(bySector bool) {
	h.bySector = bySector
	for i := len(h.items)/2 - 1; i >= 0; i-- {
		h.sift(i, h.items[i])
	}
}

// first returns the entry of the first task, which is good until the heap changes, or nil. The task itself isn't looked at unless it must be.
func (h *taskHeap) first() *entry {
	for len(h.items) > 0 {
		if e := &h.items[0]; !h.doubt || e.holds() {
			return e
		}
		h.pop()
	}
	return nil
}

// top returns the first task, or nil.
func (h *taskHeap) top() *task {
	if e := h.first(); e != nil {
		return e.t
	}
	return nil
}

// discHeap is a heap of discs by key; each knows its place in it.
type discHeap []*disc

func (h discHeap) less(a, b *disc) bool {
	if a.key != b.key {
		return a.key < b.key
	}
	return a.order < b.order
}

func (h discHeap) swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

func (h discHeap) up(i int) bool {
	moved := false
	for i > 0 {
		up := (i - 1) / 2
		if !h.less(h[i], h[up]) {
			break
		}
		h.swap(i, up)
		i, moved = up, true
	}
	return moved
}

func (h discHeap) down(i int) {
	for {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < len(h); c++ {
			if h.less(h[c], h[least]) {
				least = c
			}
		}
		if least == i {
			return
		}
		h.swap(i, least)
		i = least
	}
}

func (h *discHeap) add(d *disc) {
	d.at = len(*h)
	*h = append(*h, d)
	h.up(d.at)
}

func (h *discHeap) remove(d *disc) {
	i, last := d.at, len(*h)-1
	if i != last {
		h.swap(i, last)
	}
	(*h)[last] = nil
	*h = (*h)[:last]
	if i != last && !h.up(i) {
		h.down(i)
	}
}

func (h discHeap) key() (time.Duration, bool) {
	if len(h) == 0 {
		return 0, false
	}
	return h[0].key, true
}
