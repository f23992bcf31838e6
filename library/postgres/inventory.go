package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
)

// An inventory finds out which discs lie in a library's slots. Each slot that may hold a disc nobody knows gets a row of disc in the
// state unknown, which stands for that disc until it is loaded, and a task that wants it loaded. What the disc says of itself then
// puts the disc that it is in its place, and the row goes.

// lookThrough makes rows and tasks for the slots that are to be looked through and have none. Whoever takes a disc out of a slot, or
// learns that it is empty, takes the row's place from it; then it goes too. The caller has the library's lock.
func lookThrough(ctx context.Context, tx pgx.Tx, lib string) error {
	var asked bool
	if err := tx.QueryRow(ctx, `select inventory is not null from library where id = $1`, lib).Scan(&asked); err != nil || !asked {
		return err
	}
	rows, err := tx.Query(ctx, `
select d.id from disc d where d.library_id = $1 and d.state = 'unknown' and not exists (select from element where disc_id = d.id)
   and not exists (select from task where disc_id = d.id and state = 'leased')`, lib)
	if err != nil {
		return err
	}
	gone, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return err
	}
	if err := forget(ctx, tx, gone); err != nil {
		return err
	}
	tag, err := tx.Exec(ctx, `
insert into disc (label, library_id, medium, capacity, state, reload)
select 'unknown-' || e.library_id || '-' || e.number, e.library_id, '', 1, 'unknown', true
  from element e join library l on l.id = e.library_id
 where e.library_id = $1 and e.kind = 'slot' and e.fill <> 'empty' and e.disc_id is null and (e.looked is null or e.looked < l.inventory)
   and not exists (select from element v where v.library_id = e.library_id and v.kind = 'drive' and v.home = e.number)
   and not exists (select from task m where m.library_id = e.library_id and m.kind = 'move' and m.state = 'leased'
     and (m.from_kind = 'slot' and m.from_number = e.number or m.to_kind = 'slot' and m.to_number = e.number))
 order by e.number`, lib)
	if err != nil || tag.RowsAffected() == 0 {
		return err
	}
	if _, err := tx.Exec(ctx, `
update element e set disc_id = d.id from disc d
 where e.library_id = $1 and e.kind = 'slot' and e.disc_id is null and d.library_id = $1 and d.state = 'unknown' and d.label = 'unknown-' || $1::uuid::text || '-' || e.number`, lib); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
insert into task (library_id, kind, priority, disc_id)
select library_id, 'identify', $2, id from disc d where library_id = $1 and state = 'unknown' and not exists (select from task where disc_id = d.id and kind = 'identify')
 order by id`, lib, library.PriorityStandard)
	return err
}

// forget ends the rows of unknown discs.
func forget(ctx context.Context, tx pgx.Tx, discs []int64) error {
	if len(discs) == 0 {
		return nil
	}
	for _, step := range []string{
		`update task set state = 'done', finished = now(), disc_id = null where disc_id = any ($1) and kind = 'identify'`,
		`update task set disc_id = null where disc_id = any ($1)`,
		`update element set disc_id = null where disc_id = any ($1)`,
		`delete from disc where id = any ($1) and state = 'unknown'`,
	} {
		if _, err := tx.Exec(ctx, step, discs); err != nil {
			return err
		}
	}
	return nil
}

// stranger says whether the moved disc was one that nobody knows.
func (rec *recorder) stranger() (is bool, err error) {
	if rec.t.Disc == nil {
		return false, nil
	}
	err = rec.tx.QueryRow(rec.ctx, `select state = 'unknown' from disc where id = $1`, *rec.t.Disc).Scan(&is)
	return is, err
}

// met: a disc that nobody knew was loaded and has said who it is.
func (rec *recorder) met() error {
	t, id := rec.t, rec.r.Identity
	var disc *int64
	flag := ""
	var err error
	switch id.State {
	case NoDisc:
		return rec.noStranger()
	case Ours:
		if disc, err = rec.recognise(); err == nil && disc == nil {
			flag = fmt.Sprintf("%v is here, and the catalogue has no such image: 'odarchive rebuild' takes a disc in", id)
		}
	case BlankDisc:
		disc, err = rec.newBlank()
	default:
		flag = fmt.Sprintf("%v is here", id)
	}
	if err != nil {
		return err
	}
	if err := rec.exec(`update element set looked = now(), flag = $4 where library_id = $1 and kind = $2 and number = $3`, rec.lib, t.From.Kind, t.From.Number, flag); err != nil {
		return err
	}
	if err := rec.loaded(disc); err != nil {
		return err
	}
	if err := forget(rec.ctx, rec.tx, []int64{*t.Disc}); err != nil {
		return err
	}
	rec.t.Disc = disc
	return nil
}

// noStranger: there is no disc in the slot.
func (rec *recorder) noStranger() error {
	t := rec.t
	if err := setElement(rec.ctx, rec.tx, rec.lib, t.From, Empty, nil, 0, ""); err != nil {
		return err
	}
	if rec.r.Outcome == Moved { // the robot says so, the drive says otherwise
		if err := setElement(rec.ctx, rec.tx, rec.lib, t.To, Unknown, nil, 0, "the robot says that it loaded a disc, the drive has none"); err != nil {
			return err
		}
		if err := rec.exec(`update library set want_report = true where id = $1`, rec.lib); err != nil {
			return err
		}
	}
	err := forget(rec.ctx, rec.tx, []int64{*t.Disc})
	rec.t.Disc = nil
	return err
}

// recognise returns the disc of the catalogue that was loaded; nil when there is none. Where all of an image's discs have places it is
// one more.
func (rec *recorder) recognise() (*int64, error) {
	id := rec.r.Identity
	var disc int64
	var good, ours bool
	err := rec.tx.QueryRow(rec.ctx, `
update disc set reload = false, media_id = case when $3 <> '' then $3 else media_id end
 where id = (select d.id from disc d where d.image_id = $2 and d.state in ('verifying', 'good', 'suspect') and (d.library_id = $1 or d.state <> 'verifying')
   and not exists (select from element e where e.disc_id = d.id) and not exists (select from task t where t.disc_id = d.id and t.state = 'leased' and t.library_id <> $1)
   order by d.library_id <> $1, d.state, d.id limit 1)
returning id, state <> 'suspect', library_id = $1`, rec.lib, id.ImageID, id.MediaID).Scan(&disc, &good, &ours)
	if err == nil && !ours { // it has been carried here
		err = carry(rec.ctx, rec.tx, disc, rec.lib)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		err = rec.tx.QueryRow(rec.ctx, `
insert into disc (label, library_id, medium, capacity, state, image_id, recorded, burned, media_id, reason)
select 'copy-' || gen_random_uuid(), $1, case when $3 = '' then i.medium else $3 end, greatest($4, i.sectors), 'suspect', i.id, i.sectors, i.created, $5,
       'it was found by an inventory and has not been read since'
  from image i where i.id::text = $2
returning id`, rec.lib, id.ImageID, id.Medium, id.Capacity, id.MediaID).Scan(&disc)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, nil
		}
		if err == nil {
			err = rec.exec(`update disc set label = lpad(id::text, greatest(4, length(id::text)), '0') where id = $1`, disc)
		}
	}
	if err != nil || good {
		return &disc, err
	}
	// It was given up for lost. When it has been read as a whole it is good.
	if err := rec.exec(`delete from read_failure where disc_id = $1`, disc); err != nil {
		return nil, err
	}
	if err := rec.exec(`
insert into task (library_id, kind, priority, disc_id, bytes) select library_id, 'verify', $2, id, recorded * 2048 from disc where id = $1
on conflict do nothing`, disc, library.PriorityBulk); err != nil {
		return nil, err
	}
	return &disc, queueReadsOf(rec.ctx, rec.tx, disc)
}

// newBlank makes a disc of a blank one that was loaded.
func (rec *recorder) newBlank() (*int64, error) {
	id := rec.r.Identity
	if id.Medium == "" || id.Capacity <= 0 {
		return nil, nil
	}
	var disc int64
	if err := rec.tx.QueryRow(rec.ctx, `
insert into disc (label, library_id, medium, capacity, media_id) values ('new-' || gen_random_uuid(), $1, $2, $3, $4) returning id`,
		rec.lib, id.Medium, id.Capacity, id.MediaID).Scan(&disc); err != nil {
		return nil, err
	}
	if err := rec.exec(`update disc set label = lpad(id::text, greatest(4, length(id::text)), '0') where id = $1`, disc); err != nil {
		return nil, err
	}
	return &disc, announce(rec.ctx, rec.tx, PlanKey)
}

// introduced ends what stands for discs that nobody knows in a range of slots: somebody says what they are.
func introduced(ctx context.Context, tx pgx.Tx, lib string, r SlotRange) error {
	rows, err := tx.Query(ctx, `
select d.id from element e join disc d on d.id = e.disc_id and d.state = 'unknown'
 where e.library_id = $1 and e.kind = 'slot' and e.number between $2 and $3 and not exists (select from task where disc_id = d.id and state = 'leased')`, lib, r.First, r.Last)
	if err != nil {
		return err
	}
	strangers, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return err
	}
	return forget(ctx, tx, strangers)
}
