package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
)

// Slots puts discs where a survey of a library's robot has found them, so that no inventory has to load each of them again: every disc is
// identified when it is loaded the next time anyway. Blank ones are taken into stock. Slots of which the catalogue knows something already are left
// alone, and so are discs that it doesn't have. It is to be called when Finish has been, and may be repeated. It returns how many slots were settled.
func (r *Restoration) Slots(ctx context.Context, name string, slots []library.FoundSlot) (settled int, err error) {
	err = pgx.BeginFunc(ctx, r.s.pool, func(tx pgx.Tx) error {
		var lib string
		switch err := tx.QueryRow(ctx, `select id from library where name = $1`, name).Scan(&lib); {
		case errors.Is(err, pgx.ErrNoRows): // no disc of it was read
			return nil
		case err != nil:
			return err
		}
		for _, x := range slots {
			ok, err := place(ctx, tx, lib, &x)
			if err != nil {
				return fmt.Errorf("slot %d: %w", x.Slot, err)
			}
			if ok {
				settled++
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("put the discs of library %q into their slots: %w", name, err)
	}
	return settled, nil
}

// place settles what one slot holds, if nothing is known of it.
func place(ctx context.Context, tx pgx.Tx, lib string, x *library.FoundSlot) (bool, error) {
	var known bool
	if err := tx.QueryRow(ctx, `select exists (select from element where library_id = $1 and kind = 'slot' and number = $2)`, lib, x.Slot).Scan(&known); err != nil || known {
		return false, err
	}
	fill, flag := Full, ""
	var disc *int64
	var err error
	switch {
	case x.Empty:
		fill = Empty
	case x.Image != "":
		disc, err = placed(ctx, tx, lib, x)
	case x.Blank && x.Medium != "" && x.Capacity > 0:
		disc, err = placedBlank(ctx, tx, lib, x)
	case x.Blank: // what it is, the inventory finds out
	default:
		flag = x.Note
	}
	if err != nil || disc == nil && fill == Full && flag == "" {
		return false, err
	}
	_, err = tx.Exec(ctx, `
insert into element (library_id, kind, number, unit, fill, disc_id, flag, looked) values ($1, 'slot', $2, $3, $4, $5, $6, clock_timestamp())`,
		lib, x.Slot, x.Unit, fill, disc, flag)
	return err == nil, err
}

// placed returns a good disc of an image that has no place yet; nil when there is none. What a disc says of its library is that of its image: a copy may have
// been made in another one.
func placed(ctx context.Context, tx pgx.Tx, lib string, x *library.FoundSlot) (*int64, error) {
	var disc int64
	err := tx.QueryRow(ctx, `
update disc set library_id = $1, media_id = case when media_id = '' then $3 else media_id end
 where id = (select d.id from disc d where d.image_id::text = $2 and d.state = 'good'
   and not exists (select from element e where e.disc_id = d.id) order by d.library_id <> $1, d.id limit 1)
returning id`, lib, x.Image, x.MediaID).Scan(&disc)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return &disc, err
}

func placedBlank(ctx context.Context, tx pgx.Tx, lib string, x *library.FoundSlot) (*int64, error) {
	var disc int64
	if err := tx.QueryRow(ctx, `
insert into disc (label, library_id, medium, capacity, media_id) values ('new-' || gen_random_uuid(), $1, $2, $3, $4) returning id`,
		lib, x.Medium, x.Capacity, x.MediaID).Scan(&disc); err != nil {
		return nil, err
	}
	_, err := tx.Exec(ctx, `update disc set label = lpad(id::text, greatest(4, length(id::text)), '0') where id = $1`, disc)
	return &disc, err
}
