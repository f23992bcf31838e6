package schedule

import "time"

// taskHeap is a heap of tasks that forgets those which are queued no more when they come up.
type taskHeap struct {
	items    []entry
	bySector bool // otherwise by when they are due
}

// entry is a task with what it is sorted by, so that a comparison doesn't fetch the tasks: of a million, hardly any is in the processor's cache.
type entry struct {
	key, then int64 // sector and due, or due and id
	t         *task
}

func (a entry) before(b entry) bool {
	if a.key != b.key {
		return a.key < b.key
	}
	if a.then != b.then {
		return a.then < b.then
	}
	return a.t.ID < b.t.ID
}

func (h *taskHeap) push(t *task) {
	e := entry{key: int64(t.Due), then: t.ID, t: t}
	if h.bySector {
		e.key, e.then = t.Sector, int64(t.Due)
	}
	h.items = append(h.items, e)
	i := len(h.items) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !e.before(h.items[up]) {
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
		return
	}
	i := 0
	for c := 1; c < last; c = 2*i + 1 {
		if c+1 < last && h.items[c+1].before(h.items[c]) {
			c++
		}
		if !h.items[c].before(e) {
			break
		}
		h.items[i] = h.items[c]
		i = c
	}
	h.items[i] = e
}

// top returns the first queued task, or nil.
func (h *taskHeap) top() *task {
	for len(h.items) > 0 {
		if t := h.items[0].t; t.state == queued {
			return t
		}
		h.pop()
	}
	h.items = nil
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
