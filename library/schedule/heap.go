package schedule

import "time"

// taskHeap is queued tasks, of which the first is to be had. The zero value is empty, and sorts by when tasks are due.
type taskHeap struct {
	items    []entry
	first    time.Duration // when the first is due
	bySector bool          // otherwise by when they are due
	heaped   bool          // the rest is a heap; otherwise the first is first, and the others came as they lie
	doubt    bool          // some may be cancelled: they are forgotten when they come up
}

// entry is a task with what it is sorted by, so that a comparison doesn't fetch the tasks: of a million, hardly any is in the processor's cache.
type entry struct {
	due     time.Duration
	id      int64
	place   place  // of the task
	turn    uint32 // of the task
	sector  uint32
	sectors uint32
}

func (h *taskHeap) before(a, b *entry) bool {
	if h.bySector && a.sector != b.sector {
		return a.sector < b.sector
	}
	if a.due != b.due {
		return a.due < b.due
	}
	return a.id < b.id
}

// push adds a task. Until the first of those that lie there is taken nobody asks for the second, so that no more is looked at than must be.
func (h *taskHeap) push(e entry) {
	h.items = append(h.items, e)
	last := len(h.items) - 1
	switch {
	case h.heaped:
		h.rise(last, e)
	case last == 0 || e.due <= h.first && h.before(&e, &h.items[0]):
		h.items[0], h.items[last] = e, h.items[0]
		h.first = e.due
	}
}

func (h *taskHeap) pop() {
	if !h.heaped {
		h.heap()
	}
	last := len(h.items) - 1
	e := h.items[last]
	h.items = h.items[:last]
	if last == 0 {
		*h = taskHeap{bySector: h.bySector, heaped: h.bySector}
		return
	}
	h.sift(0, e)
}

// rise puts e at i, or above it where it belongs.
func (h *taskHeap) rise(i int, e entry) {
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

// heap makes a heap of what lies there.
func (h *taskHeap) heap() {
	h.heaped = true
	for i := len(h.items)/2 - 1; i >= 0; i-- {
		h.sift(i, h.items[i])
	}
}

// sortBySector orders the tasks anew.
func (h *taskHeap) sortBySector() {
	h.bySector = true
	h.heap()
}

// sortByDue orders the tasks anew.
func (h *taskHeap) sortByDue() {
	h.bySector, h.heaped = false, false
	for i := range h.items {
		if h.before(&h.items[i], &h.items[0]) {
			h.items[0], h.items[i] = h.items[i], h.items[0]
		}
	}
	if len(h.items) > 0 {
		h.first = h.items[0].due
	}
}

// top returns the first task, or nil. The tasks themselves aren't looked at unless they must be.
func (h *taskHeap) top(of *tasks) *task {
	if h.clean(of); len(h.items) > 0 {
		return of.at(h.items[0].place)
	}
	return nil
}

// due returns when the first task is due, and whether there is one.
func (h *taskHeap) due(of *tasks) (time.Duration, bool) {
	h.clean(of)
	switch {
	case len(h.items) == 0:
		return 0, false
	case h.heaped:
		return h.items[0].due, true
	}
	return h.first, true
}

// clean forgets what was cancelled and has come up.
func (h *taskHeap) clean(of *tasks) {
	for h.doubt && len(h.items) > 0 && !of.hold(&h.items[0]) {
		h.pop()
	}
}

// discHeap is a heap of discs by key; each knows its place in it.
type discHeap []keyed

// keyed is a disc with what it is sorted by.
type keyed struct {
	key  time.Duration
	disc *disc
}

func (d *disc) keyed() keyed { return keyed{d.key, d} }

func (k keyed) before(o keyed) bool { return k.key < o.key || k.key == o.key && k.disc.ID < o.disc.ID }

func (h discHeap) swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].disc.at, h[j].disc.at = int32(i), int32(j)
}

func (h discHeap) up(i int) bool {
	moved := false
	for i > 0 {
		up := (i - 1) / 2
		if !h[i].before(h[up]) {
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
			if h[c].before(h[least]) {
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
	last := len(*h)
	d.at = int32(last)
	*h = append(*h, d.keyed())
	h.up(last)
}

func (h *discHeap) remove(d *disc) {
	i, last := int(d.at), len(*h)-1
	if i != last {
		h.swap(i, last)
	}
	(*h)[last] = keyed{}
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
