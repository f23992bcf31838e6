package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
)

// TornWork is what a task needs to know that has to do with a copy that lacks sectors: a copy, a read of rows, a rebuild.
type TornWork struct {
	// Of a copy or a read of rows: how many sectors of the image, from its beginning, its set protects. A copy that isn't to be kept when it
	// lacks some has 0.
	Protected int64
	SetPlace
	// Of a read of rows: whose copy lacks them. Early are those in which lies what is wanted before there is a copy.
	Of    string
	Rows  []Run
	Early bool
	// Of a rebuild: the copy is made whole, by the rows that were brought of these images. Of an early serve, of which images there are rows.
	Torn   bool
	RowsOf []int
}

// Run is a run of sectors.
type Run struct{ First, Count int64 }

func runsOf(firsts, counts []int64) (runs []Run) {
	for i := range firsts {
		runs = append(runs, Run{firsts[i], counts[i]})
	}
	return runs
}

// tornWork returns what a copy, a read of rows, a rebuild or an early serve needs; nil when nothing.
func (s *Store) tornWork(ctx context.Context, task int64, kind library.TaskKind) (*TornWork, error) {
	var w TornWork
	if kind == library.RebuildTask {
		err := s.pool.QueryRow(ctx, `
select n.image_id is not null, coalesce((
         select array_agg(x.set_index order by x.set_index) from torn_row r join image x on x.id = r.source_id where r.image_id = n.image_id), '{}')
  from task t left join torn n on n.image_id = t.image_id where t.id = $1`, task).Scan(&w.Torn, &w.RowsOf)
		return &w, err
	}
	if kind == library.ServeTask {
		w.Early = true
		err := s.pool.QueryRow(ctx, `
select coalesce(i.set_index, 0), coalesce((
         select array_agg(x.set_index order by x.set_index) from early e join early_row r on r.image_id = e.image_id join image x on x.id = r.source_id where e.pass = t.early), '{}')
  from task t join image i on i.id = t.image_id where t.id = $1`, task).Scan(&w.Index, &w.RowsOf)
		return &w, err
	}
	var firsts, counts []int64
	err := s.pool.QueryRow(ctx, `
select i.data_sectors, s.id::text, s.data, s.parity, i.set_index, coalesce(t.rows_of::text, ''), coalesce(n.firsts, '{}'), coalesce(n.counts, '{}'), t.early is not null
  from task t join image i on i.id = t.image_id join disc_set s on s.id = i.set_id and s.state = 'sealed'
  left join lateral (
    select firsts, counts from torn where image_id = t.rows_of and t.early is null
    union all select case when t.image_id = t.rows_of then firsts else needed_firsts end, case when t.image_id = t.rows_of then counts else needed_counts end
      from early where pass = t.early) n on true
 where t.id = $1 and t.library_id = i.library_id and (t.rows_of is not null or i.set_index < s.data and exists (
   select from heal h join disc d on d.id = h.disc_id where d.image_id = i.id and h.finished is null))`, task).
		Scan(&w.Protected, &w.Set, &w.Data, &w.Parity, &w.Index, &w.Of, &firsts, &counts, &w.Early)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	w.Rows = runsOf(firsts, counts)
	return &w, err
}

// torn remembers what a copy that was kept lacks. What was brought for one that lacked something else counts for nothing.
func (rec *recorder) torn() error {
	r := rec.r
	switch {
	case r.Missing:
		return rec.exec(`delete from torn where image_id = $1`, *rec.t.Image)
	case !r.Torn:
		return nil
	}
	firsts, counts := column(r.Lacking, func(x Run) int64 { return x.First }), column(r.Lacking, func(x Run) int64 { return x.Count })
	if err := rec.exec(`delete from torn where image_id = $1 and (firsts, counts) is distinct from ($2::bigint[], $3::bigint[])`, *rec.t.Image, firsts, counts); err != nil {
		return err
	}
	if err := rec.exec(`
insert into torn (image_id, sectors, firsts, counts) values ($1, $2, $3, $4) on conflict (image_id) do nothing`,
		*rec.t.Image, r.LackingSectors, firsts, counts); err != nil {
		return err
	}
	return rec.step("set", fmt.Sprintf("all of it is copied but %d sectors, in %d runs: others of its set have to give no more than those rows", r.LackingSectors, len(firsts)))
}

// rowsOf returns for which image the task has read rows, and for which early pass, if it was for one; empty when it has read a whole image.
func (rec *recorder) rowsOf() (image string, pass int64, err error) {
	err = rec.tx.QueryRow(rec.ctx, `select coalesce(rows_of::text, ''), coalesce(early, 0) from task where id = $1`, rec.t.ID).Scan(&image, &pass)
	return image, pass, err
}

// rowsCopied draws the conclusions of rows having been read for the copy of an image.
func (rec *recorder) rowsCopied(image string) error {
	t, r := rec.t, rec.r
	if err := rec.noteRead(); err != nil {
		return err
	}
	switch {
	case r.Error == "":
		if err := rec.exec(`
insert into torn_row (image_id, source_id, lacking) select image_id, $2, $3 from torn where image_id = $1
on conflict (image_id, source_id) do update set lacking = excluded.lacking`, image, *t.Image, r.LackingSectors); err != nil {
			return err
		}
		return rec.rowsRead(image, "their set's rows")
	case r.Failure == Interrupted || r.Failure == RobotFailure:
		return rec.soonAgain()
	case r.Failure == DiscFailure || r.Failure == DriveFailure:
		return rec.rowsUnread()
	case r.Failure == RetryFailure:
		return nil // whoever tends repeats it in a minute
	}
	return giveUpHeals(rec.ctx, rec.tx, image, r.Error)
}

// rowsRead tells the records of the discs that an image is to replace how much of some rows the task's disc has given.
func (rec *recorder) rowsRead(image, rows string) error {
	var label string
	if err := rec.tx.QueryRow(rec.ctx, `select label from disc where id = $1`, *rec.t.Disc).Scan(&label); err != nil {
		return err
	}
	detail := fmt.Sprintf("%d sectors of %s were read of disc %s", rec.r.Bytes/2048, rows, label)
	if rec.r.Bytes == 0 {
		detail = fmt.Sprintf("%s had been read of disc %s", rows, label)
	}
	if rec.r.LackingSectors > 0 {
		detail += fmt.Sprintf(", and %d of them it doesn't give", rec.r.LackingSectors)
	}
	return stepOf(rec.ctx, rec.tx, image, "set", &rec.t.ID, detail)
}

// rowsUnread: the task's disc has not given the rows that were wanted of it. One that can't is loaded anew before it is asked again.
func (rec *recorder) rowsUnread() error {
	if f := rec.r.Failure; f == DiscFailure || f == DriveFailure {
		if err := rec.exec(`update task set error = 'disc: ' || error where id = $1`, rec.t.ID); err != nil {
			return err
		}
		if err := rec.exec(`update disc set reload = true where id = $1`, *rec.t.Disc); err != nil {
			return err
		}
	}
	return rec.step("other_drive", "rows of its set could not be read: "+rec.r.Error)
}

// gatherRows has the rows that an image's copy lacks read of as many others of its set as it takes, and the copy made whole of them. torn is false
// when there is no such copy.
func gatherRows(ctx context.Context, tx pgx.Tx, lib, image, set string, data int) (torn bool, err error) {
	var need, full, have, coming int
	err = tx.QueryRow(ctx, `
select case when cardinality(n.firsts) = 0 then 0 else count(*) filter (where x.set_index < $2) end,
       count(*) filter (where x.id <> $3 and (x.at_hand or r.lacking = 0)), count(*) filter (where x.id <> $3 and (x.at_hand or r.lacking is not null)),
       count(*) filter (where x.id <> $3 and exists (
         select from task t where t.image_id = x.id and t.kind = 'read' and (
           t.rows_of = $3 and t.early is null and t.state in ('queued', 'leased') or t.rows_of = $3 and t.early is null and t.state = 'failed' and t.error not like 'disc: %' and t.finished > now() - interval '1 minute'
           or r.lacking is null and not x.at_hand and t.early is null and t.state in ('queued', 'leased'))))
  from torn n join image x on x.set_id = $1 left join torn_row r on r.image_id = n.image_id and r.source_id = x.id
 where n.image_id = $3 group by n.image_id, n.firsts`, set, data, image).Scan(&need, &full, &have, &coming)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil || coming > 0 {
		return true, err
	}
	if full < need {
		// One that couldn't be read is asked once more, in another drive where there is one.
		tag, err := tx.Exec(ctx, `
insert into task (library_id, kind, priority, image_id, disc_id, bytes, rows_of, avoid_drive)
select library_id, 'read', $1, image, disc, (select sum(c) * 2048 from torn, unnest(counts) c where image_id = $3), $3, avoid from (
  select distinct on (i.id) i.library_id, i.id as image, d.id as disc, d.state, i.set_index, failed.drive as avoid
    from image i join disc d on d.image_id = i.id and d.state in ('good', 'suspect') and d.library_id = i.library_id
    join element e on e.disc_id = d.id
    cross join lateral (
      select count(*) as n, (array_agg(f.drive order by f.id desc))[1] as drive from task f
       where f.disc_id = d.id and f.kind = 'read' and f.image_id = i.id and f.early is null and f.state = 'failed' and f.error like 'disc: %'
         and f.finished > greatest(now() - interval '1 hour', d.verified, case when d.operator_grade = 'healthy' then d.operator_judged end)) failed
   where i.set_id = $2 and i.id <> $3 and not i.at_hand and not exists (select from torn_row r where r.image_id = $3 and r.source_id = i.id) and failed.n < $5
   order by i.id, d.state, d.verified desc, d.id) c
 order by state, set_index limit $4
on conflict do nothing`, library.PriorityVerify, set, image, need-full, MaxCopyFailures)
		if err != nil || tag.RowsAffected() > 0 {
			return true, err
		}
	}
	if have < need {
		absent, err := absentOf(ctx, tx, set, image)
		if err != nil {
			return true, err
		}
		return true, giveUpHeals(ctx, tx, image, fmt.Sprintf("no disc gives the whole image any more, and set %s needs rows of %d of its other images to make it whole: %d are lacking, for these can't be read: %s",
			set, need, need-have, absent))
	}
	return true, queueRebuild(ctx, tx, lib, image, set)
}

// mended: a copy was made whole, or couldn't be. done is false when the rebuild was of whole images, or is to be.
func (rec *recorder) mended() (done bool, err error) {
	if rec.r.Failure == RetryFailure || rec.r.Failure == Interrupted {
		err := rec.exec(`
delete from torn_row r using image x where r.image_id = $1 and x.id = r.source_id and x.set_index = any ($2)`, *rec.t.Image, rec.r.Absent)
		if err == nil && rec.r.Missing {
			err = rec.copyAnew()
		}
		return false, err
	}
	if rec.r.Missing { // what came of rows was wrong: whole images have checksums that say where
		if err := rec.exec(`delete from torn where image_id = $1`, *rec.t.Image); err != nil {
			return true, err
		}
		if err := rec.soonAgain(); err != nil {
			return true, err
		}
		return true, rec.exec(`
insert into disc_step (disc_id, step, task_id, detail)
select d.id, 'set', $2, 'what others of its set gave of the rows is not what was burned: they are read whole. ' || $3
  from disc d join heal h on h.disc_id = d.id and h.finished is null where d.image_id = $1`, *rec.t.Image, rec.t.ID, rec.r.Error)
	}
	return false, nil
}

// copyAnew: a copy that was kept has gone from the scratch disk, and nobody has found anything wrong with it. The discs are asked once more.
func (rec *recorder) copyAnew() error {
	if err := rec.exec(`delete from torn where image_id = $1`, *rec.t.Image); err != nil {
		return err
	}
	if err := rec.exec(`
update heal h set asked = now(), by_set = false from disc d where d.id = h.disc_id and d.image_id = $1 and h.finished is null`, *rec.t.Image); err != nil {
		return err
	}
	return queueCopy(rec.ctx, rec.tx, *rec.t.Image, "", nil)
}

// releaseTorn queues the end of the copies that nobody makes whole any more.
const releaseTorn = `insert into task (library_id, kind, priority, image_id)
		 select i.library_id, 'release', $2::int - $2::int, i.id from torn n join image i on i.id = n.image_id
		  where i.library_id = $1 and not i.at_hand
		    and not exists (select from heal h join disc d on d.id = h.disc_id where d.image_id = i.id and h.finished is null)
		    and not exists (select from task t where (t.image_id = i.id or t.rows_of = i.id) and t.state in ('queued', 'leased'))` + notLately + `f.image_id = i.id and f.kind = 'release')`
