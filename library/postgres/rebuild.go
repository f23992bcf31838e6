package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
)

// parityAnew has the parity of sets made once more whose parity images no disc gives any more: all data images are gathered again, and it is
// sealed as the same set. Then the parity images that are wanted are built.
func parityAnew(ctx context.Context, tx pgx.Tx, lib string) error {
	const lost = `
  select i.id, i.set_id from heal h join disc d on d.id = h.disc_id join image i on i.id = d.image_id join disc_set s on s.id = i.set_id and i.set_index >= s.data
   where h.finished is null and h.by_set and i.library_id = $1 and not i.at_hand and s.state = 'sealed' and s.released = $2
     and not exists (select from task t where t.image_id = i.id and t.state in ('queued', 'leased') and t.kind in ('build', 'burn'))
     and not exists (select from disc n where n.image_id = i.id and n.state in ('burning', 'verifying'))`
	if _, err := tx.Exec(ctx, `
with lost as (`+lost+`),
again as (update disc_set set state = 'closed', description = null, released = false where id in (select set_id from lost) returning id, data)
update image i set gathered = null from again s where i.set_id = s.id and i.set_index < s.data`, lib, true); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `
insert into task (library_id, kind, priority, image_id) select $1, 'build', $3, lost.id from (`+lost+`) lost on conflict do nothing`, lib, false, library.PriorityBurn)
	return err
}

// tendRebuilds takes the heals a step further whose images no disc gives any more: as many of the set's other images as it has data images
// are brought to the scratch disk, and the image is computed from them.
func tendRebuilds(ctx context.Context, tx pgx.Tx, lib string) error {
	if err := parityAnew(ctx, tx, lib); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, `
select i.id::text, i.set_id::text, s.data, min(h.asked)
  from heal h join disc d on d.id = h.disc_id join image i on i.id = d.image_id join disc_set s on s.id = i.set_id
 where h.finished is null and h.by_set and i.library_id = $1 and not i.at_hand and s.state = 'sealed' and i.set_index < s.data
   and not exists (select from task t where t.image_id = i.id and t.state in ('queued', 'leased') and t.kind in ('rebuild', 'burn'))
   and not exists (select from disc n where n.image_id = i.id and n.state in ('burning', 'verifying'))
 group by i.id, s.data order by min(h.asked), i.id`, lib)
	if err != nil {
		return err
	}
	type wanted struct {
		image, set string
		data       int
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (w wanted, err error) {
		var asked any
		err = row.Scan(&w.image, &w.set, &w.data, &asked)
		return w, err
	})
	if err != nil {
		return err
	}
	for _, w := range all {
		if err := gatherSources(ctx, tx, lib, w.image, w.set, w.data); err != nil {
			return fmt.Errorf("rebuild image %s: %w", w.image, err)
		}
	}
	return nil
}

func queueRebuild(ctx context.Context, tx pgx.Tx, lib, image, set string) error {
	_, err := tx.Exec(ctx, `
insert into task (library_id, kind, priority, image_id, set_id)
select $1, 'rebuild', $2, $3, $4 where true`+notLately+`f.image_id = $3 and f.kind = 'rebuild') on conflict do nothing`,
		lib, library.PriorityVerify, image, set)
	return err
}

func gatherSources(ctx context.Context, tx pgx.Tx, lib, image, set string, data int) error {
	if torn, err := gatherRows(ctx, tx, lib, image, set, data); torn || err != nil {
		return err
	}
	var need, have, coming int
	if err := tx.QueryRow(ctx, `
select count(*) filter (where x.set_index < $2), count(*) filter (where x.at_hand and x.id <> $3),
       count(*) filter (where not x.at_hand and x.id <> $3 and exists (
         select from task t where t.image_id = x.id and t.kind = 'read' and t.early is null and t.state in ('queued', 'leased')))
  from image x where x.set_id = $1`, set, data, image).Scan(&need, &have, &coming); err != nil {
		return err
	}
	if have >= need {
		return queueRebuild(ctx, tx, lib, image, set)
	}
	// A disc from which nothing came is asked once more after an hour, or when it has been read well since or an operator says that it is well.
	tag, err := tx.Exec(ctx, `
insert into task (library_id, kind, priority, image_id, disc_id, bytes)
select library_id, 'read', $1, image, disc, bytes from (
  select distinct on (i.id) i.library_id, i.id as image, d.id as disc, i.sectors * 2048 as bytes, i.set_index
    from image i join disc d on d.image_id = i.id and d.state in ('good', 'suspect') and d.library_id = i.library_id
    join element e on e.disc_id = d.id
   where i.set_id = $2 and i.id <> $3 and not i.at_hand
     and not exists (select from task t where t.image_id = i.id and t.kind = 'read' and t.early is null and t.state in ('queued', 'leased'))
     and $5 > (select count(*) from task f where f.disc_id = d.id and f.image_id = i.id and f.kind = 'read' and f.early is null and f.state = 'failed'
                  and f.finished > greatest(now() - interval '1 hour', d.verified, case when d.operator_grade = 'healthy' then d.operator_judged end))
   order by i.id, d.state, d.verified desc) c
 order by set_index limit $4
on conflict do nothing`, library.PriorityVerify, set, image, max(need-have-coming, 0), MaxCopyFailures)
	if err != nil {
		return err
	}
	if lacking := need - have - coming - int(tag.RowsAffected()); lacking > 0 {
		absent, err := absentOf(ctx, tx, set, image)
		if err != nil {
			return err
		}
		return giveUpHeals(ctx, tx, image, fmt.Sprintf("no disc gives the image any more, and set %s needs %d of its other images to make it anew: %d are lacking, for these can't be read: %s",
			set, need, lacking, absent))
	}
	return nil
}

// absentOf names the other images of a set that nothing gives now, by the discs that should.
func absentOf(ctx context.Context, tx pgx.Tx, set, image string) (names string, err error) {
	err = tx.QueryRow(ctx, `
select coalesce(string_agg(format('image %s (%s)', x.number, coalesce(
         (select string_agg(format('disc %s, %s', d.label, case when e.disc_id is null and d.state in ('good', 'suspect') then 'not in the library' else d.state::text end), '; ' order by d.id)
            from disc d left join element e on e.disc_id = d.id where d.image_id = x.id), 'no disc')), ', ' order by x.set_index), 'none')
  from image x where x.set_id = $1 and x.id <> $2 and not x.at_hand
   and not exists (select from task t where t.image_id = x.id and t.kind = 'read' and t.early is null and t.state in ('queued', 'leased'))`, set, image).Scan(&names)
	return names, err
}

// rebuilt: an image was computed from others of its set, or couldn't be.
func (rec *recorder) rebuilt() error {
	if done, err := rec.mended(); done || err != nil {
		return err
	}
	detail := "its image was rebuilt from others of its set"
	if rec.r.Repaired > 0 {
		detail = fmt.Sprintf("%d sectors of its image came from others of its set", rec.r.Repaired)
	}
	switch {
	case rec.r.Error == "":
		// A rebuilt catalogue learns the hash so.
		if err := rec.exec(`update image set sha256 = $2 where id = $1 and sha256 is null and octet_length($2::bytea) = 32`, *rec.t.Image, rec.r.SHA256); err != nil {
			return err
		}
	case rec.r.Failure == RetryFailure || rec.r.Failure == Interrupted:
		if err := rec.soonAgain(); err != nil {
			return err
		}
		return rec.exec(`update image set at_hand = false where set_id = $1 and set_index = any ($2)`, *rec.t.Set, rec.r.Absent)
	default:
		return giveUpHeals(rec.ctx, rec.tx, *rec.t.Image, "it can't be rebuilt from its set: "+rec.r.Error)
	}
	if err := rec.exec(`
insert into disc_step (disc_id, step, task_id, detail)
select d.id, 'set', $2, $3 from disc d join heal h on h.disc_id = d.id and h.finished is null where d.image_id = $1`,
		*rec.t.Image, rec.t.ID, detail); err != nil {
		return err
	}
	if err := rec.exec(`delete from torn where image_id = $1`, *rec.t.Image); err != nil {
		return err
	}
	return rec.burnHealed()
}

// healLost begins to heal the images that running retrievals wait for and that none of their discs gives, where a set may give them. What they wait
// for comes first.
func healLost(ctx context.Context, tx pgx.Tx, which string, args ...any) error {
	rows, err := tx.Query(ctx, `
insert into heal (disc_id)
select distinct on (i.id) d.id
  from retrieval_content rc join job j on j.id = rc.retrieval_id and j.state = 'running'
  join content c on c.id = rc.content_id and c.gone is null and not c.staged and (c.cached_until is null or c.cached_until < now())
  join extent x on x.content_id = c.id
  join image i on i.id = x.image_id join disc_set s on s.id = i.set_id and s.state = 'sealed' and i.set_index < s.data
  join disc d on d.image_id = i.id and d.state in ('good', 'suspect')
 where `+which+` and not exists (select from cache_part k where k.content_id = c.id and k.content_offset = x.content_offset)
   and not exists (
     select from extent y join disc o on o.image_id = y.image_id and o.state in ('good', 'suspect')
      where y.content_id = c.id and y.content_offset = x.content_offset
        and not exists (select from read_failure f where f.disc_id = o.id and f.content_id = c.id))
   and not exists (select from image_failure w where w.image_id = i.id and w.content_id = c.id)
   and not exists ( -- is being healed, or was given up lately; or was healed lately, and it didn't help: it was wrong when it was burned
     select from heal h join disc o on o.id = h.disc_id
      where o.image_id = i.id and (h.finished is null or h.finished > now() - interval '1 day'))
 order by i.id, d.state desc, d.id
on conflict (disc_id) do update set asked = now(), finished = null, error = '', by_set = false
returning (select image_id::text from disc where id = disc_id)`, args...)
	if err != nil {
		return err
	}
	images, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	first, err := beginEarly(ctx, tx, images, which, args...)
	if err != nil {
		return err
	}
	for _, image := range images {
		if slices.Contains(first, image) {
			continue
		}
		if err := queueCopy(ctx, tx, image, "", nil); err != nil {
			return err
		}
	}
	return nil
}
