package postgres

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/library"
)

// Archive is a sealed archive.
type Archive struct {
	ID          string
	Vault       string
	VaultID     string
	Name        string
	Description string
	RootHash    []byte
	Entries     int64
	Bytes       int64
	Sealed      time.Time
	Safe        *time.Time
	JobID       string
	Discs       []string
	WholeIn     []string // libraries of which each has good discs with every byte
	// Of what is gone: contents, each counted once, and their bytes.
	GoneContents, GoneBytes int64
}

const selectArchive = `
select a.id, v.name, v.id, a.name, a.description, a.root_hash, a.entries, a.bytes, a.sealed, a.safe,
       (select id from job where archive_id = a.id and kind = 'archive'),
       array(select distinct d.label from placement p join disc d on d.image_id = p.image_id
              where p.archive_id = a.id and d.state in ('verifying', 'good', 'suspect') order by 1),
       array(select l.name from library l
              where a.planned and not exists (
                select from placement p where p.archive_id = a.id and not exists (
                  select from disc d where d.image_id = p.image_id and d.library_id = l.id and d.state = 'good')) order by 1),
       a.gone_contents, a.gone_bytes
  from archive a join vault v on v.id = a.vault_id`

// Seal describes an archive that is to be sealed.
type Seal struct {
	ID, Vault, Name, Description string
	RootHash                     archive.Hash
	Flush                        bool
}

// SealArchive makes an archive of entries, in ascending order of paths, in one transaction. After the last entry it calls
// manifest for the hash and size of what the entries were read from, and refuses when the hash isn't the one announced.
// Sealing an archive that is sealed already with the same root hash returns it, without looking at the entries.
func (s *Store) SealArchive(ctx context.Context, seal Seal, entries iter.Seq2[archive.Entry, error], manifest func() (archive.Hash, int64)) (Archive, error) {
	if sealed, err := s.sealedAlready(ctx, seal); err != nil || sealed {
		if err != nil {
			return Archive{}, err
		}
		return s.Archive(ctx, seal.ID)
	}
	vault, err := s.Vault(ctx, seal.Vault)
	if err != nil {
		return Archive{}, err
	}
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return Archive{}, err
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	if err := s.seal(ctx, tx, vault.ID, seal, entries, manifest); err != nil {
		return Archive{}, err
	}
	if err := tx.Commit(ctx); err != nil {
		return Archive{}, err
	}
	return s.Archive(ctx, seal.ID)
}

func (s *Store) sealedAlready(ctx context.Context, seal Seal) (bool, error) {
	var hash []byte
	err := s.pool.QueryRow(ctx, `select root_hash from archive where id = $1`, seal.ID).Scan(&hash)
	switch {
	case err == pgx.ErrNoRows:
		return false, nil
	case err != nil:
		return false, err
	case string(hash) != string(seal.RootHash[:]):
		return false, library.Errorf(library.Exists, "archive %s is sealed with another root hash", seal.ID)
	}
	return true, nil
}

func (s *Store) seal(ctx context.Context, tx pgx.Tx, vault string, seal Seal, entries iter.Seq2[archive.Entry, error], manifest func() (archive.Hash, int64)) error {
	if _, err := tx.Exec(ctx, `
create temp table sealing (path bytea, kind "char", mode int, uid bigint, gid bigint, mtime_seconds bigint, mtime_nanoseconds int,
  hash bytea, size bigint, target bytea, hard_link bytea, xattrs jsonb) on commit drop`); err != nil {
		return err
	}
	next, stop := iter.Pull2(entries)
	defer stop()
	var count, bytes int64
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"sealing"},
		[]string{"path", "kind", "mode", "uid", "gid", "mtime_seconds", "mtime_nanoseconds", "hash", "size", "target", "hard_link", "xattrs"},
		pgx.CopyFromFunc(func() ([]any, error) {
			e, err, ok := next()
			if !ok || err != nil {
				return nil, err
			}
			count++
			if e.HardLink == "" {
				bytes += e.Content.Size
			}
			return entryRow(&e)
		}))
	if err != nil {
		return err
	}
	hash, size := manifest()
	if hash != seal.RootHash {
		return library.Errorf(library.DataLoss, "archive %s: the manifest that arrived has the hash %v, not %v", seal.ID, hash, seal.RootHash)
	}
	if err := missingContents(ctx, tx, vault); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `
insert into archive (id, vault_id, name, description, root_hash, manifest_size, entries, bytes, flush) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		seal.ID, vault, seal.Name, seal.Description, hash[:], size, count, bytes, seal.Flush); err != nil {
		return fmt.Errorf("seal archive %s: %w", seal.ID, err)
	}
	if _, err := tx.Exec(ctx, `
insert into entry (archive_id, path, kind, mode, uid, gid, mtime_seconds, mtime_nanoseconds, content_id, target, hard_link, xattrs)
select $1, s.path, s.kind, s.mode, s.uid, s.gid, s.mtime_seconds, s.mtime_nanoseconds, c.id, s.target, s.hard_link, s.xattrs
  from sealing s left join content c on c.vault_id = $2 and c.hash = s.hash`, seal.ID, vault); err != nil {
		return fmt.Errorf("seal archive %s: %w", seal.ID, err)
	}
	if _, err := tx.Exec(ctx, `
update content set sealed = true where not sealed and id in (select content_id from entry where archive_id = $1)`, seal.ID); err != nil {
		return fmt.Errorf("seal archive %s: %w", seal.ID, err)
	}
	if _, err := tx.Exec(ctx, `
insert into job (id, kind, archive_id, bytes)
select gen_random_uuid(), 'archive', $1, coalesce(sum(size), 0)
  from content where id in (select content_id from entry where archive_id = $1)`, seal.ID); err != nil {
		return fmt.Errorf("seal archive %s: %w", seal.ID, err)
	}
	return announce(ctx, tx, PlanKey)
}

// missingContents reports contents that the manifest names and the vault does not hold, and takes a lock on the others so
// that nobody collects them before they are sealed.
func missingContents(ctx context.Context, tx pgx.Tx, vault string) error {
	if _, err := tx.Exec(ctx, `
select from content where vault_id = $1 and not sealed and hash in (select hash from sealing where hash is not null) for update`, vault); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, `
select s.path, s.hash, s.size, c.size from sealing s left join content c on c.vault_id = $1 and c.hash = s.hash and c.gone is null
 where s.hash is not null and c.size is distinct from s.size limit 1`, vault)
	if err != nil {
		return err
	}
	type missing struct {
		Path, Hash []byte
		Size       int64
		Have       *int64
	}
	bad, err := pgx.CollectRows(rows, pgx.RowToStructByPos[missing])
	if err != nil || len(bad) == 0 {
		return err
	}
	m := bad[0]
	if m.Have != nil {
		return library.Errorf(library.Invalid, "%q: content %x has %d bytes, the manifest says %d", m.Path, m.Hash, *m.Have, m.Size)
	}
	return library.Errorf(library.Precondition, "%q: content %x is not in the vault: upload it first", m.Path, m.Hash)
}

func entryRow(e *archive.Entry) ([]any, error) {
	var hash, target, link []byte
	var size *int64
	var xattrs any
	switch e.Kind {
	case archive.File:
		hash, size = e.Content.Hash[:], &e.Content.Size
		if e.HardLink != "" {
			link = []byte(e.HardLink)
		}
	case archive.Symlink, archive.CharDevice, archive.BlockDevice:
		target = []byte(e.Target)
	}
	if len(e.Xattrs) > 0 {
		var pairs [][2][]byte
		for _, name := range slices.Sorted(maps.Keys(e.Xattrs)) {
			pairs = append(pairs, [2][]byte{[]byte(name), e.Xattrs[name]})
		}
		text, err := json.Marshal(pairs)
		if err != nil {
			return nil, err
		}
		xattrs = text
	}
	return []any{
		[]byte(e.Path), e.Kind, int32(e.Mode), int64(e.UID), int64(e.GID), e.ModTime.Unix(), int32(e.ModTime.Nanosecond()),
		hash, size, target, link, xattrs,
	}, nil
}

// Archive returns the archive whose id is id or, when only one does, begins with it.
func (s *Store) Archive(ctx context.Context, id string) (Archive, error) {
	first, last, err := idRange(id)
	if err != nil {
		return Archive{}, library.Errorf(library.Invalid, "archive %q: %v", id, err)
	}
	rows, err := s.pool.Query(ctx, selectArchive+` where a.id between $1 and $2 limit 2`, first, last)
	if err != nil {
		return Archive{}, err
	}
	return only(rows, pgx.RowToStructByPos[Archive], "archive", id)
}

// ArchiveByName returns the newest archive of that name in the vault.
func (s *Store) ArchiveByName(ctx context.Context, vault, name string) (Archive, error) {
	if _, err := s.Vault(ctx, vault); err != nil {
		return Archive{}, err
	}
	rows, err := s.pool.Query(ctx, selectArchive+` where v.name = $1 and a.name = $2 order by a.sealed desc, a.id limit 1`, vault, name)
	if err != nil {
		return Archive{}, err
	}
	a, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Archive])
	return a, notFound(err, "vault %q has no archive %q", vault, name)
}

// Archives returns up to n archives of the vault, or of all vaults when it is empty, newest first, from after the given one.
func (s *Store) Archives(ctx context.Context, vault string, n int, after string) ([]Archive, error) {
	if vault != "" {
		if _, err := s.Vault(ctx, vault); err != nil {
			return nil, err
		}
	}
	rows, err := s.pool.Query(ctx, selectArchive+`
 where ($1 = '' or v.name = $1)
   and ($2 = '' or (a.sealed, a.id) < (select sealed, id from archive where id::text = $2))
 order by a.sealed desc, a.id desc limit $3`, vault, after, n)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Archive])
}

// idRange returns the first and last UUID that begin with the hexadecimal digits of prefix.
func idRange(prefix string) (first, last string, err error) {
	digits := strings.ToLower(strings.ReplaceAll(prefix, "-", ""))
	if len(digits) < 4 || len(digits) > 32 {
		return "", "", fmt.Errorf("want 4 to 32 hexadecimal digits")
	}
	first = digits + strings.Repeat("0", 32-len(digits))
	if _, err := hex.DecodeString(first); err != nil {
		return "", "", fmt.Errorf("want hexadecimal digits")
	}
	return first, digits + strings.Repeat("f", 32-len(digits)), nil
}

// only returns the one row of a query that asked for at most two.
func only[T any](rows pgx.Rows, scan pgx.RowToFunc[T], noun, id string) (T, error) {
	var zero T
	found, err := pgx.CollectRows(rows, scan)
	switch {
	case err != nil:
		return zero, err
	case len(found) == 0:
		return zero, library.Errorf(library.NotFound, "there is no %s %s", noun, id)
	case len(found) > 1:
		return zero, library.Errorf(library.Invalid, "several %ss begin with %s: give more of the id", noun, id)
	}
	return found[0], nil
}
