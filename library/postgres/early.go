package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// mostEarly is the part of what a set protects of an image that is read of its discs before the image is whole: to read more would put off the whole
// image for longer than that is worth. Retrievals that want little of it come first.
const mostEarly = 4

const (
	setBlock = 32   // sectors that share a checksum in a set
	readOn   = 1024 // sectors between two runs that a drive reads on over rather than seek: 2 MiB
)

// beginEarly has images that are being healed give what retrievals wait for which meet a condition, and that nothing else gives, before they are
// whole: the rows in which it lies are read, instead of whole discs. It returns the images for which that begins. Those whose heals
// have just begun are copied when it is over.
func beginEarly(ctx context.Context, tx pgx.Tx, healing []string, which string, args ...any) (begun []string, err error) {
	// There are few of them, and mostly none. What lacks a few rows only is whole in no time.
	rows, err := tx.Query(ctx, `
select distinct i.id::text, s.id::text, s.data, i.data_sectors
  from heal h join disc d on d.id = h.disc_id join image i on i.id = d.image_id join library l on l.id = i.library_id
  join disc_set s on s.id = i.set_id and s.state = 'sealed' and i.set_index < s.data
 where h.finished is null and not i.at_hand and not l.silent
   and not exists (select from early e where e.image_id = i.id and e.over is null)
   and not exists (select from torn n where n.image_id = i.id)
   and not exists (select from task t where t.image_id = i.id and t.kind = 'rebuild' and t.state in ('queued', 'leased'))
   and not exists (select from disc n where n.image_id = i.id and n.state in ('burning', 'verifying'))`)
	if err != nil {
		return nil, err
	}
	type candidate struct {
		earlyPass
		sectors int64
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c candidate, err error) {
		err = row.Scan(&c.image, &c.set, &c.data, &c.sectors)
		return c, err
	})
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		wanted, err := wantedEarly(ctx, tx, c.image, c.sectors/mostEarly, which, args...)
		if err != nil {
			return nil, err
		}
		if len(wanted.contents) == 0 {
			continue
		}
		c.pass, err = wanted.begin(ctx, tx, c.image, c.sectors, slices.Contains(healing, c.image))
		if errors.Is(err, pgx.ErrNoRows) {
			continue // somebody else has just begun one
		}
		if err == nil {
			err = c.tend(ctx, tx)
		}
		if err != nil {
			return nil, fmt.Errorf("compute what is wanted of image %s: %w", c.image, err)
		}
		begun = append(begun, c.image)
	}
	return begun, nil
}

// earlyWanted is what is wanted of an image, and where it lies.
type earlyWanted struct {
	contents []int64
	runs     []Run
}

// wantedEarly returns what running retrievals that meet a condition wait for of an image, and that nothing gives: whole contents only, whose hashes prove
// them, of at most so many sectors, and whole retrievals as far as that goes.
func wantedEarly(ctx context.Context, tx pgx.Tx, image string, most int64, which string, args ...any) (w earlyWanted, err error) {
	n := len(args)
	rows, err := tx.Query(ctx, fmt.Sprintf(`
with waits as (
  select rc.retrieval_id, c.id as content, x.sector, (x.length + 2047) / 2048 as sectors
    from extent x
    join content c on c.id = x.content_id and not c.staged and (c.cached_until is null or c.cached_until < now()) and c.size = x.length
    join retrieval_content rc on rc.content_id = c.id join job j on j.id = rc.retrieval_id and j.state = 'running'
   where x.image_id = $%d::uuid and `+which+`
     and not exists (select from image_failure w where w.image_id = x.image_id and w.content_id = c.id)
     and not exists ( -- others try the same rows again, but not for the same heal
       select from early e where e.image_id = x.image_id and c.id = any (e.failed)
          and e.since >= (select max(h.asked) from heal h join disc o on o.id = h.disc_id where o.image_id = x.image_id))
     and not exists (
       select from extent y join disc o on o.image_id = y.image_id and o.state in ('good', 'suspect')
        where y.content_id = c.id and not exists (select from read_failure f where f.disc_id = o.id and f.content_id = c.id))),
asks as (select retrieval_id, sum(sectors) as n from waits group by retrieval_id),
one as (select distinct on (content) content, sector, sectors, a.n, retrieval_id from waits join asks a using (retrieval_id) order by content, a.n, retrieval_id)
select content, sector, sectors from (select *, sum(sectors) over (order by n, retrieval_id) as upto from one) q where upto <= $%d order by sector limit $%d`,
		n+1, n+2, n+3), append(slices.Clone(args), image, most, MaxExtents)...)
	if err != nil {
		return w, err
	}
	var content int64
	var run Run
	_, err = pgx.ForEachRow(rows, []any{&content, &run.First, &run.Count}, func() error {
		w.contents = append(w.contents, content)
		w.runs = append(w.runs, run)
		return nil
	})
	return w, err
}

// begin begins an early pass for an image of which a set protects so many sectors, unless there is one.
func (w earlyWanted) begin(ctx context.Context, tx pgx.Tx, image string, protected int64, copyAfter bool) (pass int64, err error) {
	runs := inBlocks(w.runs, protected)
	if err := tx.QueryRow(ctx, `
insert into early (image_id, contents, firsts, counts, copy_after) values ($1, $2, $3, $4, $5)
on conflict (image_id) do update set pass = excluded.pass, since = now(), contents = excluded.contents, firsts = excluded.firsts, counts = excluded.counts,
   needed_firsts = null, needed_counts = null, doubted = false, copy_after = excluded.copy_after, over = null,
   failed = case when early.since >= (select max(h.asked) from heal h join disc o on o.id = h.disc_id where o.image_id = early.image_id) then early.failed else '{}' end
 where early.over is not null returning pass`,
		image, w.contents, firstsOf(runs), countsOf(runs), copyAfter).Scan(&pass); err != nil {
		return 0, err
	}
	return pass, stepOf(ctx, tx, image, "set", nil, fmt.Sprintf(
		"retrievals wait for %d contents that no disc gives: the %d sectors in which they lie come first, before the whole image", len(w.contents), sectorsOf(runs)))
}

// inBlocks rounds runs in ascending order out to whole blocks of a set, and joins those that lie close together.
func inBlocks(runs []Run, protected int64) (all []Run) {
	for _, r := range runs {
		if r.Count == 0 {
			continue
		}
		first := r.First / setBlock * setBlock
		end := min((r.First+r.Count+setBlock-1)/setBlock*setBlock, protected)
		if n := len(all); n > 0 && first-all[n-1].First-all[n-1].Count <= readOn {
			all[n-1].Count = max(all[n-1].Count, end-all[n-1].First)
		} else if first < end {
			all = append(all, Run{first, end - first})
		}
	}
	return all
}

func firstsOf(runs []Run) []int64 {
	return column(runs, func(r Run) int64 { return r.First })
}

func countsOf(runs []Run) []int64 {
	return column(runs, func(r Run) int64 { return r.Count })
}

func sectorsOf(runs []Run) (n int64) {
	for _, r := range runs {
		n += r.Count
	}
	return n
}

// stepOf tells the records of the discs that an image is to replace.
func stepOf(ctx context.Context, tx pgx.Tx, image, step string, task *int64, detail string) error {
	_, err := tx.Exec(ctx, `
insert into disc_step (disc_id, step, task_id, detail)
select d.id, $2, $3, $4 from disc d join heal h on h.disc_id = d.id and h.finished is null where d.image_id = $1`, image, step, task, detail)
	return err
}
