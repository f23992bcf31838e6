package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
)

// earlyPass is an early pass that isn't over.
type earlyPass struct {
	pass       int64
	image, set string
	data       int
	asked      bool // its own disc has given what it gives
	doubted    bool
	idle       bool // nobody wants anything of it any more
}

// tendEarly takes early passes a step further, by what there is: the image's own disc is asked for the rows, then as many others of its set as it
// takes for what that doesn't give, and then what is wanted is computed. That is the end of each pass: it deletes the rows.
func tendEarly(ctx context.Context, tx pgx.Tx, lib string) (any bool, err error) {
	rows, err := tx.Query(ctx, `
select e.pass, i.id::text, i.set_id::text, s.data, e.needed_firsts is not null, e.doubted,
       i.at_hand or s.state <> 'sealed' or not exists (select from heal h join disc d on d.id = h.disc_id where d.image_id = i.id and h.finished is null)
       or not exists (
         select from content c join retrieval_content rc on rc.content_id = c.id join job j on j.id = rc.retrieval_id and j.state = 'running'
          where c.id = any (e.contents) and not c.staged and (c.cached_until is null or c.cached_until < now()))
  from early e join image i on i.id = e.image_id join disc_set s on s.id = i.set_id join library l on l.id = i.library_id and not l.silent
 where e.over is null and i.library_id = $1
   and not exists (select from task t where t.image_id = i.id and t.kind = 'serve' and t.state in ('queued', 'leased')) order by e.since, i.id`, lib)
	if err != nil {
		return false, err
	}
	passes, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p earlyPass, err error) {
		err = row.Scan(&p.pass, &p.image, &p.set, &p.data, &p.asked, &p.doubted, &p.idle)
		return p, err
	})
	if err != nil {
		return false, err
	}
	for _, p := range passes {
		if err := p.tend(ctx, tx); err != nil {
			return false, fmt.Errorf("compute what is wanted of image %s: %w", p.image, err)
		}
	}
	return len(passes) > 0, nil
}

func (p earlyPass) tend(ctx context.Context, tx pgx.Tx) error {
	if p.idle {
		if waits, err := p.stop(ctx, tx); waits || err != nil {
			return err
		}
		return p.serve(ctx, tx)
	}
	if !p.asked {
		if waits, err := p.askOwn(ctx, tx); waits || err != nil {
			return err
		}
	}
	var needs bool
	if err := tx.QueryRow(ctx, `select cardinality(needed_firsts) > 0 from early where pass = $1`, p.pass).Scan(&needs); err != nil {
		return err
	}
	if needs {
		if waits, err := p.askOthers(ctx, tx); waits || err != nil {
			return err
		}
	}
	return p.serve(ctx, tx)
}

// stop ends the reads that nobody needs any more, and says whether one runs: it would leave its rows behind those that are deleted.
func (p earlyPass) stop(ctx context.Context, tx pgx.Tx) (waits bool, err error) {
	if _, err := tx.Exec(ctx, `
update task set state = 'cancelled', finished = now() where early = $1 and kind = 'read' and state = 'queued'`, p.pass); err != nil {
		return false, err
	}
	err = tx.QueryRow(ctx, `select exists (select from task where early = $1 and kind = 'read' and state = 'leased')`, p.pass).Scan(&waits)
	return waits, err
}

// askOwn has the rows read of the image's own disc, once. When it isn't there or fails, others have to give all of them.
func (p earlyPass) askOwn(ctx context.Context, tx pgx.Tx) (waits bool, err error) {
	if err := tx.QueryRow(ctx, `
select exists (select from task where early = $1 and image_id = $2 and kind = 'read' and state in ('queued', 'leased'))`, p.pass, p.image).Scan(&waits); waits || err != nil {
		return waits, err
	}
	// One that is being copied whole is busy for long.
	tag, err := tx.Exec(ctx, `
insert into task (library_id, kind, priority, image_id, disc_id, bytes, rows_of, early)
select i.library_id, 'read', $3, i.id, d.id, (select coalesce(sum(c), 0) * 2048 from early, unnest(counts) c where pass = $1), i.id, $1
  from image i join disc d on d.image_id = i.id and d.state in ('good', 'suspect') and d.library_id = i.library_id join element e on e.disc_id = d.id
 where i.id = $2 and not exists (select from task t where t.early = $1 and t.disc_id = d.id and t.state = 'failed')
   and not exists (select from early a where a.pass = $1 and cardinality(a.firsts) = 0)
   and not exists (select from task t where t.disc_id = d.id and t.kind = 'read' and t.image_id is not null and t.state = 'leased')
 order by d.state, d.verified desc, d.id limit 1
on conflict do nothing`, p.pass, p.image, library.PriorityStandard)
	if err != nil || tag.RowsAffected() > 0 {
		return true, err
	}
	_, err = tx.Exec(ctx, `update early set needed_firsts = firsts, needed_counts = counts where pass = $1`, p.pass)
	return false, err
}

// askOthers has the rows that are lacking read of as many others of the set as it takes, and of one more where what came was wrong.
func (p earlyPass) askOthers(ctx context.Context, tx pgx.Tx) (waits bool, err error) {
	var need, full, have, coming int
	if err := tx.QueryRow(ctx, `
select count(*) filter (where x.set_index < $2), count(*) filter (where x.id <> $3 and (x.at_hand or r.lacking = 0)),
       count(*) filter (where x.id <> $3 and (x.at_hand or r.lacking is not null)),
       count(*) filter (where x.id <> $3 and exists (select from task t where t.image_id = x.id and t.early = $4 and t.state in ('queued', 'leased')))
  from image x left join early_row r on r.image_id = $3 and r.source_id = x.id where x.set_id = $1`, p.set, p.data, p.image, p.pass).Scan(&need, &full, &have, &coming); err != nil {
		return false, err
	}
	if coming > 0 {
		return true, nil
	}
	more := need - full
	if p.doubted {
		more++
	}
	if more > 0 {
		// One that couldn't be read is asked once more, in another drive where there is one.
		tag, err := tx.Exec(ctx, `
insert into task (library_id, kind, priority, image_id, disc_id, bytes, rows_of, early, avoid_drive)
select library_id, 'read', $1, image, disc, (select coalesce(sum(c), 0) * 2048 from early, unnest(needed_counts) c where pass = $6), $3, $6, avoid from (
  select distinct on (i.id) i.library_id, i.id as image, d.id as disc, d.state, i.set_index, failed.drive as avoid
    from image i join disc d on d.image_id = i.id and d.state in ('good', 'suspect') and d.library_id = i.library_id
    join element e on e.disc_id = d.id
    cross join lateral (
      select count(*) as n, (array_agg(f.drive order by f.id desc))[1] as drive from task f where f.disc_id = d.id and f.early = $6 and f.state = 'failed') failed
   where i.set_id = $2 and i.id <> $3 and not i.at_hand and not exists (select from early_row r where r.image_id = $3 and r.source_id = i.id) and failed.n < $5
   order by i.id, d.state, d.verified desc, d.id) c
 order by state, set_index limit $4
on conflict do nothing`, library.PriorityStandard, p.set, p.image, more, MaxCopyFailures, p.pass)
		if err != nil || tag.RowsAffected() > 0 {
			return true, err
		}
	}
	if have >= need {
		return false, nil
	}
	absent, err := absentOf(ctx, tx, p.set, p.image)
	if err != nil {
		return false, err
	}
	if err := stepOf(ctx, tx, p.image, "set", nil, fmt.Sprintf(
		"what retrievals wait for can't come before the whole image: set %s needs rows of %d of its other images, %d are lacking, for these can't be read: %s", p.set, need, need-have, absent)); err != nil {
		return false, err
	}
	return false, p.fail(ctx, tx)
}

// fail gives up what of the pass has not come.
func (p earlyPass) fail(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `update early set failed = failed || contents, contents = '{}' where pass = $1`, p.pass)
	return err
}

// serve has what is wanted computed from the rows that have come, and these deleted.
func (p earlyPass) serve(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `
insert into task (library_id, kind, priority, image_id, set_id, early, bytes)
select i.library_id, 'serve', $2, i.id, i.set_id, e.pass, (select coalesce(sum(c.size), 0) from content c where c.id = any (e.contents))
  from early e join image i on i.id = e.image_id where e.pass = $1`+notLately+`f.early = $1 and f.kind = 'serve') on conflict do nothing`, p.pass, library.PriorityStandard)
	return err
}
