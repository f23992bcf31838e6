package schedule

import (
	"fmt"
	"slices"
	"time"

	"github.com/odarchive/odarchive/library"
)

// Checker says whether actions obey the rules that any plan must obey. It keeps its own account of the library and shares no
// decision with Planner; it is told of the same events. The rules: a disc is in one place; a drive holds one disc and does one thing;
// a picker carries one disc; a burn is never stopped; a disc in use serves the others that want it before it leaves; nothing is moved
// into what is not known to be empty; no second disc of a set is put at risk in a drive in which one has failed.
type Checker struct {
	now    time.Duration
	drives map[int]*Drive
	discs  map[int64]*Disc
	tasks  map[int64]*Task
	reads  map[int64]map[int64]*Task // queued ones, by disc
	runs   map[int64]int             // drive by running task
	moving map[int]bool              // by unit
	slots  map[slot]int64            // the disc in each
	opened map[int]bool              // drives that eject
	stops  map[int64]bool            // tasks that were told to stop
	Still  bool
	// MountLimit is Config's: after that long a disc may leave although something still wants it.
	MountLimit time.Duration
}

type slot struct{ unit, number int }

// NewChecker returns a checker that knows of nothing yet.
func NewChecker() *Checker {
	return &Checker{
		drives: map[int]*Drive{}, discs: map[int64]*Disc{}, tasks: map[int64]*Task{}, reads: map[int64]map[int64]*Task{}, runs: map[int64]int{},
		moving: map[int]bool{}, slots: map[slot]int64{}, opened: map[int]bool{}, stops: map[int64]bool{}, MountLimit: time.Hour,
	}
}

// CheckerFor returns a checker that knows what s says.
func CheckerFor(s Snapshot) *Checker {
	c := NewChecker()
	c.now, c.Still = s.Now, s.Still
	for _, d := range s.Drives {
		c.SetDrive(d)
	}
	for _, d := range s.Discs {
		c.SetDisc(d)
	}
	for _, t := range s.Tasks {
		c.Add(t)
	}
	for _, u := range s.MovingUnits {
		c.moving[u] = true
	}
	return c
}

// Decide takes note of the time. It decides nothing.
func (c *Checker) Decide(now time.Duration) []Action {
	c.now = max(c.now, now)
	return nil
}

// SetDrive, and the methods below, are what happens, as Planner is told.
func (c *Checker) SetDrive(d Drive) {
	c.drives[d.Number] = &d
	if d.Running.ID != 0 {
		c.runs[d.Running.ID] = d.Number
	}
}

// SetDisc says where a disc is.
func (c *Checker) SetDisc(d Disc) {
	if old := c.discs[d.ID]; old != nil && old.Slot != 0 {
		delete(c.slots, slot{old.Unit, old.Slot})
	}
	c.discs[d.ID] = &d
	if d.Slot != 0 {
		c.slots[slot{d.Unit, d.Slot}] = d.ID
	}
}

// Add queues a task.
func (c *Checker) Add(t Task) {
	c.tasks[t.ID] = &t
	if t.Kind == library.ReadTask {
		if c.reads[t.Disc] == nil {
			c.reads[t.Disc] = map[int64]*Task{}
		}
		c.reads[t.Disc][t.ID] = &t
	}
}

// Ended says that a running task is over.
func (c *Checker) Ended(id int64) {
	if d := c.drives[c.runs[id]]; d != nil {
		d.Busy = false
	}
	delete(c.runs, id)
	delete(c.tasks, id)
	delete(c.stops, id)
}

// Stopped says that a running task was stopped.
func (c *Checker) Stopped(id, left int64) {
	if d := c.drives[c.runs[id]]; d != nil {
		d.Busy = false
	}
	delete(c.runs, id)
	delete(c.stops, id)
	if t := c.tasks[id]; t != nil {
		t.Sectors = left
	}
}

// Loaded says that a disc is ready.
func (c *Checker) Loaded(n int) { c.drives[n].Busy, c.drives[n].Since = false, c.now }

// Ejected says that a tray is open.
func (c *Checker) Ejected(n int) { c.drives[n].Busy, c.drives[n].Ejected = false, true }

// Unloaded says that a disc is home.
func (c *Checker) Unloaded(n int) {
	d := c.drives[n]
	if disc := c.discs[d.Disc]; disc != nil {
		disc.Drive, disc.Slot, disc.Reload = 0, d.Home, false
		c.slots[slot{d.Unit, d.Home}] = disc.ID
	}
	d.Busy, d.Full, d.Ejected, d.Disc = false, false, false, 0
}

// Released says that a picker is free.
func (c *Checker) Released(unit int) { c.moving[unit] = false }

// SetStill says whether nothing may move.
func (c *Checker) SetStill(still bool) { c.Still = still }

// Check returns an error that names the rule which a breaks, or takes a as begun.
func (c *Checker) Check(a Action) error {
	if err := c.check(a); err != nil {
		return fmt.Errorf("%+v breaks a rule: %w", a, err)
	}
	return nil
}

func (c *Checker) check(a Action) error {
	if a.Drive == 0 {
		return c.withoutDrive(a)
	}
	d := c.drives[a.Drive]
	switch {
	case d == nil:
		return fmt.Errorf("there is no drive %d", a.Drive)
	case a.Stop:
		return c.stop(a, d)
	case d.Busy:
		return fmt.Errorf("drive %d is busy", a.Drive)
	case !d.Known:
		return fmt.Errorf("nobody knows what drive %d holds", a.Drive)
	case a.Load:
		return c.load(a, d)
	case !d.Full || d.Disc != a.Disc:
		return fmt.Errorf("disc %d is not in drive %d", a.Disc, a.Drive)
	case a.Eject, a.Unload:
		return c.leave(a, d)
	}
	return c.start(a, d)
}

func (c *Checker) withoutDrive(a Action) error {
	t := c.tasks[a.Task]
	if t == nil || t.Kind != library.BuildTask && t.Kind != library.ReleaseTask {
		return fmt.Errorf("task %d needs a drive, or is not queued", a.Task)
	}
	delete(c.tasks, a.Task)
	return nil
}

func (c *Checker) stop(a Action, d *Drive) error {
	t := c.tasks[a.Task]
	switch {
	case t == nil && d.Running.ID == a.Task:
		t = &d.Running
	case t == nil || c.runs[a.Task] != a.Drive:
		return fmt.Errorf("task %d does not run in drive %d", a.Task, a.Drive)
	}
	if t.Kind != library.VerifyTask {
		return fmt.Errorf("a %s is never interrupted", t.Kind)
	}
	if c.stops[a.Task] {
		return fmt.Errorf("task %d is being stopped", a.Task)
	}
	c.stops[a.Task] = true
	return nil
}

func (c *Checker) load(a Action, d *Drive) error {
	disc := c.discs[a.Disc]
	switch {
	case c.Still || c.moving[d.Unit]:
		return fmt.Errorf("the picker of unit %d can't move", d.Unit)
	case !d.Up:
		return fmt.Errorf("drive %d is out of service", a.Drive)
	case d.Full:
		return fmt.Errorf("drive %d holds a disc", a.Drive)
	case disc == nil || disc.Unknown || disc.Drive != 0 || disc.Slot == 0 || disc.Slot != a.Slot:
		return fmt.Errorf("disc %d is not known to be in slot %d", a.Disc, a.Slot)
	case disc.Unit != d.Unit:
		return fmt.Errorf("disc %d never crosses from unit %d to %d", a.Disc, disc.Unit, d.Unit)
	}
	if err := c.distrust(d, disc); err != nil {
		return err
	}
	delete(c.slots, slot{disc.Unit, disc.Slot})
	disc.Slot, disc.Drive = 0, d.Number
	d.Full, d.Disc, d.Home, d.HomeUnknown, d.Busy, d.Ejected = true, disc.ID, a.Slot, false, true, false
	c.moving[d.Unit] = true
	return nil
}

// distrust: a drive in which a disc of a set failed gets no other of that set while another can be had, in which that hasn't failed itself.
func (c *Checker) distrust(d *Drive, disc *Disc) error {
	if disc.Set == 0 || !slices.Contains(d.Distrust, disc.Set) {
		return nil
	}
	for _, o := range c.drives {
		if o.Number != d.Number && o.Unit == d.Unit && o.Up && o.Known && !slices.Contains(o.Distrust, disc.Set) &&
			(len(o.Media) == 0 || slices.Contains(o.Media, disc.Medium)) && !c.failed(o, disc) {
			return fmt.Errorf("a disc of set %d failed in drive %d: another one is not put at risk there", disc.Set, d.Number)
		}
	}
	return nil
}

// failed says whether something that is to be done with the disc has failed in d.
func (c *Checker) failed(d *Drive, disc *Disc) bool {
	if disc.Avoid == d.Number {
		return true
	}
	for _, t := range c.tasks {
		if t.Disc == disc.ID && t.Avoid == d.Number {
			return true
		}
	}
	return false
}

func (c *Checker) leave(a Action, d *Drive) error {
	if disc := c.discs[a.Disc]; disc != nil && d.Up && !disc.Reload && !d.Ejected && c.serves(d, disc) && c.now-d.Since < c.MountLimit {
		return fmt.Errorf("disc %d leaves drive %d although something is to be read from it", a.Disc, a.Drive)
	}
	if a.Eject {
		if d.Ejected {
			return fmt.Errorf("drive %d is open", a.Drive)
		}
		d.Busy = true
		return nil
	}
	switch {
	case c.Still || c.moving[d.Unit]:
		return fmt.Errorf("the picker of unit %d can't move", d.Unit)
	case a.Slot == 0 || a.Slot != d.Home || d.HomeUnknown:
		return fmt.Errorf("disc %d does not belong in slot %d, or nobody knows what that holds", a.Disc, a.Slot)
	case c.slots[slot{d.Unit, a.Slot}] != 0:
		return fmt.Errorf("slot %d holds disc %d", a.Slot, c.slots[slot{d.Unit, a.Slot}])
	}
	d.Busy = true
	c.moving[d.Unit] = true
	return nil
}

// serves says whether a read of the disc could run in d.
func (c *Checker) serves(d *Drive, disc *Disc) bool {
	if disc.Blank || disc.Set != 0 && slices.Contains(d.Distrust, disc.Set) || len(d.Media) > 0 && !slices.Contains(d.Media, disc.Medium) {
		return false
	}
	for _, t := range c.reads[disc.ID] {
		if t.Avoid != d.Number {
			return true
		}
	}
	return false
}

func (c *Checker) start(a Action, d *Drive) error {
	t, disc := c.tasks[a.Task], c.discs[a.Disc]
	switch {
	case t == nil || c.runs[a.Task] != 0:
		return fmt.Errorf("task %d is not queued", a.Task)
	case !d.Up:
		return fmt.Errorf("drive %d is out of service", a.Drive)
	case d.Ejected:
		return fmt.Errorf("the tray of drive %d is open", a.Drive)
	case disc == nil || disc.Reload:
		return fmt.Errorf("disc %d has to be loaded again first", a.Disc)
	case t.Kind == library.BurnTask && (!disc.Blank || !t.fits(disc) || !t.Ready || d.ReadOnly):
		return fmt.Errorf("task %d can't be burned on disc %d in drive %d", a.Task, a.Disc, a.Drive)
	case t.Kind != library.BurnTask && t.Disc != a.Disc:
		return fmt.Errorf("task %d is about disc %d", a.Task, t.Disc)
	}
	if err := c.distrust(d, disc); err != nil {
		return err
	}
	if t.Kind == library.BurnTask {
		disc.Blank = false
	}
	if t.Kind == library.ReadTask {
		delete(c.reads[t.Disc], t.ID)
	}
	d.Busy = true
	c.runs[a.Task] = a.Drive
	return nil
}
