package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
	"github.com/odarchive/odarchive/library/health"
)

// verify draws the conclusions of a disc's having been read as a whole, or of its not having been.
func (rec *recorder) verify() error {
	t, r := rec.t, rec.r
	var image string
	var want []byte
	var state library.DiscState
	if err := rec.tx.QueryRow(rec.ctx, `select i.id::text, i.sha256, d.state from disc d join image i on i.id = d.image_id where d.id = $1`, *t.Disc).
		Scan(&image, &want, &state); err != nil {
		return err
	}
	if state == library.Retired { // replaced meanwhile
		return nil
	}
	switch r.Failure {
	case RetryFailure, RobotFailure, Interrupted, DriveFailure:
		if r.Checkpoint != nil { // it goes on there
			if err := advance(rec.ctx, rec.tx, rec.lib, *t.Disc, *t.Drive, r.Checkpoint, r.Regions); err != nil {
				return err
			}
		}
	}
	switch r.Failure {
	case RetryFailure, RobotFailure, Interrupted:
		return rec.retry(library.VerifyTask, t.Disc, t.Avoid)
	case DriveFailure:
		// Nothing is said of the disc.
		if err := rec.exec(`update disc set reload = true where id = $1`, *t.Disc); err != nil {
			return err
		}
		return rec.retry(library.VerifyTask, t.Disc, t.Drive)
	case InternalFailure:
		return rec.hold(image, "its disc can't be verified: "+r.Error)
	}
	why := r.Error
	if why == "" && len(want) == 0 && len(r.SHA256) > 0 {
		// A rebuilt catalogue learns it from the first disc that reads without a fault.
		if err := rec.exec(`update image set sha256 = $2 where id = $1`, image, r.SHA256); err != nil {
			return err
		}
		want = r.SHA256
	}
	if why == "" && !(r.Repairable && state != library.Verifying) && string(r.SHA256) != string(want) {
		why = fmt.Sprintf("the disc reads as %x, its image is %x", r.SHA256, want)
	}
	if err := closeReadings(rec.ctx, rec.tx, []line{{rec.lib, looked{leased: t}, r}}, why); err != nil {
		return err
	}
	if err := errors.Join(trimRegions(rec.ctx, rec.tx, []int64{*t.Disc}), rec.noteSpeed()); err != nil {
		return err
	}
	v, err := rec.grade()
	if err != nil {
		return err
	}
	if why != "" {
		if err := rec.unwell(image, state, v, why); err != nil {
			return err
		}
		return rec.healConfirmed(v)
	}
	// What an operator condemned stays suspect, however well it reads.
	if err := rec.exec(`
update disc set verified = now(), state = case when operator_grade > 'watch' then state else 'good' end, reason = case when operator_grade > 'watch' then reason else '' end
 where id = $1`, *t.Disc); err != nil {
		return err
	}
	if err := trust(rec.ctx, rec.tx, *t.Disc); err != nil {
		return err
	}
	if r.Repairable {
		if err := rec.step("repair", fmt.Sprintf("%d sectors are brought back by the error correction, the worst row needs %d of %d roots", r.Repaired, r.WorstRow, r.Roots)); err != nil {
			return err
		}
	}
	if err := rec.scrubbed(); err != nil {
		return err
	}
	if err := rec.secondOpinion(v); err != nil {
		return err
	}
	if err := settle(rec.ctx, rec.tx, image); err != nil {
		return err
	}
	if err := rec.healed(image); err != nil {
		return err
	}
	return rec.healConfirmed(v)
}

// healConfirmed begins to replace the disc at once, if that is what its vault wants, now that two drives agree.
func (rec *recorder) healConfirmed(v health.Verdict) error {
	if v.Grade <= health.Watch || !v.Confirmed {
		return nil
	}
	return beginHeals(rec.ctx, rec.tx, rec.lib)
}

// trust lets discs be asked again for what they could not give before: they have been read as a whole since, or an operator says that they are well.
func trust(ctx context.Context, tx pgx.Tx, discs ...int64) error {
	_, err := tx.Exec(ctx, `delete from read_failure where disc_id = any ($1)`, discs)
	return err
}

// secondOpinion has another drive say whether a disc is as worn as this one found it, when it was alone to find that.
func (rec *recorder) secondOpinion(v health.Verdict) error {
	t := rec.t
	if v.Grade <= health.Watch || v.Confirmed || t.Avoid != nil {
		return nil
	}
	others, err := rec.otherDrives()
	if err != nil || others == 0 {
		return err
	}
	if err := rec.step("other_drive", "a second drive shall say whether it is worn"); err != nil {
		return err
	}
	return rec.readAgain(library.PriorityBulk)
}

// readAgain queues a verify of the disc in another drive than this one.
func (rec *recorder) readAgain(priority int) error {
	return rec.exec(`
insert into task (library_id, kind, priority, disc_id, avoid_drive, bytes) select library_id, 'verify', $2, id, $3, recorded * 2048 from disc where id = $1
on conflict (disc_id) where kind = 'verify' and state in ('queued', 'leased') do update set avoid_drive = coalesce(task.avoid_drive, excluded.avoid_drive)`,
		*rec.t.Disc, priority, *rec.t.Drive)
}

// otherDrives counts the drives in service that the disc can be read in besides this one: those of its unit.
func (rec *recorder) otherDrives() (n int, err error) {
	err = rec.tx.QueryRow(rec.ctx, `
select count(*) from drive v join element e on e.library_id = v.library_id and e.kind = 'drive' and e.number = v.number
 where v.library_id = $1 and v.number <> $2 and v.up
   and e.unit = (select unit from element where library_id = $1 and kind = 'drive' and number = $2)`, rec.lib, *rec.t.Drive).Scan(&n)
	return n, err
}

// unwell: the disc did not come out as it was burned. Disc or drive? Another drive shall say; the disc leaves this one first, so that
// even where there is no other one it is at least loaded anew. Until then it is suspect. It is condemned only when two drives agree.
func (rec *recorder) unwell(image string, state library.DiscState, v health.Verdict, why string) error {
	t := rec.t
	if v.Confirmed && v.Grade == health.MigrateNow {
		if err := rec.step("condemned", "two drives agree: "+why); err != nil {
			return err
		}
		return rec.condemn(*t.Disc, state, image, why)
	}
	if v.Failures < 2 {
		if err := rec.exec(`update disc set reload = true where id = $1`, *t.Disc); err != nil {
			return err
		}
		if err := rec.suspect(why); err != nil {
			return err
		}
		if err := rec.step("other_drive", "another drive shall say whether the disc is at fault or this one"); err != nil {
			return err
		}
		return rec.retry(library.VerifyTask, t.Disc, t.Drive)
	}
	// It was loaded anew, and the same drive says the same: no other one is to be had.
	why += fmt.Sprintf("; drive %d says so twice, and no other drive can be asked", *t.Drive)
	if state == library.Verifying {
		return rec.condemn(*t.Disc, state, image, why)
	}
	if err := rec.step("reload", why); err != nil {
		return err
	}
	return rec.exec(`update disc set state = 'suspect', reason = $2 where id = $1 and state in ('good', 'suspect')`, *t.Disc, why)
}

// suspect makes a good disc suspect until another drive has been asked.
func (rec *recorder) suspect(why string) error {
	if err := rec.step("suspected", why); err != nil {
		return err
	}
	return rec.exec(`update disc set state = 'suspect', reason = $2 where id = $1 and state in ('good', 'suspect')`, *rec.t.Disc, why)
}

// condemn ends a disc that two drives agree about; one that was just burned is spoiled, and its image burned again.
func (rec *recorder) condemn(disc int64, state library.DiscState, image, why string) error {
	if state == library.Verifying {
		if err := rec.exec(`update disc set state = 'spoiled', reason = $2 where id = $1`, disc, why); err != nil {
			return err
		}
		return rec.burnAgain(image, why)
	}
	return rec.exec(`
update disc set state = 'suspect', reason = $2, failed = coalesce(failed, case when grade_confirmed then now() end) where id = $1 and state in ('good', 'suspect')`, disc, why)
}

// lostContents: a restore could not bring everything back from the disc. A whole reading in another drive shall say whether that is the
// disc's fault.
func (rec *recorder) lostContents() error {
	if err := rec.suspect(fmt.Sprintf("%d contents could not be read", len(rec.r.Lost))); err != nil {
		return err
	}
	if err := rec.exec(`
insert into disc_step (disc_id, step, drive, task_id, detail)
select d.id, 'other_copy', $2, nullif($3::bigint, 0), format('%s contents are sought on disc %s', $4::int, string_agg(c.label, ', ' order by c.label))
  from disc d join disc c on c.image_id = d.image_id and c.id <> d.id and c.state in ('good', 'suspect') where d.id = $1 group by d.id`,
		*rec.t.Disc, rec.t.Drive, rec.t.ID, len(rec.r.Lost)); err != nil {
		return err
	}
	return rec.readAgain(library.PriorityBulk)
}

// trimRegions keeps the regions of the discs' newest readings; the sums of all are kept.
func trimRegions(ctx context.Context, tx pgx.Tx, discs []int64) error {
	_, err := tx.Exec(ctx, `
delete from reading_region g using unnest($1::bigint[]) u(disc) cross join lateral (
  select id from reading where disc_id = u.disc and finished is not null order by id desc offset $2) old where g.reading_id = old.id`, discs, keptReadings)
	return err
}
