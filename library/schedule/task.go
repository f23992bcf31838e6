package schedule

import (
	"math"
	"time"

	"github.com/odarchive/odarchive/library"
)

// task is what a planner keeps of a task: no more than a processor fetches from memory at once, and no pointer, so that in a million of
// them there is nothing that the garbage collector has to look at.
type task struct {
	id           int64
	due, created time.Duration
	sector       uint32 // a disc has fewer
	sectors      uint32
	place        place  // where it lies; 0 for what wasn't queued
	turn         uint32 // tells it from what lay there before
	disc         place  // of its disc; 0 for tasks without a certain one
	drive        int32  // in which it runs
	avoid        int32
	priority     int32
	kind         kind
}

// place is where something lies among its like; 0 is nowhere.
type place uint32

type kind uint8

const (
	other kind = iota
	building
	releasing
	burning
	verifying
	reading
)

func kindOf(k library.TaskKind) kind {
	switch k {
	case library.BuildTask:
		return building
	case library.ReleaseTask:
		return releasing
	case library.BurnTask:
		return burning
	case library.VerifyTask:
		return verifying
	case library.ReadTask:
		return reading
	}
	return other
}

// taskOf returns what a planner keeps of v.
func taskOf(v Task) task {
	return task{
		id: v.ID, due: v.due(), created: v.Created, sector: sectors(v.Sector), sectors: sectors(v.Sectors),
		avoid: narrow(v.Avoid), priority: narrow(v.Priority), kind: kindOf(v.Kind),
	}
}

// sectors returns n, or what comes closest to it of what a disc can have.
func sectors(n int64) uint32 { return uint32(min(max(n, 0), math.MaxUint32)) }

// narrow returns n, or what comes closest to it.
func narrow(n int) int32 { return int32(min(max(n, math.MinInt32), math.MaxInt32)) }

// taskOf returns of a read of d what its entry says: enough to begin it, without fetching the rest.
func (e *entry) taskOf(d *disc) task {
	return task{id: e.id, due: e.due, sector: e.sector, sectors: e.sectors, place: e.place, turn: e.turn, disc: d.place, kind: reading}
}

func (t *task) pass() bool { return t.kind == verifying }
func (t *task) express() bool {
	return t.kind == reading && t.priority >= library.PriorityExpedited
}

// foreseen is how long a read takes.
func (t *task) foreseen(by Times) time.Duration { return by.Seek + time.Duration(t.sectors)*by.Sector }

func (t *task) entry() entry {
	return entry{due: t.due, id: t.id, sector: t.sector, sectors: t.sectors, turn: t.turn, place: t.place}
}
