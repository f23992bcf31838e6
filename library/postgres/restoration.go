package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/ecc"
	"github.com/odarchive/odarchive/archive/survey"
	"github.com/odarchive/odarchive/library"
)

// Restoration puts a catalogue together again from what discs say of themselves. Each archive and each image is one transaction, and what
// was taken in already changes nothing: it may be broken off anywhere and begun again, and more discs may be read at any time. Images and
// archives may be taken in at the same time as others, the rest is for one goroutine, and no controller should run on the database meanwhile.
type Restoration struct {
	s *Store
	// resumed says that it was begun earlier: then the first disc must be of a library or a vault that is known.
	resumed atomic.Bool
	// trusted says that the database lets us vouch for what refers to what.
	trusted bool
}

// restorationLock is the advisory lock of whoever rebuilds a catalogue, held by its session.
const restorationLock = 0x6f6472656275

// Restore begins to put a catalogue together, or goes on with that. It fails with the fault Precondition on a database that holds
// anything else.
func (s *Store) Restore(ctx context.Context) (*Restoration, error) {
	r := &Restoration{s: s}
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock($1)`, int64(restorationLock)); err != nil {
			return err
		}
		var used, resumed bool
		if err := tx.QueryRow(ctx, `
select exists (select from rebuild), current_setting('is_superuser') = 'on',
       exists (select from vault) or exists (select from library) or exists (select from archive) or exists (select from image) or exists (select from disc)`).
			Scan(&resumed, &r.trusted, &used); err != nil {
			return err
		}
		r.resumed.Store(resumed)
		if used && !resumed {
			return library.Errorf(library.Precondition,
				"the database is not empty, and what it holds was not put together from discs: give one that is empty, or compare with --drill")
		}
		_, err := tx.Exec(ctx, `insert into rebuild default values on conflict do nothing`)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("begin to rebuild the catalogue: %w", err)
	}
	return r, nil
}

// Has says whether an image has been taken in from its own disc.
func (r *Restoration) Has(ctx context.Context, image string) (known bool, err error) {
	err = r.s.pool.QueryRow(ctx, `select exists (select from rebuild_image where image_id = $1 and not lost)`, image).Scan(&known)
	return known, err
}

// owner returns the id of a disc's vault. It makes the rows of the disc's library and vault when there are none.
func (r *Restoration) owner(ctx context.Context, tx pgx.Tx, d *survey.Disc) (vault string, err error) {
	if err := r.belongs(ctx, tx, d); err != nil {
		return "", err
	}
	if _, err := tx.Exec(ctx, `insert into library (id, name) values ($1, $2) on conflict (id) do nothing`, d.LibraryID, d.Library); violates(err, "library_name_key") {
		return "", library.Errorf(library.Exists, "its library %q is %s, and another one has that name", d.Library, d.LibraryID)
	} else if err != nil {
		return "", fmt.Errorf("library %q: %w", d.Library, err)
	}
	p := d.Policy
	if p == nil {
		// Older discs say no more of their vault than its name.
		p = &catalogue.Policy{Created: d.Created, Copies: 1}
		switch err := tx.QueryRow(ctx, `select id::text from vault where name = $1`, d.Vault).Scan(&vault); {
		case err == nil:
			return vault, nil
		case !errors.Is(err, pgx.ErrNoRows):
			return "", err
		}
		p.VaultID = uuid.NewString()
	}
	data, parity := 0, 0
	if d.Parity != nil {
		data, parity = d.Parity.Data, d.Parity.Images
	}
	// A row that is as it should be isn't touched: the next disc would wait for it.
	var known bool
	if err := tx.QueryRow(ctx, `select exists (select from vault where id = $1 and (set_data > 0 or $2 = 0))`, p.VaultID, data).Scan(&known); err != nil || known {
		return p.VaultID, err
	}
	if _, err := tx.Exec(ctx, `
insert into vault as v (id, name, copies, max_wait, roots, created, set_data, set_parity) values ($1, $2, $3, $4, $5, $6, $7, $8)
on conflict (id) do update set set_data = excluded.set_data, set_parity = excluded.set_parity where v.set_data = 0 and excluded.set_data > 0`,
		p.VaultID, d.Vault, p.Copies, p.MaxWait, p.Roots, p.Created, data, parity); violates(err, "vault_name_key") {
		return "", library.Errorf(library.Exists, "its vault %q is %s, and another one has that name", d.Vault, p.VaultID)
	} else if err != nil {
		return "", fmt.Errorf("vault %q: %w", d.Vault, err)
	}
	return p.VaultID, nil
}

// belongs refuses the first disc when it is of something else than what was begun to be put together.
func (r *Restoration) belongs(ctx context.Context, tx pgx.Tx, d *survey.Disc) error {
	if !r.resumed.Load() {
		return nil
	}
	vault := d.LibraryID
	if d.Policy != nil {
		vault = d.Policy.VaultID
	}
	var names []string
	var known bool
	if err := tx.QueryRow(ctx, `
select exists (select from library where id = $1) or exists (select from vault where id = $2 or name = $3), array(select name from library order by name)`,
		d.LibraryID, vault, d.Vault).Scan(&known, &names); err != nil {
		return err
	}
	if !known && len(names) > 0 {
		return &OtherLibraryError{d.Library, names}
	}
	r.resumed.Store(false)
	return nil
}

// OtherLibraryError says that a disc is not of the libraries that a database has begun to be put together for.
type OtherLibraryError struct {
	Disc  string
	Begun []string
}

func (e *OtherLibraryError) Error() string {
	return fmt.Sprintf("the disc is of library %q, and the database is a catalogue of %q: give each a database of its own", e.Disc, e.Begun)
}

// capacity is how many sectors a disc has: what it says, or else the smallest usual medium that its image fits on.
func capacity(d *survey.Disc) int64 {
	if d.Capacity >= d.Sectors {
		return d.Capacity
	}
	for _, m := range ecc.Media {
		if m.Capacity >= d.Sectors && m.Capacity < 2*d.Sectors {
			return m.Capacity
		}
	}
	return d.Sectors
}

// vouched calls load, whose rows come from joins with the rows that they refer to: where the database allows it, it doesn't look each of
// these up once more. Its own checks (check_extents) are made all the same.
func (r *Restoration) vouched(ctx context.Context, tx pgx.Tx, load func() error) error {
	if !r.trusted {
		return load()
	}
	if _, err := tx.Exec(ctx, `set local session_replication_role = replica`); err != nil {
		return err
	}
	if err := load(); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `set local session_replication_role = origin`)
	return err
}

// byIndex has a transaction's joins look rows up one by one: a disc has few rows, and the tables that they are joined with may have millions
// and no statistics yet.
func byIndex(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `set local enable_hashjoin = off; set local enable_mergejoin = off`, pgx.QueryExecModeSimpleProtocol)
	return err
}
