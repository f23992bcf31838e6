package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library/health"
)

// passed records the verifies of discs that were good and have been read as they were burned, after what is queued in b already. It comes
// to what recorder.verify comes to for each of them.
func passed(ctx context.Context, tx pgx.Tx, b *pgx.Batch, lines []line) error {
	b.Queue(told, "")
	if err := tx.SendBatch(ctx, b).Close(); err != nil || len(lines) == 0 {
		return err
	}
	discs := column(lines, func(x line) int64 { return *x.Disc })
	if err := closeReadings(ctx, tx, lines, ""); err != nil {
		return err
	}
	if err := trimRegions(ctx, tx, discs); err != nil {
		return err
	}
	if err := trust(ctx, tx, discs...); err != nil {
		return err
	}
	read, err := histories(ctx, tx, discs)
	if err != nil {
		return err
	}
	next, err := turns(ctx, tx, discs)
	if err != nil {
		return err
	}
	due := make(map[int64]*time.Time, len(next))
	judged := make(map[int64]judgement, len(lines))
	for _, d := range discs {
		judged[d] = judge(read[d])
	}
	for i := range next {
		t := &next[i]
		when := t.after(judged[t.disc])
		due[t.disc] = &when
	}
	js := column(discs, func(d int64) judgement { return judged[d] })
	if _, err := tx.Exec(ctx, `
update disc d set verified = now(), reason = '', grade = nullif(u.grade, '')::disc_grade, grade_reason = u.reason, grade_confirmed = u.confirmed, graded = u.at,
       worsens = u.worsens, scrub_due = coalesce(u.due, d.scrub_due)
  from unnest($1::bigint[], $2::text[], $3::text[], $4::bool[], $5::timestamptz[], $6::timestamptz[], $7::timestamptz[]) u(id, grade, reason, confirmed, at, worsens, due)
 where d.id = u.id`, discs,
		column(js, func(j judgement) string { return j.Grade.String() }), column(js, func(j judgement) string { return j.Reason }),
		column(js, func(j judgement) bool { return j.Confirmed }), column(js, judgement.at),
		column(js, func(j judgement) *time.Time { return j.worsens }), column(discs, func(d int64) *time.Time { return due[d] })); err != nil {
		return err
	}
	for _, x := range lines {
		j := judged[*x.Disc]
		rec := recorder{ctx: ctx, tx: tx, lib: x.lib, t: x.leased, r: x.r}
		for _, drive := range health.Charged(read[*x.Disc]) {
			if err := rec.charge(drive); err != nil {
				return err
			}
		}
		if err := rec.secondOpinion(j.Verdict); err != nil {
			return err
		}
	}
	return finishScrubs(ctx, tx, column(lines, func(x line) int64 { return x.ID }))
}

// brought records that reads have brought back everything that was wanted of them, which lies in the cache by now.
func brought(ctx context.Context, tx pgx.Tx, reads []int64) error {
	// Two reads that end at once don't see what the other has just brought into the cache: whoever reports last does.
	if err := finishRetrievals(ctx, tx, servedBy, reads); err != nil {
		return err
	}
	return queueReadsAfter(ctx, tx, reads)
}

// queueTimings queues what results say of how long machines take.
func queueTimings(b *pgx.Batch, lines []line) {
	var all []measurement
	for _, x := range lines {
		rec := recorder{lib: x.lib, t: x.leased, r: x.r}
		if m, told := rec.measurement(); told {
			all = append(all, m)
		}
	}
	if len(all) > 0 {
		b.Queue(addTimings, timingArgs(all)...)
	}
}
