package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
)

// HealDisc replaces a disc: its image is copied from whichever of its discs still gives it, burned onto a blank one, and when that has
// been verified the disc is retired. A disc that is being healed already goes on so; one whose healing was given up is begun anew.
func (s *Store) HealDisc(ctx context.Context, label string) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		var id int64
		var lib string
		if err := tx.QueryRow(ctx, `select id, library_id::text from disc where label = $1`, label).Scan(&id, &lib); err != nil {
			return notFound(err, "there is no disc %s", label)
		}
		if err := lockLibrary(ctx, tx, lib); err != nil {
			return err
		}
		var state library.DiscState
		var image *string
		var safe, gone bool
		if err := tx.QueryRow(ctx, `
select d.state, i.id::text, i.safe is not null, i.gone is not null from disc d left join image i on i.id = d.image_id where d.id = $1 for update of d`, id).
			Scan(&state, &image, &safe, &gone); err != nil {
			return err
		}
		if state == library.Lost && gone {
			return library.Errorf(library.Precondition, "disc %s is lost, and nothing gives its image any more: if it has been found, say that first", label)
		}
		if state != library.Good && state != library.Suspect && state != library.Lost {
			return library.Errorf(library.Precondition, "disc %s is %s: only good, suspect and lost discs are healed", label, state)
		}
		if !safe {
			return library.Errorf(library.Precondition, "disc %s: the other discs of its image are still being made: heal it when they are", label)
		}
		begun, err := beginHeal(ctx, tx, id, *image, "it is to be replaced by a new disc", false)
		if err != nil || !begun {
			return err
		}
		return announce(ctx, tx, LibraryKey+lib)
	})
}

// beginHeal begins to replace a disc, unless that is under way.
func beginHeal(ctx context.Context, tx pgx.Tx, disc int64, image, why string, automatic bool) (begun bool, err error) {
	tag, err := tx.Exec(ctx, `
insert into heal (disc_id, automatic) values ($1, $2)
on conflict (disc_id) do update set asked = now(), finished = null, error = '', by_set = false, automatic = excluded.automatic where heal.finished is not null`, disc, automatic)
	if err != nil || tag.RowsAffected() == 0 {
		return false, err
	}
	if _, err := tx.Exec(ctx, `insert into disc_step (disc_id, step, detail) values ($1, 'heal', $2)`, disc, why); err != nil {
		return false, err
	}
	return true, queueCopy(ctx, tx, image, "", nil)
}

// MaxCopyFailures is how often a disc is tried for a copy of its image, in two drives where there are two.
const MaxCopyFailures = 2

// queueCopy has an image that is to be healed copied to the scratch disk: from a disc that failed least often to give it since that
// was asked for, a good one if there is one; in the library of the disc that is to be replaced, or else in another one, whose agent calls: there the
// new disc is burned then. A drive of the library lib may be one to avoid. When all discs have failed, or none is in a library, its heals are given up.
func queueCopy(ctx context.Context, tx pgx.Tx, image, lib string, avoid *int) error {
	var where string
	err := tx.QueryRow(ctx, `
insert into task (library_id, kind, priority, image_id, disc_id, avoid_drive, bytes)
select l.id, 'read', $2, i.id, d.id, case when l.id::text = $5 then $3::int end, i.sectors * 2048
  from image i join disc d on d.image_id = i.id and d.state in ('good', 'suspect') join library l on l.id = d.library_id
  join element e on e.disc_id = d.id
  cross join lateral (
    select count(*) as n from task t where t.disc_id = d.id and t.image_id = i.id and t.kind = 'read' and t.rows_of is null and t.state = 'failed' and t.error like 'disc: %'
       and t.finished >= (select min(h.asked) from heal h join disc o on o.id = h.disc_id where o.image_id = i.id and h.finished is null)) failed
  left join lateral (
    select o.library_id from heal h join disc o on o.id = h.disc_id where o.image_id = i.id and h.finished is null order by h.asked, o.id limit 1) first on true
 where i.id = $1 and failed.n < $4
 order by l.silent, (l.id is not distinct from first.library_id) desc,
       (d.state = 'good') desc, exists (select from heal h where h.disc_id = d.id and h.finished is null), failed.n, d.verified desc, d.id limit 1
on conflict do nothing returning library_id::text`, image, library.PriorityBurn, avoid, MaxCopyFailures, lib).Scan(&where)
	if err == nil {
		return announce(ctx, tx, LibraryKey+where)
	} else if !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	var open bool
	if err := tx.QueryRow(ctx, `
select exists (select from task where image_id = $1 and kind = 'read' and early is null and state in ('queued', 'leased'))`, image).Scan(&open); err != nil || open {
		return err
	}
	tag, err := tx.Exec(ctx, `
update heal h set by_set = true
  from disc d join image i on i.id = d.image_id join disc_set s on s.id = i.set_id and (s.state = 'sealed' or i.set_index >= s.data)
 where d.id = h.disc_id and d.image_id = $1 and h.finished is null`, image)
	if err != nil || tag.RowsAffected() > 0 {
		return err // whoever tends the set goes on
	}
	return giveUpHeals(ctx, tx, image, "no disc that is in a library gives the whole image any more")
}

// giveUpHeals ends the heals of an image without a new disc, and with them the retrievals that waited for one.
func giveUpHeals(ctx context.Context, tx pgx.Tx, image, why string) error {
	rows, err := tx.Query(ctx, `
with given_up as (
  update heal h set finished = now(), error = $2 from disc d where d.id = h.disc_id and d.image_id = $1 and h.finished is null returning h.disc_id)
insert into disc_step (disc_id, step, detail) select disc_id, 'heal', 'given up: ' || $2 from given_up returning disc_id`, image, why)
	if err != nil {
		return err
	}
	discs, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil || len(discs) == 0 {
		return err
	}
	if _, err := tx.Exec(ctx, `update task set state = 'cancelled', finished = now() where rows_of = $1 and state = 'queued'`, image); err != nil {
		return err
	}
	return queueReadsOf(ctx, tx, discs...)
}

// copied draws the conclusions of an image's having been copied to the scratch disk, or of its not having been.
func (rec *recorder) copied() error {
	t, r := rec.t, rec.r
	if of, pass, err := rec.rowsOf(); err != nil {
		return err
	} else if pass != 0 {
		return rec.earlyCopied(of, pass)
	} else if of != "" {
		return rec.rowsCopied(of)
	}
	if err := rec.noteRead(); err != nil {
		return err
	}
	if err := rec.torn(); err != nil {
		return err
	}
	switch {
	case r.Error == "":
		if err := rec.exec(`delete from torn where image_id = $1`, *t.Image); err != nil {
			return err
		}
		var want []byte
		if err := rec.tx.QueryRow(rec.ctx, `select sha256 from image where id = $1`, *t.Image).Scan(&want); err != nil {
			return err
		}
		if len(want) == 0 { // a rebuilt catalogue learns it so
			if err := rec.exec(`update image set sha256 = $2 where id = $1`, *t.Image, r.SHA256); err != nil {
				return err
			}
		} else if string(r.SHA256) != string(want) {
			return giveUpHeals(rec.ctx, rec.tx, *t.Image, fmt.Sprintf("the copy has hash %x, its image %x", r.SHA256, want))
		}
		return rec.burnHealed()
	case r.Failure == RetryFailure || r.Failure == RobotFailure || r.Failure == Interrupted:
		return rec.retry(library.ReadTask, t.Disc, t.Avoid)
	case r.Failure == DriveFailure:
		if err := rec.exec(`update disc set reload = true where id = $1`, *t.Disc); err != nil {
			return err
		}
		return rec.retry(library.ReadTask, t.Disc, t.Drive)
	case r.Failure == DiscFailure:
		if err := rec.exec(`update task set error = 'disc: ' || error where id = $1`, t.ID); err != nil {
			return err
		}
		if err := rec.exec(`update disc set reload = true where id = $1`, *t.Disc); err != nil {
			return err
		}
		if err := rec.step("other_drive", "its image could not be copied whole: "+r.Error); err != nil {
			return err
		}
		var healing bool
		if err := rec.tx.QueryRow(rec.ctx, `
select exists (select from heal h join disc d on d.id = h.disc_id where d.image_id = $1 and h.finished is null)`, *t.Image).Scan(&healing); err != nil {
			return err
		}
		if healing {
			return queueCopy(rec.ctx, rec.tx, *t.Image, rec.lib, t.Drive)
		}
		// Its set wanted it: another drive is asked once, then whoever tends the set.
		if others, err := rec.otherDrives(); err != nil || others == 0 || t.Avoid != nil {
			return err
		}
		return rec.retry(library.ReadTask, t.Disc, t.Drive)
	}
	return giveUpHeals(rec.ctx, rec.tx, *t.Image, r.Error)
}

// burnHealed: the image is on the scratch disk. What retrievals wait for is read from there, and as many discs of it are burned as are wanted and not on their way.
func (rec *recorder) burnHealed() error {
	image := *rec.t.Image
	if err := rec.atHand(image, true); err != nil {
		return err
	}
	if _, err := queueServes(rec.ctx, rec.tx, `i.id = $2::uuid`, image); err != nil {
		return err
	}
	return burnForHeals(rec.ctx, rec.tx, image, rec.lib)
}

// burnForHeals burns as many discs of an image that is on a library's scratch disk as are to be replaced and not on their way. Each library replaces its own
// discs, as long as one of them gives the image.
func burnForHeals(ctx context.Context, tx pgx.Tx, image, lib string) error {
	_, err := tx.Exec(ctx, `
insert into task (library_id, kind, priority, image_id)
select $1::uuid, 'burn'::task_kind, $2::int, $3::uuid from generate_series(1,
  (select coalesce(nullif(count(*) filter (where d.library_id = $1 or h.by_set), 0), count(*))
     from heal h join disc d on d.id = h.disc_id where d.image_id = $3 and h.finished is null)
  - (select count(*) from task where image_id = $3 and library_id = $1 and kind = 'burn' and state = 'queued')
  - (select count(*) from disc where image_id = $3 and library_id = $1 and state in ('burning', 'verifying')))`, lib, library.PriorityBurn, image)
	return err
}

// healed retires the disc that the one just verified was burned to replace.
func (rec *recorder) healed(image string) error {
	var old int64
	var label string
	err := rec.tx.QueryRow(rec.ctx, `
update heal u set finished = now(), new_disc = n.id
  from disc n
 where n.id = $2 and u.disc_id = (
   select h.disc_id from heal h join disc d on d.id = h.disc_id
    where d.image_id = $1 and h.finished is null and h.disc_id <> n.id and h.asked < n.burned
      and not exists (select from heal o where o.new_disc = n.id)
    order by (d.library_id = n.library_id) desc, h.asked, h.disc_id limit 1)
returning u.disc_id, n.label`, image, *rec.t.Disc).Scan(&old, &label)
	if err == pgx.ErrNoRows {
		return nil
	} else if err != nil {
		return err
	}
	if err := rec.exec(`update disc set state = 'retired', reason = $2, scrub_due = null where id = $1`, old, "replaced by disc "+label); err != nil {
		return err
	}
	if err := rec.exec(`insert into disc_step (disc_id, step, detail) values ($1, 'heal', $2)`, old, "disc "+label+" has replaced it"); err != nil {
		return err
	}
	if err := rec.exec(`
update task set state = 'cancelled', finished = now() where disc_id = $1 and state = 'queued' and kind in ('read', 'verify')`, old); err != nil {
		return err
	}
	if err := rec.healOthers(image); err != nil {
		return err
	}
	if err := beginHeals(rec.ctx, rec.tx, rec.lib); err != nil {
		return err
	}
	return queueReadsOf(rec.ctx, rec.tx, old)
}

// healOthers goes on with the discs of the image that are to be replaced in other libraries.
func (rec *recorder) healOthers(image string) error {
	var waits bool
	err := rec.tx.QueryRow(rec.ctx, `
select exists (select from heal h join disc d on d.id = h.disc_id where d.image_id = $1 and h.finished is null and not h.by_set)
   and not exists (select from task where image_id = $1 and kind = 'burn' and state = 'queued')
   and not exists (select from disc where image_id = $1 and state in ('burning', 'verifying'))`, image).Scan(&waits)
	if err != nil || !waits {
		return err
	}
	return queueCopy(rec.ctx, rec.tx, image, "", nil)
}
