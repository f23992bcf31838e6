package postgres

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/odarchive/odarchive/library"
)

// After so many spoiled discs nothing more is spent until an operator says so; then one more disc is, and it may end well.
func TestRetryJob(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	a := newAgent(t, s, "lib", 6)
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := s.pool.Exec(ctx, sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec(`update element set disc_id = null where disc_id is not null`)
	exec(`delete from disc`)
	exec(`insert into disc (label, library_id, medium, capacity) select 'blank-' || n, $1, 'BD-R', 1000 from generate_series(1, 6) n`, a.lib)
	exec(`update element e set disc_id = d.id from disc d where e.kind = 'slot' and d.label = 'blank-' || e.number`)
	image, archive, job := uuid.NewString(), uuid.NewString(), uuid.NewString()
	exec(`insert into image (id, vault_id, library_id, medium, sectors, created, sha256) select $1, id, $2, 'BD-R', 1000, now(), $3 from vault where name = 'v'`, image, a.lib, imageHash)
	exec(`insert into archive (id, vault_id, name, root_hash, manifest_size, entries, bytes, planned) select $1, id, 'a', $2, 1, 1, 2048, true from vault where name = 'v'`, archive, imageHash)
	exec(`insert into placement (archive_id, image_id, bytes) values ($1, $2, 2048)`, archive, image)
	exec(`insert into job (id, kind, archive_id, bytes) values ($1, 'archive', $2, 2048)`, job, archive)
	exec(`insert into task (library_id, kind, image_id) values ($1, 'burn', $2)`, a.lib, image)

	var broken bool
	a.fail = func(task Task, r *Result) {
		switch {
		case task.Kind == library.BurnTask && broken:
			r.Error, r.Failure = "the laser is weak", DiscFailure
		case task.Kind == library.MoveTask && task.To.Kind == DriveBay && broken:
			r.Identity = Identity{State: BlankDisc, Medium: "BD-R", Capacity: 1000}
		case task.Kind == library.MoveTask:
			r.Identity.ImageID = image
			var state library.DiscState
			if err := s.pool.QueryRow(ctx, `select state from disc where id = $1`, task.DiscID).Scan(&state); err != nil {
				t.Error(err)
			} else if state == library.Blank {
				r.Identity = Identity{State: BlankDisc, Medium: "BD-R", Capacity: 1000}
			}
		}
	}
	turns := func() Job {
		t.Helper()
		for range 60 {
			if _, err := a.turn(ctx); err != nil {
				t.Fatal(err)
			}
		}
		j, err := s.Job(ctx, job)
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	spoiled := func() (n int) {
		if err := s.pool.QueryRow(ctx, `select count(*) from disc where state = 'spoiled'`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}

	broken = true
	if _, err := s.RetryJob(ctx, job); library.FaultOf(err) != library.Precondition {
		t.Fatalf("a job whose burn is queued: %v", err)
	}
	j := turns()
	if n := spoiled(); n != MaxBurns {
		t.Fatalf("%d discs were spoiled, want %d; %+v", n, MaxBurns, j)
	}
	if want := "jobs retry " + job[:8]; !strings.Contains(j.WaitingFor, want) || !strings.Contains(j.WaitingFor, "the laser is weak") {
		t.Fatalf("the job waits for %q, which doesn't say why, or %q", j.WaitingFor, want)
	}
	exec(`update drive set up = true`)
	if j, err := s.RetryJob(ctx, job[:8]); err != nil || j.WaitingFor != "" {
		t.Fatalf("%q: %v", j.WaitingFor, err)
	}
	if j = turns(); spoiled() != MaxBurns+1 || !strings.Contains(j.WaitingFor, "retry") {
		t.Fatalf("%d discs are spoiled, want one more; it waits for %q", spoiled(), j.WaitingFor)
	}

	broken = false
	exec(`update drive set up = true`)
	if _, err := s.RetryJob(ctx, job); err != nil {
		t.Fatal(err)
	}
	if j = turns(); j.State != library.Succeeded || spoiled() != MaxBurns+1 {
		t.Fatalf("the job is %s and waits for %q", j.State, j.WaitingFor)
	}
	if _, err := s.RetryJob(ctx, job); library.FaultOf(err) != library.Precondition {
		t.Fatalf("a job that has succeeded: %v", err)
	}
}

// TestBurnCostsADisc: a drive whose own fault has spoiled a disc gets no second one before somebody has looked.
func TestBurnCostsADisc(t *testing.T) {
	s := open(t)
	ctx := t.Context()
	a := newAgent(t, s, "lib", 2)
	for _, sql := range []string{
		`update element set disc_id = null where disc_id is not null`, `delete from disc`,
		`insert into disc (label, library_id, medium, capacity) select 'blank-' || n, id, 'BD-R', 1000 from library, generate_series(1, 2) n`,
		`update element e set disc_id = d.id from disc d where e.kind = 'slot' and d.label = 'blank-' || e.number`,
		`update drive set up = number = 1`,
		`update image set safe = null where id = (select min(id::text)::uuid from image)`,
		`insert into task (library_id, kind, image_id) select library_id, 'burn', id from image where safe is null`,
	} {
		if _, err := s.pool.Exec(ctx, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	a.fail = func(task Task, r *Result) {
		r.Identity = Identity{State: BlankDisc, Medium: "BD-R", Capacity: 1000}
		if task.Kind == library.BurnTask {
			r.Error, r.Failure = "focus servo failure", DriveFailure
		}
	}
	for range 30 {
		if _, err := a.turn(ctx); err != nil {
			t.Fatal(err)
		}
	}
	var spoiled int
	var up bool
	var reason string
	if err := s.pool.QueryRow(ctx, `
select (select count(*) from disc where state = 'spoiled'), up, reason from drive where number = 1`).Scan(&spoiled, &up, &reason); err != nil {
		t.Fatal(err)
	}
	if spoiled != 1 || up || reason != "focus servo failure" {
		t.Errorf("%d discs are spoiled, the drive is up: %v, %q", spoiled, up, reason)
	}
}
