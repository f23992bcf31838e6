package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
)

// fated is an image whose discs, or some of them, are lost.
type fated struct {
	id, lib string
	fate    Fate
	named   bool // a disc of it was named: others were lost before, and their sets have lost more now
}

// fates says what becomes of the images of lost discs, and of those of their sets whose discs were lost before. A set is believed as long as enough of its
// discs are good or suspect; not any more when one that was lost already could not be replaced, and is named once more.
func fates(ctx context.Context, tx pgx.Tx, discs []int64) (all []fated, gone []string, err error) {
	rows, err := tx.Query(ctx, `
with named as (select image_id as id from disc where id = any ($1)),
usable as (
  select m.id, m.set_id, m.set_index from image m where m.set_id in (select set_id from image where id in (select id from named))
     and (m.at_hand or exists (select from disc d where d.image_id = m.id and d.state in ('good', 'suspect'))))
select i.id::text, i.library_id::text, i.id in (select id from named), i.safe is null,
       exists (select from disc d where d.image_id = i.id and d.state in ('good', 'suspect')),
       i.at_hand and i.sha256 is not null or exists (select from disc d where d.image_id = i.id and d.state in ('burning', 'verifying')),
       coalesce(case when i.set_index >= s.data then (select count(*) from usable u where u.set_id = s.id and u.set_index < s.data)
                     when s.state = 'sealed' then (select count(*) from usable u where u.set_id = s.id and u.id <> i.id) end
                >= (select count(*) from image o where o.set_id = s.id and o.set_index < s.data), false),
       exists (select from heal h join disc d on d.id = h.disc_id where d.id = any ($1) and d.image_id = i.id and h.error <> ''
          and 2 <= (select count(*) from disc_step t where t.disc_id = d.id and t.step = 'operator' and t.detail like 'it is lost: %' and t.at >= coalesce(
             (select max(f.at) from disc_step f where f.disc_id = d.id and f.step = 'operator' and f.detail like 'it is found: %'), '-infinity')))
  from image i left join disc_set s on s.id = i.set_id
 where i.gone is null and exists (select from disc d where d.image_id = i.id and d.state = 'lost')
   and (i.id in (select id from named) or i.set_id in (select set_id from image where id in (select id from named)))
 order by i.number for update of i`, discs)
	if err != nil {
		return nil, nil, err
	}
	var i fated
	var staged, copied, scratch, set, tried bool
	_, err = pgx.ForEachRow(rows, []any{&i.id, &i.lib, &i.named, &staged, &copied, &scratch, &set, &tried}, func() error {
		switch {
		case staged:
			i.fate = InStaging
		case copied:
			i.fate = OnAnotherDisc
		case scratch:
			i.fate = OnScratch
		case set && !tried:
			i.fate = InItsSet
		default:
			i.fate = Gone
			gone = append(gone, i.id)
		}
		all = append(all, i)
		return nil
	})
	return all, gone, err
}

// goOn has an image burned anew for the discs of it that were lost.
func (i fated) goOn(ctx context.Context, tx pgx.Tx, discs []int64) error {
	if i.fate == Gone || !i.named {
		return nil
	}
	if i.fate == InStaging {
		// As after a burn that has failed: it lacks a disc, and may have to be built once more.
		_, err := tx.Exec(ctx, `
with built as (
  insert into task (library_id, kind, priority, image_id) select library_id, 'build', $2, id from image where id = $1 and not at_hand on conflict do nothing)
insert into task (library_id, kind, priority, image_id)
select i.library_id, 'burn'::task_kind, $2::int, i.id from image i, generate_series(1, i.copies
  - (select count(*) from disc d where d.image_id = i.id and d.state in ('burning', 'verifying', 'good'))
  - (select count(*) from task t where t.image_id = i.id and t.kind = 'burn' and t.state = 'queued')) where i.id = $1`, i.id, library.PriorityBurn)
		return err
	}
	if _, err := tx.Exec(ctx, `
with begun as (
  insert into heal (disc_id) select id from disc where id = any ($2) and image_id = $1
  on conflict (disc_id) do update set asked = now(), finished = null, error = '', by_set = false, automatic = false where heal.finished is not null returning disc_id)
insert into disc_step (disc_id, step, detail) select disc_id, 'heal', 'its image is to be burned onto a new disc' from begun`, i.id, discs); err != nil {
		return err
	}
	if i.fate == OnScratch {
		return burnForHeals(ctx, tx, i.id, i.lib)
	}
	return queueCopy(ctx, tx, i.id, "", nil)
}

// endImages: nothing gives the images any more, and nothing is tried for them.
func endImages(ctx context.Context, tx pgx.Tx, images []string) error {
	if len(images) == 0 {
		return nil
	}
	for _, sql := range []string{
		`update image set gone = now() where id = any ($1::uuid[])`,
		`with ended as (
  update heal h set finished = now(), error = 'nothing gives its image any more' from disc d where d.id = h.disc_id and d.image_id = any ($1::uuid[]) and h.finished is null returning h.disc_id)
insert into disc_step (disc_id, step, detail) select disc_id, 'heal', 'given up: nothing gives its image any more' from ended`,
		`update task set state = 'cancelled', finished = now() where state = 'queued' and (image_id = any ($1::uuid[]) or rows_of = any ($1::uuid[]))`,
		`delete from torn where image_id = any ($1::uuid[])`,
	} {
		if _, err := tx.Exec(ctx, sql, images); err != nil {
			return err
		}
	}
	return nil
}

// FindDiscs takes an operator's word that discs which were given up have turned up. They are suspect until they have been read whole, and what is on them counts
// again. A disc that was begun to be made in place of one is made all the same.
func (s *Store) FindDiscs(ctx context.Context, labels []string, by, reason string) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		if reason == "" || len(labels) == 0 {
			return library.Errorf(library.Invalid, "take discs back: say which, and why")
		}
		discs, libs, err := lockDiscs(ctx, tx, labels, library.Lost)
		if err != nil {
			return err
		}
		if by != "" {
			reason += ", says " + by
		}
		if err := turnedUp(ctx, tx, discs, reason); err != nil {
			return err
		}
		for _, lib := range libs {
			if err := tend(ctx, tx, lib); err != nil {
				return err
			}
			if err := announce(ctx, tx, LibraryKey+lib); err != nil {
				return err
			}
		}
		return nil
	})
}

// turnedUp: discs that were lost are there.
func turnedUp(ctx context.Context, tx pgx.Tx, discs []int64, why string) error {
	for _, sql := range []string{
		`update disc set state = 'suspect', reason = 'it was lost, and is found: ' || $2, scrub_due = now() where id = any ($1)`,
		`insert into disc_step (disc_id, step, detail) select id, 'operator', 'it is found: ' || $2 from unnest($1::bigint[]) id`,
		`delete from read_failure where disc_id = any ($1) and $2 <> ''`,
		`update image set gone = null where gone is not null and id in (select image_id from disc where id = any ($1)) and $2 <> ''`,
	} {
		if _, err := tx.Exec(ctx, sql, discs, why); err != nil {
			return fmt.Errorf("take discs back: %w", err)
		}
	}
	back, err := contentsOf(ctx, tx, `
update content c set gone = null
 where c.gone is not null and c.id in (select x.content_id from disc d join extent x on x.image_id = d.image_id where d.id = any ($1))
   and not exists (select from extent x where x.content_id = c.id and not exists (
     select from extent y join image i on i.id = y.image_id and i.gone is null where y.content_id = c.id and y.content_offset = x.content_offset))
returning c.id`, discs)
	if err != nil {
		return err
	}
	if err := recount(ctx, tx, back); err != nil {
		return err
	}
	return queueReadsOf(ctx, tx, discs...)
}
