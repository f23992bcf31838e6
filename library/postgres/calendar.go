package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
)

// calendarLock is the advisory lock of whoever keeps the scrub calendar.
const calendarLock = 0x6f645f63616c

// KeepCalendar says of every recorded disc when it should be scrubbed, and queues the scrubs that are due within a day. Several
// controllers may call it; one works, the others find nothing to do. It returns how many it queued.
func (s *Store) KeepCalendar(ctx context.Context) (queued int64, err error) {
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		queued = 0
		var mine bool
		if err := tx.QueryRow(ctx, `select pg_try_advisory_xact_lock($1)`, int64(calendarLock)).Scan(&mine); err != nil || !mine {
			return err
		}
		if err := plan(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `update disc set scrub_due = null where scrub_due is not null and state not in ('good', 'suspect')`); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
with made as (
  insert into task (library_id, kind, priority, disc_id, bytes, due)
  select d.library_id, 'verify', $1, d.id, d.recorded * 2048, d.scrub_due from disc d
   where d.scrub_due < now() + interval '1 day' and d.state in ('good', 'suspect') and exists (select from element e where e.disc_id = d.id)
   order by d.scrub_due
  on conflict (disc_id) where kind = 'verify' and state in ('queued', 'leased') do nothing
  returning library_id)
select library_id::text, count(*) from made group by library_id`, library.PriorityScrub)
		if err != nil {
			return err
		}
		var libs []string
		var lib string
		var n int64
		if _, err := pgx.ForEachRow(rows, []any{&lib, &n}, func() error {
			libs = append(libs, lib)
			queued += n
			return nil
		}); err != nil {
			return err
		}
		for _, lib := range libs {
			if err := announce(ctx, tx, LibraryKey+lib); err != nil {
				return err
			}
		}
		return nil
	})
	return queued, err
}
