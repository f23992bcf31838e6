package postgres

import (
	"context"
	"fmt"
	"iter"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/archive/survey"
	"github.com/odarchive/odarchive/library"
)

// Image takes in what a disc of a vault carries. place says where it was read. With lost the disc was not there, and the other discs
// of its set have said what is on it.
func (r *Restoration) Image(ctx context.Context, d *survey.Disc, place string, lost bool) error {
	number, ok := survey.NumberOf(d.Label)
	if !ok || number != d.Number {
		return library.Errorf(library.Invalid, "its label %q is not that of image number %d", d.Label, d.Number)
	}
	return pgx.BeginFunc(ctx, r.s.pool, func(tx pgx.Tx) error {
		vault, err := r.owner(ctx, tx, d)
		if err != nil {
			return err
		}
		var known bool
		if err := tx.QueryRow(ctx, `select exists (select from rebuild_image where image_id = $1 and (not lost or $2))`, d.ImageID, lost).Scan(&known); err != nil || known {
			return err
		}
		if err := r.image(ctx, tx, d, vault); err != nil {
			return err
		}
		if err := note(ctx, tx, d, place, lost); err != nil {
			return err
		}
		if err := byIndex(ctx, tx); err != nil {
			return err
		}
		n, err := copyExtents(ctx, tx, d.Extents())
		if err != nil {
			return err
		}
		if err := r.vouched(ctx, tx, func() error { return saveExtents(ctx, tx, d.ImageID, vault, n) }); err != nil {
			return err
		}
		for i := range d.Archives {
			a := &d.Archives[i]
			if _, err := tx.Exec(ctx, `
insert into rebuild_claim (image_id, archive_id, directory, vault_id, name, description, root_hash, sealed) values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict do nothing`, d.ImageID, a.ID, a.Directory, vault, a.Name, a.Description, a.RootHash[:], a.Sealed); err != nil {
				return err
			}
		}
		if lost {
			return nil
		}
		return found(ctx, tx, d)
	})
}

// image makes the image's row, or fills one that was made when only its set spoke of it.
func (r *Restoration) image(ctx context.Context, tx pgx.Tx, d *survey.Disc, vault string) error {
	copies := 1
	if d.Policy != nil {
		copies = d.Policy.Copies
	}
	_, err := tx.Exec(ctx, `
insert into image (id, number, vault_id, library_id, medium, sectors, layer_sectors, data_sectors, created, copies, safe, capacity) overriding system value
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $9, nullif($11::bigint, 0))
on conflict (id) do update set vault_id = excluded.vault_id, library_id = excluded.library_id, medium = excluded.medium, sectors = excluded.sectors,
  layer_sectors = excluded.layer_sectors, data_sectors = excluded.data_sectors, created = excluded.created, copies = excluded.copies,
  capacity = excluded.capacity`,
		d.ImageID, d.Number, vault, d.LibraryID, d.Medium, d.Sectors, d.Layer, d.Data, d.Created, copies, d.Capacity)
	if violates(err, "image_number_key") {
		return library.Errorf(library.Exists, "another disc has an image with the number %d too", d.Number)
	}
	return err
}

// note keeps that a disc was read, and what it says of its set.
func note(ctx context.Context, tx pgx.Tx, d *survey.Disc, place string, lost bool) error {
	var set *string
	var index, data, parity *int
	if p := d.Parity; p != nil {
		set, index, data, parity = &p.Set, &p.Index, &p.Data, &p.Images
	} else if s := d.Set; s != nil {
		at := s.Geometry.Data + d.ParityFile
		set, index, data, parity = &s.ID, &at, &s.Geometry.Data, &s.Geometry.Parity
	}
	_, err := tx.Exec(ctx, `
insert into rebuild_image (image_id, place, lost, set_id, set_index, set_data, set_parity, label, sectors, layer, data)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
on conflict (image_id) do update set place = excluded.place, lost = excluded.lost, read = now()`,
		d.ImageID, place, lost, set, index, data, parity, d.Label, d.Sectors, d.Layer, d.Data)
	return err
}

// copyExtents copies what a disc carries into the temporary table carried.
func copyExtents(ctx context.Context, tx pgx.Tx, extents iter.Seq2[survey.Extent, error]) (n int64, err error) {
	if _, err := tx.Exec(ctx, `
create temp table carried (hash bytea, size bigint, content_offset bigint, length bigint, sector bigint, part int, parts int) on commit drop`); err != nil {
		return 0, err
	}
	next, stop := iter.Pull2(extents)
	defer stop()
	return tx.CopyFrom(ctx, pgx.Identifier{"carried"}, []string{"hash", "size", "content_offset", "length", "sector", "part", "parts"},
		pgx.CopyFromFunc(func() ([]any, error) {
			x, err, ok := next()
			if !ok || err != nil {
				return nil, err
			}
			return []any{x.Content.Hash[:], x.Content.Size, x.Offset, x.Length, x.Sector, x.Part, x.Parts}, nil
		}))
}

// saveExtents makes the rows of the n extents in carried. Mostly their contents are known from manifests; where those were lost, they are from now
// on.
func saveExtents(ctx context.Context, tx pgx.Tx, image, vault string, n int64) error {
	const save = `
insert into extent (image_id, content_id, content_offset, length, sector, part, parts)
select $1, c.id, x.content_offset, x.length, x.sector, x.part, x.parts
  from carried x join content c on c.vault_id = $2 and c.hash = x.hash and c.size = x.size
on conflict do nothing`
	// What its set said of a disc that was found later after all, the disc says itself.
	if _, err := tx.Exec(ctx, `delete from extent where image_id = $1`, image); err != nil {
		return err
	}
	tag, err := tx.Exec(ctx, save, image, vault)
	if err != nil || tag.RowsAffected() == n {
		return err
	}
	if err := newContents(ctx, tx, vault, "carried"); err != nil {
		return err
	}
	more, err := tx.Exec(ctx, save, image, vault)
	if err == nil && tag.RowsAffected()+more.RowsAffected() != n {
		return otherSize(vault)
	}
	return err
}

// found makes the row of the disc that was read. One that was given up for lost, because it was not among the discs that were read before, is
// good after all.
func found(ctx context.Context, tx pgx.Tx, d *survey.Disc) error {
	for _, step := range []string{
		`delete from read_failure where disc_id in (select id from disc where image_id = $1 and state = 'suspect' and reason = '` + notRead + `')`,
		`update disc d set state = 'good', reason = '', verified = coalesce(d.verified, i.created) from image i
		  where i.id = $1 and d.image_id = i.id and d.state = 'suspect' and d.reason = '` + notRead + `'`,
	} {
		if _, err := tx.Exec(ctx, step, d.ImageID); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, `
insert into disc (label, library_id, medium, capacity, state, image_id, recorded, burned, verified)
select case when exists (select from disc where label = $2) then $2 || '-' || left($1::text, 8) else $2 end, library_id, medium, $3, 'good', id, sectors, created, created
  from image where id = $1::uuid and not exists (select from disc where image_id = $1::uuid and state in ('verifying', 'good', 'suspect'))`, d.ImageID, d.Label, capacity(d))
	if err != nil {
		return fmt.Errorf("disc %s: %w", d.Label, err)
	}
	return nil
}
