package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/library"
	"github.com/odarchive/odarchive/library/schedule"
)

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
	return snapshotOf(ctx, tx, lib, builds, nil, nil)
}

// snapshotOf is a snapshot that has only those of the tasks, and of the discs only those, the ones of the tasks and the ones that matter
// anyway: in drives, on their way, and blank. Without tasks it has all.
func snapshotOf(ctx context.Context, tx pgx.Tx, lib string, builds int, tasks, discs []int64) (snap schedule.Snapshot, err error) {
	snap.BuildLimit = builds
	var now float64
	if err := tx.QueryRow(ctx, `
select l.want_report or l.trouble <> '' or l.last_seen is null,
       (select count(*) from task t where t.library_id = l.id and t.kind in ('build', 'gather', 'seal', 'rebuild') and t.state = 'leased'),
       array(select distinct unit from task t where t.library_id = l.id and t.kind = 'move' and t.state = 'leased' and not t.carried
                       union select unit from element where library_id = l.id and `+handFull+`),
       extract(epoch from now())::float8
  from library l where l.id = $1`, lib).Scan(&snap.Still, &snap.Building, &snap.MovingUnits, &now); err != nil {
		return snap, err
	}
	snap.Now = since(now)
	if snap.Drives, err = snapshotDrives(ctx, tx, lib); err != nil {
		return snap, err
	}
	if snap.Tasks, err = snapshotTasks(ctx, tx, lib, tasks); err != nil {
		return snap, err
	}
	snap.Discs, err = snapshotDiscs(ctx, tx, lib, tasks, discs)
	return snap, err
}

// snapshotDrives returns the drives. One that is being loaded has its disc, and a home to which that can go back, already.
func snapshotDrives(ctx context.Context, tx pgx.Tx, lib string) ([]schedule.Drive, error) {
	rows, err := tx.Query(ctx, `
select d.number, e.unit, d.up, t.id is not null, e.fill <> 'unknown' or l.id is not null, e.fill = 'full' or l.id is not null,
       coalesce(l.disc_id, e.disc_id, 0), coalesce(l.from_number, e.home, 0), coalesce(h.fill <> 'empty' and l.id is null, false),
       coalesce(extract(epoch from d.loaded), extract(epoch from now()))::float8,
       coalesce(t.id, 0), coalesce(t.kind::text, ''), coalesce(t.priority, 0), coalesce(t.bytes - t.bytes_done, 0) / 2048,
       coalesce(extract(epoch from t.created), 0)::float8, coalesce(extract(epoch from t.due), 0)::float8,
       d.read_only, d.reads, `+distrusted+`
  from drive d join element e on e.library_id = d.library_id and e.kind = 'drive' and e.number = d.number
  left join element h on h.library_id = d.library_id and h.kind = 'slot' and h.number = e.home
  left join task t on t.library_id = d.library_id and t.drive = d.number and t.state = 'leased'
  left join task l on l.id = t.id and l.kind = 'move' and l.to_kind = 'drive'
 where d.library_id = $1 order by d.number`, lib)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (d schedule.Drive, err error) {
		var loaded, created, due float64
		r := &d.Running
		err = row.Scan(&d.Number, &d.Unit, &d.Up, &d.Busy, &d.Known, &d.Full, &d.Disc, &d.Home, &d.HomeUnknown, &loaded,
			&r.ID, &r.Kind, &r.Priority, &r.Sectors, &created, &due, &d.ReadOnly, &d.Media, &d.Distrust)
		d.Since, r.Created, r.Due = since(loaded), since(created), since(due)
		if r.Disc = d.Disc; r.Kind == library.MoveTask {
			d.Running = schedule.Task{}
		}
		return d, err
	})
}

const selectTasks = `
select t.id, case when t.kind in ('gather', 'seal', 'rebuild') then 'build' when t.kind = 'serve' then 'release' when t.kind = 'identify' then 'verify' else t.kind::text end, t.priority, coalesce(t.disc_id, 0), greatest(coalesce(case when t.rows_of is null then i.sectors end, v.recorded, t.bytes / 2048) - coalesce(r.done, 0), 0), coalesce(r.done, 0),
       t.kind <> 'burn' or (i.sha256 is not null and not exists (
         select from task b where b.image_id = t.image_id and b.library_id = t.library_id and b.kind in ('build', 'read') and b.state in ('queued', 'leased'))
         and (t.library_id = i.library_id or exists (select from image_away w where w.image_id = i.id and w.library_id = t.library_id and w.at_hand))),
       coalesce(t.avoid_drive, 0), extract(epoch from t.created)::float8, coalesce(extract(epoch from t.due), 0)::float8,
       t.kind = 'burn' and coalesce(p.spare_areas, false), case when t.kind = 'burn' then coalesce(i.medium, '') else '' end,
       case when t.kind = 'burn' then coalesce(i.number, 0) else 0 end, case when t.kind = 'burn' then coalesce((
         select d.burn_drive from disc d where d.image_id = t.image_id and d.library_id = t.library_id and d.burn_drive is not null order by d.id desc limit 1), 0) else 0 end
  from task t left join image i on i.id = t.image_id left join vault p on t.kind = 'burn' and p.id = i.vault_id
  left join disc v on t.kind = 'verify' and v.id = t.disc_id left join reading r on r.disc_id = v.id and r.finished is null
 where t.library_id = $1 and t.state = 'queued'`

func snapshotTasks(ctx context.Context, tx pgx.Tx, lib string, only []int64) ([]schedule.Task, error) {
	sql, args := selectTasks, []any{lib}
	if only != nil {
		sql, args = sql+` and t.id = any ($2)`, append(args, only)
	}
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (t schedule.Task, err error) {
		var created, due float64
		err = row.Scan(&t.ID, &t.Kind, &t.Priority, &t.Disc, &t.Sectors, &t.Sector, &t.Ready, &t.Avoid, &created, &due, &t.SpareAreas, &t.Medium, &t.Image, &t.Burned)
		t.Created, t.Due = since(created), since(due)
		return t, err
	})
}

// The discs that matter now: those in drives, those that queued tasks name, and of the blanks the first few of each unit, size and lot, which are
// enough: a burn takes the lowest slot. Those on their way belong to the drive that they go to or come from; those that are in no
// place have none. A disc that must be loaded anew and is in a slot, or on its way from one, will be.
const (
	selectDiscs = `
select d.id, coalesce(e.unit, 0), case when e.kind = 'slot' and m.id is null then e.number else 0 end,
       case when m.id is not null then m.drive when e.kind = 'drive' then e.number else 0 end,
       d.state = 'blank', d.capacity, coalesce(d.reload and e.kind = 'drive', false), case when d.state = 'verifying' then coalesce(d.burn_drive, 0) else 0 end,
       d.medium, coalesce((select ` + setNumber + ` from image i where i.id = d.image_id), 0), d.lot
  from (
    select disc_id from element where library_id = $1 and kind = 'drive' and disc_id is not null
    union select disc_id from task where library_id = $1 and state = 'leased' and kind = 'move' and disc_id is not null
    union (select disc_id from (
      select e.disc_id, row_number() over (partition by e.unit, d.medium, d.capacity, d.lot order by e.number) as n
        from element e join disc d on d.id = e.disc_id and d.state = 'blank'
       where e.library_id = $1 and e.kind = 'slot' and e.fill = 'full') b where n <= 16)
    union `
	selectDiscsEnd = `
  ) w join disc d on d.id = w.disc_id left join element e on e.disc_id = d.id and e.library_id = $1
  left join task m on m.library_id = $1 and m.disc_id = d.id and m.kind = 'move' and m.state = 'leased'`
)

func snapshotDiscs(ctx context.Context, tx pgx.Tx, lib string, tasks, discs []int64) ([]schedule.Disc, error) {
	which, args := `select disc_id from task where library_id = $1 and state = 'queued' and kind in ('verify', 'read', 'identify')`, []any{lib}
	if tasks != nil {
		which, args = `select disc_id from task where id = any ($2) and disc_id is not null union select unnest($3::bigint[])`, []any{lib, tasks, discs}
	}
	rows, err := tx.Query(ctx, selectDiscs+which+selectDiscsEnd, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (d schedule.Disc, err error) {
		err = row.Scan(&d.ID, &d.Unit, &d.Slot, &d.Drive, &d.Blank, &d.Capacity, &d.Reload, &d.Avoid, &d.Medium, &d.Set, &d.Lot)
		d.Spared, d.WithSpares = archive.HasSpareAreas(d.Medium, d.Capacity), archive.WithSpareAreas(d.Medium, d.Capacity)
		return d, err
	})
}
