package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// lostExtents are the extents that running retrievals wait for which meet a condition, and that nothing gives: no disc, no heal that is under
// way, no scratch disk. A content that a rebuilt catalogue knows no discs for is lost without an image.
func lostExtents(which string) string {
	return `
select rc.retrieval_id, r.archive_id, c.id as content_id, case when not part.absent then x.image_id end as image_id
  from retrieval_content rc
  join retrieval r on r.id = rc.retrieval_id
  join job on job.id = r.id and job.state = 'running'
  join content c on c.id = rc.content_id and c.gone is null and not c.staged and (c.cached_until is null or c.cached_until < now())
  cross join lateral (select c.size > coalesce(sum(length), 0) as absent from extent where content_id = c.id) part
  left join extent x on x.content_id = c.id
 where ` + which + ` and (part.absent or x.content_id is not null
   and not exists (select from cache_part k where k.content_id = c.id and k.content_offset = x.content_offset)
   and not exists (
     select from extent y join disc d on d.image_id = y.image_id and d.state in ('good', 'suspect')
      where y.content_id = x.content_id and y.content_offset = x.content_offset
        and not exists (select from read_failure f where f.disc_id = d.id and f.content_id = c.id))
   and not exists ( -- what is being healed will give it
     select from extent z join image i on i.id = z.image_id join disc o on o.image_id = i.id join heal h on h.disc_id = o.id and ` + onHand + `
      where z.content_id = x.content_id and z.content_offset = x.content_offset
        and not exists (select from image_failure w where w.image_id = z.image_id and w.content_id = z.content_id)))`
}

// failRetrievals ends those of the retrievals that wait for an extent nothing gives. The error names a file, and the images with their discs, what their sets
// lack included.
func failRetrievals(ctx context.Context, tx pgx.Tx, which string, args ...any) error {
	rows, err := tx.Query(ctx, `
with lost as (`+lostExtents(which)+`),
failed as (
  update job j set state = 'failed', finished = now(), waiting_for = '',
         error = format('%s of its contents can''t be read from any disc, one of them is "%s"', l.n, l.path)
    from (select retrieval_id, count(distinct content_id) as n,
                 min((select encode(e.path, 'escape') from entry e where e.archive_id = lost.archive_id and e.content_id = lost.content_id order by e.path limit 1)) as path
            from lost group by retrieval_id) l
   where j.id = l.retrieval_id and j.state = 'running' returning j.id)
select distinct failed.id::text, i.number,
       coalesce((select string_agg(format('%s, %s', d.label, d.state), '; ' order by d.id) from disc d where d.image_id = i.id), 'none'),
       coalesce(i.set_id::text, ''),
       coalesce((select h.error from heal h join disc d on d.id = h.disc_id where d.image_id = i.id and h.error <> '' order by h.finished desc limit 1), '')
  from failed join lost on lost.retrieval_id = failed.id join image i on i.id = lost.image_id order by 1, 2`, args...)
	if err != nil {
		return err
	}
	details := map[string][]string{}
	var job, discs, set, why string
	var number int64
	if _, err := pgx.ForEachRow(rows, []any{&job, &number, &discs, &set, &why}, func() error {
		said := fmt.Sprintf("image %d (discs: %s)", number, discs)
		if set != "" {
			said += " of set " + set
		}
		if why != "" {
			said += ": " + why
		}
		details[job] = append(details[job], said)
		return nil
	}); err != nil {
		return err
	}
	for job, said := range details {
		if len(said) > mostNamed {
			said = append(said[:mostNamed], fmt.Sprintf("%d more images", len(said)-mostNamed))
		}
		if _, err := tx.Exec(ctx, `update job set error = error || '. They are on ' || $2 where id = $1`, job, strings.Join(said, "; ")); err != nil {
			return err
		}
		if err := announce(ctx, tx, JobKey+job); err != nil {
			return err
		}
	}
	return nil
}

// mostNamed is how many images an error names.
const mostNamed = 5
