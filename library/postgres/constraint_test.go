package postgres

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/odarchive/odarchive/library"
)

// refusal is something that must never be: the statement that would bring it about, and what in the database refuses it.
type refusal struct {
	name       string
	given      string // what is so before
	legal      string // the same with values that may be
	illegal    string
	constraint string
}

// refuses runs each case in a transaction that is rolled back.
func refuses(t *testing.T, cases []refusal) {
	t.Helper()
	s := open(t)
	newAgent(t, s, "lib", 3)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			run := func(sql string) error {
				tx, err := s.pool.Begin(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				defer tx.Rollback(t.Context())
				if _, err := tx.Exec(t.Context(), c.given, pgx.QueryExecModeSimpleProtocol); err != nil {
					t.Fatalf("given: %v", err)
				}
				tag, err := tx.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
				if err == nil && tag.RowsAffected() == 0 {
					t.Fatalf("the statement does nothing: %s", sql)
				}
				return err
			}
			if err := run(c.legal); err != nil {
				t.Errorf("what is legal is refused: %v", err)
			}
			refused(t, run(c.illegal), c.constraint)
		})
	}
}

func refused(t *testing.T, err error, constraint string) {
	t.Helper()
	if e, ok := errors.AsType[*pgconn.PgError](err); !ok || e.ConstraintName != constraint {
		t.Errorf("want a refusal by %s, got %v", constraint, err)
	}
}

func TestElementsCantLie(t *testing.T) {
	const move = `update element set disc_id = (select id from disc where label = 'lib-1'), fill = 'full' where kind = 'drive' and number = 1`
	refuses(t, []refusal{
		{
			name:       "a disc in two elements",
			given:      `update element set disc_id = null, fill = 'empty' where kind = 'slot' and number = 2`,
			legal:      `update element set disc_id = null, fill = 'empty' where kind = 'slot' and number = 1; ` + move,
			illegal:    move,
			constraint: "element_disc_id_key",
		},
		{
			name: "two discs in an element",
			legal: `insert into element (library_id, kind, number, unit, fill, disc_id)
			  select library_id, 'slot', 4, 1, 'full', id from disc where label = 'blank'`,
			given: `insert into disc (label, library_id, medium, capacity) select 'blank', id, 'BD-R', 1000 from library`,
			illegal: `insert into element (library_id, kind, number, unit, fill, disc_id)
			  select library_id, 'slot', 3, 1, 'full', id from disc where label = 'blank'`,
			constraint: "element_pkey",
		},
		{
			name:       "an empty element with a disc",
			legal:      `update element set fill = 'unknown' where kind = 'slot' and number = 1`,
			illegal:    `update element set fill = 'empty' where kind = 'slot' and number = 1`,
			constraint: "element_check",
		},
		{
			name:       "a slot with a home",
			legal:      `update element set home = 1 where kind = 'drive' and number = 1`,
			illegal:    `update element set home = 1 where kind = 'slot' and number = 1`,
			constraint: "element_check1",
		},
		{
			name:       "a disc that does not exist",
			legal:      `update element set disc_id = null where kind = 'slot' and number = 1`,
			illegal:    `update element set disc_id = 4711 where kind = 'slot' and number = 1`,
			constraint: "element_disc_id_fkey",
		},
	})
}

// staged is a content of 4,096 bytes that an archive refers to and that is only in staging.
const staged = `
insert into segment (bytes) values (4096);
insert into content (vault_id, hash, size, sealed, planned, segment_id, segment_offset)
select v.id, decode(repeat('ab', 32), 'hex'), 4096, true, true, s.id, 0 from vault v, segment s where v.name = 'v';
`

// extent returns an insertion of an extent of the content on the image of a disc of newAgent's.
func extent(disc int, offset, length, sector int64) string {
	return fmt.Sprintf(`insert into extent (image_id, content_id, content_offset, length, sector)
	  select d.image_id, c.id, %d, %d, %d from disc d, content c where d.label = 'lib-%d';`, offset, length, sector, disc)
}

func TestExtentsFit(t *testing.T) {
	refuses(t, []refusal{
		{"beyond its image", staged, extent(1, 0, 4096, 998), extent(1, 0, 4096, 999), "extent_within_image"},
		{"a byte beyond its image", staged, extent(1, 0, 2048, 999), extent(1, 0, 2049, 999), "extent_within_image"},
		{"beyond its content", staged, extent(1, 2048, 2048, 10), extent(1, 2048, 2049, 10), "extent_within_content"},
		{
			"over the end of the one before", staged + extent(1, 0, 2049, 10),
			extent(1, 2048, 2048, 12), extent(1, 2048, 2048, 11), "extent_disjoint",
		},
		{
			"over the start of the next one", staged + extent(1, 2048, 2048, 11),
			extent(1, 0, 2048, 10), extent(1, 0, 2049, 10), "extent_disjoint",
		},
		{"two in one statement", staged, extent(1, 0, 2048, 10) + extent(1, 2048, 2048, 11), `
			insert into extent (image_id, content_id, content_offset, length, sector)
			select d.image_id, c.id, o, 2048, 10 from disc d, content c, unnest(array[0, 2048]) o where d.label = 'lib-1'`, "extent_disjoint"},
		{"the same bytes twice on an image", staged + extent(1, 0, 2048, 10), extent(2, 0, 2048, 20), extent(1, 0, 2048, 20), "extent_pkey"},
		{"from within a sector", staged, extent(1, 2048, 1, 10), extent(1, 1, 2048, 10), "extent_content_offset_check"},
		{"before the image", staged, extent(1, 0, 1, 0), extent(1, 0, 1, -1), "extent_sector_check"},
	})
}

// transitions are the steps of a disc's life, as the package comment of library draws them.
var transitions = map[library.DiscState][]library.DiscState{
	library.Blank:     {library.Burning, library.Spoiled, library.Retired},
	library.Burning:   {library.Verifying, library.Spoiled, library.Blank},
	library.Verifying: {library.Good, library.Spoiled},
	library.Good:      {library.Suspect, library.Retired},
	library.Suspect:   {library.Good, library.Retired},
	library.Spoiled:   {library.Retired},
	library.Retired:   nil,
}

// Of all 42 steps from one state to another exactly those that are drawn can be taken, whatever else is set with them.
func TestDiscTransitions(t *testing.T) {
	s := open(t)
	newAgent(t, s, "lib", 1)
	for from, legal := range transitions {
		for to := range transitions {
			if from == to {
				continue
			}
			t.Run(fmt.Sprintf("%s to %s", from, to), func(t *testing.T) {
				tx, err := s.pool.Begin(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				defer tx.Rollback(t.Context())
				if _, err := tx.Exec(t.Context(), `
insert into disc (label, library_id, medium, capacity, state, image_id, burned, verified)
select 'x', library_id, medium, capacity, $1::disc_state, case when $1 <> 'blank' then image_id end, now(), now() from disc where label = 'lib-1'`, string(from)); err != nil {
					t.Fatal(err)
				}
				_, err = tx.Exec(t.Context(), `
update disc set state = $1::disc_state, image_id = case when $1 <> 'blank' then (select id from image limit 1) end where label = 'x'`, string(to))
				for _, l := range legal {
					if l == to {
						if err != nil {
							t.Error(err)
						}
						return
					}
				}
				refused(t, err, "disc_transition")
			})
		}
	}
}

func TestDiscStates(t *testing.T) {
	disc := func(state, image, burned, verified string) string {
		return fmt.Sprintf(`insert into disc (label, library_id, medium, capacity, state, image_id, burned, verified)
		  select 'x', library_id, medium, capacity, '%s', %s, %s, %s from disc where label = 'lib-1'`, state, image, burned, verified)
	}
	burning := disc("burning", "image_id", "null", "null")
	verifying := disc("verifying", "image_id", "now()", "null")
	good := disc("good", "image_id", "now()", "now()")
	refuses(t, []refusal{
		{"more recorded than fits", "", `update disc set recorded = capacity`, `update disc set recorded = capacity + 1`, "disc_check"},
		{"blank with an image", "", disc("blank", "null", "null", "null"), disc("blank", "image_id", "null", "null"), "disc_check1"},
		{"burning nothing", "", burning, disc("burning", "null", "null", "null"), "disc_check2"},
		{"verified before it is burned", "", verifying, disc("verifying", "image_id", "null", "null"), "disc_check3"},
		{"good and never read", "", good, disc("good", "image_id", "now()", "null"), "disc_check4"},
	})
}

func TestStagingIsKept(t *testing.T) {
	const release = `update content set staged = false, segment_id = null, segment_offset = null`
	const whole = "content_release"
	both := extent(1, 0, 4096, 10)
	refuses(t, []refusal{
		{"on no disc", staged, `update content set sealed = false, planned = false; ` + release, release, whole},
		{"half of it on a disc", staged + extent(1, 0, 2048, 10), extent(2, 2048, 2048, 10) + release, release, whole},
		{"all but a byte", staged + extent(1, 0, 2048, 10), extent(2, 2048, 2048, 10) + release, extent(2, 2048, 2047, 10) + release, whole},
		{"a disc that turned out bad", staged + both, release, `update disc set state = 'suspect' where label = 'lib-1'; ` + release, whole},
		{
			"a disc that has not been read back", staged + extent(1, 0, 2048, 10) + `
			insert into image (id, vault_id, library_id, medium, sectors, created) select gen_random_uuid(), vault_id, library_id, 'BD-R', 1000, now() from image limit 1;
			insert into disc (label, library_id, medium, capacity, state, burned, image_id) select 'x', library_id, medium, 1000, 'verifying', now(), id from image where sha256 is null;
			insert into extent (image_id, content_id, content_offset, length, sector) select i.id, c.id, 2048, 2048, 10 from image i, content c where i.sha256 is null;`,
			`update disc set state = 'good', verified = now() where label = 'x'; ` + release, release, whole,
		},
		{
			"one copy of two", staged + both + `update vault set copies = 2;`,
			`insert into disc (label, library_id, medium, capacity, state, burned, verified, image_id)
			  select 'x', library_id, medium, capacity, state, burned, verified, image_id from disc where label = 'lib-1'; ` + release, release, whole,
		},
		{"sealed and deleted", staged, `update content set sealed = false, planned = false; delete from content`, `delete from content`, "content_sealed"},
		{
			"sealed, safe and deleted", staged + both, release,
			`update content set staged = false, segment_id = null, segment_offset = null; delete from extent; delete from content`, "content_sealed",
		},
		{"neither staged nor anywhere", staged + both, release, `update content set staged = false`, "content_check1"},
		{"planned but not sealed", staged, `update content set planned = false, sealed = false`, `update content set sealed = false`, "content_check2"},
	})
}

// leasedTask returns an insertion of a leased task.
func leasedTask(kind, columns, values string) string {
	return fmt.Sprintf(`insert into task (library_id, kind, state, epoch, disc_id, %s)
	  select d.library_id, '%s', 'leased', 1, d.id, %s from disc d where d.label = 'lib-1';`, columns, kind, values)
}

func move(unit, drive, slot int) string {
	return leasedTask("move", "unit, drive, from_kind, from_number, to_kind, to_number", fmt.Sprintf("%d, %d, 'slot', %d, 'drive', %d", unit, drive, slot, drive))
}

func TestLeases(t *testing.T) {
	verify := leasedTask("verify", "drive", "1")
	read := func(drive int) string { return leasedTask("read", "drive", fmt.Sprint(drive)) }
	burn := func(state string) string {
		return fmt.Sprintf(`update task set state = '%s', finished = now();`, state)
	}
	again := leasedTask("burn", "drive, image_id", "2, d.image_id")
	other := `update task set disc_id = (select id from disc where label = 'lib-2'), image_id = (select image_id from disc where label = 'lib-2');`
	queued := `insert into task (library_id, kind, disc_id) select library_id, 'verify', id from disc where label = 'lib-1';`
	grant := func(set string) string { return `update task set state = 'leased', drive = 1` + set }
	refuses(t, []refusal{
		{"two for one drive", verify, read(2), read(1), "task_one_per_drive"},
		{"a load while the drive reads", verify, move(1, 2, 1), move(1, 1, 1), "task_one_per_drive"},
		{"two moves in one unit", move(1, 1, 1), move(2, 2, 2), move(1, 2, 2), "task_one_move_per_unit"},
		{"a move while one carries", move(1, 1, 1), `update task set carried = true; ` + move(1, 2, 2), move(1, 2, 2), "task_one_move_per_unit"},
		{"a second burn while one burns", leasedTask("burn", "drive, image_id", "1, d.image_id"), other + again, again, "task_one_burn_per_disc"},
		{"a second burn of a burned disc", leasedTask("burn", "drive, image_id", "1, d.image_id") + burn("done"), other + again, again, "task_one_burn_per_disc"},
		{"a second burn after a failed one", leasedTask("burn", "drive, image_id", "1, d.image_id") + burn("failed"), other + again, again, "task_one_burn_per_disc"},
		{"a drive that does not exist", "", read(4), read(5), "task_library_id_drive_fkey"},
		{"no epoch", queued, grant(`, epoch = 1`), grant(``), "task_check1"},
		{"ended without an end", verify, burn("done"), `update task set state = 'done'`, "task_check2"},
		{"a move from nowhere", "", move(1, 1, 1), leasedTask("move", "unit, drive, to_kind, to_number", "1, 1, 'drive', 1"), "task_check3"},
		{"a read of no drive", "", read(1), leasedTask("read", "unit", "1"), "task_check6"},
		{"two verifies of one disc", queued, `update task set kind = 'read'; ` + queued, queued, "task_one_verify"},
	})
}

// A lease that has passed to another epoch is nobody's: its result changes nothing, and what it asks for is refused as stale.
func TestOldEpoch(t *testing.T) {
	s := open(t)
	a := newAgent(t, s, "lib", 1)
	var ref Ref
	if err := s.pool.QueryRow(t.Context(), `
insert into task (library_id, kind, state, epoch, image_id)
select library_id, 'build', 'leased', 7, id from image returning id, epoch`).Scan(&ref.ID, &ref.Epoch); err != nil {
		t.Fatal(err)
	}
	state := func() (now string) {
		t.Helper()
		if err := s.pool.QueryRow(t.Context(), `select state from task where id = $1`, ref.ID).Scan(&now); err != nil {
			t.Fatal(err)
		}
		return now
	}
	for _, epoch := range []int64{ref.Epoch - 1, 0, ref.Epoch + 1} {
		old := Ref{ID: ref.ID, Epoch: epoch}
		if _, err := s.CheckLease(t.Context(), old); library.FaultOf(err) != library.Stale {
			t.Errorf("epoch %d asks for its image: want it stale, got %v", epoch, err)
		}
		if _, err := s.Called(t.Context(), Call{Agent: a.name, Instance: "1", Library: a.name, Results: []Result{{Ref: old, SHA256: imageHash}}}); err != nil {
			t.Fatal(err)
		}
		if now := state(); now != "leased" {
			t.Errorf("a result of epoch %d made the task %s", epoch, now)
		}
	}
	if _, err := s.CheckLease(t.Context(), ref); err != nil {
		t.Errorf("the lease that stands is refused: %v", err)
	}
	if _, err := s.Called(t.Context(), Call{Agent: a.name, Instance: "1", Library: a.name, Results: []Result{{Ref: ref, SHA256: imageHash}}}); err != nil {
		t.Fatal(err)
	}
	if now := state(); now != "done" {
		t.Errorf("the result of the lease that stands left the task %s", now)
	}
}
