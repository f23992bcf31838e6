package postgres

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/odarchive/odarchive/library"
)

// A burn that was refused has spent no disc: what it was to be recorded on is what it was, the image gets another one, and nobody is blamed.
func TestUntouched(t *testing.T) {
	for name, c := range map[string]struct {
		result   Result
		capacity int64 // that the first disc has afterwards
		says     string
		held     bool // the job, for a person
	}{
		"too small, and the drive has noticed late": {Result{Failure: DiscFailure, Identity: Identity{State: BlankDisc, Medium: "BD-R", Capacity: 900}}, 900, "it takes 900 sectors, and not 1000", false},
		"too small, whatever the drive says":        {Result{Failure: DiscFailure, Identity: Identity{State: BlankDisc, Medium: "BD-R", Capacity: 1000}}, 999, "it takes 999 sectors", false},
		"another disc":                              {Result{Failure: DiscFailure, Identity: Identity{State: Foreign, Medium: "BD-R"}}, 1000, "", false},
		"nothing to burn with":                      {Result{Failure: DriveFailure, Identity: Identity{State: BlankDisc, Medium: "BD-R", Capacity: 1000}}, 1000, "", false},
		"nothing there":                             {Result{Failure: RobotFailure, Identity: Identity{State: NoDisc}}, 1000, "", false},
		"a defect":                                  {Result{Failure: InternalFailure}, 1000, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t)
			ctx := t.Context()
			a := newAgent(t, s, "lib", 2)
			exec := func(sql string, args ...any) {
				t.Helper()
				if _, err := s.pool.Exec(ctx, sql, args...); err != nil {
					t.Fatal(err)
				}
			}
			exec(`update element set disc_id = null where disc_id is not null`)
			exec(`delete from disc`)
			exec(`insert into disc (label, library_id, medium, capacity) select 'blank-' || n, $1, 'BD-R', 1000 from generate_series(1, 2) n`, a.lib)
			exec(`update element e set disc_id = d.id from disc d where e.kind = 'slot' and d.label = 'blank-' || e.number`)
			image, archive, job := uuid.NewString(), uuid.NewString(), uuid.NewString()
			exec(`insert into image (id, vault_id, library_id, medium, sectors, created, sha256) select $1, id, $2, 'BD-R', 1000, now(), $3 from vault where name = 'v'`, image, a.lib, imageHash)
			exec(`insert into archive (id, vault_id, name, root_hash, manifest_size, entries, bytes, planned) select $1, id, 'a', $2, 1, 1, 2048, true from vault where name = 'v'`, archive, imageHash)
			exec(`insert into placement (archive_id, image_id, bytes) values ($1, $2, 2048)`, archive, image)
			exec(`insert into job (id, kind, archive_id, bytes) values ($1, 'archive', $2, 2048)`, job, archive)
			exec(`insert into task (library_id, kind, image_id) values ($1, 'burn', $2)`, a.lib, image)

			refused := false
			a.fail = func(task Task, r *Result) {
				switch {
				case task.Kind == library.BurnTask && !refused:
					ref := r.Ref
					*r = c.result
					r.Ref, r.Error, r.Untouched = ref, "it was refused", true
					refused = true
				case task.Kind == library.MoveTask:
					r.Identity.ImageID = image
					var state library.DiscState
					if err := s.pool.QueryRow(ctx, `select state from disc where id = $1`, task.DiscID).Scan(&state); err != nil {
						t.Error(err)
					} else if state == library.Blank {
						r.Identity = Identity{State: BlankDisc, Medium: "BD-R"}
					}
				}
			}
			turns := func() Job {
				t.Helper()
				for range 40 {
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
			j := turns()
			if c.result.Failure == RobotFailure {
				exec(`update library set want_report = false`) // its agent has reported: all is as it was
				j = turns()
			}
			if c.held {
				if !strings.Contains(j.WaitingFor, "it was refused") || !strings.Contains(j.WaitingFor, "jobs retry") {
					t.Errorf("the job waits for %q", j.WaitingFor)
				}
				if _, err := s.RetryJob(ctx, job); err != nil {
					t.Fatal(err)
				}
				j = turns()
			}
			if j.State != library.Succeeded {
				t.Errorf("the job is %s and waits for %q", j.State, j.WaitingFor)
			}
			var blanks, spoiled int
			if err := s.pool.QueryRow(ctx, `
select count(*) filter (where state = 'blank' and capacity = $1 and reason like $2 || '%'), count(*) filter (where state = 'spoiled') from disc`, c.capacity, c.says).Scan(&blanks, &spoiled); err != nil {
				t.Fatal(err)
			}
			if blanks != 1 || spoiled != 0 {
				t.Errorf("%d blanks as the one that was refused should be, %d spoiled discs", blanks, spoiled)
			}
			var down int
			if err := s.pool.QueryRow(ctx, `select count(*) from drive where not up`).Scan(&down); err != nil || down != 0 {
				t.Errorf("%d drives are down for it, %v", down, err)
			}
		})
	}
}
