package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
)

// unsafeImages are the images of an archive ($1) that are not safe, and the parity images of their sets.
const unsafeImages = `
select i.id from placement p join image i on i.id = p.image_id and i.safe is null where p.archive_id = $1
 union
select i.id from placement p join image o on o.id = p.image_id join disc_set s on s.id = o.set_id and s.state = 'sealed'
  join image i on i.set_id = s.id and i.set_index >= s.data and i.safe is null where p.archive_id = $1`

// RetryJob goes on with an archive job that stopped because too many discs were spoiled for an image or because it could not be built:
// each of its images that lacks copies, and for which nothing is under way, is burned once more for each that it lacks. So are the parity images of
// their sets, for which a job doesn't wait: it may have succeeded.
func (s *Store) RetryJob(ctx context.Context, id string) (Job, error) {
	job, err := s.Job(ctx, id)
	if err != nil {
		return Job{}, err
	}
	if job.Kind != library.ArchiveJob || job.State != library.Running && job.State != library.Succeeded {
		return job, library.Errorf(library.Precondition, "job %s is a job of kind %s that is %s: only an archive job can have stopped for an operator", job.ID, job.Kind, job.State)
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
select library_id::text from image where id in (`+unsafeImages+`)
 union select library_id::text from image_away where copies > 0 and image_id in (`+unsafeImages+`) order by 1`, job.ArchiveID)
		if err != nil {
			return err
		}
		libs, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		queued := int64(0)
		for _, lib := range libs {
			if err := lockLibrary(ctx, tx, lib); err != nil {
				return err
			}
			n, err := burnLacking(ctx, tx, lib, job.ArchiveID)
			if err != nil {
				return err
			}
			queued += n
			if err := announce(ctx, tx, LibraryKey+lib); err != nil {
				return err
			}
		}
		if queued == 0 {
			return library.Errorf(library.Precondition, "job %s has not stopped: everything that it lacks is being done or waits for its turn", job.ID)
		}
		// Other archives on the same images waited for the same.
		if _, err := tx.Exec(ctx, `
update job set waiting_for = '' where kind = 'archive' and state = 'running' and archive_id in (
  select o.archive_id from placement p join placement o on o.image_id = p.image_id join image i on i.id = p.image_id and i.safe is null
   where p.archive_id = $1)`, job.ArchiveID); err != nil {
			return err
		}
		return announce(ctx, tx, JobKey+job.ID)
	})
	if err != nil {
		return job, err
	}
	return s.Job(ctx, job.ID)
}

// burnLacking queues a burn for each copy that an archive's images lack in a library that makes them and nothing is under way for, and a build for those
// that were never built there: by other libraries than its own an image is when that one has.
func burnLacking(ctx context.Context, tx pgx.Tx, lib, archive string) (queued int64, err error) {
	tag, err := tx.Exec(ctx, `
with share as (
  select i.id, i.copies - coalesce((select sum(o.copies) from image_away o where o.image_id = i.id), 0) as copies, i.copies as of_all, i.sha256 is null as unbuilt
    from image i where i.id in (`+unsafeImages+`) and i.library_id = $2
   union all
  select i.id, w.copies, i.copies, i.sha256 is not null and not w.at_hand
    from image i join image_away w on w.image_id = i.id and w.library_id = $2 and w.copies > 0 where i.id in (`+unsafeImages+`)),
lacking as (
  select s.id, s.unbuilt, least(s.copies - here.n, s.of_all - anywhere.n) as copies
    from share s
    cross join lateral (
      select (select count(*) from disc d where d.image_id = s.id and d.library_id = $2 and d.state in ('burning', 'verifying', 'good'))
           + (select count(*) from task t where t.image_id = s.id and t.library_id = $2 and t.kind = 'burn' and t.state = 'queued') as n) here
    cross join lateral (
      select (select count(*) from disc d where d.image_id = s.id and d.state in ('burning', 'verifying', 'good'))
           + (select count(*) from task t where t.image_id = s.id and t.kind = 'burn' and t.state = 'queued') as n) anywhere),
unbuilt as (
  select i.id from lacking i where i.unbuilt
     and (i.copies > 0 or exists (select from task t where t.image_id = i.id and t.library_id = $2 and t.kind = 'burn' and t.state = 'queued'))
     and not exists (select from task t where t.image_id = i.id and t.library_id = $2 and t.kind = 'build' and t.state in ('queued', 'leased'))),
builds as (
  insert into task (library_id, kind, priority, image_id) select $2, 'build', $3, id from unbuilt on conflict do nothing returning 1),
burns as (
  insert into task (library_id, kind, priority, image_id) select $2, 'burn', $3, l.id from lacking l, generate_series(1, l.copies) returning 1)
select from builds union all select from burns`, archive, lib, library.PriorityBurn)
	return tag.RowsAffected(), err
}
