package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
	"github.com/odarchive/odarchive/library/health"
)

// MaxHeals is how many discs of a library are replaced at a time without anybody's having said so: each takes a drive for the copy, one for the
// burn, and its image's room on the scratch disk, and people want their reads meanwhile.
const MaxHeals = 2

// healAgain is after which time a disc is tried again whose healing was given up: blanks may have been bought, drives mended.
const healAgain = 7 * 24 * time.Hour

// beginHeals begins to replace the discs of a library that their vaults' policy wants replaced, those at the greatest risk first, as
// far as not enough of them are being replaced. The caller has the library's lock.
func beginHeals(ctx context.Context, tx pgx.Tx, lib string) error {
	rows, err := tx.Query(ctx, `
with open as (
  select count(*) as n from heal h join disc d on d.id = h.disc_id where d.library_id = $1 and h.finished is null and h.automatic)
select d.id, i.id::text, d.grade_reason, $2 - open.n
  from open, disc d join image i on i.id = d.image_id join vault v on v.id = i.vault_id
 where open.n < $2 and d.library_id = $1 and d.state in ('good', 'suspect') and d.grade >= v.heal_at and d.grade_confirmed and i.safe is not null
   and not exists (select from heal h where h.disc_id = d.id and (h.finished is null or h.finished > now() - $3::interval))
   and exists (select from disc o join element e on e.disc_id = o.id where o.image_id = i.id and o.state in ('good', 'suspect'))`, lib, MaxHeals, healAgain)
	if err != nil {
		return err
	}
	type candidate struct{ image, why string }
	candidates, ids := map[int64]candidate{}, []int64(nil)
	var id, room int64
	var c candidate
	if _, err := pgx.ForEachRow(rows, []any{&id, &c.image, &c.why, &room}, func() error {
		candidates[id] = c
		ids = append(ids, id)
		return nil
	}); err != nil || len(ids) == 0 {
		return err
	}
	all, err := turns(ctx, tx, ids)
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b turn) int {
		if c := a.risk.Compare(b.risk); c != 0 {
			return c
		}
		return int(min(max(a.disc-b.disc, -1), 1))
	})
	for _, t := range all[:min(int64(len(all)), room)] {
		c := candidates[t.disc]
		if _, err := beginHeal(ctx, tx, t.disc, c.image, "it is to be replaced by a new disc, as its vault's policy says: "+c.why, true); err != nil {
			return fmt.Errorf("replace disc %d: %w", t.disc, err)
		}
	}
	return announce(ctx, tx, LibraryKey+lib)
}

// SetHealing says from which confirmed grade on discs of a vault are replaced by themselves: MigrateNow or MigrateSoon; Ungraded means never, only
// when an operator says so.
func (s *Store) SetHealing(ctx context.Context, vault string, at health.Grade) (Vault, error) {
	if at != health.Ungraded && at < health.MigrateSoon || at > health.MigrateNow {
		return Vault{}, library.Errorf(library.Invalid, "vault %q: discs that are %s are not replaced by themselves: only those that are to be migrated soon or now", vault, at)
	}
	if _, err := s.pool.Exec(ctx, `update vault set heal_at = nullif($2, '')::disc_grade where name = $1`, vault, at.String()); err != nil {
		return Vault{}, err
	}
	return s.Vault(ctx, vault)
}
