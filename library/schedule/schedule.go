// Package schedule decides which disc goes into which drive when. A Planner turns what happens in one library into the actions
// that should start now; Next does the same for a snapshot. No I/O and no clock: times are handed in, measured from an origin
// that the caller chooses. Carrying actions out is the caller's business, and Checker says whether they obey the rules.
package schedule

import (
	"cmp"
	"time"

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
	// Now is the time.
	Now time.Duration
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
	// HomeUnknown says that nobody knows whether that slot is free: nothing is moved into it.
	HomeUnknown bool
	// Ejected says that its disc lies on the open tray, so that the picker can take it without waiting.
	Ejected bool
	// ReadOnly says that it can't burn; Media are the media that it can read, none for every one.
	ReadOnly bool
	Media    []string
	// Distrust are the disc sets of which a disc has failed in this drive: until somebody has looked, no second one is put at
	// risk in it while another drive can be had.
	Distrust []int64
	// Running is the task that keeps it busy, when that is one with a disc; Since is when its disc was loaded.
	Running Task
	Since   time.Duration
}

// Disc is a disc and where it is.
type Disc struct {
	ID     int64
	Unit   int
	Slot   int // 0 when it is not in a slot
	Drive  int // 0 when it is not in a drive
	Medium string
	Blank  bool
	// Unknown says that nobody knows whether it is where it should be: it isn't moved before somebody has looked.
	Unknown bool
	// Reload says that the disc must leave its drive before it is read: it was burned and not loaded since.
	Reload   bool
	Capacity int64 // sectors
	// Spared says of a blank that it has spare areas already, and WithSpares how many sectors it has once it has them; 0: Capacity.
	Spared     bool
	WithSpares int64
	// Avoid is the drive that the disc's next verify should not use if another can be had; 0 for none.
	Avoid int
	Set   int64 // the disc set it belongs to; 0 for none
	// Lot names what it was bought together with: blanks of different lots are burned in turn. Empty when nobody has said so.
	Lot string
}

// Task is a queued task.
type Task struct {
	ID       int64
	Kind     library.TaskKind
	Priority int
	Disc     int64 // of verify and read
	Sectors  int64 // of burn: what must fit; of a verify or read: how much is to be read
	Sector   int64 // of a read or verify: where it begins
	// SpareAreas says of a burn that the disc has to have them, and otherwise must not. Medium is what its image was planned for: another one
	// that it fits on is taken when there is none of that.
	SpareAreas bool
	Medium     string
	// Image is what a burn burns, and Burned the drive in which its last copy before was burned: of two drives that could take the burn now, the other
	// one does, and a drive burns what is due up to an hour later before it, so that what is wrong with a drive isn't with every copy. 0 for none; no
	// drive waits for it.
	Image  int64
	Burned int
	// Ready says that the task could run at once, were its disc in a drive: of a burn, that its image is built.
	Ready bool
	// Avoid is the drive that the task failed in; 0 for none.
	Avoid int
	// Created is when it was asked for; Due when it should be done. A zero Due is what the priority allows after Created.
	Created, Due time.Duration
}

// Allowance is how long after it was asked for a task of that priority should be done: what its retrieval's tier promises, and
// for the rest what keeps staging from filling and scrubs from crowding out people.
func Allowance(priority int) time.Duration {
	switch {
	case priority >= library.PriorityExpedited:
		return 5 * time.Minute
	case priority >= library.PriorityStandard:
		return 5 * time.Hour
	case priority >= library.PriorityVerify:
		return 8 * time.Hour
	case priority >= library.PriorityBurn:
		return 10 * time.Hour
	case priority >= library.PriorityBulk:
		return 12 * time.Hour
	}
	return 30 * 24 * time.Hour
}

func (t *Task) due() time.Duration {
	if t.Due != 0 {
		return t.Due
	}
	return t.Created + Allowance(t.Priority)
}

// Action is one thing to start. Either Task is set (with Drive and Disc where the task needs them), or it is a move, or an eject.
type Action struct {
	Task  int64
	Drive int
	Disc  int64
	// Of a move: between Slot and Drive.
	Load, Unload bool
	Slot         int
	// Eject opens the drive's tray, so that its disc can be fetched.
	Eject bool
	// Stop ends Task, which runs in Drive, before it is done: something more urgent wants the drive. It goes on later.
	Stop bool
}

// Next returns what should start now. Actions never compete for a drive, a disc or a picker. It is a Planner's first decision.
func Next(s Snapshot) []Action {
	return FromSnapshot(s, Config{}).Decide(s.Now)
}

// FromSnapshot returns a planner that knows what s says.
func FromSnapshot(s Snapshot, c Config) *Planner {
	c.BuildLimit = cmp.Or(c.BuildLimit, s.BuildLimit)
	p := New(c)
	p.Refresh(s)
	return p
}
