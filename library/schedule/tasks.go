package schedule

// tasks is what a planner knows of tasks, by id. They lie in pages, each for so many ids from a multiple of that on: ids are given in ascending
// order, so what comes together lies together. Pages are used again. What runs is looked up apart from the rest: of a million tasks none has to
// be fetched from memory when it ends.
type tasks struct {
	pages   map[int64]place // where the page of the ids begins
	lie     []uint16        // of each page, in which of its places tasks lie
	blocks  []*[block]task
	free    []place // where unused pages begin
	turns   uint32
	running map[int64]*task
	idle    []*task // that running ones can be kept in
	n       int
}

const (
	pageBits = 4
	page     = 1 << pageBits // ids; a task alone in its page takes 1 KiB
	block    = 1024          // tasks for which memory is had at once
)

func newTasks() tasks { return tasks{pages: map[int64]place{}, running: map[int64]*task{}} }

func (s *tasks) at(p place) *task { return &s.blocks[p/block][p%block] }

// lies says whether a task lies at p.
func (s *tasks) lies(p place) bool { return s.lie[p/page]>>(p%page)&1 != 0 }

// hold says that the task of an entry is still queued.
func (s *tasks) hold(e *entry) bool { return s.lies(e.place) && s.at(e.place).turn == e.turn }

// find returns the task of that id, or nil. It must not be one that runs.
func (s *tasks) find(id int64) *task {
	first, ok := s.pages[id>>pageBits]
	if p := first + place(id&(page-1)); ok && s.lies(p) {
		return s.at(p)
	}
	return nil
}

// queue queues a task. There must be none of its id.
func (s *tasks) queue(v task) *task {
	first, ok := s.pages[v.id>>pageBits]
	if !ok {
		first = s.more()
		s.pages[v.id>>pageBits] = first
	}
	s.n++
	s.turns++
	v.place, v.turn = first+place(v.id&(page-1)), s.turns
	s.lie[v.place/page] |= 1 << (v.place % page)
	t := s.at(v.place)
	*t = v
	return t
}

// more returns where an unused page begins.
func (s *tasks) more() place {
	if len(s.free) == 0 {
		begin := place(len(s.blocks) * block)
		s.blocks = append(s.blocks, new([block]task))
		s.lie = append(s.lie, make([]uint16, block/page)...)
		for p := begin + block - page; p >= max(begin, page); p -= page {
			s.free = append(s.free, p) // but not place 0
		}
	}
	last := len(s.free) - 1
	first := s.free[last]
	s.free = s.free[:last]
	return first
}

// remove forgets a task that doesn't run. Entries of heaps may still name it.
func (s *tasks) remove(t *task) {
	s.n--
	if t.place == 0 {
		return
	}
	number := t.place / page
	if s.lie[number] &^= 1 << (t.place % page); s.lie[number] == 0 {
		delete(s.pages, t.id>>pageBits)
		s.free = append(s.free, number*page)
	}
}

// run takes note that a task runs, which is queued no more or wasn't. Of one that was, what isn't said lies where it lay.
func (s *tasks) run(v task) *task {
	if v.place == 0 {
		s.n++
	}
	if len(s.idle) == 0 {
		s.idle = append(s.idle, new(task))
	}
	last := len(s.idle) - 1
	t := s.idle[last]
	s.idle = s.idle[:last]
	*t = v
	s.running[v.id] = t
	return t
}

// whole returns all that is known of a task that runs.
func (s *tasks) whole(t *task) task {
	if t.place == 0 {
		return *t
	}
	return *s.at(t.place)
}

// end forgets a task that runs.
func (s *tasks) end(t *task) {
	delete(s.running, t.id)
	s.idle = append(s.idle, t)
	s.remove(t)
}

// discs is what a planner knows of discs, by id.
type discs struct {
	pages map[int64]*[page]*disc
	all   []*disc // by place, from 1
}

// at returns the disc at a place, or nil.
func (s *discs) at(p place) *disc {
	if p == 0 {
		return nil
	}
	return s.all[p-1]
}

// find returns the disc of that id, or nil.
func (s *discs) find(id int64) *disc {
	if p := s.pages[id>>pageBits]; p != nil {
		return p[id&(page-1)]
	}
	return nil
}

// add returns a disc of which nothing is known yet. There must be none of that id.
func (s *discs) add(id int64, wanted *tasks) *disc {
	d := &disc{tasks: wanted, place: place(len(s.all) + 1)}
	d.ID = id
	s.all = append(s.all, d)
	p := s.pages[id>>pageBits]
	if p == nil {
		p = new([page]*disc)
		s.pages[id>>pageBits] = p
	}
	p[id&(page-1)] = d
	return d
}
