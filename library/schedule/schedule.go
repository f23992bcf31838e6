// Package schedule decides which disc goes into which drive when. It is a pure function from a snapshot of one
// library to the actions that should start now: no I/O, no clock, no memory. Applying the actions is the caller's business.
package schedule

import (
	"cmp"
	"slices"

	"github.com/odarchive/odarchive/library"
)

// Snapshot is all that a decision depends on.
type Snapshot struct {
	Drives []Drive
	// Discs are those that queued tasks name, those in drives, and the blank ones; each at its place.
	Discs []Disc
	Tasks []Task
	// MovingUnits are the units whose picker is carrying a disc now.
	MovingUnits []int
	// Still says that nothing may move: the robot is in trouble, or its state has to be read first.
	Still bool
	// Building is how many builds run now; BuildLimit how many may.
	Building, BuildLimit int
}

// Drive is a drive and what it is doing.
type Drive struct {
	Number int
	Unit   int
	Up     bool
	Busy   bool  // a task, a move included, is leased for it
	Known  bool  // whether it holds a disc is certain
	Full   bool  // it holds one
	Disc   int64 // 0 when it is empty or holds nobody knows what
	Home   int   // slot to which its disc goes back
}

// Disc is a disc and where it is.
type Disc struct {
	ID       int64
	Unit     int
	Slot     int // 0 when it is not in a slot
	Drive    int // 0 when it is not in a drive
	Blank    bool
	Capacity int64 // sectors
	// Reload says that the disc must leave its drive before it is read: it was burned and not loaded since.
	Reload bool
	// Avoid is the drive that the disc's next read should not use if another can be had; 0 for none.
	Avoid int
}

// Task is a queued task.
type Task struct {
	ID       int64
	Kind     library.TaskKind
	Priority int
	Disc     int64 // of verify and read
	Sectors  int64 // of burn: what must fit
	// Ready says that the task could run at once, were its disc in a drive: of a burn, that its image is built.
	Ready bool
	// Avoid is the drive that the task failed in; 0 for none.
	Avoid int
}

// Action is one thing to start. Either Task is set (with Drive and Disc where the task needs them), or it is a move.
type Action struct {
	Task  int64
	Drive int
	Disc  int64
	// Of a move: between Slot and Drive.
	Load, Unload bool
	Slot         int
}

// Next returns what should start now, most urgent first. Actions never compete for a drive, a disc or a picker.
func Next(s Snapshot) []Action {
	p := newPlan(s)
	p.startWithoutDrive()
	p.startInDrives()
	if !s.Still {
		p.moves()
	}
	return p.actions
}

type plan struct {
	Snapshot
	discs   map[int64]*Disc
	used    map[int]bool   // drives that got an action
	claimed map[int64]bool // discs that got one
	moving  map[int]bool   // units whose picker is taken
	started map[int64]bool
	actions []Action
}

func newPlan(s Snapshot) *plan {
	p := &plan{
		Snapshot: s,
		discs:    make(map[int64]*Disc, len(s.Discs)),
		used:     map[int]bool{},
		claimed:  map[int64]bool{},
		moving:   map[int]bool{},
		started:  map[int64]bool{},
	}
	for i := range p.Discs {
		p.discs[p.Discs[i].ID] = &p.Discs[i]
	}
	for _, u := range s.MovingUnits {
		p.moving[u] = true
	}
	for _, d := range s.Drives {
		if d.Busy {
			p.used[d.Number] = true
			p.claimed[d.Disc] = true
		}
	}
	p.Tasks = slices.Clone(s.Tasks)
	slices.SortFunc(p.Tasks, func(a, b Task) int {
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.ID, b.ID))
	})
	return p
}

func (p *plan) start(t Task, drive int, disc int64) {
	p.actions = append(p.actions, Action{Task: t.ID, Drive: drive, Disc: disc})
	p.started[t.ID] = true
	if drive != 0 {
		p.used[drive] = true
		p.claimed[disc] = true
	}
}

func (p *plan) startWithoutDrive() {
	for _, t := range p.Tasks {
		switch t.Kind {
		case library.BuildTask:
			if p.Building < p.BuildLimit {
				p.Building++
				p.start(t, 0, 0)
			}
		case library.ReleaseTask:
			p.start(t, 0, 0)
		}
	}
}

// startInDrives starts the tasks whose disc lies in an idle drive already.
func (p *plan) startInDrives() {
	for _, d := range p.Drives {
		if p.used[d.Number] || !d.Up || !d.Known || d.Disc == 0 {
			continue
		}
		disc := p.discs[d.Disc]
		if disc == nil || disc.Reload {
			continue
		}
		for _, t := range p.Tasks {
			if !p.started[t.ID] && p.suits(t, disc) && !p.shuns(t, d, disc) {
				p.start(t, d.Number, disc.ID)
				break
			}
		}
	}
}

// suits says whether t can be done with disc.
func (p *plan) suits(t Task, disc *Disc) bool {
	switch t.Kind {
	case library.BurnTask:
		return t.Ready && disc.Blank && disc.Capacity >= t.Sectors
	case library.VerifyTask, library.ReadTask:
		return t.Disc == disc.ID
	default:
		return false
	}
}

// shuns says that t should rather not run in d while another drive could take the disc.
func (p *plan) shuns(t Task, d Drive, disc *Disc) bool {
	if t.Avoid != d.Number && (t.Kind != library.VerifyTask || disc.Avoid != d.Number) {
		return false
	}
	return slices.ContainsFunc(p.Drives, func(o Drive) bool {
		return o.Number != d.Number && o.Unit == d.Unit && o.Up && o.Known
	})
}

// moves sends home what no task wants where it is, then loads what the most urgent tasks want.
func (p *plan) moves() {
	for _, d := range p.Drives {
		if p.used[d.Number] || !d.Full || d.Home == 0 || !d.Known || p.moving[d.Unit] {
			continue
		}
		p.actions = append(p.actions, Action{Unload: true, Drive: d.Number, Disc: d.Disc, Slot: d.Home})
		p.used[d.Number], p.claimed[d.Disc], p.moving[d.Unit] = true, true, true
	}
	for _, t := range p.Tasks {
		if p.started[t.ID] {
			continue
		}
		if disc, drive := p.candidate(t); drive != nil {
			p.actions = append(p.actions, Action{Load: true, Drive: drive.Number, Disc: disc.ID, Slot: disc.Slot})
			p.used[drive.Number], p.claimed[disc.ID], p.moving[disc.Unit] = true, true, true
		}
	}
}

// candidate returns the disc that t wants, when it lies in a slot, and an empty idle drive for it; no drive, no move.
func (p *plan) candidate(t Task) (*Disc, *Drive) {
	if t.Kind == library.VerifyTask || t.Kind == library.ReadTask {
		disc := p.discs[t.Disc]
		if disc == nil || disc.Slot == 0 || p.claimed[disc.ID] || p.moving[disc.Unit] {
			return nil, nil
		}
		return disc, p.freeDrive(t, disc)
	}
	if t.Kind != library.BurnTask || !t.Ready {
		return nil, nil
	}
	// Blanks are taken in the order of slots, from the unit with most free drives.
	var best *Disc
	var drive *Drive
	free := 0
	for i := range p.Discs {
		disc := &p.Discs[i]
		if !p.suits(t, disc) || disc.Slot == 0 || p.claimed[disc.ID] || p.moving[disc.Unit] {
			continue
		}
		if best != nil && disc.Unit == best.Unit {
			if disc.Slot < best.Slot {
				best = disc
			}
			continue
		}
		d := p.freeDrive(t, disc)
		if n := p.freeDrives(disc.Unit); d != nil && n > free {
			best, drive, free = disc, d, n
		}
	}
	return best, drive
}

func (p *plan) idle(d *Drive, unit int) bool {
	return d.Unit == unit && d.Up && d.Known && !d.Full && !p.used[d.Number]
}

func (p *plan) freeDrives(unit int) (n int) {
	for i := range p.Drives {
		if p.idle(&p.Drives[i], unit) {
			n++
		}
	}
	return n
}

// freeDrive returns an idle empty drive for disc, one that t has not failed in if there is a choice. When only the
// shunned one is free now but another will be, it returns nil: the task waits.
func (p *plan) freeDrive(t Task, disc *Disc) *Drive {
	for i := range p.Drives {
		if d := &p.Drives[i]; p.idle(d, disc.Unit) && !p.shuns(t, *d, disc) {
			return d
		}
	}
	return nil
}
