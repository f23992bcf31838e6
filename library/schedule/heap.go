package schedule

import "time"

// taskHeap is a heap of tasks that forgets those which are queued no more when they come up.
type taskHeap struct {
	items    []*task
	bySector bool // otherwise by when they are due
}

func (h *taskHeap) less(a, b *task) bool {
	if h.bySector && a.Sector != b.Sector {
		return a.Sector < b.Sector
	}
	if x, y := a.Due, b.Due; x != y {
		return x < y
	}
	return a.ID < b.ID
}

func (h *taskHeap) push(t *task) {
	h.items = append(h.items, t)
	for i := len(h.items) - 1; i > 0; {
		up := (i - 1) / 2
		if !h.less(h.items[i], h.items[up]) {
			return
		}
		h.items[i], h.items[up] = h.items[up], h.items[i]
		i = up
	}
}

func (h *taskHeap) pop() {
	last := len(h.items) - 1
	h.items[0] = h.items[last]
	h.items[last] = nil
	h.items = h.items[:last]
	for i := 0; ; {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < last; c++ {
			if h.less(h.items[c], h.items[least]) {
				least = c
			}
		}
		if least == i {
			return
		}
		h.items[i], h.items[least] = h.items[least], h.items[i]
		i = least
	}
}

// top returns the first queued task, or nil.
func (h *taskHeap) top() *task {
	for len(h.items) > 0 {
		if t := h.items[0]; t.state == queued {
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
