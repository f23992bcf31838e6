package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
)

// Silence is how long the agent of a library may say nothing before what retrievals wait for is read in other libraries, where there are
// copies. Everything else that it was given stays with it: it may be doing that, and nobody else can.
const Silence = 5 * time.Minute

// Silenced finds libraries whose agents have fallen silent and takes the reads for retrievals back from them; what these wait for is queued anew,
// in other libraries as far as their discs have it. A library that calls again isn't silent any more. What its agent then says of
// the reads is not believed: their leases have ended. It returns the names. A controller that has not run for as long as that itself has
// heard nobody, and finds nothing.
func (s *Store) Silenced(ctx context.Context) (names []string, err error) {
	if time.Since(s.opened) < Silence {
		return nil, nil
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
select id::text, name from library where not silent and last_seen < now() - $1::interval order by id for update`, Silence)
		if err != nil {
			return err
		}
		var libs []string
		names = nil
		var lib, name string
		if _, err := pgx.ForEachRow(rows, []any{&lib, &name}, func() error {
			libs, names = append(libs, lib), append(names, name)
			return nil
		}); err != nil || len(libs) == 0 {
			return err
		}
		return silence(ctx, tx, libs)
	})
	return names, err
}

// silence takes back the reads of libraries whose rows tx has locked.
func silence(ctx context.Context, tx pgx.Tx, libs []string) error {
	if _, err := tx.Exec(ctx, `update library set silent = true where id = any ($1::uuid[])`, libs); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `
update task set state = 'cancelled', finished = now(), error = 'the agent of its library says nothing'
 where library_id = any ($1::uuid[]) and (kind = 'read' and image_id is null or kind = 'serve') and state in ('queued', 'leased')`, libs); err != nil {
		return err
	}
	if err := queueReads(ctx, tx); err != nil {
		return err
	}
	return announce(ctx, tx, LibraryKey)
}

// unheard is what is recorded of a task whose agent will never say how it ended.
func unheard(ref Ref, kind library.TaskKind) Result {
	r := Result{Ref: ref, Error: "its agent has gone without a word: an operator has ended its leases", Failure: Interrupted}
	if kind == library.MoveTask {
		r.Failure, r.Outcome = RobotFailure, OutcomeUnknown
	}
	return r
}

// EndLeases ends, on the word of an operator who knows that the agent of a silent library will not come back, all that it was given,
// and returns how many tasks that were. What changes no disc is queued again. A disc that was being burned is spoiled, whatever is on it: it is
// never burned again. Where the disc of a move is nobody knows: both places need a look. Should the agent come back all the same, nothing of what
// it says of these tasks is believed.
func (s *Store) EndLeases(ctx context.Context, name string) (ended int, err error) {
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		var lib, agent string
		var online bool
		if err := tx.QueryRow(ctx, `
select id::text, agent, coalesce(last_seen > now() - $2::interval, false) from library where name = $1 for update`, name, Silence).Scan(&lib, &agent, &online); err != nil {
			return notFound(err, "there is no library %s", name)
		}
		if online {
			return library.Errorf(library.Precondition, "agent %s of library %s has called less than %v ago: stop it, and if it is to be replaced start the new one, which goes on with what the old one was given", agent, name, Silence)
		}
		rows, err := tx.Query(ctx, `select id, epoch, kind from task where library_id = $1 and state = 'leased' order by id`, lib)
		if err != nil {
			return err
		}
		type given struct {
			Ref  Ref
			Kind library.TaskKind
		}
		tasks, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (g given, err error) {
			err = row.Scan(&g.Ref.ID, &g.Ref.Epoch, &g.Kind)
			return g, err
		})
		if err != nil {
			return err
		}
		ended = len(tasks)
		for _, g := range tasks {
			if err := record(ctx, tx, lib, unheard(g.Ref, g.Kind)); err != nil {
				return err
			}
		}
		return silence(ctx, tx, []string{lib})
	})
	return ended, err
}
