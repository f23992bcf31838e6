package postgres

import (
	"testing"
	"time"
)

// BenchmarkCalendar keeps the calendar of 10,000 discs that were burned within two months, a hundredth of which went bad.
func BenchmarkCalendar(b *testing.B) {
	s := open(b)
	newAgent(b, s, "lib", 1)
	ctx := b.Context()
	for _, sql := range []string{
		`insert into image (id, vault_id, library_id, medium, sectors, created, sha256, safe)
select gen_random_uuid(), i.vault_id, i.library_id, 'BD-R', 1000, now(), i.sha256, now() from image i, generate_series(1, 10000)`,
		`insert into disc (label, library_id, medium, capacity, state, image_id, recorded, burned, verified)
select 'd' || row_number() over (), library_id, 'BD-R', 1000, case when row_number() over () % 100 = 0 then 'suspect'::disc_state else 'good' end, id, 1000,
       now() - row_number() over () * interval '8 minutes', now() from image`,
	} {
		if _, err := s.pool.Exec(ctx, sql); err != nil {
			b.Fatal(err)
		}
	}
	var first time.Duration
	n := 0
	for b.Loop() {
		began := time.Now()
		if _, err := s.KeepCalendar(ctx); err != nil {
			b.Fatal(err)
		}
		if n++; n == 1 {
			first = time.Since(began)
		}
	}
	b.ReportMetric(float64(first.Milliseconds()), "ms-first")
}
