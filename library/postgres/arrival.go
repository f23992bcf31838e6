package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
)

// Arrivals returns hashes of a retrieval's contents that have come within reach, at most limit of them, behind the number after in the
// order in which they came; the number of the last one; and the state of the job before they were looked for. One may be out of
// reach again: what was brought back expires.
func (s *Store) Arrivals(ctx context.Context, retrieval string, after int64, limit int) (hashes [][]byte, last int64, state library.JobState, err error) {
	if err := s.pool.QueryRow(ctx, `select j.state from retrieval r join job j using (id) where r.id::text = $1`, retrieval).Scan(&state); err != nil {
		return nil, 0, state, notFound(err, "there is no retrieval %s", retrieval)
	}
	rows, err := s.pool.Query(ctx, `
select rc.arrival, c.hash from retrieval_content rc join content c on c.id = rc.content_id
 where rc.retrieval_id = $1::uuid and rc.arrival > $2 order by rc.arrival limit $3`, retrieval, after, limit)
	if err != nil {
		return nil, 0, state, err
	}
	last = after
	var hash []byte
	_, err = pgx.ForEachRow(rows, []any{&last, &hash}, func() error {
		hashes = append(hashes, hash)
		hash = nil
		return nil
	})
	return hashes, last, state, err
}

// contentIDs returns which contents of a vault have these hashes. Whoever joins with contents by a long list of hashes compares each content
// with each hash, because PostgreSQL has no hash of bytea before version 18.
func contentIDs(ctx context.Context, tx pgx.Tx, vault string, hashes [][]byte) ([]int64, error) {
	rows, err := tx.Query(ctx, `select id from content where vault_id = $1 and hash = any ($2)`, vault, hashes)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// wanting is which retrievals want some contents. Each content is looked up for itself: PostgreSQL can't know that a retrieval whose contents were all
// there when it last counted is not the next one, and would compare each content of that with each that has come.
const wanting = `
select distinct w.retrieval_id from unnest($1::bigint[]) u(id), lateral (select retrieval_id from retrieval_content where content_id = u.id offset 0) w`

// arrive gives numbers to contents that have come within reach, in each running retrieval that wants them.
func arrive(ctx context.Context, tx pgx.Tx, contents []int64) error {
	rows, err := tx.Query(ctx, `
select r.id::text from retrieval r join job j on j.id = r.id and j.state = 'running'
 where r.id = any (array(`+wanting+`))
 order by r.id for update of r`, contents)
	if err != nil {
		return err
	}
	retrievals, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(retrievals) == 0 {
		return err
	}
	if _, err := tx.Exec(ctx, `
update retrieval_content set arrival = nextval('arrival') where ctid = any (array(
  select w.ctid from unnest($2::uuid[]) r(id), unnest($1::bigint[]) u(id),
         lateral (select ctid from retrieval_content where retrieval_id = r.id and content_id = u.id and arrival is null offset 0) w))`, contents, retrievals); err != nil {
		return err
	}
	for _, id := range retrievals {
		if err := announce(ctx, tx, JobKey+id); err != nil {
			return err
		}
	}
	return nil
}

// arriveFirst gives numbers to the contents of a new retrieval that are at hand, and keeps them so.
func arriveFirst(ctx context.Context, tx pgx.Tx, retrieval string) error {
	_, err := tx.Exec(ctx, `
with here as (
  update content c set cached_until = greatest(coalesce(c.cached_until, now()), now() + $2::interval)
    from retrieval_content rc
   where rc.retrieval_id = $1 and c.id = rc.content_id and (c.staged or c.cached_until >= now())
  returning c.id)
update retrieval_content set arrival = nextval('arrival') where retrieval_id = $1 and content_id in (select id from here)`, retrieval, CacheTime)
	return err
}
