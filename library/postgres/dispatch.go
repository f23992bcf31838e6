package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
	"github.com/odarchive/odarchive/library/schedule"
)

// Schedule decides what the library should start now, leases it, and returns how many actions it took. What is decided is
// checked by somebody else than who decided it: a plan that breaks a rule is not carried out.
func (s *Store) Schedule(ctx context.Context, lib string, builds int) (leased int, err error) {
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		if err := lockLibrary(ctx, tx, lib); err != nil {
			return err
		}
		snapshot, err := takeSnapshot(ctx, tx, lib, builds)
		if err != nil {
			return err
		}
		actions := schedule.Next(snapshot)
		leased = len(actions)
		if leased == 0 {
			return nil
		}
		checker := schedule.CheckerFor(snapshot)
		for _, a := range actions {
			if err := checker.Check(a); err != nil {
				return fmt.Errorf("schedule library %s: %w", lib, err)
			}
			if err := lease(ctx, tx, lib, a); err != nil {
				return fmt.Errorf("lease %+v: %w", a, err)
			}
		}
		return nil
	})
	return leased, err
}

// Snapshot returns what the library's next decision depends on. Its times are those of the database, since 1970.
func (s *Store) Snapshot(ctx context.Context, lib string) (snap schedule.Snapshot, err error) {
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		snap, err = takeSnapshot(ctx, tx, lib, 0)
		return err
	})
	return snap, err
}

// since is a time of the database, in seconds since 1970, as the planner counts it.
func since(epoch float64) time.Duration { return time.Duration(epoch * float64(time.Second)) }

func takeSnapshot(ctx context.Context, tx pgx.Tx, lib string, builds int) (snap schedule.Snapshot, err error) {
	snap.BuildLimit = builds
	var now float64
	if err := tx.QueryRow(ctx, `
select l.want_report or l.trouble <> '' or l.last_seen is null,
       (select count(*) from task t where t.library_id = l.id and t.kind = 'build' and t.state = 'leased'),
       array(select distinct unit from task t where t.library_id = l.id and t.kind = 'move' and t.state = 'leased' and not t.carried),
       extract(epoch from now())::float8
  from library l where l.id = $1`, lib).Scan(&snap.Still, &snap.Building, &snap.MovingUnits, &now); err != nil {
		return snap, err
	}
	snap.Now = since(now)
	if snap.Drives, err = snapshotDrives(ctx, tx, lib); err != nil {
		return snap, err
	}
	if snap.Tasks, err = snapshotTasks(ctx, tx, lib); err != nil {
		return snap, err
	}
	snap.Discs, err = snapshotDiscs(ctx, tx, lib)
	return snap, err
}

func snapshotDrives(ctx context.Context, tx pgx.Tx, lib string) ([]schedule.Drive, error) {
	rows, err := tx.Query(ctx, `
select d.number, e.unit, d.up, t.id is not null, e.fill <> 'unknown', e.fill = 'full', coalesce(e.disc_id, 0), coalesce(e.home, 0),
       coalesce(h.fill <> 'empty', false), coalesce(extract(epoch from d.loaded), extract(epoch from now()))::float8,
       coalesce(t.id, 0), coalesce(t.kind::text, ''), coalesce(t.priority, 0), coalesce(t.bytes - t.bytes_done, 0) / 2048,
       coalesce(extract(epoch from t.created), 0)::float8, coalesce(extract(epoch from t.due), 0)::float8
  from drive d join element e on e.library_id = d.library_id and e.kind = 'drive' and e.number = d.number
  left join element h on h.library_id = d.library_id and h.kind = 'slot' and h.number = e.home
  left join task t on t.library_id = d.library_id and t.drive = d.number and t.state = 'leased'
 where d.library_id = $1 order by d.number`, lib)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (d schedule.Drive, err error) {
		var loaded, created, due float64
		r := &d.Running
		err = row.Scan(&d.Number, &d.Unit, &d.Up, &d.Busy, &d.Known, &d.Full, &d.Disc, &d.Home, &d.HomeUnknown, &loaded,
			&r.ID, &r.Kind, &r.Priority, &r.Sectors, &created, &due)
		d.Since, r.Created, r.Due = since(loaded), since(created), since(due)
		if r.Disc = d.Disc; r.Kind == library.MoveTask {
			d.Running = schedule.Task{}
		}
		return d, err
	})
}

func snapshotTasks(ctx context.Context, tx pgx.Tx, lib string) ([]schedule.Task, error) {
	rows, err := tx.Query(ctx, `
select t.id, t.kind, t.priority, coalesce(t.disc_id, 0), greatest(coalesce(i.sectors, v.recorded, t.bytes / 2048) - coalesce(r.done, 0), 0), coalesce(r.done, 0),
       t.kind <> 'burn' or (i.sha256 is not null and not exists (
         select from task b where b.image_id = t.image_id and b.kind in ('build', 'read') and b.state in ('queued', 'leased'))),
       coalesce(t.avoid_drive, 0), extract(epoch from t.created)::float8, coalesce(extract(epoch from t.due), 0)::float8
  from task t left join image i on i.id = t.image_id
  left join disc v on t.kind = 'verify' and v.id = t.disc_id left join reading r on r.disc_id = v.id and r.finished is null
 where t.library_id = $1 and t.state = 'queued'`, lib)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (t schedule.Task, err error) {
		var created, due float64
		err = row.Scan(&t.ID, &t.Kind, &t.Priority, &t.Disc, &t.Sectors, &t.Sector, &t.Ready, &t.Avoid, &created, &due)
		t.Created, t.Due = since(created), since(due)
		return t, err
	})
}

// snapshotDiscs returns the discs that matter now; those on their way belong to the drive that they go to or come from. Of the blanks, the first few of each unit are enough: a burn takes the lowest slot.
func snapshotDiscs(ctx context.Context, tx pgx.Tx, lib string) ([]schedule.Disc, error) {
	rows, err := tx.Query(ctx, `
select d.id, e.unit, case when e.kind = 'slot' and m.id is null then e.number else 0 end,
       case when m.id is not null then m.drive when e.kind = 'drive' then e.number else 0 end,
       d.state = 'blank', d.capacity, d.reload, case when d.state = 'verifying' then coalesce(d.burn_drive, 0) else 0 end,
       d.medium
  from (
    select disc_id from element where library_id = $1 and kind = 'drive' and disc_id is not null
    union select disc_id from task where library_id = $1 and state = 'queued' and kind in ('verify', 'read')
    union (select disc_id from (
      select e.disc_id, row_number() over (partition by e.unit, d.capacity order by e.number) as n
        from element e join disc d on d.id = e.disc_id and d.state = 'blank'
       where e.library_id = $1 and e.kind = 'slot' and e.fill = 'full') b where n <= 16)
  ) w join disc d on d.id = w.disc_id join element e on e.disc_id = d.id
  left join task m on m.library_id = $1 and m.disc_id = d.id and m.kind = 'move' and m.state = 'leased'
 where e.library_id = $1`, lib)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (d schedule.Disc, err error) {
		err = row.Scan(&d.ID, &d.Unit, &d.Slot, &d.Drive, &d.Blank, &d.Capacity, &d.Reload, &d.Avoid, &d.Medium)
		return d, err
	})
}
