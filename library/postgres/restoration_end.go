package postgres

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/odarchive/odarchive/archive/survey"
)

// What follows from all discs together, after the sets: each step can be repeated.
var restoreRest = []string{
	`insert into image_archive (image_id, archive_id, directory)
	 select c.image_id, c.archive_id, c.directory from rebuild_claim c join archive a on a.id = c.archive_id and a.root_hash = c.root_hash on conflict do nothing`,
	`insert into placement (archive_id, image_id, bytes)
	 select archive_id, image_id, sum(bytes) from (
	   select n.archive_id, x.image_id, x.length as bytes
	     from (select distinct archive_id, content_id from entry where content_id is not null and archive_id in (select archive_id from rebuild_claim)) n
	     join extent x on x.content_id = n.content_id
	   union all select archive_id, image_id, 0 from image_archive where image_id in (select image_id from rebuild_image)) p
	  group by archive_id, image_id
	 on conflict (archive_id, image_id) do update set bytes = excluded.bytes where placement.bytes <> excluded.bytes`,
	// An archive of which bytes are nowhere is not safe, and its job says why.
	`update archive a set safe = a.sealed where a.safe is null and a.planned and a.id in (select archive_id from rebuild_claim)
	   and not exists (select from entry e join absent l on l.content_id = e.content_id and not isempty(l.gone) where e.archive_id = a.id)`,
	`update job j set state = case when a.safe is null then 'failed'::job_state else 'succeeded' end,
	        error = case when a.safe is null then 'bytes of it are on none of the discs that the catalogue was rebuilt from' else '' end
	   from archive a where a.id = j.archive_id and j.kind = 'archive' and j.finished is not null and a.id in (select archive_id from rebuild_claim)
	    and (j.state = 'succeeded') <> (a.safe is not null)`,
	`update library set inventory = now(), want_report = true where id in (select library_id from image where id in (select image_id from rebuild_image))`,
	`update rebuild set finished = now()`,
}

// makeAbsent makes a temporary table of the contents of which bytes are on no disc: gaps are those bytes, gone those of them that no set
// gives back either. Most contents are on a disc whole, in one run.
const makeAbsent = `
create temp table absent on commit drop as
with carried as (
  select x.content_id, x.content_offset, x.length, exists (select from disc d where d.image_id = x.image_id and d.state in ('good', 'suspect'))
           and not exists (select from rebuild_image r where r.image_id = x.image_id and r.lost) as here
    from extent x),
doubtful as (
  select c.id, c.size from content c where c.sealed and not c.staged and c.size > 0
     and not exists (select from carried x where x.content_id = c.id and x.here and x.content_offset = 0 and x.length = c.size)),
runs as (
  select d.id, d.size, coalesce(range_agg(int8range(x.content_offset, x.content_offset + x.length)) filter (where x.here), '{}') as here,
         coalesce(range_agg(int8range(x.content_offset, x.content_offset + x.length)) filter (where x.length > 0), '{}') as anywhere
    from doubtful d left join carried x on x.content_id = d.id group by d.id, d.size)
select id as content_id, int8multirange(int8range(0, size)) - here as gaps, int8multirange(int8range(0, size)) - anywhere as gone
  from runs where not here @> int8range(0, size)`

// amply gives a transaction's joins of whole tables room in memory.
func amply(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `set local work_mem = '8MB'`)
	return err
}

// Finish draws the conclusions of all that has been read: sets, placements, which archives are whole. The machines are asked for their
// discs when their agents call the next time.
func (r *Restoration) Finish(ctx context.Context) error {
	err := pgx.BeginFunc(ctx, r.s.pool, func(tx pgx.Tx) error {
		if err := amply(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `analyze content, entry, extent, image, disc, archive, rebuild_image, rebuild_claim`); err != nil {
			return err
		}
		for _, step := range restoreSets {
			if _, err := tx.Exec(ctx, step); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, makeAbsent); err != nil {
			return err
		}
		for _, step := range restoreRest {
			if _, err := tx.Exec(ctx, step); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("finish the catalogue: %w", err)
	}
	return nil
}

// Report calls yield for every archive that a disc speaks of, in the order of vaults and ids, with the files of which bytes are on no
// disc in ascending order of paths, until it returns an error. The files can be gone through once, before yield returns.
func (r *Restoration) Report(ctx context.Context, yield func(v survey.Verdict, files iter.Seq2[survey.Lack, error]) error) error {
	return pgx.BeginFunc(ctx, r.s.pool, func(tx pgx.Tx) error {
		if err := amply(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, makeAbsent); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
with lost as (
  select e.archive_id, count(*) filter (where not isempty(l.gone)) as gone, count(*) filter (where not isempty(l.gaps - l.gone)) as given,
         sum((select coalesce(sum(upper(r) - lower(r)), 0) from unnest(l.gone) r))::bigint as gone_bytes,
         sum((select coalesce(sum(upper(r) - lower(r)), 0) from unnest(l.gaps - l.gone) r))::bigint as given_bytes
    from entry e join absent l on l.content_id = e.content_id group by e.archive_id)
select v.id::text, c.archive_id::text, c.name, c.description, c.root_hash, c.sealed, a.id is not null, coalesce(a.entries, 0), coalesce(a.bytes, 0),
       coalesce(a.manifest_size, 0), count(*) over (partition by c.archive_id) > 1,
       coalesce(l.gone, 0), coalesce(l.gone_bytes, 0), coalesce(l.given, 0), coalesce(l.given_bytes, 0)
  from (select distinct on (vault_id, archive_id, root_hash) * from rebuild_claim order by vault_id, archive_id, root_hash, image_id) c
  join vault v on v.id = c.vault_id left join archive a on a.id = c.archive_id and a.root_hash = c.root_hash left join lost l on l.archive_id = a.id
 order by v.id, c.archive_id, c.root_hash`)
		if err != nil {
			return err
		}
		all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (v survey.Verdict, err error) {
			var hash []byte
			err = row.Scan(&v.Vault, &v.ID, &v.Name, &v.Description, &hash, &v.Sealed, &v.Listed, &v.Entries, &v.Bytes, &v.ManifestSize, &v.Contested,
				&v.AbsentFiles, &v.AbsentBytes, &v.FromSetsFiles, &v.FromSetsBytes)
			if err == nil {
				v.RootHash, err = hashOf(hash)
			}
			return v, err
		})
		if err != nil {
			return err
		}
		for _, v := range all {
			if err := yield(v, lacking(ctx, tx, &v)); err != nil {
				return err
			}
		}
		return nil
	})
}

// lacking returns the files of an archive of which bytes are on no disc.
func lacking(ctx context.Context, tx pgx.Tx, v *survey.Verdict) iter.Seq2[survey.Lack, error] {
	return func(yield func(survey.Lack, error) bool) {
		if v.AbsentFiles == 0 && v.FromSetsFiles == 0 {
			return
		}
		rows, err := tx.Query(ctx, `
select e.path, c.hash, c.size, l.gone, l.gaps - l.gone from entry e join absent l on l.content_id = e.content_id join content c on c.id = e.content_id
 where e.archive_id = $1 order by e.path`, v.ID)
		if err != nil {
			yield(survey.Lack{}, err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			var path, hash []byte
			var x survey.Lack
			var gone, given pgtype.Multirange[pgtype.Range[int64]]
			err := rows.Scan(&path, &hash, &x.Content.Size, &gone, &given)
			if err == nil {
				x.Content.Hash, err = hashOf(hash)
			}
			x.Path, x.Absent, x.FromSets = string(path), gapsOf(gone), gapsOf(given)
			if !yield(x, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(survey.Lack{}, err)
		}
	}
}

func gapsOf(ranges pgtype.Multirange[pgtype.Range[int64]]) []survey.Gap {
	gaps := make([]survey.Gap, len(ranges))
	for i, r := range ranges {
		gaps[i] = survey.Gap{Offset: r.Lower, Length: r.Upper - r.Lower}
	}
	return gaps
}

// Fatal says whether an error is the database's, so that it makes no sense to go on with other discs: it can't be reached, or has no room.
func (r *Restoration) Fatal(ctx context.Context, err error) bool {
	if _, ok := errors.AsType[*OtherLibraryError](err); ok || ctx.Err() != nil {
		return true
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		if e.Code == "57014" { // what was being copied into it could not be read on: then the disc is at fault
			return false
		}
		switch e.Code[:2] { // PostgreSQL manual, appendix A: connection, resources, operator intervention, system, internal
		case "08", "53", "57", "58", "XX":
			return true
		}
		return false
	}
	return r.s.pool.Ping(ctx) != nil
}
