package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
)

// Lease is how long a leased task lives without a word from its agent.
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
	// Changed says that something was recorded after which there may be new work.
	Changed bool
}

// Called records what an agent says: who it is, its results, what it sees and how far it is. A result of an old lease is
// acknowledged and not believed.
func (s *Store) Called(ctx context.Context, c Call) (a Answer, err error) {
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		a = Answer{}
		fresh, err := a.greet(ctx, tx, c)
		if err != nil {
			return err
		}
		for _, r := range c.Results {
			if err := record(ctx, tx, a.LibraryID, r); err != nil {
				return err
			}
			a.Acknowledged = append(a.Acknowledged, r.Ref)
		}
		if c.Report != nil {
			if err := merge(ctx, tx, a.LibraryID, *c.Report); err != nil {
				return err
			}
		}
		if err := keepLeases(ctx, tx, a.LibraryID, fresh, c.Running); err != nil {
			return err
		}
		a.Changed = fresh || len(c.Results) > 0 || c.Report != nil
		return tx.QueryRow(ctx, `select want_report from library where id = $1`, a.LibraryID).Scan(&a.WantReport)
	})
	return a, err
}

// greet finds the library, makes it at its agent's first call, and takes its lock. Fresh says that the agent's process is new.
func (a *Answer) greet(ctx context.Context, tx pgx.Tx, c Call) (fresh bool, err error) {
	if c.Library == "" || c.Agent == "" || c.Instance == "" {
		return false, library.Errorf(library.Invalid, "an agent gives its name, its instance and its library")
	}
	if _, err := tx.Exec(ctx, `insert into library (name, agent) values ($1, $2) on conflict (name) do nothing`, c.Library, c.Agent); err != nil {
		return false, err
	}
	var agent, instance string
	var online bool
	if err := tx.QueryRow(ctx, `
select id, agent, instance, coalesce(last_seen > now() - $2::interval, false) from library where name = $1 for update`, c.Library, Lease).
		Scan(&a.LibraryID, &agent, &instance, &online); err != nil {
		return false, err
	}
	if agent != c.Agent && online {
		return false, library.Errorf(library.Precondition, "library %s is driven by agent %s, which called less than %v ago", c.Library, agent, Lease)
	}
	fresh = instance != c.Instance
	_, err = tx.Exec(ctx, `
update library set agent = $2, instance = $3, last_seen = now(), want_report = want_report or $4 where id = $1`, a.LibraryID, c.Agent, c.Instance, fresh)
	return fresh, err
}

// keepLeases renews the leases of an agent's tasks. A new process gets them under a new epoch: what the old one may
// still send is refused, and the journal of the new one knows what was begun.
func keepLeases(ctx context.Context, tx pgx.Tx, lib string, fresh bool, running []Progress) error {
	if _, err := tx.Exec(ctx, `
update task set lease_until = now() + $2::interval, epoch = epoch + case when $3 then 1 else 0 end
 where library_id = $1 and state = 'leased'`, lib, Lease, fresh); err != nil {
		return err
	}
	for _, p := range running {
		if _, err := tx.Exec(ctx, `
update task set bytes_done = $4, bytes = $5, carried = carried or $6
 where library_id = $1 and id = $2 and epoch = $3 and state = 'leased' and (bytes_done, bytes, carried) <> ($4, $5, carried or $6)`,
			lib, p.Ref.ID, p.Ref.Epoch, p.BytesDone, p.Bytes, p.Carried); err != nil {
			return err
		}
		if err := keepReading(ctx, tx, lib, p.Ref, p.Checkpoint, p.Regions); err != nil {
			return err
		}
	}
	return nil
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
