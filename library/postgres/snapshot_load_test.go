package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"testing"
)

// rebuilt makes a catalogue such as some of a's discs would give: their images, and the vault and the library that they name. Labels and
// histories are on no disc.
func (a *agent) rebuilt(t *testing.T, discs ...int) *Store {
	t.Helper()
	s, ctx := open(t), context.Background()
	var vault string
	if err := a.s.pool.QueryRow(ctx, `select id::text from vault where name = 'v'`).Scan(&vault); err != nil {
		t.Fatal(err)
	}
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := s.pool.Exec(ctx, sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(`insert into vault (id, name, copies) values ($1, 'v', 1)`, vault)
	exec(`insert into library (id, name) values ($1, $2)`, a.lib, a.name)
	for _, n := range discs {
		var image string
		if err := a.s.pool.QueryRow(ctx, `select image_id::text from disc where label = $1`, fmt.Sprint(a.name, "-", n)).Scan(&image); err != nil {
			t.Fatal(err)
		}
		exec(`insert into image (id, vault_id, library_id, medium, sectors, created, safe) values ($1, $2, $3, 'BD-R', 1000, '2026-01-01', '2026-01-01')`, image, vault, a.lib)
		exec(`insert into disc (label, library_id, medium, capacity, state, image_id, recorded, burned, verified) values ($1, $2, 'BD-R', 1000, 'good', $3, 1000, '2026-01-01', '2026-01-01')`,
			fmt.Sprintf("OD_%06d", n), a.lib, image)
	}
	return s
}

func snapshots(s *Store, all ...*Snapshot) (open []func() (io.ReadCloser, error)) {
	for _, x := range all {
		open = append(open, func() (io.ReadCloser, error) { return s.OpenSnapshot(context.Background(), x.ID), nil })
	}
	return open
}

// said is what a catalogue says of the discs that two catalogues share.
func said(t *testing.T, s *Store) (all []string) {
	t.Helper()
	for _, sql := range []string{
		`select (d.label, d.image_id, d.lot, d.media_id, d.burned, d.verified, d.operator_grade, d.grade, d.grade_reason)::text from disc d where state <> 'blank' and label ~ '-[1-3]$' order by label`,
		`select (d.label, r.begun, r.finished, r.kind, r.drive, r.good, r.sectors, r.retries, r.repaired, r.worst_row, r.roots, r.metric, r.measured)::text
		   from reading r join disc d on d.id = r.disc_id where label ~ '-[1-3]$' order by r.id`,
		`select (d.label, g.number, g.first, g.sectors, g.seconds, g.retries, g.sense)::text
		   from reading_region g join reading r on r.id = g.reading_id join disc d on d.id = r.disc_id where label ~ '-[1-3]$' and g.retries > 0 order by r.id, g.number`,
		`select (d.label, x.at, x.step, x.detail)::text from disc_step x join disc d on d.id = x.disc_id where label ~ '-[1-3]$' order by x.at, 1`,
		`select (id, name, scrub_interval, set_data, set_parity, set_wait, heal_at, apart)::text from vault`,
		`select (id, name, evacuation_limit)::text from library`,
	} {
		rows, err := s.pool.Query(t.Context(), sql)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Fatal(err)
			}
			all = append(all, line)
		}
		if rows.Err() != nil {
			t.Fatal(rows.Err())
		}
	}
	return all
}

// What no disc says of itself comes back with the snapshots, whichever of them are there, and however often they are loaded.
func TestSnapshotsAreLoaded(t *testing.T) {
	s := open(t)
	a := newAgent(t, s, "north", 5)
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := s.pool.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	read := func(disc int, more string) {
		t.Helper()
		exec(`insert into reading (disc_id, library_id, drive, kind, begun, finished, good, sectors, done, retries, repaired, worst_row, roots, metric, measured)
select id, library_id, 2, 'scrub', clock_timestamp(), clock_timestamp(), true, 1000, 1000, 4, 3, 7, 32, 'BER', 1e-5 from disc where label = $1`, fmt.Sprint("north-", disc))
		exec(`insert into reading_region (reading_id, number, first, sectors, drive, seconds, retries, sense) select max(id), 0, 0, 20, 2, 1.5, 4, $1 from reading`, more)
		exec(`insert into reading_region (reading_id, number, first, sectors, drive, seconds) select max(id), 1, 20, 20, 2, 1.5 from reading`)
	}
	exec(`update vault set scrub_interval = '100 days', set_data = 12, set_parity = 2, set_wait = '3 days', heal_at = 'migrate_soon', apart = false`)
	exec(`update library set evacuation_limit = '5 days'`)
	exec(`update disc set lot = '2026/7', media_id = 'VERBAT', burned = '2026-05-01', verified = '2026-05-02'`)
	for n := 1; n <= 5; n++ {
		read(n, "03/11/05")
	}
	exec(`update disc set state = 'retired', failed = now() where label = 'north-3'`)
	exec(`insert into disc_step (disc_id, step, detail) select id, 'condemned', 'by two drives' from disc where label = 'north-3'`)
	exec(`insert into archive (id, vault_id, name, root_hash, manifest_size, entries, bytes) select gen_random_uuid(), id, 'lost', $1, 1, 1, 1 from vault`, imageHash)
	first, _ := a.take(t, ample)
	read(1, "03/02/00")
	exec(`update disc set operator_grade = 'migrate_soon', operator_reason = 'I saw it', operator_judged = now() where label = 'north-2'`)
	second, _ := a.take(t, ample)
	if second.Place != 1 {
		t.Fatalf("%+v", second)
	}
	for _, label := range []string{"north-1", "north-2"} { // as the loader does
		tx, err := s.pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var id int64
		if err := tx.QueryRow(t.Context(), `select id from disc where label = $1`, label).Scan(&id); err != nil {
			t.Fatal(err)
		}
		if _, _, err := grade(t.Context(), tx, id); err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}

	// Discs 1 and 2 were read; 3 was retired; 4 and 5 are nowhere. Disc 3's image isn't there either.
	b := a.rebuilt(t, 1, 2)
	if _, err := b.pool.Exec(t.Context(), `update vault set copies = 3`); err != nil { // as discs say
		t.Fatal(err)
	}
	l, err := b.LoadSnapshots(t.Context(), snapshots(s, second, first, first))
	if err != nil {
		t.Fatal(err)
	}
	if l.Discs != 3 || l.Readings != 4 || l.Steps != 1 || len(l.Gaps) != 0 || len(l.Doubts) != 0 {
		t.Errorf("%+v", l)
	}
	if len(l.AbsentDiscs) != 2 || l.AbsentDiscs[0].Label != "north-4" || l.AbsentDiscs[1].Label != "north-5" || l.AbsentDiscs[0].Library != "north" ||
		l.AbsentDiscs[0].State != "good" || l.AbsentDiscs[0].Number == 0 {
		t.Errorf("absent are %+v", l.AbsentDiscs)
	}
	if len(l.AbsentArchives) != 1 || l.AbsentArchives[0].Name != "lost" || l.AbsentArchives[0].Vault != "v" || l.AbsentArchives[0].State != "staged" {
		t.Errorf("absent are %+v", l.AbsentArchives)
	}
	want := said(t, s)
	// Nobody had looked at disc 3's image, which no disc has.
	var image *string
	if err := b.pool.QueryRow(t.Context(), `select image_id::text from disc where label = 'north-3' and state = 'retired' and failed is not null`).Scan(&image); err != nil || image != nil {
		t.Errorf("%v %v", image, err)
	}
	got := said(t, b)
	if len(got) != len(want) {
		t.Fatalf("%d lines, want %d:\n%v\n%v", len(got), len(want), got, want)
	}
	for i := range want {
		if got[i] != want[i] && i != 2 { // disc 3, which has its image in the old one
			t.Errorf("it says\n%s, it was\n%s", got[i], want[i])
		}
	}
	var copies int
	if err := b.pool.QueryRow(t.Context(), `select copies from vault`).Scan(&copies); err != nil || copies != 3 {
		t.Errorf("what the discs say was overwritten: %d copies, %v", copies, err)
	}
	again, err := b.LoadSnapshots(t.Context(), snapshots(s, first, second))
	if err != nil {
		t.Fatal(err)
	}
	if again.Vaults+again.Libraries+again.Sets+again.Discs+again.Readings+again.Steps != 0 || !reflect.DeepEqual(said(t, b), got) ||
		!reflect.DeepEqual(again.AbsentDiscs, l.AbsentDiscs) {
		t.Errorf("loaded again, they change something: %+v", again)
	}

	// The increment alone says what it can, and what is missing.
	c := a.rebuilt(t, 1, 2)
	l, err = c.LoadSnapshots(t.Context(), snapshots(s, second))
	if err != nil || len(l.Gaps) != 1 || l.Gaps[0].Of.ID != first.ID || l.Readings != 0 {
		t.Errorf("%+v %v", l, err)
	}
	// One that is damaged is not believed; into an empty database the rest is loaded all the same.
	d := open(t)
	whole, err := io.ReadAll(s.OpenSnapshot(t.Context(), second.ID))
	if err != nil {
		t.Fatal(err)
	}
	whole[len(whole)/2] ^= 1
	files := append(snapshots(s, first), func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(whole)), nil })
	l, err = d.LoadSnapshots(t.Context(), files)
	if err != nil || len(l.Doubts) != 1 || l.Doubts[1] == nil || l.Vaults != 1 || l.Libraries != 1 || len(l.AbsentDiscs) != 4 {
		t.Errorf("%+v %v", l, err)
	}
	if _, err := d.LoadSnapshots(t.Context(), []func() (io.ReadCloser, error){func() (io.ReadCloser, error) { return nil, errors.New("no such disc") }}); err == nil {
		t.Error("what can't be opened was loaded")
	}
}
