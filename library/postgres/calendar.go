package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
)

// calendarLock is the advisory lock of whoever keeps the scrub calendar.
const calendarLock = 0x6f645f63616c

// riskOf is after which share of the vault v's interval the disc d should be scrubbed again: within the interval, spread over its last third by the disc's number so that discs burned together aren't due together; sooner
// for what is at risk: suspect discs, then those that were burned in the same month, on the same medium and in the same library as
// one that went bad, then those of which there is but one copy.
const riskOf = `
  (case when d.state = 'suspect' then 0.25
        when exists (select from disc o where o.library_id = d.library_id and o.medium = d.medium and o.id <> d.id and o.state in ('suspect', 'spoiled')
                        and o.burned between d.burned - interval '30 days' and d.burned + interval '30 days') then 0.5
        when v.copies = 1 then 0.85
        else 1 end * (0.67 + 0.33 * (d.id * 0.6180339887 - floor(d.id * 0.6180339887))))::float8`

// KeepCalendar says of every recorded disc when it should be scrubbed, and queues the scrubs that are due within a day. Several
// controllers may call it; one works, the others find nothing to do. It returns how many it queued.
func (s *Store) KeepCalendar(ctx context.Context) (queued int64, err error) {
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		queued = 0
		var mine bool
		if err := tx.QueryRow(ctx, `select pg_try_advisory_xact_lock($1)`, int64(calendarLock)).Scan(&mine); err != nil || !mine {
			return err
		}
		// What was never planned, and what has become more urgent since. A library that is behind by more than an interval is
		// caught up with over a tenth of one.
		if _, err := tx.Exec(ctx, `
update disc d set scrub_due = greatest(d.verified + v.scrub_interval * `+riskOf+`,
                                       now() + v.scrub_interval * 0.1 * (d.id * 0.6180339887 - floor(d.id * 0.6180339887)))
  from image i join vault v on v.id = i.vault_id
 where i.id = d.image_id and d.state in ('good', 'suspect') and d.verified is not null
   and (d.scrub_due is null or d.scrub_due > now() + interval '1 day' and d.scrub_due > d.verified + v.scrub_interval * `+riskOf+` + interval '1 minute'
        and d.scrub_due > now() + v.scrub_interval * 0.1)`); err != nil {
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

// scrubbed plans the next scrub of a disc that has just been read as a whole.
func (rec *recorder) scrubbed() error {
	return rec.exec(`
update disc d set scrub_due = now() + v.scrub_interval * `+riskOf+`
  from image i join vault v on v.id = i.vault_id where i.id = d.image_id and d.id = $1`, *rec.t.Disc)
}
