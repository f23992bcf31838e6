package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
)

// comparison is what is compared of one noun: rows of an id, what people call it, and what must be the same, in ascending order of ids. Only
// what discs can know counts.
type comparison struct{ noun, query string }

var comparisons = []comparison{
	{"vault", `
select id::text, name, concat_ws(' ', name, 'copies', copies, 'roots', roots, 'set', set_data, set_parity, 'wait', max_wait) from vault order by 1`},
	{"archive", `
select id::text, name, concat_ws(' ', name, description, encode(root_hash, 'hex'), entries, bytes, extract(epoch from sealed)) from archive order by 1`},
	{"image", `
select i.id::text, 'OD_' || lpad(i.number::text, greatest(6, length(i.number::text)), '0'),
       concat_ws(' ', i.number, i.vault_id, i.library_id, i.medium, i.sectors, i.layer_sectors, coalesce(i.data_sectors, i.sectors), s.id, case when s.id is not null then i.set_index end,
         (select md5(string_agg(encode(c.hash, 'hex') || ' ' || x.content_offset || ' ' || x.length || ' ' || x.sector || ' ' || x.part || ' ' || x.parts, ',' order by c.hash, x.content_offset))
            from extent x join content c on c.id = x.content_id where x.image_id = i.id),
         (select md5(string_agg(a.archive_id || ' ' || a.directory, ',' order by a.archive_id)) from image_archive a where a.image_id = i.id))
  from image i left join disc_set s on s.id = i.set_id and s.state = 'sealed'
 where exists (select from disc d where d.image_id = i.id and d.state in ('good', 'suspect')) order by 1`},
	{"set", `
select s.id::text, s.data || '+' || s.parity, concat_ws(' ', s.vault_id, s.library_id, s.medium, s.data, s.parity, encode(s.description, 'hex')) from disc_set s where s.state = 'sealed' order by 1`},
}

// Compare calls yield for each way in which the catalogue of a running library and one that was put together from its discs differ, until it
// returns an error. It reads both in one transaction each, and changes nothing.
func (s *Store) Compare(ctx context.Context, rebuilt *Store, yield func(library.Difference) error) error {
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	return pgx.BeginTxFunc(ctx, s.pool, options, func(live pgx.Tx) error {
		return pgx.BeginTxFunc(ctx, rebuilt.pool, options, func(discs pgx.Tx) error {
			for _, c := range comparisons {
				if err := compare(ctx, live, discs, c, yield); err != nil {
					return fmt.Errorf("compare %ss: %w", c.noun, err)
				}
			}
			return nil
		})
	})
}

// compared is one row of a side.
type compared struct{ id, name, digest string }

// side reads the rows of one side, one at a time.
type side struct {
	rows pgx.Rows
	now  compared
	more bool
}

func (s *side) next() error {
	if s.more = s.rows.Next(); s.more {
		return s.rows.Scan(&s.now.id, &s.now.name, &s.now.digest)
	}
	return s.rows.Err()
}

func compare(ctx context.Context, live, discs pgx.Tx, c comparison, yield func(library.Difference) error) error {
	var sides [2]side
	for i, tx := range []pgx.Tx{live, discs} {
		rows, err := tx.Query(ctx, c.query)
		if err != nil {
			return err
		}
		defer rows.Close()
		sides[i].rows = rows
		if err := sides[i].next(); err != nil {
			return err
		}
	}
	a, b := &sides[0], &sides[1]
	for a.more || b.more {
		d := library.Difference{Noun: c.noun}
		var step []*side
		switch {
		case !b.more || a.more && a.now.id < b.now.id:
			d.ID, d.Name, d.Kind, step = a.now.id, a.now.name, library.OnlyInDatabase, []*side{a}
		case !a.more || b.now.id < a.now.id:
			d.ID, d.Name, d.Kind, step = b.now.id, b.now.name, library.OnlyOnDiscs, []*side{b}
		default:
			d.ID, d.Name, d.Kind, step = a.now.id, a.now.name, library.Differs, []*side{a, b}
			d.Database, d.Discs = a.now.digest, b.now.digest
		}
		if d.Kind != library.Differs || d.Database != d.Discs {
			if err := yield(d); err != nil {
				return err
			}
		}
		for _, s := range step {
			if err := s.next(); err != nil {
				return err
			}
		}
	}
	return nil
}
