package postgres

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/library"
)

// BenchmarkGrowth is what a task costs in the live path of one library with 100 drives in 25 units and 10,000 discs while so many contents are
// waited for by retrievals, ten by each. Reads bring back all that is wanted of their discs, so that there are never more than 10,000
// of them; what they bring goes into the cache before they are reported. ODARCHIVE_GROWTH is the last point; 100,000 without it.
func BenchmarkGrowth(b *testing.B) {
	last := 100_000
	if v := os.Getenv("ODARCHIVE_GROWTH"); v != "" {
		var err error
		if last, err = strconv.Atoi(v); err != nil {
			b.Fatal(err)
		}
	}
	for n := 10_000; n <= last; n *= 10 {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchmarkGrowth(b, n) })
	}
}

func benchmarkGrowth(b *testing.B, wanted int) {
	const units, drives, discs = 25, 100, 10_000
	s := open(b)
	ctx := context.Background()
	a := newAgent(b, s, "lib", 1)
	r := &Report{Model: "test", SensesSlots: true}
	for n := 1; n <= drives; n++ {
		r.Elements = append(r.Elements, ReportedElement{Place: Place{DriveBay, n}, Unit: n%units + 1, Fill: Empty})
		r.Drives = append(r.Drives, ReportedDrive{Number: n})
	}
	if _, err := s.Called(ctx, Call{Agent: a.name, Instance: "1", Library: a.name, Report: r}); err != nil {
		b.Fatal(err)
	}
	exec := func(sql string, args ...any) {
		b.Helper()
		if _, err := s.pool.Exec(ctx, sql, args...); err != nil {
			b.Fatalf("%s: %v", sql, err)
		}
	}
	exec(`update element set fill = 'empty', disc_id = null`)
	exec(`
insert into image (id, vault_id, library_id, medium, sectors, created, sha256, safe)
select gen_random_uuid(), v.id, l.id, 'BD-R', 10000000, now(), $1, now() from vault v, library l, generate_series(1, $2)`, imageHash, discs)
	exec(`
insert into disc (label, library_id, medium, capacity, state, image_id, recorded, burned, verified)
select 'd' || number, library_id, 'BD-R', 10000000, 'good', id, 10000000, now(), now() from image order by number offset 1`)
	exec(`
insert into element (library_id, kind, number, unit, fill, disc_id)
select library_id, 'slot', n + 1, n % $1 + 1, 'full', id from (select *, row_number() over (order by id) as n from disc where label like 'd%') d`, units)
	exec(`
insert into archive (id, name, vault_id, root_hash, manifest_size, entries, bytes, planned) select gen_random_uuid(), 'a', id, $1, 1, 1, 1, true from vault`, imageHash)
	exec(`
insert into content (vault_id, hash, size, staged, sealed, planned) select id, sha256(n::text::bytea), 2048, false, true, true from vault, generate_series(1, $1) n`, wanted)
	exec(`
insert into extent (image_id, content_id, content_offset, length, sector)
select d.image_id, c.id, 0, 2048, c.n / $1 from (select id, row_number() over (order by id) - 1 as n from content) c
  join (select image_id, row_number() over (order by id) - 1 as n from disc where label like 'd%') d on d.n = c.n % $1`, discs)
	exec(`
with made as (insert into job (id, kind, archive_id) select gen_random_uuid(), 'retrieval', a.id from archive a, generate_series(1, $1 / 10) returning id, archive_id)
insert into retrieval (id, archive_id, tier) select id, archive_id, 2 from made`, wanted)
	exec(`
insert into retrieval_content (retrieval_id, content_id)
select r.id, c.id from (select id, row_number() over (order by id) - 1 as n from content) c
  join (select id, row_number() over (order by id) - 1 as n from retrieval) r on r.n = c.n / 10`)
	exec(`insert into task (library_id, kind, disc_id, bytes) select library_id, 'verify', id, recorded * 2048 from disc where label like 'd%'`)
	var segment int64
	if err := s.pool.QueryRow(ctx, `insert into segment default values returning id`).Scan(&segment); err != nil {
		b.Fatal(err)
	}
	exec(`vacuum analyze`)
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	if err := queueReads(ctx, tx); err != nil {
		b.Fatal(err)
	}
	if err := tx.Commit(ctx); err != nil {
		b.Fatal(err)
	}
	b.Logf("all reads were queued in %v", time.Since(began).Round(time.Millisecond))
	if tx, err = s.pool.Begin(ctx); err != nil {
		b.Fatal(err)
	}
	began = time.Now()
	if _, err := tx.Exec(ctx, generic); err != nil {
		b.Fatal(err)
	}
	if err := queueReadsOf(ctx, tx, 1); err != nil {
		b.Fatal(err)
	}
	if err := tx.Commit(ctx); err != nil {
		b.Fatal(err)
	}
	b.Logf("those of one disc in %v", time.Since(began).Round(time.Millisecond))
	rows, err := s.pool.Query(ctx, `select d.id, d.image_id::text from disc d`)
	if err != nil {
		b.Fatal(err)
	}
	for rows.Next() {
		var disc int64
		var image string
		if err := rows.Scan(&disc, &image); err != nil {
			b.Fatal(err)
		}
		a.images[disc] = image
	}
	brought := 0
	a.refuse = func(t Task) bool {
		if t.Kind != library.ReadTask || len(t.Extents) == 0 {
			return false
		}
		var all []Staged
		for _, x := range t.Extents {
			all = append(all, Staged{Content: archive.Content{Hash: archive.Hash(x.Hash), Size: x.Size}, Segment: segment, Offset: int64(brought) * 2048})
			brought++
		}
		if err := s.Cached(ctx, t.Ref, all); err != nil {
			b.Error(err)
		}
		return false
	}
	if _, err := a.turn(ctx); err != nil { // reads everything once
		b.Fatal(err)
	}
	brought = 0
	a.done.Store(0)
	before := processorTime(b, s)
	for tasks := int64(1); b.Loop(); tasks++ {
		for a.done.Load() < tasks {
			if n, err := a.turn(ctx); err != nil || n == 0 {
				b.Fatal(n, err)
			}
		}
	}
	b.ReportMetric(float64(processorTime(b, s)-before)/float64(a.done.Load())/float64(time.Millisecond), "cpu-ms/task")
	b.ReportMetric(float64(brought)/float64(a.done.Load()), "contents/task")
}
