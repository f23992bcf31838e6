package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/library"
)

const selectEntry = `
select e.path, e.kind, e.mode, e.uid, e.gid, e.mtime_seconds, e.mtime_nanoseconds, c.hash, c.size, e.target, e.hard_link, e.xattrs
  from entry e left join content c on c.id = e.content_id where e.archive_id = $1`

// Entries returns the entries of an archive in ascending order of paths: all of them, or with paths each of
// those and what is below it. It holds a connection until the loop ends.
func (s *Store) Entries(ctx context.Context, id string, paths []string) iter.Seq2[archive.Entry, error] {
	if len(paths) == 0 {
		return s.entries(ctx, selectEntry+` order by e.path`, id)
	}
	// '0' is the character after '/': what lies between is below the path.
	return s.entries(ctx, selectEntry+`
   and exists (select from unnest($2::bytea[]) p where p = '.' or e.path = p or (e.path > p || '/' and e.path < p || '0'))
 order by e.path`, id, pathBytes(paths))
}

// Children returns the entries directly in the directory path of an archive.
func (s *Store) Children(ctx context.Context, id, path string) iter.Seq2[archive.Entry, error] {
	if path == "." {
		return s.entries(ctx, selectEntry+` and e.path <> '.' and position('/'::bytea in e.path) = 0 order by e.path`, id)
	}
	return s.entries(ctx, selectEntry+`
   and e.path > $2::bytea || '/' and e.path < $2::bytea || '0' and position('/'::bytea in substring(e.path from length($2::bytea) + 2)) = 0
 order by e.path`, id, []byte(path))
}

func (s *Store) entries(ctx context.Context, query string, args ...any) iter.Seq2[archive.Entry, error] {
	return func(yield func(archive.Entry, error) bool) {
		rows, err := s.pool.Query(ctx, query, args...)
		if err != nil {
			yield(archive.Entry{}, err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			e, err := scanEntry(rows)
			if !yield(e, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(archive.Entry{}, err)
		}
	}
}

func scanEntry(rows pgx.Rows) (e archive.Entry, err error) {
	var path, hash, target, link, xattrs []byte
	var kind byte
	var mode, nanoseconds int32
	var uid, gid, seconds int64
	var size *int64
	if err := rows.Scan(&path, &kind, &mode, &uid, &gid, &seconds, &nanoseconds, &hash, &size, &target, &link, &xattrs); err != nil {
		return e, err
	}
	e = archive.Entry{
		Path: string(path), Kind: archive.Kind(kind), Mode: uint32(mode), UID: uint32(uid), GID: uint32(gid),
		ModTime: time.Unix(seconds, int64(nanoseconds)).UTC(), Target: string(target), HardLink: string(link),
	}
	if size != nil {
		e.Content.Size = *size
		if e.Content.Hash, err = hashOf(hash); err != nil {
			return e, err
		}
	}
	if xattrs != nil {
		var pairs [][2][]byte
		if err := json.Unmarshal(xattrs, &pairs); err != nil {
			return e, fmt.Errorf("entry %q: %w", path, err)
		}
		e.Xattrs = make(map[string][]byte, len(pairs))
		for _, p := range pairs {
			e.Xattrs[string(p[0])] = p[1]
		}
	}
	return e, nil
}

// CheckPaths reports the first of paths that the archive does not have.
func (s *Store) CheckPaths(ctx context.Context, id string, paths []string) error {
	rows, err := s.pool.Query(ctx, `
select p from unnest($2::bytea[]) p where not exists (select from entry where archive_id = $1 and path = p) limit 1`, id, pathBytes(paths))
	if err != nil {
		return err
	}
	missing, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err == nil && len(missing) > 0 {
		return library.Errorf(library.NotFound, "archive %s has no %q", id, missing[0])
	}
	return err
}

func pathBytes(paths []string) [][]byte {
	b := make([][]byte, len(paths))
	for i, p := range paths {
		b[i] = []byte(p)
	}
	return b
}
