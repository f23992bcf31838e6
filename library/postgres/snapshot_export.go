package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/snapshot"
)

// changed is true of the rows of x that a transaction with the number $1 or a later one has written, where $2 is above all numbers that
// there are; with $1 null of all. A row says which transaction wrote it (xmin) by the lower 32 bits of its number. Where the upper ones are in
// doubt, because the row is four billion transactions old, it counts as changed: that costs room, and loses nothing.
const changed = ` ($1::bigint is null or x.xmin::text::bigint < 3 or (($2::bigint - x.xmin::text::bigint) & 4294967295) <= $2::bigint - $1::bigint) `

// exported is how the records of a kind are read: in an order in which what is needed most comes first.
type exported struct {
	sql  string
	scan func(pgx.CollectableRow) (snapshot.Record, error)
}

var exports = map[string]exported{
	"vault": {`
select x.id::text, x.name, x.created, x.copies, extract(epoch from x.max_wait)::bigint, x.roots, x.spare_areas, extract(epoch from x.scrub_interval)::bigint,
       x.set_data, x.set_parity, extract(epoch from x.set_wait)::bigint, coalesce(x.heal_at::text, ''), not x.apart
  from vault x where` + changed + `order by x.name`, func(row pgx.CollectableRow) (snapshot.Record, error) {
		v := &snapshot.Vault{}
		return v, row.Scan(&v.ID, &v.Name, &v.Created, &v.Copies, &v.MaxWait, &v.Roots, &v.SpareAreas, &v.Scrub, &v.SetData, &v.SetParity, &v.SetWait, &v.HealAt, &v.Together)
	}},
	"library": {
		`
select x.id::text, x.name, x.model, coalesce(extract(epoch from x.evacuation_limit)::bigint, 0) from library x where` + changed + `order by x.name`,
		func(row pgx.CollectableRow) (snapshot.Record, error) {
			l := &snapshot.Library{}
			return l, row.Scan(&l.ID, &l.Name, &l.Model, &l.EvacuationLimit)
		},
	},
	"set": {`
select x.id::text, x.vault_id::text, x.library_id::text, x.medium, x.capacity, x.data, x.parity, x.state::text, x.created, x.closed,
       coalesce(x.parity_ids::text[], '{}'), coalesce(x.parity_numbers, '{}')
  from disc_set x where` + changed + `order by x.created desc, x.id`, func(row pgx.CollectableRow) (snapshot.Record, error) {
		s := &snapshot.Set{}
		var ids []string
		var numbers []int64
		err := row.Scan(&s.ID, &s.Vault, &s.Library, &s.Medium, &s.Capacity, &s.Data, &s.Parity, &s.State, &s.Created, &s.Closed, &ids, &numbers)
		for i := range min(len(ids), len(numbers)) {
			s.Parities = append(s.Parities, snapshot.Numbered{ID: ids[i], Number: numbers[i]})
		}
		return s, err
	}},
	"image": {`
select x.id::text, x.number, x.vault_id::text, x.library_id::text, x.medium, x.sectors, x.layer_sectors, coalesce(x.data_sectors, 0), x.sha256, x.created,
       x.copies, x.safe, coalesce(x.set_id::text, ''), x.set_index
  from image x where` + changed + `order by x.number desc`, func(row pgx.CollectableRow) (snapshot.Record, error) {
		i := &snapshot.Image{}
		var sum []byte
		err := row.Scan(&i.ID, &i.Number, &i.Vault, &i.Library, &i.Medium, &i.Sectors, &i.Layer, &i.Data, &sum, &i.Created, &i.Copies, &i.Safe, &i.Set, &i.Index)
		if len(sum) == len(archive.Hash{}) {
			h := archive.Hash(sum)
			i.SHA256 = &h
		}
		return i, err
	}},
	"disc": {`
select x.label, x.library_id::text, x.medium, x.capacity, x.state::text, coalesce(x.image_id::text, ''), x.reason, x.recorded, x.burned, x.verified, x.lot, x.media_id,
       x.spare_areas, coalesce(x.grade::text, ''), x.grade_reason, x.grade_confirmed, x.graded, x.failed, x.scrub_due,
       coalesce(x.operator_grade::text, ''), x.operator_reason, x.operator_judged
  from disc x where x.state::text not in ('blank', 'unknown') and` + changed + `order by x.id desc`, func(row pgx.CollectableRow) (snapshot.Record, error) {
		d := &snapshot.Disc{}
		err := row.Scan(&d.Label, &d.Library, &d.Medium, &d.Capacity, &d.State, &d.Image, &d.Reason, &d.Recorded, &d.Burned, &d.Verified, &d.Lot, &d.MediaID,
			&d.Spare, &d.Grade, &d.Why, &d.Confirmed, &d.Graded, &d.Failed, &d.ScrubDue, &d.Word, &d.WordWhy, &d.WordTime)
		clip(&d.Reason, &d.Lot, &d.MediaID, &d.Why, &d.WordWhy)
		return d, err
	}},
	"archive": {`
select x.id::text, x.vault_id::text, x.name, x.description, x.root_hash, x.entries, x.bytes, x.sealed,
       case when x.safe is not null then 'safe' when x.planned then 'planned' else 'staged' end, x.safe
  from archive x where` + changed + `order by x.sealed desc, x.id`, func(row pgx.CollectableRow) (snapshot.Record, error) {
		a := &snapshot.Archive{}
		var root []byte
		err := row.Scan(&a.ID, &a.Vault, &a.Name, &a.Description, &root, &a.Entries, &a.Bytes, &a.Sealed, &a.State, &a.Safe)
		if err == nil {
			a.RootHash, err = hashOf(root)
		}
		return a, err
	}},
	"step": {
		`
select d.label, x.at, x.step, coalesce(x.drive, 0), x.detail from disc_step x join disc d on d.id = x.disc_id where` + changed + `order by x.id desc`,
		func(row pgx.CollectableRow) (snapshot.Record, error) {
			s := &snapshot.Step{}
			err := row.Scan(&s.Disc, &s.At, &s.Step, &s.Drive, &s.Detail)
			clip(&s.Detail)
			return s, err
		},
	},
	"reading": {`
select d.label, x.library_id::text, x.drive, x.kind, x.begun, x.finished, x.good, x.error, x.sectors, x.done, x.seconds,
       x.retries, x.recovered, x.unreadable, x.disagreed, x.repaired, x.wrong, x.worst_row, x.roots, x.slowest, x.slow, x.metric, x.measured,
       (select json_agg(json_build_object('number', g.number, 'first', g.first, 'sectors', g.sectors, 'drive', g.drive, 'seconds', g.seconds, 'retries', g.retries,
                 'recovered', g.recovered, 'unreadable', g.unreadable, 'disagreed', g.disagreed, 'repaired', g.repaired, 'errors', g.errors, 'sense', g.sense)
               order by g.number)
          from reading_region g where g.reading_id = x.id
           and (g.retries + g.recovered + g.unreadable + g.disagreed + g.repaired + g.errors > 0 or g.sense <> ''))
  from reading x join disc d on d.id = x.disc_id where x.finished is not null and` + changed + `order by x.id desc`, func(row pgx.CollectableRow) (snapshot.Record, error) {
		r := &snapshot.Reading{}
		var regions []byte
		err := row.Scan(&r.Disc, &r.Library, &r.Drive, &r.What, &r.Begun, &r.Finished, &r.Good, &r.Error, &r.Sectors, &r.Done, &r.Seconds,
			&r.Retries, &r.Recovered, &r.Unreadable, &r.Disagreed, &r.Repaired, &r.Wrong, &r.WorstRow, &r.Roots, &r.Slowest, &r.Slow, &r.Metric, &r.Measured, &regions)
		if err == nil && regions != nil {
			err = json.Unmarshal(regions, &r.Regions)
		}
		clip(&r.Error)
		return r, err
	}},
}

// clip cuts texts to what a snapshot takes: 64 KiB.
func clip(texts ...*string) {
	for _, t := range texts {
		if len(*t) > 1<<16 {
			*t = strings.ToValidUTF8((*t)[:1<<16], "")
		}
	}
}

// exportBatch is how many rows are read at a time.
const exportBatch = 500

// export writes all records that transactions from since on have changed, or all. next is above the numbers of all transactions. It returns
// snapshot.ErrFull when not all had room.
func export(ctx context.Context, tx pgx.Tx, w *snapshot.Writer, since *int64, next int64) error {
	for _, kind := range snapshot.Kinds {
		x, ok := exports[kind]
		if !ok {
			return fmt.Errorf("nothing says how to export a %s", kind)
		}
		if _, err := tx.Exec(ctx, `declare exporting_`+kind+` no scroll cursor for `+x.sql, since, next); err != nil {
			return fmt.Errorf("export each %s: %w", kind, err)
		}
		for {
			rows, err := tx.Query(ctx, fmt.Sprintf(`fetch %d from exporting_%s`, exportBatch, kind))
			if err != nil {
				return fmt.Errorf("export each %s: %w", kind, err)
			}
			records, err := pgx.CollectRows(rows, x.scan)
			if err != nil {
				return fmt.Errorf("export each %s: %w", kind, err)
			}
			for _, r := range records {
				if err := w.Write(r); err != nil {
					return err
				}
			}
			if len(records) < exportBatch {
				break
			}
		}
		if _, err := tx.Exec(ctx, `close exporting_`+kind); err != nil {
			return err
		}
	}
	return nil
}
