package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
)

// carry makes a disc one of another library: somebody has carried it there. What waits to be done with it is done there; what has begun must end first.
// The caller has the locks of both libraries, or knows that the disc is in no place.
func carry(ctx context.Context, tx pgx.Tx, disc int64, lib string) error {
	var label, from string
	var state library.DiscState
	var image *string
	var busy bool
	if err := tx.QueryRow(ctx, `
select d.label, d.state, d.image_id::text, l.name, exists (select from task t where t.disc_id = d.id and t.state = 'leased')
  from disc d join library l on l.id = d.library_id where d.id = $1 for update of d`, disc).Scan(&label, &state, &image, &from, &busy); err != nil {
		return err
	}
	if busy {
		return library.Errorf(library.Precondition, "disc %s: library %s is at work with it: wait until that is done", label, from)
	}
	if state == library.Burning || state == library.Verifying || state == library.Unknown {
		return library.Errorf(library.Precondition, "disc %s of library %s is %s: only a disc with which that library is done is carried to another", label, from, state)
	}
	// A reading that was broken off begins anew.
	if _, err := tx.Exec(ctx, `delete from reading where disc_id = $1 and finished is null`, disc); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `update disc set library_id = $2, burn_drive = null where id = $1`, disc, lib); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, `
update task set state = 'cancelled', finished = now(), error = 'its disc was carried to another library' where disc_id = $1 and state = 'queued' returning id`, disc)
	if err != nil {
		return err
	}
	ended, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil || len(ended) == 0 {
		return err
	}
	if _, err := tx.Exec(ctx, `
with again as (
  insert into task (library_id, kind, priority, disc_id, due, bytes)
  select $2, 'verify', priority, disc_id, due, bytes from task where id = any ($1) and kind = 'verify' on conflict do nothing returning id)
insert into task_job (task_id, job_id)
select again.id, j.job_id from again, task t join task_job j on j.task_id = t.id where t.id = any ($1) and t.kind = 'verify'`, ended, lib); err != nil {
		return err
	}
	if image == nil {
		return nil
	}
	var healing bool
	if err := tx.QueryRow(ctx, `
select exists (select from heal h join disc d on d.id = h.disc_id where d.image_id = $1 and h.finished is null and not h.by_set)`, *image).Scan(&healing); err != nil {
		return err
	}
	if healing {
		if err := queueCopy(ctx, tx, *image, "", nil); err != nil {
			return err
		}
	}
	return queueReadsOf(ctx, tx, disc)
}

// carriedTo is an operator's word that a disc of another library is in a slot of this one.
func carriedTo(ctx context.Context, tx pgx.Tx, disc int64, lib string, to Place) error {
	var label, from string
	var drive *int
	if err := tx.QueryRow(ctx, `
select d.label, l.name, e.number from disc d join library l on l.id = d.library_id left join element e on e.disc_id = d.id and e.kind = 'drive' where d.id = $1`, disc).
		Scan(&label, &from, &drive); err != nil {
		return err
	}
	if drive != nil {
		return library.Errorf(library.Precondition, "disc %s is in drive %d of library %s: only one that was taken from a slot is carried to another library", label, *drive, from)
	}
	if to.Kind != Slot {
		return library.Errorf(library.Precondition, "disc %s is of library %s: one that is carried to another library goes into a slot, not into %v", label, from, to)
	}
	return carry(ctx, tx, disc, lib)
}
