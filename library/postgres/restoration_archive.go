package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/survey"
	"github.com/odarchive/odarchive/library"
)

// HasArchive says whether an archive has been taken in whole.
func (r *Restoration) HasArchive(ctx context.Context, a *catalogue.Archive) (bool, error) {
	var hash []byte
	err := r.s.pool.QueryRow(ctx, `select root_hash from archive where id = $1`, a.ID).Scan(&hash)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err == nil && archive.Hash(hash) != a.RootHash {
		err = library.Errorf(library.Exists, "archive %s: another disc has a whole list of it, which is another one", a.ID)
	}
	return err == nil, err
}

// Archive takes in an archive by its manifest, which is read to its end. A manifest that is not what its disc says changes nothing and
// is an error.
func (r *Restoration) Archive(ctx context.Context, d *survey.Disc, a *catalogue.Archive, m *catalogue.ManifestReader) error {
	err := pgx.BeginFunc(ctx, r.s.pool, func(tx pgx.Tx) error {
		vault, err := r.owner(ctx, tx, d)
		if err != nil {
			return err
		}
		count, bytes, err := copyManifest(ctx, tx, m)
		if err != nil {
			return err
		}
		if m.Hash() != a.RootHash {
			return library.Errorf(library.DataLoss, "its manifest has the hash %v, the disc says %v", m.Hash(), a.RootHash)
		}
		if err := byIndex(ctx, tx); err != nil {
			return err
		}
		if err := r.vouched(ctx, tx, func() error { return newContents(ctx, tx, vault, "restoring") }); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
insert into archive (id, vault_id, name, description, root_hash, manifest_size, entries, bytes, planned, sealed) values ($1, $2, $3, $4, $5, $6, $7, $8, true, $9)`,
			a.ID, vault, a.Name, a.Description, a.RootHash[:], m.Size(), count, bytes, a.Sealed); err != nil {
			return err
		}
		if err := r.vouched(ctx, tx, func() error {
			_, err := tx.Exec(ctx, `
insert into entry (archive_id, path, kind, mode, uid, gid, mtime_seconds, mtime_nanoseconds, content_id, target, hard_link, xattrs)
select $1, s.path, s.kind, s.mode, s.uid, s.gid, s.mtime_seconds, s.mtime_nanoseconds, c.id, s.target, s.hard_link, s.xattrs
  from restoring s left join content c on c.vault_id = $2 and c.hash = s.hash and c.size = s.size`, a.ID, vault)
			return err
		}); violates(err, "entry_check") {
			return otherSize(vault)
		} else if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
insert into job (id, kind, archive_id, bytes, state, created, finished)
select gen_random_uuid(), 'archive', $1, coalesce(sum(size), 0), 'succeeded', $2, now() from (select distinct hash, size from restoring) c`, a.ID, a.Sealed)
		return err
	})
	if err != nil {
		return fmt.Errorf("archive %s: %w", a.ID, err)
	}
	return nil
}

// copyManifest copies the entries of a manifest into the temporary table restoring.
func copyManifest(ctx context.Context, tx pgx.Tx, m *catalogue.ManifestReader) (count, bytes int64, err error) {
	if _, err := tx.Exec(ctx, `
create temp table restoring (path bytea, kind "char", mode int, uid bigint, gid bigint, mtime_seconds bigint, mtime_nanoseconds int,
  hash bytea, size bigint, target bytea, hard_link bytea, xattrs jsonb) on commit drop`); err != nil {
		return 0, 0, err
	}
	rows := make(chan []any, 256)
	stop := make(chan struct{})
	var failed error
	go func() { // a manifest is read and proved while what was read is sent
		defer close(rows)
		for e, err := range m.Entries() {
			if err != nil {
				failed = err
				return
			}
			count++
			if e.HardLink == "" {
				bytes += e.Content.Size
			}
			row, err := entryRow(&e)
			if err != nil {
				failed = err
				return
			}
			select {
			case rows <- row:
			case <-stop:
				return
			}
		}
	}()
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"restoring"},
		[]string{"path", "kind", "mode", "uid", "gid", "mtime_seconds", "mtime_nanoseconds", "hash", "size", "target", "hard_link", "xattrs"},
		pgx.CopyFromFunc(func() ([]any, error) {
			row, ok := <-rows
			if !ok {
				return nil, failed
			}
			return row, nil
		}))
	close(stop)
	for range rows { // until the goroutine is gone
	}
	return count, bytes, errors.Join(err, failed)
}

// newContents makes rows of the contents that a temporary table names and that the vault doesn't have. They are on discs, or lost: nobody
// will plan them.
func newContents(ctx context.Context, tx pgx.Tx, vault, table string) error {
	_, err := tx.Exec(ctx, `
insert into content (vault_id, hash, size, sealed, planned, staged)
select $1, hash, size, true, true, false from (select distinct on (hash) hash, size from `+table+` where hash is not null order by hash, size) t
on conflict (vault_id, hash) do nothing`, vault)
	return err
}

// otherSize says that two lists contradict each other.
func otherSize(vault string) error {
	return library.Errorf(library.DataLoss, "a content has another size by its list than by another list of vault %s", vault)
}
