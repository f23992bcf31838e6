package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
)

// Lease is how long the last word of an agent keeps other agents from its library. What it was given it keeps: another agent that
// comes after that gets it under another epoch.
const Lease = time.Minute

// Call is what an agent says when it synchronizes.
type Call struct {
	Agent    string
	Instance string
	Library  string
	Report   *Report
	Running  []Progress
	Results  []Result
}

// Ref is one lease of a task.
type Ref struct{ ID, Epoch int64 }

// Progress is how far a running task is.
type Progress struct {
	Ref              Ref
	BytesDone, Bytes int64
	Carried          bool // of a move: the picker is free again
	// Of a verify: how far it is, and what the regions told that it has read since it started.
	Checkpoint *Checkpoint
	Regions    []Region
}

// Answer is what has become of a Call.
type Answer struct {
	LibraryID    string
	Acknowledged []Ref
	WantReport   bool
	Probes       []Probe // the operators' words that no report has answered yet
	// Changed says that something was recorded after which there may be new work.
	Changed bool
}

// CheckLease reports Stale when ref is not the present lease of a task, and returns the vault whose image it works on.
func (s *Store) CheckLease(ctx context.Context, ref Ref) (vault string, err error) {
	err = s.pool.QueryRow(ctx, `
select i.vault_id::text from task t left join disc d on d.id = t.disc_id join image i on i.id = coalesce(t.image_id, d.image_id)
 where t.id = $1 and t.epoch = $2 and t.state = 'leased'`, ref.ID, ref.Epoch).Scan(&vault)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", library.Errorf(library.Stale, "task %d is not leased under epoch %d", ref.ID, ref.Epoch)
	}
	return vault, err
}
