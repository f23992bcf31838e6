package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library/health"
)

// step adds to the health record of the result's disc what was done or concluded.
func (rec *recorder) step(step, detail string) error {
	return rec.exec(`insert into disc_step (disc_id, step, drive, task_id, detail) values ($1, $2, $3, nullif($4::bigint, 0), $5)`,
		*rec.t.Disc, step, rec.t.Drive, rec.t.ID, detail)
}

// consulted is how many of a disc's newest readings are looked at.
const consulted = 100

// histories returns discs' finished readings in ascending order of time, as far as an operator hasn't declared them void.
func histories(ctx context.Context, tx pgx.Tx, discs []int64) (map[int64][]health.Reading, error) {
	rows, err := tx.Query(ctx, `
select x.* from unnest($1::bigint[]) u(disc) cross join lateral (
  select r.disc_id, r.finished, l.name || '/' || r.drive, r.kind = 'scrub', r.good, d.medium, r.sectors, r.retries, r.recovered, r.unreadable, r.disagreed, r.repaired, r.wrong,
         r.worst_row, r.roots, r.slowest, r.slow, r.metric, coalesce(r.measured, 0),
         (select count(*) from reading_region where reading_id = r.id), r.id
    from reading r join disc d on d.id = r.disc_id join library l on l.id = r.library_id
   where r.disc_id = u.disc and r.finished is not null and (d.operator_grade is distinct from 'healthy' or r.finished > d.operator_judged)
   order by r.id desc limit $2) x order by x.disc_id, x.id`, discs, consulted)
	if err != nil {
		return nil, err
	}
	all := make(map[int64][]health.Reading, len(discs))
	var r health.Reading
	var disc, slow, regions, id int64
	_, err = pgx.ForEachRow(rows, []any{
		&disc, &r.At, &r.Drive, &r.Whole, &r.Good, &r.Medium, &r.Sectors, &r.Retries, &r.Recovered, &r.Unreadable, &r.Disagreed, &r.Repaired, &r.Wrong,
		&r.WorstRow, &r.Roots, &r.Slowest, &slow, &r.Metric, &r.Measured, &regions, &id,
	}, func() error {
		r.Slow = float64(slow) / health.Regions
		all[disc] = append(all[disc], r)
		return nil
	})
	return all, err
}

// judgement is what all that is known of a disc comes to.
type judgement struct {
	health.Verdict
	worsens *time.Time // when it will be worse at the earliest; nil when no trend can be told
}

func judge(readings []health.Reading) judgement {
	j := judgement{Verdict: health.Judge(readings)}
	if trends := health.Trends(readings); len(trends) > 0 && trends[0].Told() {
		j.worsens = &trends[0].Earliest
	}
	return j
}

// at is when the disc was judged by its readings; nil when there are none.
func (j judgement) at() *time.Time {
	if j.At.IsZero() {
		return nil
	}
	return &j.At
}

// grade judges a disc by all that is known of it.
func grade(ctx context.Context, tx pgx.Tx, disc int64) (v health.Verdict, readings []health.Reading, err error) {
	all, err := histories(ctx, tx, []int64{disc})
	if err != nil {
		return v, nil, err
	}
	readings = all[disc]
	j := judge(readings)
	v = j.Verdict
	var word *string
	if err := tx.QueryRow(ctx, `
update disc set grade = case when operator_grade > 'watch' then operator_grade else nullif($2, '')::disc_grade end,
       grade_reason = case when operator_grade > 'watch' then 'an operator says: ' || operator_reason else $3 end,
       grade_confirmed = case when operator_grade > 'watch' then true else $4 end, graded = $5, worsens = $6
 where id = $1 returning operator_grade::text`, disc, v.Grade.String(), v.Reason, v.Confirmed, j.at(), j.worsens).Scan(&word); err != nil {
		return v, nil, err
	}
	if word != nil {
		if said, err := health.ParseGrade(*word); err == nil && said > health.Watch {
			v.Grade, v.Confirmed = said, true
		}
	}
	return v, readings, nil
}

// grade judges the result's disc, and charges the drives that could not read what its drive has just read well.
func (rec *recorder) grade() (health.Verdict, error) {
	v, readings, err := grade(rec.ctx, rec.tx, *rec.t.Disc)
	if err != nil {
		return v, err
	}
	for _, name := range health.Charged(readings) {
		if err := rec.charge(name); err != nil {
			return v, err
		}
	}
	return v, nil
}

// charge puts a disc's failure on the account of the drive called name ("library/number"), and takes the drive out of service when
// it has too many. The last drive of its library stays: somebody is told.
func (rec *recorder) charge(name string) error {
	var lib string
	var drive int
	var label string
	if err := rec.tx.QueryRow(rec.ctx, `
select v.library_id::text, v.number, (select label from disc where id = $2)
  from drive v join library l on l.id = v.library_id where l.name || '/' || v.number = $1`, name, *rec.t.Disc).Scan(&lib, &drive, &label); err != nil {
		return notFound(err, "there is no drive %s", name)
	}
	if err := rec.exec(`
insert into drive_charge (library_id, drive, disc_id, by_drive, detail) values ($1, $2, $3, $4, $5)`, lib, drive, *rec.t.Disc, *rec.t.Drive,
		fmt.Sprintf("drive %d reads it", *rec.t.Drive)); err != nil {
		return err
	}
	if err := rec.step("cleared", fmt.Sprintf("drive %s could not read it, drive %d can: the drive was at fault", name, *rec.t.Drive)); err != nil {
		return err
	}
	own, others, drives, err := conduct(rec.ctx, rec.tx, lib, drive)
	if err != nil {
		return err
	}
	suspect, chance := own.Suspect(others, drives)
	if !suspect {
		return nil
	}
	return rec.exec(`
update drive d set up = o.others = 0 and up, suspect = case when o.others = 0 then $3 else '' end, reason = case when o.others = 0 then reason else $3 end
  from (select count(*) as others from drive where library_id = $1 and number <> $2 and up) o where d.library_id = $1 and d.number = $2 and d.up`, lib, drive,
		fmt.Sprintf("it failed with %d of %d discs that other drives read well (%.2g by chance): clean or replace it", own.Charges, own.Readings, chance))
}

// conduct counts a drive's readings of whole discs and those that it was charged with, since somebody put it into service, and those
// of its library's other drives.
func conduct(ctx context.Context, tx pgx.Tx, lib string, drive int) (own, others health.Conduct, drives int, err error) {
	rows, err := tx.Query(ctx, `
select v.number,
       (select count(*) from reading r where r.library_id = v.library_id and r.drive = v.number and r.kind = 'scrub' and r.finished > v.trusted),
       (select count(*) from drive_charge c where c.library_id = v.library_id and c.drive = v.number and c.at > v.trusted),
       (select count(distinct disc_id) from drive_charge c where c.library_id = v.library_id and c.drive = v.number and c.at > v.trusted)
  from drive v where v.library_id = $1`, lib)
	if err != nil {
		return own, others, 0, err
	}
	var n int
	var c health.Conduct
	_, err = pgx.ForEachRow(rows, []any{&n, &c.Readings, &c.Charges, &c.Discs}, func() error {
		if drives++; n == drive {
			own = c
		} else {
			others.Readings, others.Charges, others.Discs = others.Readings+c.Readings, others.Charges+c.Charges, others.Discs+c.Discs
		}
		return nil
	})
	return own, others, drives, err
}
