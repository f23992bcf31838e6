package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
	"github.com/odarchive/odarchive/library/schedule"
)

func lease(ctx context.Context, tx pgx.Tx, lib string, a schedule.Action) error {
	switch {
	case a.Load || a.Unload:
		return leaseMove(ctx, tx, lib, a)
	case a.Stop:
		return stop(ctx, tx, lib, a.Task)
	}
	var kind library.TaskKind
	var image *string
	if err := tx.QueryRow(ctx, `
update task set state = 'leased', epoch = epoch + 1, attempts = attempts + 1, lease_until = now() + $2::interval, started = now(),
       drive = nullif($3, 0), disc_id = coalesce(nullif($4::bigint, 0), disc_id), bytes_done = 0,
       agent = (select agent from library where id = $5)
 where id = $1 and state = 'queued' returning kind, image_id::text`, a.Task, Lease, a.Drive, a.Disc, lib).Scan(&kind, &image); err != nil {
		return err
	}
	switch kind {
	case library.VerifyTask:
		return forgetOldReading(ctx, tx, a.Disc)
	case library.BurnTask:
		_, err := tx.Exec(ctx, `update disc set state = 'burning', image_id = $2, burn_drive = $3 where id = $1`, a.Disc, image, a.Drive)
		return err
	case library.ReadTask:
		if image != nil {
			return nil
		}
		_, err := tx.Exec(ctx, `
insert into task_job (task_id, job_id)
select distinct $1::bigint, rc.retrieval_id from retrieval_content rc join job j on j.id = rc.retrieval_id and j.state = 'running'
  join extent x on x.content_id = rc.content_id where x.image_id = (select image_id from disc where id = $2)
on conflict do nothing`, a.Task, a.Disc)
		return err
	}
	return nil
}

// stop takes a verify back from its agent, which ends it when it learns of that; what it then reports has an old epoch. It is queued
// again, and announced, because its drive is free for something more urgent.
func stop(ctx context.Context, tx pgx.Tx, lib string, task int64) error {
	if _, err := tx.Exec(ctx, `
update task set state = 'queued', lease_until = null, drive = null, epoch = epoch + 1 where id = $1 and state = 'leased' and kind = 'verify'`, task); err != nil {
		return err
	}
	return announce(ctx, tx, LibraryKey+lib)
}

func leaseMove(ctx context.Context, tx pgx.Tx, lib string, a schedule.Action) error {
	from, to := Place{Slot, a.Slot}, Place{DriveBay, a.Drive}
	if a.Unload {
		from, to = to, from
	}
	_, err := tx.Exec(ctx, `
insert into task (library_id, kind, state, disc_id, unit, drive, from_kind, from_number, to_kind, to_number, epoch, attempts, lease_until, started, agent)
select $1, 'move', 'leased', nullif($2::bigint, 0), e.unit, $3, $4, $5, $6, $7, 1, 1, now() + $8::interval, now(), l.agent
  from element e join library l on l.id = e.library_id where e.library_id = $1 and e.kind = 'drive' and e.number = $3`,
		lib, a.Disc, a.Drive, from.Kind, from.Number, to.Kind, to.Number, Lease)
	return err
}

// Task is a leased task as its agent needs it.
type Task struct {
	Ref      Ref
	Kind     library.TaskKind
	ImageID  string
	Sectors  int64
	Layer    int64 // sectors of each layer of the image's error correction; 0: none
	SHA256   []byte
	Drive    int
	From, To Place
	DiscID   int64
	Copy     bool         // of a read: the whole image goes to the scratch disk
	Extents  []ReadExtent // of a read, in ascending order of sectors
	// Of a verify: where an earlier one was broken off, and whether it is a scrub, which a disc passes that can be repaired.
	Resume *Checkpoint
	Scrub  bool
}

// ReadExtent is an extent that a retrieval waits for.
type ReadExtent struct {
	Hash                         []byte
	Size, Offset, Length, Sector int64
}

// MaxExtents is how many extents one read task brings back at most; what remains makes another.
const MaxExtents = 16384

// Leased returns the tasks that the library's agent should be running. The work of those in running is left out.
func (s *Store) Leased(ctx context.Context, lib string, running []Ref) ([]Task, error) {
	rows, err := s.pool.Query(ctx, `
select t.id, t.epoch, t.kind, coalesce(i.id::text, ''), coalesce(i.sectors, 0), coalesce(i.layer_sectors, 0), i.sha256, coalesce(t.drive, 0),
       coalesce(t.from_kind::text, ''), coalesce(t.from_number, 0), coalesce(t.to_kind::text, ''), coalesce(t.to_number, 0), coalesce(t.disc_id, 0), t.kind = 'read' and t.image_id is not null,
       coalesce(r.done, 0), r.hash_state, coalesce(r.unreadable, 0), t.kind = 'verify' and d.state in ('good', 'suspect')
  from task t left join disc d on d.id = t.disc_id left join image i on i.id = coalesce(t.image_id, d.image_id)
  left join reading r on t.kind = 'verify' and r.disc_id = d.id and r.finished is null
 where t.library_id = $1 and t.state = 'leased' order by t.id`, lib)
	if err != nil {
		return nil, err
	}
	tasks, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (t Task, err error) {
		var from Checkpoint
		err = row.Scan(&t.Ref.ID, &t.Ref.Epoch, &t.Kind, &t.ImageID, &t.Sectors, &t.Layer, &t.SHA256, &t.Drive,
			&t.From.Kind, &t.From.Number, &t.To.Kind, &t.To.Number, &t.DiscID, &t.Copy, &from.Sector, &from.HashState, &from.Unreadable, &t.Scrub)
		if from.Sector > 0 {
			t.Resume = &from
		}
		return t, err
	})
	if err != nil {
		return nil, err
	}
	known := make(map[Ref]bool, len(running))
	for _, r := range running {
		known[r] = true
	}
	for i := range tasks {
		if t := &tasks[i]; t.Kind == library.ReadTask && !t.Copy && !known[t.Ref] {
			if t.Extents, err = s.wanted(ctx, t.DiscID); err != nil {
				return nil, err
			}
		}
	}
	return tasks, nil
}

// wantedContents are the contents on a disc ($1) that running retrievals wait for and that it may be able to give.
const wantedContents = `
  from disc d
  join extent x on x.image_id = d.image_id
  join content c on c.id = x.content_id and not c.staged and (c.cached_until is null or c.cached_until < now())
 where d.id = $1
   and exists (select from retrieval_content rc join job j on j.id = rc.retrieval_id where rc.content_id = c.id and j.state = 'running')
   and not exists (select from read_failure f where f.disc_id = d.id and f.content_id = c.id)
   and not exists (select from cache_part p where p.content_id = c.id and p.content_offset = x.content_offset)`

func (s *Store) wanted(ctx context.Context, disc int64) ([]ReadExtent, error) {
	rows, err := s.pool.Query(ctx, `select c.hash, c.size, x.content_offset, x.length, x.sector`+wantedContents+` order by x.sector limit $2`, disc, MaxExtents)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[ReadExtent])
}
