package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// nowGone marks those contents as gone of which images that are gone carry a part that no other image does, and returns them. What the cache still has of
// them, durably, goes back to staging instead: it returns how many contents that is.
func nowGone(ctx context.Context, tx pgx.Tx, images []string) (gone []int64, kept int, err error) {
	const lost = `
select c.id from content c left join segment g on g.id = c.segment_id
 where c.gone is null and not c.staged and c.id in (select content_id from extent where image_id = any ($1::uuid[]))
   and exists (select from extent x where x.content_id = c.id and not exists (
     select from extent y join image i on i.id = y.image_id and i.gone is null where y.content_id = c.id and y.content_offset = x.content_offset))`
	back, err := contentsOf(ctx, tx, `
update content set staged = true, planned = false where id in (`+lost+` and c.cached_until > now() and g.unsynced is null and not g.open) returning id`, images)
	if err != nil {
		return nil, 0, err
	}
	if gone, err = contentsOf(ctx, tx, `update content set gone = now() where id in (`+lost+`) returning id`, images); err != nil {
		return nil, 0, err
	}
	if err := backInStaging(ctx, tx, back); err != nil {
		return nil, 0, err
	}
	return gone, len(back), recount(ctx, tx, gone)
}

func contentsOf(ctx context.Context, tx pgx.Tx, sql string, args ...any) ([]int64, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int64])
}

// stageAgain records those contents as staged that were gone from a vault and have been uploaded once more.
func (s *Store) stageAgain(ctx context.Context, vault string, hashes [][]byte, segments, offsets []int64) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		back, err := contentsOf(ctx, tx, `
update content c set staged = true, planned = false, gone = null, segment_id = u.g, segment_offset = u.o
  from unnest($2::bytea[], $3::bigint[], $4::bigint[]) u(h, g, o) where c.vault_id = $1 and c.hash = u.h and c.gone is not null
returning c.id`, vault, hashes, segments, offsets)
		if err != nil {
			return err
		}
		return backInStaging(ctx, tx, back)
	})
}

// backInStaging: contents that archives refer to are staged again, and the discs that carried them are not to be had. They are planned anew, with the names
// that they have in their archives, which are not safe until then.
func backInStaging(ctx context.Context, tx pgx.Tx, contents []int64) error {
	if len(contents) == 0 {
		return nil
	}
	for _, sql := range []string{
		// Where they were cut before they may not be cut again: parts of both would not fit together.
		`delete from extent where content_id = any ($1) and parts > 0`,
		`delete from cache_part where content_id = any ($1)`,
		`update archive set planned = false, safe = null where planned and id in (select archive_id from entry where content_id = any ($1))`,
	} {
		if _, err := tx.Exec(ctx, sql, contents); err != nil {
			return err
		}
	}
	if err := recount(ctx, tx, contents); err != nil {
		return err
	}
	if err := arrive(ctx, tx, contents); err != nil {
		return err
	}
	if err := finishRetrievals(ctx, tx, inCache, contents); err != nil {
		return err
	}
	return announce(ctx, tx, PlanKey)
}

// recount counts what is gone of the archives that some contents belong to.
func recount(ctx context.Context, tx pgx.Tx, contents []int64) error {
	if len(contents) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `
with touched as (select distinct archive_id as id from entry where content_id = any ($1)),
gone as (
  select archive_id, count(*) as n, sum(size)::bigint as bytes from (
    select distinct e.archive_id, c.id, c.size from content c join entry e on e.content_id = c.id where c.gone is not null and e.archive_id in (select id from touched)) x
   group by archive_id)
update archive a set gone_contents = coalesce(g.n, 0), gone_bytes = coalesce(g.bytes, 0)
  from touched t left join gone g on g.archive_id = t.id where a.id = t.id`, contents)
	return err
}

// endPartly ends those of the retrievals that want something which is gone, when everything else that they want is here, durable. What has come can be
// downloaded as from any other.
func endPartly(ctx context.Context, tx pgx.Tx, which string, args ...any) error {
	rows, err := tx.Query(ctx, `
with over as (
  select j.id, r.archive_id from job j join retrieval r on r.id = j.id and r.gone
   where j.state = 'running' and `+which+` and not exists (
     select from retrieval_content rc join content c on c.id = rc.content_id and c.gone is null left join segment g on g.id = c.segment_id
      where rc.retrieval_id = j.id and (g.unsynced is not null or not c.staged and (c.cached_until is null or c.cached_until < now())))),
gone as (
  select o.id, o.archive_id, c.id as content from over o join retrieval_content rc on rc.retrieval_id = o.id
    join content c on c.id = rc.content_id and c.gone is not null and (c.cached_until is null or c.cached_until < now())),
ended as (
  update job j set state = 'failed', finished = now(), waiting_for = '',
         error = format('%s of its contents are gone, one of them is "%s"; everything else has come', g.n, g.path)
    from (select id, count(*) as n,
                 min((select encode(e.path, 'escape') from entry e where e.archive_id = gone.archive_id and e.content_id = gone.content order by e.path limit 1)) as path
            from gone group by id) g
   where j.id = g.id returning j.id)
select e.id::text, coalesce(d.label, ''), coalesce(d.reason, '') from ended e left join lateral (
  select distinct d.label, d.reason from gone g join extent x on x.content_id = g.content join image i on i.id = x.image_id and i.gone is not null
    join disc d on d.image_id = i.id and d.state = 'lost' where g.id = e.id) d on true order by 1, 2`, args...)
	if err != nil {
		return err
	}
	var ended []string
	said := map[string][]string{}
	var job, label, reason string
	if _, err := pgx.ForEachRow(rows, []any{&job, &label, &reason}, func() error {
		if _, is := said[job]; !is {
			ended = append(ended, job)
			said[job] = nil
		}
		if label != "" {
			said[job] = append(said[job], fmt.Sprintf("disc %s, %s", label, reason))
		}
		return nil
	}); err != nil {
		return err
	}
	for _, job := range ended {
		discs := said[job]
		if len(discs) > mostNamed {
			discs = append(discs[:mostNamed], fmt.Sprintf("%d more discs", len(discs)-mostNamed))
		}
		if len(discs) == 0 {
			continue
		}
		if _, err := tx.Exec(ctx, `update job set error = error || '. They were on ' || $2 where id = $1`, job, strings.Join(discs, "; ")); err != nil {
			return err
		}
	}
	return keep(ctx, tx, ended)
}
