package schedule

// tasks is what a planner knows of tasks, by id. They lie in blocks whose places are used again: a million of them that came and went by
// themselves would keep the garbage collector busy for longer than the planner.
type tasks struct {
	byID map[int64]*task
	free []*task
}

// block is how many tasks are made at once.
const block = 256

// find returns the task of that id, or nil.
func (s *tasks) find(id int64) *task { return s.byID[id] }

// add returns a task that is queued. There must be none of that id.
func (s *tasks) add(v Task) *task {
	if len(s.free) == 0 {
		made := make([]task, block)
		for i := range made {
			s.free = append(s.free, &made[i])
		}
	}
	last := len(s.free) - 1
	t := s.free[last]
	s.free = s.free[:last]
	t.Task, t.state = v, queued
	s.byID[v.ID] = t
	return t
}

// remove forgets a task. Entries of heaps that still name it see that by its turn.
func (s *tasks) remove(t *task) {
	delete(s.byID, t.ID)
	*t = task{state: gone, turn: t.turn + 1}
	s.free = append(s.free, t)
}
