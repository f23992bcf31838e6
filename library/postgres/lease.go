package postgres

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
	"github.com/odarchive/odarchive/library/schedule"
)

// The statements that carry out what was decided. Each holds only if the library is in the state that the decision was made for, which it
// looks up itself, and returns no row otherwise.
const (
	// told makes the triggers that note changes for desks leave out what this transaction does from now on.
	told = `select set_config('odarchive.told', $1, true)`

	leaseMove = `
insert into task (library_id, kind, state, disc_id, unit, drive, from_kind, from_number, to_kind, to_number, epoch, attempts, lease_until, started, agent)
select $1, 'move', 'leased', nullif($2::bigint, 0), v.unit, $3, f.kind, f.number, t.kind, t.number, 1, 1, now() + $8::interval, now(), l.agent
  from library l
  join element v on v.library_id = l.id and v.kind = 'drive' and v.number = $3
  join element f on f.library_id = l.id and f.kind = $4 and f.number = $5
  join element t on t.library_id = l.id and t.kind = $6 and t.number = $7
 where l.id = $1 and f.disc_id is not distinct from nullif($2::bigint, 0) and f.fill <> 'empty' and t.fill = 'empty'
returning id, epoch, kind, 0::bigint`

	// A burn spends its disc; a read serves the retrievals that wait for something on its disc.
	leaseTask = `
with leased as (
  update task set state = 'leased', epoch = epoch + 1, attempts = attempts + 1, lease_until = now() + $2::interval, started = now(),
         drive = nullif($3, 0), disc_id = coalesce(nullif($4::bigint, 0), disc_id), bytes_done = 0,
         agent = (select agent from library where id = $5)
   where id = $1 and state = 'queued' returning id, epoch, kind, image_id, disc_id, bytes),
burned as (
  update disc d set state = 'burning', image_id = l.image_id, burn_drive = $3,
         spare_areas = d.medium = 'BD-R' and (select v.spare_areas from image i join vault v on v.id = i.vault_id where i.id = l.image_id)
    from leased l where l.kind = 'burn' and d.id = l.disc_id),
-- A verify that was broken off too long ago begins anew.
forgotten as (
  delete from reading r using leased l where l.kind = 'verify' and r.disc_id = l.disc_id and r.finished is null and r.begun < now() - $6::interval),
served as (
  insert into task_job (task_id, job_id)
  select distinct l.id, rc.retrieval_id
    from leased l join disc d on d.id = l.disc_id join extent x on x.image_id = d.image_id
    join retrieval_content rc on rc.content_id = x.content_id join job j on j.id = rc.retrieval_id and j.state = 'running'
   where l.kind = 'read' and l.image_id is null on conflict do nothing)
select id, epoch, kind, bytes / 2048 from leased`

	// A verify that is stopped is taken back from its agent, which ends it when it learns of that; what it then reports has an old epoch.
	// How much of it is left is read when the next decision is made.
	stopTask = `
with stopped as (
  update task set state = 'queued', lease_until = null, drive = null, epoch = epoch + 1 where id = $1 and state = 'leased' and kind = 'verify'
  returning id, epoch, kind, bytes),
noted as (insert into plan_change (library_id, task_id) select $2, id from stopped)
select id, epoch, kind, bytes / 2048 from stopped`
)

// lease carries out actions.
func (t *sitting) lease(actions []schedule.Action) error {
	b := &pgx.Batch{}
	b.Queue(told, "on")
	for _, a := range actions {
		switch {
		case a.Load:
			b.Queue(leaseMove, t.d.lib, a.Disc, a.Drive, Slot, a.Slot, DriveBay, a.Drive, Lease)
		case a.Unload:
			b.Queue(leaseMove, t.d.lib, a.Disc, a.Drive, DriveBay, a.Drive, Slot, a.Slot, Lease)
		case a.Stop:
			b.Queue(stopTask, a.Task, t.d.lib)
		default:
			b.Queue(leaseTask, a.Task, Lease, a.Drive, a.Disc, t.d.lib, staleReading)
		}
	}
	b.Queue(told, "")
	r := t.tx.SendBatch(t.ctx, b)
	defer r.Close()
	if _, err := r.Exec(); err != nil {
		return err
	}
	for _, a := range actions {
		var id int64
		var e errand
		err := r.QueryRow().Scan(&id, &e.epoch, &e.kind, &e.sectors)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("lease %+v: %w", a, errPlanned)
		} else if err != nil {
			return fmt.Errorf("lease %+v: %w", a, err)
		}
		t.begun(a, id, e)
	}
	return r.Close()
}

// begun makes the desk's note of what has been leased or stopped.
func (t *sitting) begun(a schedule.Action, id int64, e errand) {
	if a.Stop {
		delete(t.d.running, id)
		t.d.tell(func(l listener) { l.Stopped(id, e.sectors) })
		return
	}
	e.drive, e.load, e.unload = a.Drive, a.Load, a.Unload
	if e.kind == library.MoveTask {
		e.unit = t.d.units[a.Drive]
	}
	t.d.running[id] = e
}
