package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
)

// SlotRange is the slots from First to Last, both included.
type SlotRange struct{ First, Last int }

// check refuses a range of which a library doesn't have every slot.
func (r SlotRange) check(ctx context.Context, tx pgx.Tx, id, name string) error {
	var slots int
	if err := tx.QueryRow(ctx, `select count(*) from element where library_id = $1 and kind = 'slot' and number between $2 and $3`, id, r.First, r.Last).Scan(&slots); err != nil {
		return err
	}
	if r.First < 1 || r.Last < r.First || slots != r.Last-r.First+1 {
		return library.Errorf(library.Invalid, "library %s has %d of the slots %d to %d", name, slots, r.First, r.Last)
	}
	return nil
}

// Stocked is what has become of slots that somebody has put blank discs into.
type Stocked struct {
	Added int // discs that were not known
	Known int // blank discs that were
	// Of the known ones that had another medium or capacity: those that no drive has looked at have what was said now, the others keep what the drive
	// said; Example is one of them, in words.
	Corrected, Kept int
	Example         string
}

// StockBlanks makes a blank disc of every slot in ranges that is not known to hold one. It changes nothing when a slot
// doesn't exist or holds a disc that is not blank.
func (s *Store) StockBlanks(ctx context.Context, name string, ranges []SlotRange, medium string, capacity int64) (all Stocked, err error) {
	if medium == "" || capacity <= 0 {
		return all, library.Errorf(library.Invalid, "stock library %s: want a medium and a capacity of at least one sector", name)
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		all = Stocked{}
		id, err := libraryID(ctx, tx, name)
		if err != nil {
			return err
		}
		if err := lockLibrary(ctx, tx, id); err != nil {
			return err
		}
		for _, r := range ranges {
			if err := all.stock(ctx, tx, id, name, r, medium, capacity); err != nil {
				return err
			}
		}
		if err := announce(ctx, tx, PlanKey); err != nil {
			return err
		}
		return announce(ctx, tx, LibraryKey+id)
	})
	return all, err
}

func (s *Stocked) stock(ctx context.Context, tx pgx.Tx, id, name string, r SlotRange, medium string, capacity int64) error {
	var known, other int
	var example *string
	if err := introduced(ctx, tx, id, r); err != nil {
		return err
	}
	if err := r.check(ctx, tx, id, name); err != nil {
		return err
	}
	err := tx.QueryRow(ctx, `
select count(*) filter (where d.state = 'blank'), count(*) filter (where d.state <> 'blank'), min(d.label) filter (where d.state <> 'blank')
  from element e join disc d on d.id = e.disc_id
 where e.library_id = $1 and e.kind = 'slot' and e.number between $2 and $3`, id, r.First, r.Last).Scan(&known, &other, &example)
	if err != nil {
		return err
	}
	if other > 0 {
		return library.Errorf(library.Precondition, "%d of the slots %d to %d hold discs that are not blank (disc %s)", other, r.First, r.Last, *example)
	}
	if err := s.differ(ctx, tx, id, r, medium, capacity); err != nil {
		return err
	}
	tag, err := tx.Exec(ctx, `
with made as (
  insert into disc (label, library_id, medium, capacity)
  select 'new-' || $1::uuid::text || '-' || number, $1, $4, $5 from element
   where library_id = $1 and kind = 'slot' and number between $2 and $3 and disc_id is null order by number
  returning id, label)
update element e set fill = 'full', disc_id = made.id, flag = ''
  from made where e.library_id = $1 and e.kind = 'slot' and made.label = 'new-' || $1::uuid::text || '-' || e.number`, id, r.First, r.Last, medium, capacity)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `update disc set label = lpad(id::text, greatest(4, length(id::text)), '0') where library_id = $1 and label like 'new-%'`, id)
	s.Added, s.Known = s.Added+int(tag.RowsAffected()), s.Known+known
	return err
}

// differ settles the blanks that are known with another medium or capacity: what a drive said of a disc counts, and after that the latest word.
func (s *Stocked) differ(ctx context.Context, tx pgx.Tx, id string, r SlotRange, medium string, capacity int64) error {
	rows, err := tx.Query(ctx, `
with differing as (
  select d.id, d.label, d.medium, d.capacity, e.number, d.media_id <> '' or exists (
           select from task t where t.disc_id = d.id and (t.state = 'leased' or t.kind = 'move' and t.to_kind = 'drive' and t.state = 'done')) as seen
    from element e join disc d on d.id = e.disc_id and d.state = 'blank'
   where e.library_id = $1 and e.kind = 'slot' and e.number between $2 and $3 and (d.medium, d.capacity) <> ($4, $5)),
corrected as (
  update disc d set medium = $4, capacity = $5, reason = '' from differing x where x.id = d.id and not x.seen)
select seen, format('disc %s in slot %s is a %s of %s sectors', label, number, medium, capacity) from differing order by number`, id, r.First, r.Last, medium, capacity)
	if err != nil {
		return err
	}
	var seen bool
	var is string
	_, err = pgx.ForEachRow(rows, []any{&seen, &is}, func() error {
		if !seen {
			s.Corrected++
		} else if s.Kept++; s.Example == "" {
			s.Example = is
		}
		return nil
	})
	return err
}
