package postgres

import (
	"context"

	"github.com/odarchive/odarchive/library"
)

// measure takes how long a task took into what is known of its drive and medium: the mean of the first ten, then one that forgets.
// What was too short to say anything about a rate is left out.
func (rec *recorder) measure() error {
	if m, ok := rec.measurement(); ok {
		return rec.exec(addTimings, timingArgs([]measurement{m})...)
	}
	return nil
}

// addTimings takes at most one measurement of each drive for each of what it does.
const addTimings = `
insert into timing (library_id, what, drive, medium, measured, seconds, rate)
select u.lib, u.what, u.drive, coalesce(d.medium, ''), 1, u.seconds, u.rate
  from unnest($1::uuid[], $2::text[], $3::int[], $4::bigint[], $5::float8[], $6::float8[]) u(lib, what, drive, disc, seconds, rate) left join disc d on d.id = u.disc
on conflict (library_id, what, drive, medium) do update set measured = timing.measured + 1,
  seconds = timing.seconds + (excluded.seconds - timing.seconds) * greatest(0.1, 1 / (timing.measured + 1.0)),
  rate = timing.rate + (excluded.rate - timing.rate) * greatest(0.1, 1 / (timing.measured + 1.0))`

// measurement is how long a drive took for something.
type measurement struct {
	lib, what     string
	drive         int
	disc          *int64
	seconds, rate float64
}

func timingArgs(all []measurement) []any {
	return []any{
		column(all, func(m measurement) string { return m.lib }), column(all, func(m measurement) string { return m.what }),
		column(all, func(m measurement) int { return m.drive }), column(all, func(m measurement) *int64 { return m.disc }),
		column(all, func(m measurement) float64 { return m.seconds }), column(all, func(m measurement) float64 { return m.rate }),
	}
}

// measurement returns what the result says about times, if anything.
func (rec *recorder) measurement() (m measurement, ok bool) {
	t, r := rec.t, rec.r
	if r.Error != "" || t.Drive == nil || r.Seconds <= 0 {
		return m, false
	}
	what := string(t.Kind)
	rate := 0.
	switch t.Kind {
	case library.MoveTask:
		if r.Outcome != Moved {
			return m, false
		}
		what = "unload"
		if t.To.Kind == DriveBay {
			what = "load"
		}
	case library.BurnTask, library.VerifyTask, library.ReadTask:
		if r.Bytes < 1<<20 {
			return m, false
		}
		rate = float64(r.Bytes) / r.Seconds
	default:
		return m, false
	}
	return measurement{rec.lib, what, *t.Drive, t.Disc, r.Seconds, rate}, true
}

// Timing is how long a library's machines take, the mean over its drives; zero for what was never measured.
type Timing struct {
	Load, Unload                   float64 // seconds
	ReadRate, VerifyRate, BurnRate float64 // bytes a second
	// Reads is how many reads an hour there were in the last day, and ReadBytes how much one brought back in the mean.
	Reads, ReadBytes float64
}

// Timing returns what has been measured in a library.
func (s *Store) Timing(ctx context.Context, lib string) (t Timing, err error) {
	err = s.pool.QueryRow(ctx, `
select coalesce(avg(seconds) filter (where what = 'load'), 0), coalesce(avg(seconds) filter (where what = 'unload'), 0),
       coalesce(avg(rate) filter (where what = 'read'), 0), coalesce(avg(rate) filter (where what = 'verify'), 0),
       coalesce(avg(rate) filter (where what = 'burn'), 0)
  from timing where library_id = $1`, lib).Scan(&t.Load, &t.Unload, &t.ReadRate, &t.VerifyRate, &t.BurnRate)
	if err != nil {
		return t, err
	}
	err = s.pool.QueryRow(ctx, `
select count(*) / 24.0::float8, coalesce(avg(bytes_done), 0)::float8 from task
 where library_id = $1 and kind = 'read' and state = 'done' and finished > now() - interval '1 day'`, lib).Scan(&t.Reads, &t.ReadBytes)
	return t, err
}
