package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
)

// Tend looks after every library: discs that are to be replaced begin to be, sets that are due are closed, and what sets need is queued. What libraries
// can't read is read in others. Scrubs that are over are ended.
func (s *Store) Tend(ctx context.Context) error {
	rows, err := s.pool.Query(ctx, `select id::text from library order by name`)
	if err != nil {
		return err
	}
	libs, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	if err := s.inTx(ctx, func(tx pgx.Tx) error {
		_, err := beginEarly(ctx, tx, nil, `true`)
		return err
	}); err != nil {
		return err
	}
	for _, lib := range libs {
		if err := s.inTx(ctx, func(tx pgx.Tx) error {
			if err := lockLibrary(ctx, tx, lib); err != nil {
				return err
			}
			if err := beginHeals(ctx, tx, lib); err != nil {
				return err
			}
			if err := homeAgain(ctx, tx, lib); err != nil {
				return err
			}
			serves, err := queueServes(ctx, tx, `i.library_id = $2::uuid`, lib)
			if err == nil && serves > 0 {
				err = announce(ctx, tx, LibraryKey)
			}
			if err != nil {
				return err
			}
			return tend(ctx, tx, lib)
		}); err != nil {
			return err
		}
	}
	if err := s.readElsewhere(ctx); err != nil {
		return err
	}
	return s.inTx(ctx, func(tx pgx.Tx) error { return finishScrubs(ctx, tx, nil) })
}

// notLately keeps what has just failed from being tried again at once: whoever tends looks again in a minute.
const notLately = ` and not exists (select from task f where f.state = 'failed' and f.finished > now() - interval '1 minute' and `

// tend queues what a library's sets and images need, by what there is; nothing else remembers where that work stands. So it may be broken
// off anywhere, and repeated at any time. The caller has the library's lock.
func tend(ctx context.Context, tx pgx.Tx, lib string) error {
	if err := closeSets(ctx, tx, `s.library_id = $1 and s.created < now() - (select set_wait from vault where id = s.vault_id)`, lib); err != nil {
		return err
	}
	changed, err := tendEarly(ctx, tx, lib)
	if err != nil {
		return err
	}
	if err := tendRebuilds(ctx, tx, lib); err != nil {
		return err
	}
	for _, step := range []string{
		// An image that lies on the scratch disk goes into its set's parity.
		`insert into task (library_id, kind, priority, image_id, set_id)
		 select i.library_id, 'gather', $2::int, i.id, s.id from image i join disc_set s on s.id = i.set_id and s.state <> 'sealed' and i.set_index < s.data
		  where i.library_id = $1 and i.gathered is null and i.at_hand` + notLately + `f.image_id = i.id and f.kind = 'gather')
		 on conflict do nothing`,
		// One that has left it before comes back from a disc.
		`insert into task (library_id, kind, priority, image_id, disc_id, bytes)
		 select distinct on (i.id) i.library_id, 'read'::task_kind, $2::int, i.id, d.id, i.sectors * 2048
		   from image i join disc_set s on s.id = i.set_id and s.state <> 'sealed' and i.set_index < s.data
		   join disc d on d.image_id = i.id and d.state in ('good', 'suspect') and d.library_id = i.library_id
		   join element e on e.disc_id = d.id
		  where i.library_id = $1 and i.gathered is null and not i.at_hand and i.safe is not null
` +
			notLately + `f.image_id = i.id and f.kind = 'read')
		  order by i.id, d.state, d.id
		 on conflict do nothing`,
		// A closed set whose images are all there is sealed.
		`insert into task (library_id, kind, priority, set_id)
		 select s.library_id, 'seal', $2::int, s.id from disc_set s
		  where s.library_id = $1 and s.state = 'closed' and not exists (select from image where set_id = s.id and set_index < s.data and gathered is null)` +
			notLately + `f.set_id = s.id and f.kind = 'seal')
		 on conflict do nothing`,
		// What nobody needs any more leaves the scratch disk.
		`insert into task (library_id, kind, priority, image_id)
		 select i.library_id, 'release', $2::int - $2::int, i.id from image i left join disc_set s on s.id = i.set_id
		  where i.library_id = $1 and i.at_hand and i.safe is not null
		    and (s.id is null or i.set_index >= s.data or i.gathered is not null or s.state = 'sealed')
		    and not exists (select from heal h join disc d on d.id = h.disc_id join image x on x.id = d.image_id
		      where h.finished is null and (x.id = i.id or h.by_set and x.set_id = i.set_id))
		    and not exists ( -- it could not be burned, and somebody waits for what is on it
		      select from heal h join disc d on d.id = h.disc_id and d.image_id = i.id where h.error <> '' and exists (select` + servable(`true`) + ` and i.id = d.image_id))
		    and not exists (select from task t where t.image_id = i.id and t.state in ('queued', 'leased'))` + notLately + `f.image_id = i.id and f.kind = 'release')`,
		releaseTorn,
		releaseAway,
		`insert into task (library_id, kind, priority, image_id, set_id)
		 select s.library_id, 'release', $2::int - $2::int, s.parity_ids[1], s.id from disc_set s
		  where s.library_id = $1 and s.state = 'sealed' and not s.released
		    and s.parity = (select count(*) from image where set_id = s.id and set_index >= s.data and safe is not null)
		    and not exists (select from heal h join disc d on d.id = h.disc_id join image x on x.id = d.image_id where h.finished is null and h.by_set and x.set_id = s.id)
		    and not exists (select from task t left join image x on x.id = t.image_id where (t.set_id = s.id or x.set_id = s.id) and t.state in ('queued', 'leased'))` +
			notLately + `f.set_id = s.id and f.kind = 'release')`,
	} {
		tag, err := tx.Exec(ctx, step, lib, library.PriorityBurn)
		if err != nil {
			return err
		}
		changed = changed || tag.RowsAffected() > 0
	}
	if !changed {
		return nil
	}
	return announce(ctx, tx, LibraryKey+lib)
}

// released: the image, or a set's parity, has left the scratch disk.
func (rec *recorder) released() error {
	if rec.r.Error != "" {
		return nil
	}
	if rec.t.Set != nil {
		if err := rec.exec(`update disc_set set released = true where id = $1 and state = 'sealed'`, *rec.t.Set); err != nil {
			return err
		}
	}
	if err := rec.exec(`delete from torn where image_id = $1`, *rec.t.Image); err != nil {
		return err
	}
	return rec.atHand(*rec.t.Image, false)
}
