// Package library is what we know: the nouns of vaults, archives, discs, elements, jobs and tasks, the tables of
// what may follow what, and the policies that need no database. It knows nothing of SQL, networks or devices.
//
// A disc lives like this; Postgres refuses every other step:
//
//	blank ──▶ burning ──▶ verifying ──▶ good ◀──▶ suspect
//	  │          │            │           │          │
//	  └──────────┴──▶ spoiled ◀┘          └─▶ retired ◀┘
//
// (burning goes back to blank only when nothing was recorded; blank and spoiled discs may be retired too. A disc of which nobody knows
// which it is, is unknown until it was loaded and asked; then it is another disc.)
package library

import (
	"errors"
	"fmt"
)

// DiscState is where a disc is in its life.
type DiscState string

// The states of a disc.
const (
	Blank     DiscState = "blank"
	Burning   DiscState = "burning"
	Verifying DiscState = "verifying"
	Good      DiscState = "good"
	Suspect   DiscState = "suspect"
	Retired   DiscState = "retired"
	Spoiled   DiscState = "spoiled"
	Lost      DiscState = "lost"
	Unknown   DiscState = "unknown"
)

// TaskKind is a kind of device work.
type TaskKind string

// The kinds of tasks.
const (
	MoveTask    TaskKind = "move"
	BuildTask   TaskKind = "build"
	BurnTask    TaskKind = "burn"
	VerifyTask  TaskKind = "verify"
	ReadTask    TaskKind = "read"
	ReleaseTask TaskKind = "release"
	GatherTask  TaskKind = "gather"
	SealTask    TaskKind = "seal"
	RebuildTask TaskKind = "rebuild"
	ServeTask   TaskKind = "serve"

	// IdentifyTask wants a disc loaded that nobody knows. It never runs: what the disc says when it was loaded ends it.
	IdentifyTask TaskKind = "identify"
)

// JobKind is a kind of thing that somebody asked for.
type JobKind string

// The kinds of jobs.
const (
	ArchiveJob   JobKind = "archive"
	RetrievalJob JobKind = "retrieval"
	ScrubJob     JobKind = "scrub"
)

// JobState is where a job is.
type JobState string

// The states of a job. All but Running are final.
const (
	Running   JobState = "running"
	Succeeded JobState = "succeeded"
	Failed    JobState = "failed"
	Cancelled JobState = "cancelled"
)

// Tier is how soon a retrieval is wanted, in S3 Glacier's words. The values are stored.
type Tier int

// The tiers.
const (
	Expedited Tier = 1 // within 5 minutes
	Standard  Tier = 2 // within 5 hours
	Bulk      Tier = 3 // within 12 hours
)

// Priorities of tasks: of two tasks that could start, the one with the larger number does; among equals, the older.
// A verify comes before a burn, because staging is only released by verified discs.
const (
	PriorityExpedited = 500
	PriorityStandard  = 400
	PriorityVerify    = 300
	PriorityBurn      = 200
	PriorityBulk      = 150
	PriorityScrub     = 100
)

// Priority returns the priority of the reads that a retrieval of tier t causes.
func (t Tier) Priority() int {
	switch t {
	case Expedited:
		return PriorityExpedited
	case Bulk:
		return PriorityBulk
	default:
		return PriorityStandard
	}
}

// Fault classifies an error by what its receiver can do about it.
type Fault int

// The faults. The zero value is an error of ours that no caller can help.
const (
	Internal     Fault = iota
	NotFound           // what was named does not exist
	Exists             // it exists already and is something else
	Invalid            // the request makes no sense
	Precondition       // it makes sense, but not in the present state
	Exhausted          // there is no room for it
	DataLoss           // bytes are not what they claim to be
	Stale              // the sender's lease has passed to somebody else
)

// Error is an error with a fault and a text that may be shown to the caller.
type Error struct {
	Fault Fault
	Text  string
	Err   error // what lies beneath; not for the caller's eyes
}

// Errorf makes an Error. The format takes no %w: what is wrapped goes into Err.
func Errorf(fault Fault, format string, args ...any) *Error {
	return &Error{Fault: fault, Text: fmt.Sprintf(format, args...)}
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Text + ": " + e.Err.Error()
	}
	return e.Text
}

func (e *Error) Unwrap() error { return e.Err }

// FaultOf returns the fault of the first Error in err's chain, or Internal.
func FaultOf(err error) Fault {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Fault
	}
	return Internal
}
