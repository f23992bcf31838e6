package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
)

// Job is something that somebody asked for.
type Job struct {
	ID          string
	Kind        library.JobKind
	State       library.JobState
	ArchiveID   string
	ArchiveName string
	Vault       string
	Created     time.Time
	Finished    *time.Time
	BytesDone   int64
	Bytes       int64
	Error       string
	WaitingFor  string
	Doing       []string
	Discs       []string
}

// selectJob shows a job with how far it is and what is being done for it: of an archive, by the images that carry it;
// of the others, by the tasks that serve them.
const selectJob = `
with size as (select * from unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[]) s (medium, capacity, without, with_spares)),
work as (
  select j.id as job_id, t.id, t.kind, t.state, t.disc_id, t.drive, t.bytes_done, t.bytes, t.error, t.early
    from job j join placement p on j.kind = 'archive' and p.archive_id = j.archive_id
    join task t on t.image_id = p.image_id or t.disc_id in (select id from disc where image_id = p.image_id)
   where j.id = any ($1)
  union
  select j.job_id, t.id, t.kind, t.state, t.disc_id, t.drive, t.bytes_done, t.bytes, t.error, t.early
    from task_job j join task t on t.id = j.task_id where j.job_id = any ($1))
select j.id, j.kind, j.state, coalesce(a.id::text, ''), coalesce(a.name, ''), coalesce(v.name, ''), j.created, j.finished,
       case when j.state = 'succeeded' then j.bytes else least(j.bytes, case j.kind
         when 'archive' then (select coalesce(sum(p.bytes), 0)::bigint from placement p join image i on i.id = p.image_id where p.archive_id = j.archive_id and i.safe is not null)
         when 'retrieval' then (select coalesce(sum(c.size), 0)::bigint from retrieval_content rc join content c on c.id = rc.content_id
                                 where rc.retrieval_id = j.id and (c.staged or c.cached_until >= now()))
           + (select coalesce(sum(bytes_done), 0)::bigint from work w where w.job_id = j.id and w.state = 'leased' and (w.kind = 'read' and w.early is null or w.kind = 'serve'))
         else (select coalesce(sum(bytes_done), 0)::bigint from work w where w.job_id = j.id and w.kind = 'verify') end) end,
       j.bytes, j.error,
       case when j.state <> 'running' then '' when j.waiting_for <> '' then j.waiting_for else coalesce((
         select case
           when l.trouble <> '' then format('library %s: %s', l.name, l.trouble)
           when l.last_seen < now() - interval '1 minute' then format('the agent of library %s has not called since %s', l.name, to_char(l.last_seen, 'YYYY-MM-DD HH24:MI:SS'))
           when t.kind in ('burn', 'verify', 'read') and exists (select from element where library_id = l.id and (e.unit is null or unit = e.unit) and ` + handFull + `)
             then format('the robot of library %s may have a disc in its hand, and carries nothing: see ''odarchive library alerts''', l.name)
           when t.kind in ('verify', 'read') and e.disc_id is null then format('disc %s is not in library %s (%s): find it and say where it is with ''odarchive library set-element''', d.label, l.name, d.reason)
           when t.kind = 'burn' and not exists (select from element e join disc b on b.id = e.disc_id and b.state = 'blank'
                                                 join size s on s.medium = b.medium and s.capacity = b.capacity
                                                where e.library_id = l.id and e.fill = 'full' and case when p.spare_areas then s.with_spares else s.without end >= i.sectors)
             then format('library %s has no blank disc of %s sectors%s: put some in and say so with ''odarchive library stock''', l.name, i.sectors,
               case when i.medium <> 'BD-R' then '' when p.spare_areas then ' once it has spare areas' else ' without spare areas' end)
           when not exists (select from drive where library_id = l.id and up) then format('no drive of library %s is up: see ''odarchive drives''', l.name)
           when t.kind in ('verify', 'read') and not exists (select from drive r join element b on b.library_id = r.library_id and b.kind = 'drive' and b.number = r.number
                                                              where r.library_id = l.id and r.up and b.unit = e.unit and (r.reads = '{}' or d.medium = any (r.reads)))
             then format('no drive in service that reaches disc %s reads %s: put one that does into service with ''odarchive drives up'', or correct what they read with ''odarchive drives media''', d.label, d.medium)
           when t.kind = 'burn' and not exists (select from drive r where r.library_id = l.id and r.up and not r.read_only and (r.reads = '{}' or i.medium = any (r.reads)))
             then format('no drive of library %s that is in service burns %s: put one that does into service with ''odarchive drives up'', or correct what they do with ''odarchive drives media''', l.name, i.medium)
         end
           from work w join task t on t.id = w.id join library l on l.id = t.library_id
           left join disc d on d.id = t.disc_id left join element e on e.disc_id = d.id left join image i on i.id = t.image_id left join vault p on p.id = i.vault_id
          where w.job_id = j.id and t.state = 'queued' order by 1 nulls last limit 1), '') end,
       case when j.state <> 'running' then '{}' else array(select concat_ws(' ', case w.kind when 'build' then 'building an image' when 'burn' then 'burning' when 'verify' then 'verifying'
                                      when 'read' then case when w.early is null then 'reading' else 'reading rows of its set from' end when 'move' then 'moving' when 'gather' then 'adding to the parity of a set'
                                      when 'seal' then 'finishing the parity of a set' when 'rebuild' then 'making an image anew' when 'serve' then case when w.early is null then 'reading an image on the scratch disk' else 'computing contents from rows of their set' end
                                      when 'release' then 'releasing scratch space' else w.kind::text end,
                    'disc ' || d.label, 'in drive ' || w.drive, case when several.yes then 'of library ' || (select l.name from task t join library l on l.id = t.library_id where t.id = w.id) end,
                    case when w.bytes > 0 then format('(%s %%)', w.bytes_done * 100 / w.bytes) end)
               from work w cross join (select count(*) > 1 as yes from library) several
               left join disc d on d.id = w.disc_id where w.job_id = j.id and w.state = 'leased' order by w.id) end,
       array(select distinct d.label from work w join disc d on d.id = w.disc_id where w.job_id = j.id and w.kind in ('burn', 'verify', 'read') order by 1)
  from job j left join archive a on a.id = j.archive_id left join vault v on v.id = a.vault_id
 where j.id = any ($1) order by j.created desc, j.id desc`

func (s *Store) jobs(ctx context.Context, ids []string) ([]Job, error) {
	sizes, err := s.blankSizes(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, selectJob, ids, sizes.media, sizes.capacities, sizes.without, sizes.with)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Job])
}

// Job returns the job whose id is id or, when only one does, begins with it.
func (s *Store) Job(ctx context.Context, id string) (Job, error) {
	first, last, err := idRange(id)
	if err != nil {
		return Job{}, library.Errorf(library.Invalid, "job %q: %v", id, err)
	}
	rows, err := s.pool.Query(ctx, `select id::text from job where id between $1 and $2 limit 2`, first, last)
	if err != nil {
		return Job{}, err
	}
	whole, err := only(rows, pgx.RowTo[string], "job", id)
	if err != nil {
		return Job{}, err
	}
	jobs, err := s.jobs(ctx, []string{whole})
	if err != nil {
		return Job{}, err
	}
	return jobs[0], nil
}

// JobRuns says whether the job whose whole id is id runs. It costs little beside Job.
func (s *Store) JobRuns(ctx context.Context, id string) (runs bool, err error) {
	if err := s.pool.QueryRow(ctx, `select coalesce((select state = 'running' from job where id = $1), false)`, id).Scan(&runs); err != nil {
		return false, fmt.Errorf("look whether job %s runs: %w", id, err)
	}
	return runs, nil
}

// Jobs returns up to n jobs, newest first, from after the given one.
func (s *Store) Jobs(ctx context.Context, running bool, n int, after string) ([]Job, error) {
	rows, err := s.pool.Query(ctx, `
select id::text from job where (not $1 or state = 'running') and ($2 = '' or (created, id) < (select created, id from job where id::text = $2))
 order by created desc, id desc limit $3`, running, after, n)
	if err != nil {
		return nil, err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	return s.jobs(ctx, ids)
}

// CancelJob ends a retrieval or scrub that runs; what is being read for it alone is let finish.
func (s *Store) CancelJob(ctx context.Context, id string) (Job, error) {
	job, err := s.Job(ctx, id)
	if err != nil {
		return job, err
	}
	if job.Kind == library.ArchiveJob {
		return job, library.Errorf(library.Precondition, "job %s makes an archive safe that is sealed: it can't be cancelled", job.ID)
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `update job set state = 'cancelled', waiting_for = '', finished = now() where id = $1 and state = 'running'`, job.ID); err != nil {
			return err
		}
		// Queued work that serves nobody else is not done: verifies of this scrub, reads that no retrieval waits for.
		if _, err := tx.Exec(ctx, `
update task t set state = 'cancelled', finished = now()
  from disc d where d.id = t.disc_id and t.state = 'queued'
   and ((t.kind = 'verify' and d.state <> 'verifying' and exists (select from task_job where task_id = t.id and job_id = $1)
         and not exists (select from task_job k join job j on j.id = k.job_id and j.state = 'running' where k.task_id = t.id))
     or (t.kind = 'read' and t.image_id is null and not exists (
           select from extent x join retrieval_content rc on rc.content_id = x.content_id join job j on j.id = rc.retrieval_id and j.state = 'running'
            where x.image_id = d.image_id)))`, job.ID); err != nil {
			return err
		}
		return announce(ctx, tx, JobKey+job.ID)
	})
	if err != nil {
		return job, err
	}
	return s.Job(ctx, job.ID)
}

// StartScrub queues a verify of each of the labelled discs, or of all that are good or suspect: of those that one drive alone found bad, in
// another one if there is one.
func (s *Store) StartScrub(ctx context.Context, id string, labels []string, due bool) (Job, error) {
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
select label, state::text from unnest($1::text[]) l(label) left join disc d using (label) where d.state is null or d.state not in ('good', 'suspect') limit 1`, labels)
		if err != nil {
			return err
		}
		type bad struct {
			Label string
			State *string
		}
		if bads, err := pgx.CollectRows(rows, pgx.RowToStructByPos[bad]); err != nil {
			return err
		} else if len(bads) > 0 && bads[0].State == nil {
			return library.Errorf(library.NotFound, "there is no disc %s", bads[0].Label)
		} else if len(bads) > 0 {
			return library.Errorf(library.Precondition, "disc %s is %s: only good and suspect discs are scrubbed", bads[0].Label, *bads[0].State)
		}
		if _, err := tx.Exec(ctx, `insert into job (id, kind) values ($1, 'scrub')`, id); err != nil {
			return err
		}
		rows, err = tx.Query(ctx, `
with wanted as (
  select d.id, d.library_id, d.recorded, b.drive from disc d
    left join lateral (
      select r.drive from reading r
       where d.state = 'suspect' and not d.grade_confirmed and r.disc_id = d.id and r.library_id = d.library_id and r.finished is not null and not r.good
       order by r.id desc limit 1) b on true
   where state in ('good', 'suspect') and (cardinality($2::text[]) = 0 or label = any ($2))
     and (not $4 or scrub_due < now() + interval '7 days')),
made as (
  insert into task (library_id, kind, priority, disc_id, bytes, avoid_drive) select library_id, 'verify', $3, id, recorded * 2048, drive from wanted
  on conflict (disc_id) where kind = 'verify' and state in ('queued', 'leased') do update set priority = task.priority
  returning id, library_id, bytes),
linked as (insert into task_job (task_id, job_id) select id, $1 from made),
sized as (update job set bytes = (select coalesce(sum(bytes), 0) from made) where id = $1)
select distinct library_id::text from made`, id, labels, library.PriorityScrub, due)
		if err != nil {
			return err
		}
		libs, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		if len(libs) == 0 && due {
			return library.Errorf(library.Precondition, "no disc's scrub is due within a week")
		}
		if len(libs) == 0 {
			return library.Errorf(library.Precondition, "there is no good or suspect disc to scrub")
		}
		if _, err := tx.Exec(ctx, `update job set bytes = (select coalesce(sum(t.bytes), 0) from task_job k join task t on t.id = k.task_id where k.job_id = $1) where id = $1`, id); err != nil {
			return err
		}
		for _, lib := range libs {
			if err := announce(ctx, tx, LibraryKey+lib); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return Job{}, err
	}
	return s.Job(ctx, id)
}

// finishScrubs ends the scrubs whose tasks have all ended, of those that the given tasks belong to; of all when tasks is nil. Two that end the last two
// tasks at once may each see the other's open: whoever tends looks at all scrubs again.
func finishScrubs(ctx context.Context, tx pgx.Tx, tasks []int64) error {
	which, args := ``, []any{}
	if tasks != nil {
		which, args = ` and j.id in (select job_id from task_job where task_id = any ($1))`, []any{tasks}
	}
	// The task looked at last is the one with the highest number, which is about the last to end: so there is seldom much to look through.
	rows, err := tx.Query(ctx, `
update job u set open_task = n.open
  from (
    select j.id, (select max(t.id) from task_job k join task t on t.id = k.task_id where k.job_id = j.id and t.state in ('queued', 'leased')) as open
      from job j where j.kind = 'scrub' and j.state = 'running'`+which+`
       and not exists (select from task t where t.id = j.open_task and t.state in ('queued', 'leased'))) n
 where u.id = n.id returning n.id::text, n.open is null`, args...)
	if err != nil {
		return err
	}
	var over []string
	var id string
	var ended bool
	if _, err := pgx.ForEachRow(rows, []any{&id, &ended}, func() error {
		if ended {
			over = append(over, id)
		}
		return nil
	}); err != nil || len(over) == 0 {
		return err
	}
	_, err = tx.Exec(ctx, `
update job j set finished = now(), state = case when s.bad = 0 then 'succeeded'::job_state else 'failed' end,
       error = case when s.bad = 0 then '' else format('%s of %s discs are not good: %s', s.bad, s.discs, s.labels) end
  from (
    select k.job_id, count(distinct d.id) as discs, count(distinct d.id) filter (where d.state <> 'good') as bad,
           string_agg(distinct d.label, ', ' order by d.label) filter (where d.state <> 'good') as labels
      from task_job k join task t on t.id = k.task_id join disc d on d.id = t.disc_id where k.job_id = any ($1::uuid[]) group by k.job_id) s
 where s.job_id = j.id and j.state = 'running'`, over)
	return err
}
