package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
)

// servable are the extents of images (i) that running retrievals wait for which meet a condition, and that their images may be able to give.
func servable(which string) string {
	return `
  from image i
  join extent x on x.image_id = i.id
  join content c on c.id = x.content_id and c.gone is null and not c.staged and (c.cached_until is null or c.cached_until < now())
 where exists (
     select from retrieval_content rc join job j on j.id = rc.retrieval_id and j.state = 'running' where rc.content_id = c.id and ` + which + `)
   and not exists (select from image_failure w where w.image_id = i.id and w.content_id = c.id)
   and not exists (select from cache_part p where p.content_id = c.id and p.content_offset = x.content_offset)`
}

// mostServes is how often an image is served within a minute and that fails, until whoever tends looks again: the controller may have been killed, or its
// cache be full.
const mostServes = 3

// onHand is which heals (h) may have their image (i) on the scratch disk: those that are under way, and those that were given up, because too many blanks
// were spoiled, before all that was wanted of it had been read.
const onHand = `(h.finished is null or h.error <> '' and i.at_hand and i.sha256 is not null)`

// queueServes has images that are being healed, or could not be burned, and lie whole on a library's scratch disk, give what retrievals wait for which meet a condition:
// nobody waits for a blank disc, a drive or a picker then. It returns how many images those are. Arguments of the condition are counted from $2.
func queueServes(ctx context.Context, tx pgx.Tx, which string, args ...any) (queued int64, err error) {
	// There are few of them, and mostly none, while what waits may be a million contents.
	rows, err := tx.Query(ctx, `
select distinct on (i.id) i.id::text, l.id::text from heal h join disc d on d.id = h.disc_id join image i on i.id = d.image_id
  cross join lateral (select i.library_id where i.at_hand union all select w.library_id from image_away w where w.image_id = i.id and w.at_hand) at
  join library l on l.id = at.library_id
 where `+onHand+` and i.sha256 is not null and not l.silent
   and not exists (select from task t where t.image_id = i.id and t.kind = 'serve' and t.state in ('queued', 'leased'))
   and $1 > (select count(*) from task f where f.image_id = i.id and f.kind = 'serve' and f.state = 'failed' and f.finished > now() - interval '1 minute')
 order by i.id, l.id <> i.library_id, l.id`, mostServes)
	if err != nil {
		return 0, err
	}
	var images, libs []string
	var image, lib string
	if _, err := pgx.ForEachRow(rows, []any{&image, &lib}, func() error {
		images, libs = append(images, image), append(libs, lib)
		return nil
	}); err != nil || len(images) == 0 {
		return 0, err
	}
	tag, err := tx.Exec(ctx, fmt.Sprintf(`
insert into task (library_id, kind, priority, image_id, bytes)
select (select u.lib from unnest($1::uuid[], $%d::uuid[]) u(image, lib) where u.image = i.id), 'serve', %d, i.id, sum(x.length)::bigint`, len(args)+2, library.PriorityStandard)+
		servable(which)+` and i.id = any ($1::uuid[])
 group by i.id
on conflict do nothing`, append(append([]any{images}, args...), libs)...)
	return tag.RowsAffected(), err
}

// wantedOf returns what a serve brings back of its image; when it ends an early pass, of that.
func (s *Store) wantedOf(ctx context.Context, image string, pass int64) ([]ReadExtent, error) {
	rows, err := s.pool.Query(ctx, `select c.hash, c.size, x.content_offset, x.length, x.sector`+servable(`true`)+` and i.id = $1
   and ($3::bigint = 0 or c.id = any (array(select unnest(contents) from early where pass = $3))) order by x.sector limit $2`, image, MaxExtents, pass)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[ReadExtent])
}

// served draws the conclusions of contents having been read from an image on the scratch disk. What was asked for meanwhile, or was more than one
// task brings back, is queued.
func (rec *recorder) served() error {
	t, r := rec.t, rec.r
	if pass, err := rec.earlyPass(); err != nil || pass != 0 {
		if err == nil {
			err = rec.earlyServed(pass)
		}
		return err
	}
	switch {
	case len(r.Lost) > 0: // the image has the hash that it was burned with
		if err := rec.exec(`
insert into image_failure (image_id, content_id)
select i.id, c.id from image i join content c on c.vault_id = i.vault_id and c.hash = any ($2) where i.id = $1 on conflict do nothing`, *t.Image, r.Lost); err != nil {
			return err
		}
		if err := rec.healStep(fmt.Sprintf("%d contents are wrong in its image as it was burned, and no disc of it gives them", len(r.Lost))); err != nil {
			return err
		}
	case r.Missing:
		if healing, err := rec.gone(); err != nil {
			return err
		} else if !healing {
			if err := rec.notAtHand(); err != nil {
				return err
			}
		}
		if err := rec.soonAgain(); err != nil {
			return err
		}
	case r.Failure == Interrupted:
		if err := rec.soonAgain(); err != nil {
			return err
		}
	}
	if r.Bytes > 0 {
		if err := rec.healStep(fmt.Sprintf("%d bytes that retrievals waited for were read from its image on the scratch disk", r.Bytes)); err != nil {
			return err
		}
	}
	return rec.waitOn()
}

// waitOn has those go on who wait for the image of the task that has ended.
func (rec *recorder) waitOn() error {
	t := rec.t
	if err := finishRetrievals(rec.ctx, rec.tx, servedBy, []int64{t.ID}); err != nil {
		return err
	}
	rows, err := rec.tx.Query(rec.ctx, `select id from disc where image_id = $1`, *t.Image)
	if err != nil {
		return err
	}
	discs, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return err
	}
	return queueReadsOf(rec.ctx, rec.tx, discs...)
}

// gone: an image that is being healed was to be on the scratch disk, and isn't. It is brought there once more, and burned then; unless a disc of it
// is on its way already.
func (rec *recorder) gone() (healing bool, err error) {
	if !rec.r.Missing {
		return false, nil
	}
	var coming bool
	err = rec.tx.QueryRow(rec.ctx, `
select exists (select from disc n where n.image_id = i.id and n.state in ('burning', 'verifying'))
  from image i where i.id = $1 and exists (select from heal h join disc d on d.id = h.disc_id where d.image_id = i.id and h.finished is null)`, *rec.t.Image).Scan(&coming)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return true, err
	}
	if err := rec.atHand(*rec.t.Image, false); err != nil || coming {
		return true, err
	}
	if err := rec.exec(`update task set state = 'cancelled', finished = now() where image_id = $1 and kind = 'burn' and state = 'queued'`, *rec.t.Image); err != nil {
		return true, err
	}
	return true, rec.copyAnew()
}

// healStep tells the records of the discs that the task's image replaces.
func (rec *recorder) healStep(detail string) error {
	return rec.exec(`
insert into disc_step (disc_id, step, task_id, detail)
select d.id, 'heal', $2, $3 from image i join disc d on d.image_id = i.id join heal h on h.disc_id = d.id and `+onHand+` where i.id = $1`, *rec.t.Image, rec.t.ID, detail)
}
