package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/library"
)

// Missing returns the positions in contents of those that the vault does not hold, or that are gone from it.
func (s *Store) Missing(ctx context.Context, vault string, contents []archive.Content) ([]int, error) {
	hashes := make([][]byte, len(contents))
	for i := range contents {
		hashes[i] = contents[i].Hash[:]
	}
	rows, err := s.pool.Query(ctx, `
select i - 1 from unnest($2::bytea[]) with ordinality h(hash, i)
 where not exists (select from content c where c.vault_id = $1 and c.hash = h.hash and c.gone is null) order by i`, vault, hashes)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int])
}

// NewSegment reserves the id of a new, open segment. Of the cache, the id of the machine's boot says that what is recorded of it need not
// be durable yet; it is empty otherwise.
func (s *Store) NewSegment(ctx context.Context, boot string) (id int64, err error) {
	err = s.pool.QueryRow(ctx, `insert into segment (unsynced) values (nullif($1, '')::uuid) returning id`, boot).Scan(&id)
	return id, err
}

// CloseSegment says that nothing more will be appended to the segment.
func (s *Store) CloseSegment(ctx context.Context, id, bytes int64) error {
	_, err := s.pool.Exec(ctx, `update segment set open = false, bytes = $2 where id = $1`, id, bytes)
	return err
}

// Segments returns the ids of all segments, after closing those that a process that died left open, and the last id that was ever
// given to one: 0 in an empty catalogue.
func (s *Store) Segments(ctx context.Context) (known map[int64]bool, last int64, err error) {
	if _, err := s.pool.Exec(ctx, `update segment set open = false where open`); err != nil {
		return nil, 0, err
	}
	if err := s.pool.QueryRow(ctx, `select case when is_called then last_value else 0 end from segment_id_seq`).Scan(&last); err != nil {
		return nil, 0, err
	}
	rows, err := s.pool.Query(ctx, `select id from segment`)
	if err != nil {
		return nil, 0, err
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	known = make(map[int64]bool, len(ids))
	for _, id := range ids {
		known[id] = true
	}
	return known, last, err
}

// Staged is a content that has been made durable in a segment.
type Staged struct {
	Content archive.Content
	Segment int64
	Offset  int64
}

// Stage records contents that lie durably in segments. One that the vault holds already stays where it is; one that was gone is there again.
func (s *Store) Stage(ctx context.Context, vault string, staged []Staged) error {
	n := len(staged)
	hashes, sizes, segs, offs := make([][]byte, n), make([]int64, n), make([]int64, n), make([]int64, n)
	for i, c := range staged {
		hashes[i], sizes[i], segs[i], offs[i] = c.Content.Hash[:], c.Content.Size, c.Segment, c.Offset
	}
	tag, err := s.pool.Exec(ctx, `
insert into content (vault_id, hash, size, segment_id, segment_offset)
select $1, h, z, g, o from unnest($2::bytea[], $3::bigint[], $4::bigint[], $5::bigint[]) u(h, z, g, o)
on conflict (vault_id, hash) do nothing`, vault, hashes, sizes, segs, offs)
	if err != nil || tag.RowsAffected() == int64(n) {
		return err
	}
	return s.stageAgain(ctx, vault, hashes, segs, offs)
}

// Location is where the bytes of a content lie.
type Location struct {
	Content archive.Content
	Segment int64
	Offset  int64
}

// Collected is what nothing refers to any more: files that may be deleted.
type Collected struct {
	Segments []int64
	Parts    []VaultContent // of contents that no retrieval waits for
}

// VaultContent is a content of a vault.
type VaultContent struct {
	Vault string
	Hash  []byte
}

// Collect forgets contents that were uploaded longer than unsealed ago and belong to no archive, lets contents go from the
// cache whose time is over, and returns what was freed by that and by discs having been verified.
func (s *Store) Collect(ctx context.Context, unsealed time.Duration) (free Collected, err error) {
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `delete from content where not sealed and created < now() - $1::interval`, unsealed); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
update content set cached_until = null,
       segment_id = case when staged then segment_id end, segment_offset = case when staged then segment_offset end
 where cached_until < now()`); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
delete from cache_part p using content c
 where c.id = p.content_id and not exists (
   select from retrieval_content rc join job j on j.id = rc.retrieval_id where rc.content_id = c.id and j.state = 'running')
returning c.vault_id::text, c.hash`)
		if err != nil {
			return err
		}
		if free.Parts, err = pgx.CollectRows(rows, pgx.RowToStructByPos[VaultContent]); err != nil {
			return err
		}
		free.Segments, err = emptySegments(ctx, tx)
		return err
	})
	return free, err
}

func emptySegments(ctx context.Context, tx pgx.Tx) ([]int64, error) {
	rows, err := tx.Query(ctx, `
delete from segment g where not open and not exists (select from content c where c.segment_id = g.id) returning id`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// hashOf reads a hash column.
func hashOf(b []byte) (archive.Hash, error) {
	var h archive.Hash
	if len(b) != len(h) {
		return h, library.Errorf(library.Invalid, "hash of %d bytes, want %d", len(b), len(h))
	}
	copy(h[:], b)
	return h, nil
}
