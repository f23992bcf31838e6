package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
	"github.com/odarchive/odarchive/library/schedule"
)

// QuoteTime is how long a quote can be accepted: after that the queue is another one.
const QuoteTime = 15 * time.Minute

// Wanted is a disc that a retrieval would have to read, and how much of it.
type Wanted struct {
	Library string // id
	Label   string
	Disc    schedule.Disc
	Bytes   int64
	Sector  int64 // where the first extent begins
}

// Work returns what would have to be read from which discs for some paths of an archive, or for all of it without any. DataLoss
// when a part is on no disc that can give it.
func (s *Store) Work(ctx context.Context, archiveID string, paths []string) ([]Wanted, error) {
	a, err := s.Archive(ctx, archiveID)
	if err != nil {
		return nil, err
	}
	if err := s.CheckPaths(ctx, a.ID, paths); err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, `
with named as (
  select distinct e.content_id from entry e
   where e.archive_id = $1 and e.content_id is not null
     and (cardinality($2::bytea[]) = 0 or exists (select from unnest($2::bytea[]) p where p = '.' or e.path = p or (e.path > p || '/' and e.path < p || '0')))),
pending as (
  select c.id as content_id from named n join content c on c.id = n.content_id and not c.staged and (c.cached_until is null or c.cached_until < now())),
choice as (
  select distinct on (x.content_id, x.content_offset) d.id, x.length, x.sector
    from pending p join extent x on x.content_id = p.content_id
    left join disc d on d.image_id = x.image_id and d.state in ('good', 'suspect')
         and not exists (select from read_failure f where f.disc_id = d.id and f.content_id = p.content_id)
    left join element e on e.disc_id = d.id
   where not exists (select from cache_part k where k.content_id = p.content_id and k.content_offset = x.content_offset)
   order by x.content_id, x.content_offset, (d.id is null), (e.kind = 'drive') desc nulls last, (d.state = 'good') desc, d.verified desc, d.id)
select coalesce(d.library_id::text, ''), coalesce(d.label, ''), coalesce(d.id, 0), coalesce(e.unit, 0),
       case when e.kind = 'slot' then e.number else 0 end, case when e.kind = 'drive' then e.number else 0 end,
       coalesce(e.fill = 'unknown', false), coalesce(d.reload and e.kind = 'drive', false), coalesce(d.medium, ''), sum(c.length)::bigint, min(c.sector)
  from choice c left join disc d on d.id = c.id left join element e on e.disc_id = d.id
 group by d.library_id, d.label, d.id, e.unit, e.kind, e.number, e.fill order by d.id nulls first`, a.ID, pathBytes(paths))
	if err != nil {
		return nil, err
	}
	work, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (w Wanted, err error) {
		d := &w.Disc
		err = row.Scan(&w.Library, &w.Label, &d.ID, &d.Unit, &d.Slot, &d.Drive, &d.Unknown, &d.Reload, &d.Medium, &w.Bytes, &w.Sector)
		return w, err
	})
	if err == nil && len(work) > 0 && work[0].Disc.ID == 0 {
		return nil, library.Errorf(library.DataLoss, "%d bytes of archive %s can be read from no disc", work[0].Bytes, a.ID)
	}
	return work, err
}

// Quote is a promise that has been made to whoever accepts it in time.
type Quote struct {
	ID           string
	ArchiveID    string
	Tier         library.Tier
	Due, Expires time.Time
}

// SaveQuote records a quote whose deadline is so long from now, and fills in its times by the database's clock.
func (s *Store) SaveQuote(ctx context.Context, q Quote, paths []string, within time.Duration) (Quote, error) {
	err := s.pool.QueryRow(ctx, `
insert into quote (id, archive_id, paths, tier, due, expires)
values ($1, $2, $3, $4, now() + $5::interval, now() + $6::interval) returning due, expires`,
		q.ID, q.ArchiveID, pathBytes(paths), q.Tier, within, QuoteTime).Scan(&q.Due, &q.Expires)
	return q, err
}

// AcceptQuote starts the retrieval that a quote promises, with its deadline. The same id again changes nothing. It is refused when
// the quote is about something else than wanted of that archive.
func (s *Store) AcceptQuote(ctx context.Context, id, quote, archiveID string, wanted []string) (Retrieval, error) {
	var q Quote
	var paths [][]byte
	var expired bool
	var became *string
	if err := s.pool.QueryRow(ctx, `
select archive_id::text, paths, tier, due, expires < now(), retrieval::text from quote where id::text = $1`, quote).
		Scan(&q.ArchiveID, &paths, &q.Tier, &q.Due, &expired, &became); err != nil {
		return Retrieval{}, notFound(err, "there is no quote %s", quote)
	}
	texts := make([]string, len(paths))
	for i, p := range paths {
		texts[i] = string(p)
	}
	switch {
	case archiveID != q.ArchiveID || !slices.Equal(wanted, texts):
		return Retrieval{}, library.Errorf(library.Precondition, "quote %s is about other paths or another archive", quote)
	case became != nil && *became == id:
		return s.Retrieval(ctx, id)
	case became != nil:
		return Retrieval{}, library.Errorf(library.Precondition, "quote %s has been accepted as retrieval %s", quote, *became)
	case expired:
		return Retrieval{}, library.Errorf(library.Precondition, "quote %s has expired: ask for a new one", quote)
	}
	q.ID = quote
	return s.startRetrieval(ctx, id, q.ArchiveID, texts, q.Tier, &q)
}

// become makes the quote that retrieval, unless it has become another.
func (q *Quote) become(ctx context.Context, tx pgx.Tx, retrieval string) error {
	tag, err := tx.Exec(ctx, `update quote set retrieval = $2 where id = $1 and retrieval is null`, q.ID, retrieval)
	if err == nil && tag.RowsAffected() == 0 {
		return library.Errorf(library.Precondition, "quote %s has just been accepted by somebody else", q.ID)
	}
	return err
}
