package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
)

// settle draws the conclusions of a disc of an image having been verified: with enough copies the image is safe, with all
// its images an archive is, and only then its contents leave staging. Copies of an image, and images of an archive, may be verified in two libraries
// at once: who comes second waits until the other's are seen.
func settle(ctx context.Context, tx pgx.Tx, image string) error {
	if _, err := tx.Exec(ctx, `select from image where id = $1 for update`, image); err != nil {
		return err
	}
	tag, err := tx.Exec(ctx, `
update image i set safe = now()
 where i.id = $1 and i.safe is null
   and i.copies <= (select count(*) from disc d where d.image_id = i.id and d.state = 'good')`, image)
	if err != nil || tag.RowsAffected() == 0 {
		return err
	}
	if _, err := tx.Exec(ctx, `
select from archive where safe is null and id in (select archive_id from placement where image_id = $1) order by id for update`, image); err != nil {
		return err
	}
	// A content that is split over several images stays until the last of them is safe.
	if _, err := tx.Exec(ctx, `
update content c set staged = false,
       segment_id = case when cached_until is not null then segment_id end, segment_offset = case when cached_until is not null then segment_offset end
 where c.staged and c.id in (select content_id from extent where image_id = $1)
   and not exists (select from extent x join image i on i.id = x.image_id where x.content_id = c.id and i.safe is null)`, image); err != nil {
		return err
	}
	return settleArchives(ctx, tx, image)
}

func settleArchives(ctx context.Context, tx pgx.Tx, image string) error {
	rows, err := tx.Query(ctx, `
update archive a set safe = now()
 where a.safe is null and a.planned and a.id in (select archive_id from placement where image_id = $1)
   and not exists (select from placement p join image i on i.id = p.image_id where p.archive_id = a.id and i.safe is null)
returning a.id`, image)
	if err != nil {
		return err
	}
	safe, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `
update job set state = 'succeeded', waiting_for = '', finished = now() where kind = 'archive' and state = 'running' and archive_id = any ($1)`, safe); err != nil {
		return err
	}
	return announce(ctx, tx, PlanKey) // segments may be empty now
}

// queueReads makes a read task for each disc that some retrieval waits for and that has none: of a content's discs one that
// can be read now, one that lies in a drive, else one in the library to which its image belongs, of these the one most lately verified; what lies on a
// scratch disk comes from there. A retrieval that waits for something no disc can give has failed. It looks at everything that any retrieval waits for.
func queueReads(ctx context.Context, tx pgx.Tx) error {
	if _, err := queueServes(ctx, tx, `true`); err != nil {
		return err
	}
	if err := queueWanted(ctx, tx, `true`, `true`, `excluded.bytes`); err != nil {
		return err
	}
	if err := healLost(ctx, tx, `true`); err != nil {
		return err
	}
	return failRetrievals(ctx, tx, `true`)
}

// queueReadsOf does that for what lies on images of discs of which something has become known: what any retrieval waits for may be a million
// contents, and those who wait for this have locked their libraries' rows.
func queueReadsOf(ctx context.Context, tx pgx.Tx, discs ...int64) error {
	const which = `rc.content_id in (select x.content_id from disc d join extent x on x.image_id = d.image_id where d.id = any (%s::bigint[]))`
	if _, err := queueServes(ctx, tx, fmt.Sprintf(which, "$2"), discs); err != nil {
		return err
	}
	if err := queueWanted(ctx, tx, fmt.Sprintf(which, "$4"), `true`, `greatest(task.bytes, excluded.bytes)`, discs); err != nil {
		return err
	}
	first := fmt.Sprintf(which, "$1")
	if err := healLost(ctx, tx, first, discs); err != nil {
		return err
	}
	return failRetrievals(ctx, tx, first, discs)
}

// queueReadsFor does that for what one retrieval waits for that has just been asked for.
func queueReadsFor(ctx context.Context, tx pgx.Tx, retrieval string) error {
	if _, err := queueServes(ctx, tx, `rc.retrieval_id = $2::uuid`, retrieval); err != nil {
		return err
	}
	// What others wait for, too, has been counted.
	if err := queueWanted(ctx, tx, `rc.retrieval_id = $4::uuid`, `
not exists (select from retrieval_content o join job other on other.id = o.retrieval_id and other.state = 'running'
             where o.content_id = rc.content_id and o.retrieval_id <> rc.retrieval_id)`, `task.bytes + excluded.bytes`, retrieval); err != nil {
		return err
	}
	if err := healLost(ctx, tx, `rc.retrieval_id = $1::uuid`, retrieval); err != nil {
		return err
	}
	return failRetrievals(ctx, tx, `rc.retrieval_id = $1::uuid`, retrieval)
}

// queueReadsAfter does that for what reads that have ended well left on their discs: more than one task brings back, or what was asked for meanwhile.
func queueReadsAfter(ctx context.Context, tx pgx.Tx, reads []int64) error {
	return queueWanted(ctx, tx, `
rc.content_id in (select x.content_id from task t join disc d on d.id = t.disc_id join extent x on x.image_id = d.image_id where t.id = any ($4::bigint[]))`,
		`true`, `greatest(task.bytes, excluded.bytes)`, reads)
}

// queueWanted queues the reads of those contents that retrievals wait for which meet a condition. Those that meet counted are part of what
// the tasks will read; bytes says how that and what a queued task has already come together.
func queueWanted(ctx context.Context, tx pgx.Tx, which, counted, bytes string, args ...any) error {
	_, err := tx.Exec(ctx, `
with ill as materialized (`+illLibraries+`), reading as materialized (`+unitsThatRead+`),
pending as (
  select rc.content_id, min(r.tier) as tier,
         min(coalesce(r.due, j.created + case r.tier when 1 then interval '5 minutes' when 3 then interval '12 hours' else interval '5 hours' end)) as due,
         bool_and(`+counted+`) as counted
    from retrieval_content rc
    join retrieval r on r.id = rc.retrieval_id join job j on j.id = r.id and j.state = 'running'
    join content c on c.id = rc.content_id and c.gone is null and not c.staged and (c.cached_until is null or c.cached_until < now())
   where `+which+` and not exists ( -- a read that runs and knows of it will bring it
     select from extent x join disc d on d.image_id = x.image_id
       join task t on t.disc_id = d.id and t.kind = 'read' and t.image_id is null and t.state = 'leased' and t.started >= j.created
      where x.content_id = rc.content_id)
   group by rc.content_id),
choice as (
  select distinct on (p.content_id, x.content_offset) d.id as disc, d.library_id, p.tier, p.due, case when p.counted then x.length else 0 end as length
    from pending p
    cross join lateral (select image_id, content_offset, length from extent where content_id = p.content_id offset 0) x -- not by all discs for each
    join disc d on d.image_id = x.image_id and d.state in ('good', 'suspect')
    join image i on i.id = x.image_id left join ill on ill.id = d.library_id left join element e on e.disc_id = d.id
   where not exists (select from read_failure f where f.disc_id = d.id and f.content_id = p.content_id)
     and not exists (select from cache_part k where k.content_id = p.content_id and k.content_offset = x.content_offset)
     and x.image_id <> all (array(select image_id from task where kind = 'serve' and state in ('queued', 'leased'))) -- looked at when that has ended
   order by p.content_id, x.content_offset, p.tier, ill.id is not null or ((d.library_id, e.unit) in (select library_id, unit from reading)) is not true, (e.kind = 'drive') desc nulls last, (d.state = 'good') desc,
            (d.library_id = i.library_id) desc, d.verified desc, d.id)
insert into task (library_id, kind, priority, disc_id, due, bytes)
select library_id, 'read', max(case tier when 1 then $1::int when 3 then $3::int else $2::int end), disc, min(due), sum(length)::bigint from choice group by library_id, disc
on conflict (disc_id) where kind = 'read' and state = 'queued' and image_id is null do update
   set priority = greatest(task.priority, excluded.priority), due = least(task.due, excluded.due), bytes = `+bytes,
		append([]any{library.PriorityExpedited, library.PriorityStandard, library.PriorityBulk}, args...)...)
	return err
}
