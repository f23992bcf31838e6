package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library/health"
)

// Checkpoint is how far a verify is, at the end of a region.
type Checkpoint struct {
	Sector     int64  // the first that was not read
	HashState  []byte // SHA-256 in the middle, as its agent marshals it
	Unreadable int64  // sectors before that could not be read
}

func (c *Checkpoint) bytes() int64 {
	if c == nil {
		return 0
	}
	return c.Sector * 2048
}

// Region is what reading an equal part of a disc told.
type Region struct {
	Number                                                      int
	First, Sectors                                              int64
	Seconds                                                     float64
	Retries, Recovered, Unreadable, Disagreed, Repaired, Errors int64
	Sense                                                       string
}

// staleReading is how long a reading that was broken off can be gone on with: what it read first is to say something of the
// disc as it is when the rest has been read.
const staleReading = 30 * 24 * time.Hour

// keepReading takes what a running verify has read into its disc's open reading, as far as that is new and ref is the present lease.
func keepReading(ctx context.Context, tx pgx.Tx, lib string, ref Ref, c *Checkpoint, regions []Region) error {
	if c == nil {
		return nil
	}
	var disc, before int64
	var drive int
	err := tx.QueryRow(ctx, `
select t.disc_id, t.drive, coalesce(r.done, 0) from task t left join reading r on r.disc_id = t.disc_id and r.finished is null
 where t.id = $1 and t.epoch = $2 and t.library_id = $3 and t.kind = 'verify' and t.state = 'leased'`, ref.ID, ref.Epoch, lib).Scan(&disc, &drive, &before)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil || c.Sector <= before {
		return err
	}
	return advance(ctx, tx, lib, disc, drive, c, regions)
}

// advance brings a disc's open reading, made when there is none, to a checkpoint. One that is behind it already, and one beyond the
// image, change nothing.
func advance(ctx context.Context, tx pgx.Tx, lib string, disc int64, drive int, c *Checkpoint, regions []Region) error {
	var id, before int64
	err := tx.QueryRow(ctx, `
insert into reading (disc_id, library_id, drive, kind, sectors)
select d.id, $2, $3, 'scrub', i.sectors from disc d join image i on i.id = d.image_id where d.id = $1 and $4 between 1 and i.sectors
on conflict (disc_id) where finished is null do update set drive = excluded.drive where reading.done < $4
returning id, done`, disc, lib, drive, c.Sector).Scan(&id, &before)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	} else if err != nil {
		return err
	}
	if err := putRegions(ctx, tx, id, drive, before, regions); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `update reading set done = $2, hash_state = $3, unreadable = $4 where id = $1`, id, c.Sector, c.HashState, c.Unreadable)
	return err
}

// putRegions writes the regions of a reading that end behind a sector.
func putRegions(ctx context.Context, tx pgx.Tx, reading int64, drive int, behind int64, regions []Region) error {
	batch := &pgx.Batch{}
	queueRegions(batch, reading, drive, behind, regions)
	return tx.SendBatch(ctx, batch).Close()
}

func queueRegions(batch *pgx.Batch, reading int64, drive int, behind int64, regions []Region) {
	for _, r := range regions {
		if r.First+r.Sectors <= behind && r.Errors == 0 && r.Repaired == 0 || r.Sectors <= 0 || r.First < 0 || r.Number < 0 {
			continue
		}
		batch.Queue(`
insert into reading_region (reading_id, number, first, sectors, drive, seconds, retries, recovered, unreadable, disagreed, errors, sense, repaired)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
on conflict (reading_id, number) do update set errors = excluded.errors, repaired = excluded.repaired`,
			reading, r.Number, r.First, r.Sectors, drive, max(r.Seconds, 0), r.Retries, r.Recovered, r.Unreadable, r.Disagreed, r.Errors, r.Sense, r.Repaired)
	}
}

// closeReadings ends the open readings of the discs that results are of; why is empty when the discs came out as they were burned. One
// that was read in one go and never told how far it was is made now.
func closeReadings(ctx context.Context, tx pgx.Tx, lines []line, why string) error {
	rows, err := tx.Query(ctx, `
insert into reading (disc_id, library_id, drive, kind, sectors)
select d.id, u.lib, u.drive, 'scrub', i.sectors
  from unnest($1::uuid[], $2::bigint[], $3::int[]) u(lib, disc, drive) join disc d on d.id = u.disc join image i on i.id = d.image_id
on conflict (disc_id) where finished is null do update set drive = excluded.drive
returning disc_id, id, done`, column(lines, func(x line) string { return x.lib }), column(lines, func(x line) int64 { return *x.Disc }),
		column(lines, func(x line) int { return *x.Drive }))
	if err != nil {
		return err
	}
	type reading struct{ id, done int64 }
	open := make(map[int64]reading, len(lines))
	var disc int64
	var r reading
	if _, err := pgx.ForEachRow(rows, []any{&disc, &r.id, &r.done}, func() error {
		open[disc] = r
		return nil
	}); err != nil {
		return err
	}
	batch := &pgx.Batch{}
	var told []int64 // readings of whose regions something is known
	for _, x := range lines {
		r := open[*x.Disc]
		queueRegions(batch, r.id, *x.Drive, r.done, x.r.Regions)
		if r.done > 0 || len(x.r.Regions) > 0 {
			told = append(told, r.id)
		}
	}
	if batch.Len() > 0 {
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return err
		}
	}
	slow, err := slownesses(ctx, tx, told)
	if err != nil {
		return err
	}
	id := func(x line) int64 { return open[*x.Disc].id }
	_, err = tx.Exec(ctx, `
update reading x set finished = now(), good = $1 = '', error = $1, hash_state = null,
       done = case when $1 = '' then x.sectors else least(x.sectors, greatest(x.done, u.done)) end,
       seconds = coalesce(nullif(s.seconds, 0), u.seconds), retries = s.retries, recovered = s.recovered, unreadable = greatest(s.unreadable, u.unreadable), disagreed = s.disagreed,
       repaired = u.repaired, wrong = u.wrong, worst_row = u.worst, roots = u.roots,
       slowest = u.slowest, slow = u.slow, metric = u.metric, measured = case when u.metric <> '' then u.measured end
  from unnest($2::bigint[], $3::bigint[], $4::float8[], $5::bigint[], $6::bigint[], $7::bigint[], $8::int[], $9::int[], $10::float8[], $11::int[], $12::text[], $13::float8[])
         u(id, done, seconds, unreadable, repaired, wrong, worst, roots, slowest, slow, metric, measured)
 cross join lateral (
   select coalesce(sum(seconds), 0) as seconds, coalesce(sum(retries), 0)::bigint as retries, coalesce(sum(recovered), 0)::bigint as recovered,
          coalesce(sum(unreadable), 0)::bigint as unreadable, coalesce(sum(disagreed), 0)::bigint as disagreed
     from reading_region where reading_id = u.id) s
 where x.id = u.id`, why, column(lines, id),
		column(lines, func(x line) int64 { return x.r.Checkpoint.bytes() / 2048 }), column(lines, func(x line) float64 { return x.r.Seconds }),
		column(lines, func(x line) int64 { return max(x.r.Damaged, 0) }), column(lines, func(x line) int64 { return max(x.r.Repaired, 0) }),
		column(lines, func(x line) int64 { return max(x.r.Wrong, 0) }), column(lines, func(x line) int { return max(x.r.WorstRow, 0) }),
		column(lines, func(x line) int { return max(x.r.Roots, 0) }), column(lines, func(x line) float64 { return slow[id(x)].slowest }),
		column(lines, func(x line) int { return slow[id(x)].places }), column(lines, func(x line) string { return x.r.Metric }),
		column(lines, func(x line) float64 { return x.r.Measured }))
	return err
}

// slowness is how a reading compares with what its places explain: the slowest one, and how many are slow.
type slowness struct {
	slowest float64
	places  int
}

// slownesses returns the slowness of readings.
func slownesses(ctx context.Context, tx pgx.Tx, readings []int64) (map[int64]slowness, error) {
	if len(readings) == 0 {
		return nil, nil
	}
	rows, err := tx.Query(ctx, `
select g.reading_id, d.capacity, g.first, g.sectors, g.seconds, g.drive
  from reading_region g join reading r on r.id = g.reading_id join disc d on d.id = r.disc_id where g.reading_id = any ($1) order by g.reading_id, g.number`, readings)
	if err != nil {
		return nil, err
	}
	paces, capacities := map[int64][]health.Pace{}, map[int64]int64{}
	var id, capacity int64
	var p health.Pace
	if _, err := pgx.ForEachRow(rows, []any{&id, &capacity, &p.First, &p.Sectors, &p.Seconds, &p.Drive}, func() error {
		paces[id], capacities[id] = append(paces[id], p), capacity
		return nil
	}); err != nil {
		return nil, err
	}
	all := make(map[int64]slowness, len(paces))
	for id, regions := range paces {
		var s slowness
		for _, x := range health.Slowness(regions, capacities[id]) {
			s.slowest = max(s.slowest, x)
			if x >= health.SlowPlace {
				s.places++
			}
		}
		all[id] = s
	}
	return all, nil
}

// ReadRegion is a region with the drive that read it.
type ReadRegion struct {
	Region
	Drive    int
	Slowness float64 // how many times as long it took as its place explains; 0 when nothing can be said
}

func readRegions(ctx context.Context, tx pgx.Tx, reading int64) ([]ReadRegion, error) {
	rows, err := tx.Query(ctx, `
select number, first, sectors, drive, seconds, retries, recovered, unreadable, disagreed, errors, sense, repaired
  from reading_region where reading_id = $1 order by number`, reading)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (r ReadRegion, err error) {
		err = row.Scan(&r.Number, &r.First, &r.Sectors, &r.Drive, &r.Seconds, &r.Retries, &r.Recovered, &r.Unreadable, &r.Disagreed, &r.Errors, &r.Sense, &r.Repaired)
		return r, err
	})
}

func pacesOf(regions []ReadRegion) []health.Pace {
	paces := make([]health.Pace, len(regions))
	for i, r := range regions {
		paces[i] = health.Pace{First: r.First, Sectors: r.Sectors, Seconds: r.Seconds, Drive: r.Drive}
	}
	return paces
}

// keptReadings is how many of a disc's readings keep their regions; the sums are kept for ever.
const keptReadings = 8

// badReading notes that a drive could not read a disc at all, not even what it is.
func (rec *recorder) badReading(why string) error {
	return rec.exec(`
insert into reading (disc_id, library_id, drive, kind, finished, good, error) values ($1, $2, $3, 'scrub', now(), false, $4)`, *rec.t.Disc, rec.lib, *rec.t.Drive, why)
}

// noteRead notes what a restore or a copy saw of a disc, when that was anything.
func (rec *recorder) noteRead() error {
	t, r := rec.t, rec.r
	lost := len(r.Lost) > 0 ||
		t.Image != nil && r.Failure == DiscFailure && (r.Damaged > 0 || r.Identity.State == Ours && r.Identity.ImageID == *t.Image)
	if t.Disc == nil || t.Drive == nil || r.Repaired == 0 && r.Damaged == 0 && r.Retries == 0 && r.Wrong == 0 && !lost {
		return nil
	}
	why := ""
	if lost {
		why = r.Error
	}
	if err := rec.exec(`
insert into reading (disc_id, library_id, drive, kind, finished, good, error, sectors, done, seconds, retries, unreadable, repaired, wrong, worst_row, roots)
values ($1, $2, $3, 'read', now(), $4 = '', $4, $11, $11, $5, $6, $7, $8, $12, $9, $10)`,
		*t.Disc, rec.lib, *t.Drive, why, max(r.Seconds, 0), r.Retries, r.Damaged, r.Repaired, r.WorstRow, r.Roots, max(r.Bytes/2048, 1), max(r.Wrong, 0)); err != nil {
		return err
	}
	if r.Wrong > 0 {
		if err := rec.step("silent", fmt.Sprintf("%d sectors read without an error, and as something else than was burned: their checksums tell", r.Wrong)); err != nil {
			return err
		}
	}
	if r.Repaired > 0 {
		if err := rec.step("repair", fmt.Sprintf("%d sectors, %d in the worst row", r.Repaired, r.WorstRow)); err != nil {
			return err
		}
	}
	if r.Retries > 0 {
		if err := rec.step("retry", fmt.Sprintf("%d sectors had to be read again", r.Retries)); err != nil {
			return err
		}
	}
	if err := rec.noteSpeed(); err != nil {
		return err
	}
	v, err := rec.grade()
	if err != nil || lost {
		return err // who lost contents has it read as a whole anyway
	}
	return rec.secondOpinion(v)
}

// noteSpeed notes that the drive was made to read slowly, when that helped.
func (rec *recorder) noteSpeed() error {
	if rec.r.Slowly <= 0 {
		return nil
	}
	return rec.step("slower", fmt.Sprintf("the drive was made to read slowly for %d sectors, which came then", rec.r.Slowly))
}
