package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
)

// Retrieval is an archive, or some paths of it, that is brought back from discs.
type Retrieval struct {
	ID            string
	ArchiveID     string
	Paths         [][]byte
	Tier          library.Tier
	Contents      int64
	Bytes         int64
	ContentsReady int64
	BytesReady    int64
	Discs         []string
	Expires       *time.Time
}

// CacheTime is how long what a retrieval brought back stays in the cache.
const CacheTime = 24 * time.Hour

// StartRetrieval asks for the paths of an archive, or for all of it without any. The same id again changes nothing.
func (s *Store) StartRetrieval(ctx context.Context, id, archiveID string, paths []string, tier library.Tier) (Retrieval, error) {
	return s.startRetrieval(ctx, id, archiveID, paths, tier, nil)
}

func (s *Store) startRetrieval(ctx context.Context, id, archiveID string, paths []string, tier library.Tier, accepted *Quote) (Retrieval, error) {
	a, err := s.Archive(ctx, archiveID)
	if err != nil {
		return Retrieval{}, err
	}
	if err := s.CheckPaths(ctx, a.ID, paths); err != nil {
		return Retrieval{}, err
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `insert into job (id, kind, archive_id) values ($1, 'retrieval', $2) on conflict (id) do nothing`, id, a.ID)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		var due *time.Time
		if accepted != nil {
			due = &accepted.Due
		}
		if _, err := tx.Exec(ctx, `insert into retrieval (id, archive_id, paths, tier, due) values ($1, $2, $3, $4, $5)`, id, a.ID, pathBytes(paths), tier, due); err != nil {
			return err
		}
		if accepted != nil {
			if err := accepted.become(ctx, tx, id); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `
insert into retrieval_content (retrieval_id, content_id)
select distinct $1::uuid, e.content_id from entry e
 where e.archive_id = $2 and e.content_id is not null
   and (cardinality($3::bytea[]) = 0 or exists (select from unnest($3::bytea[]) p where p = '.' or e.path = p or (e.path > p || '/' and e.path < p || '0')))`,
			id, a.ID, pathBytes(paths)); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
update retrieval set gone = true where id = $1 and exists (
  select from content c join retrieval_content rc on rc.content_id = c.id and rc.retrieval_id = $1 where c.gone is not null)`, id); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
update job set bytes = (select coalesce(sum(c.size), 0) from retrieval_content rc join content c on c.id = rc.content_id where rc.retrieval_id = $1) where id = $1`, id); err != nil {
			return err
		}
		if err := arriveFirst(ctx, tx, id); err != nil {
			return err
		}
		if err := finishRetrievals(ctx, tx, thisOne, id); err != nil {
			return err
		}
		if err := queueReadsFor(ctx, tx, id); err != nil {
			return err
		}
		if err := announce(ctx, tx, JobKey+id); err != nil {
			return err
		}
		return announce(ctx, tx, LibraryKey)
	})
	if err != nil {
		return Retrieval{}, err
	}
	return s.Retrieval(ctx, id)
}

// Retrieval returns a retrieval by id.
func (s *Store) Retrieval(ctx context.Context, id string) (Retrieval, error) {
	rows, err := s.pool.Query(ctx, `
select r.id, r.archive_id, r.paths, r.tier, c.n, c.bytes, c.ready, c.bytes_ready,
       array(select distinct d.label from task_job k join task t on t.id = k.task_id join disc d on d.id = t.disc_id where k.job_id = r.id order by 1), r.expires
  from retrieval r, lateral (
    select count(*) as n, coalesce(sum(size), 0)::bigint as bytes, count(*) filter (where ready) as ready,
           coalesce(sum(size) filter (where ready), 0)::bigint as bytes_ready
      from (select c.size, c.staged or coalesce(c.cached_until >= now(), false) as ready
              from retrieval_content rc join content c on c.id = rc.content_id where rc.retrieval_id = r.id) x) c
 where r.id::text = $1`, id)
	if err != nil {
		return Retrieval{}, err
	}
	r, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Retrieval])
	return r, notFound(err, "there is no retrieval %s", id)
}

// Which retrievals are looked at: there may be many that wait.
const (
	thisOne  = `j.id = $1::uuid`
	servedBy = `j.id in (select job_id from task_job where task_id = any ($1::bigint[]))`
	inCache  = `j.id = any (array(` + wanting + `))`
	inFile   = `j.id in (select rc.retrieval_id from content c join retrieval_content rc on rc.content_id = c.id where c.segment_id = $1)`
)

// finishRetrievals ends those of the retrievals whose contents are all here, durable, and keeps those in the cache from now on.
func finishRetrievals(ctx context.Context, tx pgx.Tx, which string, args ...any) error {
	rows, err := tx.Query(ctx, `
update job j set state = 'succeeded', waiting_for = '', finished = now()
 where j.kind = 'retrieval' and j.state = 'running' and `+which+` and not exists (
   select from retrieval_content rc join content c on c.id = rc.content_id left join segment g on g.id = c.segment_id
    where rc.retrieval_id = j.id and (g.unsynced is not null or not c.staged and (c.cached_until is null or c.cached_until < now())))
returning j.id::text`, args...)
	if err != nil {
		return err
	}
	done, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	if err := endPartly(ctx, tx, which, args...); err != nil {
		return err
	}
	return keep(ctx, tx, done)
}

// keep keeps what retrievals that have ended brought back in the cache from now on, and tells who waits for them.
func keep(ctx context.Context, tx pgx.Tx, done []string) error {
	if len(done) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, `update retrieval set expires = now() + $2::interval where id = any ($1)`, done, CacheTime); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `
update content set cached_until = now() + $2::interval where segment_id is not null and id in (select content_id from retrieval_content where retrieval_id = any ($1))`, done, CacheTime); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `update retrieval_content set arrival = nextval('arrival') where retrieval_id = any ($1) and arrival is null and content_id in (select id from content where segment_id is not null)`, done); err != nil {
		return err
	}
	for _, id := range done {
		if err := announce(ctx, tx, JobKey+id); err != nil {
			return err
		}
	}
	return nil
}

// Cached records contents that a task has brought back and that lie in segments, durably when those are not unsynced.
func (s *Store) Cached(ctx context.Context, ref Ref, cached []Staged) error {
	vault, err := s.CheckLease(ctx, ref)
	if err != nil {
		return err
	}
	n := len(cached)
	hashes, segs, offs := make([][]byte, n), make([]int64, n), make([]int64, n)
	for i, c := range cached {
		hashes[i], segs[i], offs[i] = c.Content.Hash[:], c.Segment, c.Offset
	}
	return s.inTx(ctx, func(tx pgx.Tx) error {
		contents, err := contentIDs(ctx, tx, vault, hashes)
		if err != nil {
			return err
		}
		b := &pgx.Batch{}
		b.Queue(generic)
		b.Queue(`
update content c set segment_id = u.g, segment_offset = u.o, cached_until = now() + $5::interval
  from unnest($2::bytea[], $3::bigint[], $4::bigint[]) u(h, g, o)
 where c.vault_id = $1 and c.hash = u.h and not c.staged`, vault, hashes, segs, offs, CacheTime)
		b.Queue(`delete from cache_part where content_id = any ($1)`, contents)
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			return err
		}
		if err := arrive(ctx, tx, contents); err != nil {
			return err
		}
		return finishRetrievals(ctx, tx, inCache, contents)
	})
}

// Locate returns where the bytes of a retrieval's contents lie, in the order of hashes. While the retrieval runs, some may be at hand.
func (s *Store) Locate(ctx context.Context, retrieval string, hashes [][]byte) ([]Location, error) {
	var state library.JobState
	var expired, partly bool
	var vault string
	if err := s.pool.QueryRow(ctx, `
select j.state, coalesce(r.expires < now(), false), r.gone and r.expires >= now(), a.vault_id::text from retrieval r join job j using (id) join archive a on a.id = r.archive_id
 where r.id::text = $1`, retrieval).Scan(&state, &expired, &partly, &vault); err != nil {
		return nil, notFound(err, "there is no retrieval %s", retrieval)
	}
	switch {
	case state == library.Failed && partly:
	case state != library.Succeeded && state != library.Running:
		return nil, library.Errorf(library.Precondition, "retrieval %s is %s: there is nothing to download", retrieval, state)
	case expired:
		return nil, library.Errorf(library.Precondition, "retrieval %s has expired: start a new one", retrieval)
	}
	// Each by its index: what the planner makes of an array whose length it doesn't know, beside tables that have just grown, may be all times all.
	rows, err := s.pool.Query(ctx, `
select u.h, c.size, c.segment_id, c.segment_offset
  from unnest($2::bytea[]) with ordinality u(h, i)
  left join lateral (
    select c.size, c.segment_id, c.segment_offset from content c
     where c.vault_id = $3 and c.hash = u.h and exists (select from retrieval_content rc where rc.retrieval_id = $1::uuid and rc.content_id = c.id) limit 1) c on true
 order by u.i`, retrieval, hashes, vault)
	if err != nil {
		return nil, err
	}
	return collectLocations(rows, "retrieval "+retrieval)
}

func collectLocations(rows pgx.Rows, of string) ([]Location, error) {
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (l Location, err error) {
		var hash []byte
		var size, segment, offset *int64
		if err := row.Scan(&hash, &size, &segment, &offset); err != nil {
			return l, err
		}
		if l.Content.Hash, err = hashOf(hash); err != nil {
			return l, err
		}
		if size == nil || segment == nil {
			return l, library.Errorf(library.NotFound, "%s has no content %x at hand", of, hash)
		}
		l.Content.Size, l.Segment, l.Offset = *size, *segment, *offset
		return l, nil
	})
}
