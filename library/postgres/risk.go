package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library/health"
)

// turn is a recorded disc with what its place in the calendar depends on.
type turn struct {
	disc     int64
	interval time.Duration
	verified time.Time
	due      *time.Time
	now      time.Time
	risk     health.Risk
}

// A disc's mates are those of its lot; where nobody has named the lot, those of the same library, medium and maker that were burned within 30 days
// of it. This is how many of how many went bad.
const wentBad = `(o.state in ('suspect', 'spoiled') or o.failed is not null or o.grade_confirmed and o.grade >= 'migrate_soon')`

// matesOfAll counts for all discs in one go over the sorted table. matesOfSome counts for disc d the mates that went bad, which are few and have
// an index, and only where there are such all of them: without, their number says nothing (health.Risk).
const (
	matesOfAll = `(
  select o.id, count(*) over mates - 1 as mates, count(*) filter (where ` + wentBad + `) over mates - ` + wentBad + `::int as failed
    from disc o where o.state not in ('blank', 'burning') and o.lot = '' and o.burned is not null
  window mates as (partition by o.library_id, o.medium, o.media_id order by o.burned range between '30 days' preceding and '30 days' following)
   union all
  select o.id, count(*) over lot - 1, count(*) filter (where ` + wentBad + `) over lot - ` + wentBad + `::int
    from disc o where o.state not in ('blank', 'burning') and o.lot <> '' window lot as (partition by o.lot)) m on m.id = d.id`
	matesOfSome = `lateral (
  select case when b.failed = 0 then 0 when d.lot <> '' then (select count(*) from disc o where ` + sameLot + `) else (select count(*) from disc o where ` + sameTime + `) end as mates, b.failed
    from (select count(*) as failed from disc o where ` + wentBad + ` and (` + sameLot + ` or ` + sameTime + `)) b) m on true`

	sameLot  = `d.lot <> '' and o.lot = d.lot and o.id <> d.id and o.state not in ('blank', 'burning')`
	sameTime = `d.lot = '' and o.lot = '' and o.library_id = d.library_id and o.medium = d.medium and o.media_id = d.media_id
       and o.burned between d.burned - interval '30 days' and d.burned + interval '30 days' and o.id <> d.id and o.state not in ('blank', 'burning')`
)

// turns returns recorded discs with their risks: those of the given numbers, or all when that is nil.
func turns(ctx context.Context, tx pgx.Tx, discs []int64) ([]turn, error) {
	mates, which, args := matesOfAll, ``, []any{}
	if discs != nil {
		mates, which, args = matesOfSome, ` and d.id = any ($1)`, []any{discs}
	}
	rows, err := tx.Query(ctx, `
select d.id, v.scrub_interval, d.verified, d.scrub_due, now(), coalesce(d.grade::text, ''), d.state = 'suspect', coalesce(d.burned, d.verified), d.worsens,
       coalesce(m.mates, 0), coalesce(m.failed, 0), (select count(*) from disc c where c.image_id = d.image_id and c.state = 'good' and c.id <> d.id)
         + coalesce((select greatest(count(distinct p.id) filter (where p.set_index >= s.data and c.id is not null)
                                     - count(distinct p.id) filter (where p.set_index < s.data and c.id is null), 0)
             from disc_set s join image p on p.set_id = s.id and p.id <> i.id and (p.safe is not null or p.set_index >= s.data)
             left join disc c on c.image_id = p.id and c.state = 'good' where s.id = i.set_id), 0)
  from disc d join image i on i.id = d.image_id join vault v on v.id = i.vault_id left join `+mates+`
 where d.state in ('good', 'suspect') and d.verified is not null`+which, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (t turn, err error) {
		var grade string
		var burned time.Time
		var worsens *time.Time
		if err := row.Scan(&t.disc, &t.interval, &t.verified, &t.due, &t.now, &grade, &t.risk.Suspect, &burned, &worsens,
			&t.risk.Mates, &t.risk.FailedMates, &t.risk.Spare); err != nil {
			return t, err
		}
		if t.risk.FailedMates == 0 {
			t.risk.Mates = 0 // those of some discs are not counted then
		}
		t.risk.Age = t.now.Sub(burned)
		if worsens != nil {
			t.risk.Worsens = max(worsens.Sub(t.now), time.Hour)
		}
		t.risk.Grade, err = health.ParseGrade(grade)
		return t, err
	})
}

// wanted is when the disc should be read again, by what is known of it, and spread so that discs burned together aren't due together.
func (t *turn) wanted() time.Time {
	return t.verified.Add(time.Duration(float64(t.interval) * t.risk.Share(t.interval) * health.Spread(t.disc)))
}

// after is when a good disc that has just been read should be read again, by what that has come to.
func (t turn) after(j judgement) time.Time {
	t.verified, t.risk.Grade, t.risk.Worsens = t.now, j.Grade, 0
	if j.worsens != nil {
		t.risk.Worsens = max(j.worsens.Sub(t.now), time.Hour)
	}
	return t.wanted()
}

// catchUp is over which part of its interval a vault that is behind is caught up with: all at once would keep people from their reads.
const catchUp = 0.1

// plan says when the scrubs are due of discs that were never planned, and of those that have become more urgent since.
func plan(ctx context.Context, tx pgx.Tx) error {
	all, err := turns(ctx, tx, nil)
	if err != nil {
		return err
	}
	batch := &pgx.Batch{}
	for i := range all {
		t := &all[i]
		soonest := t.now.Add(time.Duration(float64(t.interval) * catchUp * (health.Spread(t.disc) - health.LeastSpread) / (1 - health.LeastSpread)))
		due := t.wanted()
		if due.Before(soonest) {
			due = soonest
		}
		if t.due != nil && (!due.Before(t.due.Add(-time.Minute)) || t.due.Before(t.now.Add(time.Duration(float64(t.interval)*catchUp)))) {
			continue
		}
		batch.Queue(`update disc set scrub_due = $2 where id = $1`, t.disc, due)
	}
	return tx.SendBatch(ctx, batch).Close()
}

// scrubbed plans the next scrub of a disc that has just been read as a whole.
func (rec *recorder) scrubbed() error {
	all, err := turns(rec.ctx, rec.tx, []int64{*rec.t.Disc})
	if err != nil {
		return err
	}
	for i := range all {
		if err := rec.exec(`update disc set scrub_due = $2 where id = $1`, all[i].disc, all[i].wanted()); err != nil {
			return err
		}
	}
	return nil
}
