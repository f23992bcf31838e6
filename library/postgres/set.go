package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
)

// SetPlace is an image's place in a set.
type SetPlace struct {
	Set          string // UUID; empty for none
	Index        int
	Data, Parity int
}

// SetPlace returns the next place in the open set of a vault and a target, and a new set's first one when there is none open. Nothing is
// taken by asking: SavePlan does that.
func (s *Store) SetPlace(ctx context.Context, v Vault, t Target) (p SetPlace, err error) {
	p.Data, p.Parity = v.SetData, v.SetParity
	err = s.pool.QueryRow(ctx, `
select s.id::text, s.data, s.parity, coalesce((select max(set_index) + 1 from image where set_id = s.id), 0)
  from disc_set s where s.vault_id = $1 and s.library_id = $2 and s.medium = $3 and s.capacity = $4 and s.state = 'open'`, v.ID, t.LibraryID, t.Medium, t.Capacity).
		Scan(&p.Set, &p.Data, &p.Parity, &p.Index)
	if errors.Is(err, pgx.ErrNoRows) {
		return p, nil
	}
	return p, err
}

// join gives an image that is being saved its place in a set, and closes the set when it is full.
func (p SetPlace) join(ctx context.Context, tx pgx.Tx, vault Vault, t Target, image string) error {
	if _, err := tx.Exec(ctx, `
insert into disc_set (id, vault_id, library_id, medium, capacity, data, parity) values ($1, $2, $3, $4, $5, $6, $7) on conflict (id) do nothing`,
		p.Set, vault.ID, t.LibraryID, t.Medium, t.Capacity, p.Data, p.Parity); violates(err, "disc_set_open") {
		return library.Errorf(library.Stale, "somebody else has begun a set")
	} else if err != nil {
		return err
	}
	tag, err := tx.Exec(ctx, `
update image i set set_id = s.id, set_index = $3 from disc_set s where i.id = $1 and s.id = $2 and s.state = 'open'`, image, p.Set, p.Index)
	if violates(err, "image_set") || err == nil && tag.RowsAffected() == 0 {
		return library.Errorf(library.Stale, "the place %d in set %s has been taken", p.Index, p.Set)
	}
	if err != nil || p.Index < p.Data-1 {
		return err
	}
	return closeSets(ctx, tx, `s.id = $1`, p.Set)
}

// closeSets closes the open sets for which a condition holds. What names their parity discs is chosen here, so that making them anew
// gives the same ones.
func closeSets(ctx context.Context, tx pgx.Tx, condition string, args ...any) error {
	_, err := tx.Exec(ctx, `
update disc_set s set state = 'closed', closed = date_trunc('second', now()),
       parity_ids = array(select gen_random_uuid() from generate_series(1, s.parity)),
       parity_numbers = array(select nextval(pg_get_serial_sequence('image', 'number')) from generate_series(1, s.parity))
 where s.state = 'open' and exists (select from image where set_id = s.id) and `+condition, args...)
	return err
}

// CloseSet ends an open set with the images that it has.
func (s *Store) CloseSet(ctx context.Context, id string) (Set, error) {
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		var lib string
		if err := tx.QueryRow(ctx, `select library_id::text from disc_set where id::text = $1`, id).Scan(&lib); err != nil {
			return notFound(err, "there is no set %s", id)
		}
		if err := lockLibrary(ctx, tx, lib); err != nil {
			return err
		}
		if err := closeSets(ctx, tx, `s.id::text = $1`, id); err != nil {
			return err
		}
		return tend(ctx, tx, lib)
	})
	if err != nil {
		return Set{}, err
	}
	sets, err := s.sets(ctx, `s.id::text = $1`, id)
	if err != nil {
		return Set{}, err
	}
	return sets[0], nil
}

// SealedSet is a set whose parity is final and whose parity images are not in the catalogue yet.
type SealedSet struct {
	ID          string
	Description []byte // set.json
	Medium      string
	Capacity    int64 // sectors
	Roots       int
	SpareAreas  bool
	Vault       string
	LibraryID   string
	Library     string
}

// SealedSets returns the sets whose parity images are to be planned.
func (s *Store) SealedSets(ctx context.Context) ([]SealedSet, error) {
	rows, err := s.pool.Query(ctx, `
select s.id::text, s.description, s.medium, s.capacity, v.roots, v.spare_areas, v.name, l.id::text, l.name
  from disc_set s join vault v on v.id = s.vault_id join library l on l.id = s.library_id
 where s.state = 'sealed' and not exists (select from image i where i.set_id = s.id and i.set_index >= s.data)`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[SealedSet])
}

// SaveParity records the parity images of a sealed set and queues what makes discs of them. images are in the order of their
// numbers in the set. What is recorded already stays as it is.
func (s *Store) SaveParity(ctx context.Context, set string, images []PlannedImage) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		var lib string
		if err := tx.QueryRow(ctx, `select library_id::text from disc_set where id = $1 and state = 'sealed' for update`, set).Scan(&lib); err != nil {
			return notFound(err, "set %s is not sealed", set)
		}
		for i, img := range images {
			tag, err := tx.Exec(ctx, `
insert into image (id, number, vault_id, library_id, medium, sectors, layer_sectors, data_sectors, created, copies, set_id, set_index) overriding system value
select $2, $3, vault_id, library_id, medium, $4, $5, $6, closed, 1, id, data + $7 from disc_set where id = $1
on conflict (id) do nothing`, set, img.ID, img.Number, img.Sectors, img.Layer, img.Data, i)
			if err != nil || tag.RowsAffected() == 0 {
				return err
			}
			if err := saveParityDisc(ctx, tx, img.ID, img.Carries); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `
insert into task (library_id, kind, priority, image_id)
select $1::uuid, 'build'::task_kind, $2::int, $3::uuid union all select $1, 'burn', $2, $3`, lib, library.PriorityBurn, img.ID); err != nil {
				return err
			}
		}
		return announce(ctx, tx, LibraryKey+lib)
	})
}

// Set is a disc set as people see it.
type Set struct {
	ID      string
	Vault   string
	Library string
	State   string // open, closed, sealed
	Data    int
	Parity  int
	Created time.Time
	Members []SetMember
}

// SetMember is an image of a set.
type SetMember struct {
	Index    int
	ImageID  string
	Discs    []string // labels of those that are good
	Gathered bool
}

// Spare is how many more discs of the set may be lost before bytes are: 0 while no parity disc is verified.
func (s *Set) Spare() int {
	spare, lost := 0, 0
	for _, m := range s.Members {
		switch {
		case m.Index >= s.Data && len(m.Discs) > 0:
			spare++
		case m.Index < s.Data && len(m.Discs) == 0:
			lost++
		}
	}
	if spare == 0 {
		return 0
	}
	return spare - lost
}

// Sets returns the sets of a vault, or of all with an empty name, the newest first.
func (s *Store) Sets(ctx context.Context, vault string) ([]Set, error) {
	return s.sets(ctx, `$1 = '' or v.name = $1`, vault)
}

func (s *Store) sets(ctx context.Context, condition, arg string) ([]Set, error) {
	rows, err := s.pool.Query(ctx, `
select s.id::text, v.name, l.name, s.state::text, s.data, s.parity, s.created
  from disc_set s join vault v on v.id = s.vault_id join library l on l.id = s.library_id where `+condition+` order by s.created desc, s.id`, arg)
	if err != nil {
		return nil, err
	}
	sets, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (t Set, err error) {
		err = row.Scan(&t.ID, &t.Vault, &t.Library, &t.State, &t.Data, &t.Parity, &t.Created)
		return t, err
	})
	if err != nil {
		return nil, err
	}
	for i := range sets {
		rows, err := s.pool.Query(ctx, `
select i.set_index, i.id::text, array(select label from disc d where d.image_id = i.id and d.state = 'good' order by label), i.gathered is not null
  from image i where i.set_id = $1 order by i.set_index`, sets[i].ID)
		if err != nil {
			return nil, err
		}
		if sets[i].Members, err = pgx.CollectRows(rows, pgx.RowToStructByPos[SetMember]); err != nil {
			return nil, err
		}
	}
	return sets, nil
}
