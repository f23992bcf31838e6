package postgres

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/odarchive/odarchive/library"
)

// TestBurnTakesAFittingBlank: a vault's burns get none of the blanks that its policy doesn't allow, and say what they wait for; once there is one
// that fits they are given that.
func TestBurnTakesAFittingBlank(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	a := newAgent(t, s, "lib", 6)
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := s.pool.Exec(ctx, sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	const plain, formatted = 12_219_392, 11_826_176
	for _, c := range []struct {
		name    string
		spare   bool
		sectors int64
		unfit   []int64 // BD-R, from slot 1 on
		fit     int64   // in slot 5
		wait    string
	}{
		{"without", false, 1000, []int64{999, formatted}, plain, "no blank disc of 1000 sectors without spare areas"},
		{"with", true, formatted, []int64{formatted - 32, formatted + 32}, plain, "no blank disc of 11826176 sectors once it has spare areas"},
		{"with-already", true, formatted, []int64{formatted - 32}, formatted, "no blank disc of 11826176 sectors once it has spare areas"},
	} {
		exec(`delete from task`)
		exec(`update element set disc_id = null, home = null, fill = case kind when 'slot' then 'full' else 'empty' end::fill`)
		exec(`delete from reading`)
		exec(`delete from disc`)
		stock := func(slot int, capacity int64) {
			t.Helper()
			exec(`insert into disc (label, library_id, medium, capacity) values ('blank-' || $1::int, $2, 'BD-R', $3)`, slot, a.lib, capacity)
			exec(`update element e set disc_id = d.id from disc d where e.kind = 'slot' and e.number = $1 and d.label = 'blank-' || e.number`, slot)
		}
		for i, capacity := range c.unfit {
			stock(i+1, capacity)
		}
		vault, image, archive, job := uuid.NewString(), uuid.NewString(), uuid.NewString(), uuid.NewString()
		exec(`insert into vault (id, name, copies, max_wait, spare_areas) select $1, $2, 1, max_wait, $3 from vault where name = 'v'`, vault, c.name, c.spare)
		exec(`insert into image (id, vault_id, library_id, medium, sectors, created, sha256) values ($1, $2, $3, 'BD-R', $4, now(), $5)`, image, vault, a.lib, c.sectors, imageHash)
		exec(`insert into archive (id, vault_id, name, root_hash, manifest_size, entries, bytes, planned) values ($1, $2, 'a', $3, 1, 1, 2048, true)`, archive, vault, imageHash)
		exec(`insert into placement (archive_id, image_id, bytes) values ($1, $2, 2048)`, archive, image)
		exec(`insert into job (id, kind, archive_id, bytes) values ($1, 'archive', $2, 2048)`, job, archive)
		exec(`insert into task (library_id, kind, image_id) values ($1, 'burn', $2)`, a.lib, image)
		a.fail = func(task Task, r *Result) {
			if task.Kind != library.MoveTask || task.To.Kind != DriveBay {
				return
			}
			var state library.DiscState
			if err := s.pool.QueryRow(ctx, `select state from disc where id = $1`, task.DiscID).Scan(&state); err != nil {
				t.Error(err)
			}
			if r.Identity = (Identity{State: Ours, ImageID: image}); state == library.Blank {
				r.Identity = Identity{State: BlankDisc, Medium: "BD-R", Capacity: c.fit}
			}
		}
		for range 5 {
			if n, err := a.turn(ctx); err != nil || n != 0 {
				t.Fatalf("%s: %d tasks without a blank that fits: %v", c.name, n, err)
			}
		}
		if j, err := s.Job(ctx, job); err != nil || !strings.Contains(j.WaitingFor, c.wait) {
			t.Errorf("%s: the job waits for %q: %v; want %q", c.name, j.WaitingFor, err, c.wait)
		}
		stock(5, c.fit)
		for range 20 {
			if _, err := a.turn(ctx); err != nil {
				t.Fatal(err)
			}
		}
		var label string
		var spare bool
		if err := s.pool.QueryRow(ctx, `select label, spare_areas from disc where image_id = $1`, image).Scan(&label, &spare); err != nil || label != "blank-5" || spare != c.spare {
			t.Errorf("%s: burned on %q, with spare areas: %v; %v", c.name, label, spare, err)
		}
	}
}
