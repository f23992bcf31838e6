package postgres

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// earlyCopied draws the conclusions of rows having been read for an early pass of an image: of its own disc, or of another of its set.
func (rec *recorder) earlyCopied(image string, pass int64) error {
	t, r := rec.t, rec.r
	if err := rec.noteRead(); err != nil {
		return err
	}
	switch {
	case r.Error == "":
		tag, err := rec.tx.Exec(rec.ctx, `
insert into early_row (image_id, source_id, lacking) select image_id, $2, $3 from early where pass = $1 and over is null
on conflict (image_id, source_id) do update set lacking = excluded.lacking`, pass, *t.Image, r.LackingSectors)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		if *t.Image == image {
			return rec.ownRows(image, pass)
		}
		return rec.rowsRead(image, "the rows in which lies what retrievals wait for")
	case r.Failure == Interrupted || r.Failure == RobotFailure:
		return rec.soonAgain()
	}
	return rec.rowsUnread()
}

// ownRows remembers which rows others have to give.
func (rec *recorder) ownRows(image string, pass int64) error {
	var protected int64
	var firsts, counts []int64
	if err := rec.tx.QueryRow(rec.ctx, `
select i.data_sectors, e.firsts, e.counts from early e join image i on i.id = e.image_id where e.pass = $1`, pass).Scan(&protected, &firsts, &counts); err != nil {
		return err
	}
	asked, lacking := runsOf(firsts, counts), rec.r.Lacking
	if sectorsOf(lacking) != rec.r.LackingSectors { // there were more than a result names
		lacking = asked
	}
	needed := inBlocks(lacking, protected)
	if err := rec.exec(`update early set needed_firsts = $2, needed_counts = $3 where pass = $1`, pass, firstsOf(needed), countsOf(needed)); err != nil {
		return err
	}
	return stepOf(rec.ctx, rec.tx, image, "set", &rec.t.ID, fmt.Sprintf(
		"of %d sectors in which lies what retrievals wait for it gives all but %d", sectorsOf(asked), rec.r.LackingSectors))
}

// earlyPass returns the early pass that the task belongs to; 0 for none.
func (rec *recorder) earlyPass() (pass int64, err error) {
	err = rec.tx.QueryRow(rec.ctx, `select coalesce(early, 0) from task where id = $1`, rec.t.ID).Scan(&pass)
	return pass, err
}

// earlyServed draws the conclusions of what was wanted having been computed from rows. What has a wrong hash is computed once more, of others of the set
// alone and of one more than it takes; what doesn't come so either waits for the whole image.
func (rec *recorder) earlyServed(pass int64) error {
	t, r := rec.t, rec.r
	if r.Bytes > 0 {
		if err := rec.healStep(fmt.Sprintf("%d bytes that retrievals waited for were computed from rows of its set, before its image was whole", r.Bytes)); err != nil {
			return err
		}
	}
	switch {
	case r.Failure == Interrupted || len(r.Absent) > 0:
		if err := rec.exec(`
update image x set at_hand = false from image i where i.id = $1 and x.set_id = i.set_id and x.set_index = any ($2) and x.id <> i.id and x.at_hand
   and not exists (select from early_row r where r.image_id = i.id and r.source_id = x.id)`, *t.Image, r.Absent); err != nil {
			return err
		}
		if err := rec.exec(`
delete from early_row r using early e, image x where e.pass = $1 and r.image_id = e.image_id and x.id = r.source_id and x.set_index = any ($2)`, pass, r.Absent); err != nil {
			return err
		}
		// Its own rows are read again with the others.
		if err := rec.exec(`
update early e set needed_firsts = null, needed_counts = null from image i
 where e.pass = $1 and i.id = e.image_id and i.set_index = any ($2) and not e.doubted`, pass, r.Absent); err != nil {
			return err
		}
		return rec.soonAgain()
	case r.Failure == RetryFailure && !r.Missing:
		var failures int
		if err := rec.tx.QueryRow(rec.ctx, `select count(*) from task where early = $1 and kind = 'serve' and state = 'failed'`, pass).Scan(&failures); err != nil || failures < mostServes {
			return err
		}
	case len(r.Lost) > 0:
		if again, err := rec.doubtEarly(pass); again || err != nil {
			return err
		}
	}
	if r.Error != "" {
		if err := rec.healStep("what retrievals wait for can't all come before the whole image: " + r.Error); err != nil {
			return err
		}
	}
	return rec.endEarly(pass)
}

// doubtEarly begins a pass for what came to a wrong hash, or couldn't be computed, unless this was one.
func (rec *recorder) doubtEarly(pass int64) (again bool, err error) {
	var doubted bool
	var protected int64
	if err := rec.tx.QueryRow(rec.ctx, `
select e.doubted, i.data_sectors from early e join image i on i.id = e.image_id where e.pass = $1 and e.over is null`, pass).Scan(&doubted, &protected); errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	} else if err != nil || doubted {
		return false, err
	}
	rows, err := rec.tx.Query(rec.ctx, `
select c.id, x.sector, (x.length + 2047) / 2048
  from early e join image i on i.id = e.image_id join content c on c.vault_id = i.vault_id and c.id = any (e.contents) and c.hash = any ($2)
  join extent x on x.image_id = i.id and x.content_id = c.id where e.pass = $1 order by x.sector`, pass, rec.r.Lost)
	if err != nil {
		return false, err
	}
	var w earlyWanted
	var content int64
	var run Run
	if _, err := pgx.ForEachRow(rows, []any{&content, &run.First, &run.Count}, func() error {
		w.contents, w.runs = append(w.contents, content), append(w.runs, run)
		return nil
	}); err != nil || len(w.contents) == 0 {
		return false, err
	}
	runs := inBlocks(w.runs, protected)
	if err := rec.exec(`delete from early_row r using early e where e.pass = $1 and r.image_id = e.image_id`, pass); err != nil {
		return false, err
	}
	if err := rec.exec(`
update early set pass = nextval('early_pass'), doubted = true, contents = $2, firsts = $3, counts = $4, needed_firsts = $3, needed_counts = $4 where pass = $1`,
		pass, w.contents, firstsOf(runs), countsOf(runs)); err != nil {
		return false, err
	}
	return true, rec.healStep(fmt.Sprintf("%d contents come to a wrong hash or can't be computed from these rows: all of theirs are read of others of its set, and of one more than it takes", len(w.contents)))
}

// endEarly ends a pass. What has not come waits for the whole image, whose turn it is.
func (rec *recorder) endEarly(pass int64) error {
	var copyAfter bool
	err := rec.tx.QueryRow(rec.ctx, `
update early e set over = now(), needed_firsts = null, needed_counts = null,
       failed = failed || array(select c.id from content c where c.id = any (e.contents) and not c.staged and (c.cached_until is null or c.cached_until < now()) and $2)
 where pass = $1 and over is null
returning copy_after and exists (
  select from heal h join disc d on d.id = h.disc_id join image i on i.id = d.image_id where d.image_id = e.image_id and h.finished is null and not i.at_hand)`, pass, rec.r.Error != "").Scan(&copyAfter)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	} else if err != nil {
		return err
	}
	if err := rec.exec(`delete from early_row where image_id = $1`, *rec.t.Image); err != nil {
		return err
	}
	if copyAfter {
		if err := queueCopy(rec.ctx, rec.tx, *rec.t.Image, "", nil); err != nil {
			return err
		}
	}
	return rec.waitOn()
}
