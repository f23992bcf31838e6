package schedule

import (
	"cmp"
	"slices"
)

// Refresh takes in part of a snapshot: every drive, the units whose picker moves, whether anything may move and how many builds run, but
// only such discs and tasks as have changed. Tasks that were known and are no more are to be cancelled first.
func (p *Planner) Refresh(s Snapshot) {
	p.now = max(p.now, s.Now)
	p.still, p.building = s.Still, s.Building
	for _, d := range s.Drives {
		p.SetDrive(d)
	}
	for _, d := range s.Discs {
		p.SetDisc(d)
	}
	for _, u := range s.MovingUnits {
		p.unit(u)
	}
	for _, u := range p.units {
		u.moving = slices.Contains(s.MovingUnits, u.number)
	}
	for _, t := range byID(s.Tasks) {
		p.Add(t)
	}
	p.touch()
}

// byID returns tasks in the order of their ids: older ones of the same urgency come first, what is added first is.
func byID(tasks []Task) []Task {
	if slices.IsSortedFunc(tasks, compareID) {
		return tasks
	}
	sorted := slices.Clone(tasks)
	slices.SortFunc(sorted, compareID)
	return sorted
}

func compareID(a, b Task) int { return cmp.Compare(a.ID, b.ID) }

// Refresh takes in part of a snapshot, as Planner does.
func (c *Checker) Refresh(s Snapshot) {
	c.now, c.Still = max(c.now, s.Now), s.Still
	clear(c.moving)
	for _, u := range s.MovingUnits {
		c.moving[u] = true
	}
	for _, d := range s.Drives {
		c.SetDrive(d)
	}
	for _, d := range s.Discs {
		c.SetDisc(d)
	}
	for _, t := range s.Tasks {
		c.Add(t)
	}
}

// Cancel forgets a task, whether it is queued or runs.
func (c *Checker) Cancel(id int64) {
	if t := c.tasks[id]; t != nil {
		delete(c.reads[t.Disc], id)
	}
	c.Ended(id)
}
