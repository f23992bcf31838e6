package postgres

import (
	"context"
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

	leaseMoves = `
insert into task (library_id, kind, state, disc_id, unit, drive, from_kind, from_number, to_kind, to_number, epoch, attempts, started, agent)
select l.id, 'move', 'leased', nullif(u.disc, 0), v.unit, u.drive, f.kind, f.number, t.kind, t.number, 1, 1, now(), l.agent
  from unnest($1::uuid[], $2::bigint[], $3::int[], $4::text[], $5::int[], $6::text[], $7::int[]) u(lib, disc, drive, from_kind, from_number, to_kind, to_number)
  join library l on l.id = u.lib
  join element v on v.library_id = l.id and v.kind = 'drive' and v.number = u.drive
  join element f on f.library_id = l.id and f.kind = u.from_kind::element_kind and f.number = u.from_number
  join element t on t.library_id = l.id and t.kind = u.to_kind::element_kind and t.number = u.to_number
 where f.disc_id is not distinct from nullif(u.disc, 0) and f.fill <> 'empty' and t.fill = 'empty'
returning library_id::text, drive, id, epoch`

	// A burn spends its disc; a read serves the retrievals that wait for something on its disc or image, and one of rows those that wait for what lies in them.
	leaseTasks = `
with leased as (
  update task t set state = 'leased', epoch = t.epoch + 1, attempts = t.attempts + 1, started = now(),
         drive = nullif(u.drive, 0), disc_id = coalesce(nullif(u.disc, 0), t.disc_id), bytes_done = 0,
         agent = (select agent from library l where l.id = t.library_id)
    from unnest($1::bigint[], $2::int[], $3::bigint[]) u(id, drive, disc)
   where t.id = u.id and t.state = 'queued' returning t.id, t.epoch, t.kind, t.image_id, t.disc_id, t.drive, t.bytes, t.early),
burned as (
  update disc d set state = 'burning', reason = '', image_id = l.image_id, burn_drive = l.drive,
         spare_areas = d.medium = 'BD-R' and (select v.spare_areas from image i join vault v on v.id = i.vault_id where i.id = l.image_id)
    from leased l where l.kind = 'burn' and d.id = l.disc_id),
-- A verify that was broken off too long ago begins anew.
forgotten as (
  delete from reading r using leased l where l.kind = 'verify' and r.disc_id = l.disc_id and r.finished is null and r.begun < now() - $4::interval),
served as (
  insert into task_job (task_id, job_id)
  select distinct l.id, rc.retrieval_id
    from leased l left join disc d on d.id = l.disc_id join extent x on x.image_id = case l.kind when 'read' then d.image_id else l.image_id end
    join retrieval_content rc on rc.content_id = x.content_id join job j on j.id = rc.retrieval_id and j.state = 'running'
   where l.kind = 'read' and l.image_id is null or l.kind = 'serve' on conflict do nothing),
early_rows as (
  insert into task_job (task_id, job_id)
  select distinct l.id, rc.retrieval_id
    from leased l join early e on e.pass = l.early join retrieval_content rc on rc.content_id = any (e.contents) join job j on j.id = rc.retrieval_id and j.state = 'running'
   where l.kind = 'read' on conflict do nothing)
select id, epoch, kind, bytes / 2048 from leased`

	// A verify that is stopped is taken back from its agent, which ends it when it learns of that; what it then reports has an old epoch.
	// How much of it is left is read when the next decision is made.
	stopTasks = `
with stopped as (
  update task set state = 'queued', drive = null, epoch = epoch + 1 where id = any ($1) and state = 'leased' and kind = 'verify'
  returning id, library_id, epoch, kind, bytes),
noted as (insert into plan_change (library_id, task_id) select library_id, id from stopped)
select id, epoch, kind, bytes / 2048 from stopped`
)

// order is an action at a desk.
type order struct {
	schedule.Action
	at *sitting
}

// bay is a drive of a library.
type bay struct {
	lib   string
	drive int
}

// place is where a move takes its disc from, or else where it brings it.
func (x order) place(from bool) Place {
	if x.Load == from {
		return Place{Slot, x.Slot}
	}
	return Place{DriveBay, x.Drive}
}

// lease carries out the actions of sittings, each kind by one statement. Stops go first: they leave drives free.
func lease(ctx context.Context, tx pgx.Tx, sittings []*sitting) error {
	var stops, moves, tasks []order
	for _, t := range sittings {
		for _, a := range t.actions {
			switch x := (order{a, t}); {
			case a.Load || a.Unload:
				moves = append(moves, x)
			case a.Stop:
				stops = append(stops, x)
			default:
				tasks = append(tasks, x)
			}
		}
	}
	b := &pgx.Batch{}
	b.Queue(told, "on")
	begun := 0
	if len(stops) > 0 {
		b.Queue(stopTasks, column(stops, func(x order) int64 { return x.Task })).Query(notesOf(stops, &begun))
	}
	if len(moves) > 0 {
		b.Queue(leaseMoves,
			column(moves, func(x order) string { return x.at.lib }), column(moves, func(x order) int64 { return x.Disc }), column(moves, func(x order) int { return x.Drive }),
			column(moves, func(x order) string { return string(x.place(true).Kind) }), column(moves, func(x order) int { return x.place(true).Number }),
			column(moves, func(x order) string { return string(x.place(false).Kind) }), column(moves, func(x order) int { return x.place(false).Number })).
			Query(notesOfMoves(moves, &begun))
	}
	if len(tasks) > 0 {
		b.Queue(leaseTasks, column(tasks, func(x order) int64 { return x.Task }), column(tasks, func(x order) int { return x.Drive }),
			column(tasks, func(x order) int64 { return x.Disc }), staleReading).Query(notesOf(tasks, &begun))
	}
	b.Queue(told, "")
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	if n := len(stops) + len(moves) + len(tasks); begun != n {
		return fmt.Errorf("lease %d of %d actions: %w", begun, n, errPlanned)
	}
	return nil
}

// notesOf reads what has been leased or stopped of the queue, tells the desks and counts it.
func notesOf(orders []order, begun *int) func(rows pgx.Rows) error {
	of := make(map[int64]order, len(orders))
	for _, x := range orders {
		of[x.Task] = x
	}
	return func(rows pgx.Rows) error {
		var id int64
		var e errand
		_, err := pgx.ForEachRow(rows, []any{&id, &e.epoch, &e.kind, &e.sectors}, func() error {
			*begun++
			of[id].at.begun(of[id].Action, id, e)
			return nil
		})
		return err
	}
}

// notesOfMoves does that for moves, which have no number before.
func notesOfMoves(orders []order, begun *int) func(rows pgx.Rows) error {
	of := make(map[bay]order, len(orders))
	for _, x := range orders {
		of[bay{x.at.lib, x.Drive}] = x
	}
	return func(rows pgx.Rows) error {
		var v bay
		var id int64
		e := errand{kind: library.MoveTask}
		_, err := pgx.ForEachRow(rows, []any{&v.lib, &v.drive, &id, &e.epoch}, func() error {
			*begun++
			of[v].at.begun(of[v].Action, id, e)
			return nil
		})
		return err
	}
}

// begun makes the desk's note of what has been leased or stopped.
func (t *sitting) begun(a schedule.Action, id int64, e errand) {
	t.leased++
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
