package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
)

// Vault is a named collection of archives with one policy.
type Vault struct {
	ID       string
	Name     string
	Copies   int
	MaxWait  time.Duration // 0: no limit
	Roots    int           // of the error correction inside each disc; 0: none
	Created  time.Time
	Archives int64
	Bytes    int64
	Scrub    time.Duration // every disc is read as a whole at least once in this time
	// Of every SetData discs and SetParity parity discs together any SetParity may be lost; 0 and 0: no sets.
	SetData, SetParity int

	SpareAreas bool // its BD-R are formatted with spare areas

	// HealAt names the confirmed grade from which on its discs are replaced by themselves, as health.Grade does; empty: never.
	HealAt string

	// Apart says that copies of its images are made in different libraries where several can.
	Apart bool
}

const selectVault = `
select v.id, v.name, v.copies, v.max_wait, v.roots, v.created, a.archives, a.bytes, v.scrub_interval, v.set_data, v.set_parity, v.spare_areas, coalesce(v.heal_at::text, ''), v.apart
  from vault v, lateral (select count(*) as archives, coalesce(sum(bytes), 0)::bigint as bytes from archive where vault_id = v.id) a`

// CreateVault makes a vault with the name and the policy of v, or returns the one of that name when its policy is the same.
func (s *Store) CreateVault(ctx context.Context, want Vault) (Vault, error) {
	name, copies, maxWait, roots := want.Name, want.Copies, want.MaxWait, want.Roots
	_, err := s.pool.Exec(ctx, `
insert into vault (name, copies, max_wait, roots, set_data, set_parity) values ($1, $2, $3, $4, $5, $6) on conflict (name) do nothing`,
		name, copies, maxWait, roots, want.SetData, want.SetParity)
	if violates(err, "vault_name_check") {
		return Vault{}, library.Errorf(library.Invalid, "vault name %q: want 1 to 255 characters of letters, digits, '_', '-' and '.'", name)
	}
	if violates(err, "vault_copies_check") {
		return Vault{}, library.Errorf(library.Invalid, "vault %q: %d copies: want 1 to 100", name, copies)
	}
	if violates(err, "vault_max_wait_check") {
		return Vault{}, library.Errorf(library.Invalid, "vault %q: a maximum wait of %v is negative", name, maxWait)
	}
	if violates(err, "vault_roots_check") {
		return Vault{}, library.Errorf(library.Invalid, "vault %q: %d roots: want 8 to 170, or 0 for no error correction", name, roots)
	}
	if violates(err, "vault_set_check") {
		return Vault{}, library.Errorf(library.Invalid, "vault %q: sets of %d+%d discs: want at least 1+1 and at most 255 together, or none", name, want.SetData, want.SetParity)
	}
	if err != nil {
		return Vault{}, err
	}
	v, err := s.Vault(ctx, name)
	if err == nil && (v.Copies != copies || v.MaxWait != maxWait || v.Roots != roots || v.SetData != want.SetData || v.SetParity != want.SetParity) {
		return Vault{}, library.Errorf(library.Exists, "vault %q exists with %d copies, a maximum wait of %v, %d roots and sets of %d+%d",
			name, v.Copies, v.MaxWait, v.Roots, v.SetData, v.SetParity)
	}
	return v, err
}

// Vault returns the vault called name.
func (s *Store) Vault(ctx context.Context, name string) (Vault, error) {
	rows, err := s.pool.Query(ctx, selectVault+` where v.name = $1`, name)
	if err != nil {
		return Vault{}, err
	}
	v, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Vault])
	return v, notFound(err, "there is no vault %q: make it with `odarchive vault create %s`", name, name)
}

// Vaults returns all vaults by name.
func (s *Store) Vaults(ctx context.Context) ([]Vault, error) {
	rows, err := s.pool.Query(ctx, selectVault+` order by v.name`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Vault])
}
