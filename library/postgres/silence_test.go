package postgres

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/odarchive/odarchive/library"
)

// silent has the agents of libraries have said nothing for a time, as a controller sees it that has run for longer than that.
func silent(t *testing.T, s *Store, since time.Duration, names ...string) {
	t.Helper()
	s.opened = time.Now().Add(-time.Hour)
	if _, err := s.pool.Exec(t.Context(), `update library set last_seen = now() - $2::interval where name = any ($1)`, names, since); err != nil {
		t.Fatal(err)
	}
}

// want has a retrieval wait for a content that lies on the discs of the given labels.
func want(t *testing.T, s *Store, labels ...string) {
	t.Helper()
	job := uuid.NewString()
	for _, sql := range []string{
		`insert into content (vault_id, hash, size, staged, sealed, planned) select id, sha256($1::text::bytea), 2048, false, true, true from vault where $2::text[] is not null`,
		`insert into extent (image_id, content_id, content_offset, length, sector)
 select distinct d.image_id, c.id, 0, 2048, 0 from disc d, content c where d.label = any ($2) and c.hash = sha256($1::text::bytea)`,
		`insert into archive (id, name, vault_id, root_hash, manifest_size, entries, bytes, planned) select $1::uuid, 'a' || $1::text, id, sha256(''), 1, 1, 2048, true from vault where $2::text[] is not null`,
		`insert into job (id, kind, archive_id) select $1::uuid, 'retrieval', $1::uuid where $2::text[] is not null`,
		`insert into retrieval (id, archive_id, tier) select $1::uuid, $1::uuid, 2 where $2::text[] is not null`,
		`insert into retrieval_content (retrieval_id, content_id) select $1::uuid, id from content where hash = sha256($1::text::bytea) and $2::text[] is not null`,
	} {
		if _, err := s.pool.Exec(t.Context(), sql, job, labels); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	tx, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := queueReadsFor(t.Context(), tx, job); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// readsOf returns the reads of all libraries, as "library:state" in order.
func readsOf(t *testing.T, s *Store) string {
	t.Helper()
	var all string
	if err := s.pool.QueryRow(t.Context(), `
select coalesce(string_agg(l.name || ':' || t.state, ' ' order by t.id), '') from task t join library l on l.id = t.library_id where t.kind = 'read'`).Scan(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

// What a library that has fallen silent was to read for retrievals is read in another one that has it, and what it says of that afterwards is
// not believed.
func TestSilenced(t *testing.T) {
	s := open(t)
	here, there := newAgent(t, s, "here", 2), newAgent(t, s, "there", 2)
	// One disc there carries the same image as one here, another here has no copy.
	if _, err := s.pool.Exec(t.Context(), `
update disc set image_id = (select image_id from disc where label = 'here-1') where label = 'there-1'`); err != nil {
		t.Fatal(err)
	}
	for d, image := range here.images {
		if d == 1 {
			there.images[d+2] = image
		}
	}
	if _, err := s.pool.Exec(t.Context(), `update disc set verified = now() - interval '1 day' where label like 'there-%'`); err != nil {
		t.Fatal(err)
	}
	want(t, s, "here-1", "there-1")
	want(t, s, "here-2")
	if r := readsOf(t, s); r != "here:queued here:queued" {
		t.Fatalf("the reads are %q", r)
	}
	here.refuse = func(t Task) bool { return t.Kind == library.ReadTask }
	for range 6 {
		if _, err := here.turn(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	leased, err := s.Leased(t.Context(), here.lib, nil)
	if err != nil || len(leased) != 2 {
		t.Fatalf("want two reads that run, got %+v %v", leased, err)
	}
	// Nobody has been silent for long, or nobody has listened for long.
	if names, err := s.Silenced(t.Context()); err != nil || len(names) != 0 {
		t.Errorf("%v are silent: %v", names, err)
	}
	silent(t, s, Silence-time.Minute, "here")
	if names, err := s.Silenced(t.Context()); err != nil || len(names) != 0 {
		t.Errorf("%v are silent: %v", names, err)
	}
	silent(t, s, Silence+time.Minute, "here")
	s.opened = time.Now()
	if names, err := s.Silenced(t.Context()); err != nil || len(names) != 0 {
		t.Errorf("%v are silent for a controller that has just begun: %v", names, err)
	}
	silent(t, s, Silence+time.Minute, "here")
	for _, wanted := range []int{1, 0} { // it is told once
		if names, err := s.Silenced(t.Context()); err != nil || len(names) != wanted {
			t.Errorf("%v are silent, want %d: %v", names, wanted, err)
		}
	}
	if r := readsOf(t, s); r != "here:cancelled here:cancelled there:queued here:queued" && r != "here:cancelled here:cancelled here:queued there:queued" {
		t.Errorf("the reads are %q", r)
	}
	for range 6 {
		if _, err := there.turn(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	// The agent comes back, and says of what it was given that it is done: that was another lease.
	for _, l := range leased {
		here.results = append(here.results, Result{Ref: l.Ref, Seconds: 1})
	}
	if _, err := here.turn(t.Context()); err != nil {
		t.Fatal(err)
	}
	var done, silentNow int
	if err := s.pool.QueryRow(t.Context(), `
select (select count(*) from task t where t.kind = 'read' and t.state = 'done' and t.library_id = $1), (select count(*) from library where silent)`, here.lib).Scan(&done, &silentNow); err != nil {
		t.Fatal(err)
	}
	if done != 0 || silentNow != 0 {
		t.Errorf("%d reads of the silent library were believed, %d libraries are silent after it has called", done, silentNow)
	}
}

// What a library can't read, because its robot is in trouble or its drives are out of service, is read in another one that has it; what is in no other one waits.
// As long as both can, it is read where the image belongs.
func TestReadElsewhere(t *testing.T) {
	s := open(t)
	here, there := newAgent(t, s, "here", 2), newAgent(t, s, "there", 1)
	exec := func(sql string) {
		t.Helper()
		if _, err := s.pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	tend := func() {
		t.Helper()
		if err := s.Tend(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	exec(`update disc set image_id = (select image_id from disc where label = 'here-1'), verified = now() + interval '1 hour' where label = 'there-1'`)
	there.images[3] = here.images[1]
	want(t, s, "here-1", "there-1")
	want(t, s, "here-2")
	if tend(); readsOf(t, s) != "here:queued here:queued" {
		t.Fatalf("the reads are %q", readsOf(t, s))
	}
	exec(`update library set trouble = 'the picker is stuck' where name = 'here'`)
	if tend(); readsOf(t, s) != "here:cancelled here:queued there:queued" {
		t.Errorf("the reads are %q", readsOf(t, s))
	}
	exec(`update library set trouble = 'the door is open' where name = 'there'`)
	if tend(); readsOf(t, s) != "here:cancelled here:queued there:queued" {
		t.Errorf("neither can read, and the reads are %q", readsOf(t, s))
	}
	exec(`update library set trouble = ''`)
	// All drives of its unit; those of another unit don't reach the disc.
	exec(`update drive set up = number = 4 where library_id = (select id from library where name = 'there')`)
	exec(`update element set unit = 2 where kind = 'drive' and number = 4 and library_id = (select id from library where name = 'there')`)
	if tend(); readsOf(t, s) != "here:cancelled here:queued there:cancelled here:queued" {
		t.Errorf("the reads are %q", readsOf(t, s))
	}
	for range 6 {
		if _, err := here.turn(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if r := readsOf(t, s); !strings.HasPrefix(r, "here:cancelled here:done there:cancelled here:done") { // and again: what came was thrown away
		t.Errorf("the reads are %q", r)
	}
}

// The leases of an agent that has gone for good end on an operator's word: what it may have burned is never burned again, what it carried is looked for,
// and what changes nothing is done again.
func TestEndLeases(t *testing.T) {
	s := open(t)
	a := newAgent(t, s, "gone", 4)
	if _, err := s.EndLeases(t.Context(), "elsewhere"); library.FaultOf(err) != library.NotFound {
		t.Errorf("an unknown library: %v", err)
	}
	// Its drives verify, load and burn, and it builds.
	for _, sql := range []string{
		`insert into disc (label, library_id, medium, capacity, state, image_id, burn_drive)
 select 'new', library_id, medium, 1000, 'burning', image_id, 3 from disc where label = 'gone-4'`,
		`update element set disc_id = (select id from disc where label = 'new'), fill = 'full', home = 9 where kind = 'drive' and number = 3`,
		`insert into task (library_id, kind, state, epoch, disc_id, image_id, drive) select library_id, 'burn', 'leased', 1, id, image_id, 3 from disc where label = 'new'`,
		`insert into task (library_id, kind, state, epoch, disc_id, drive) select library_id, 'verify', 'leased', 1, id, 1 from disc where label = 'gone-1'`,
		`insert into task (library_id, kind, state, epoch, image_id) select library_id, 'build', 'leased', 1, image_id from disc where label = 'gone-3'`,
		`insert into task (library_id, kind, state, epoch, disc_id, drive, unit, from_kind, from_number, to_kind, to_number)
 select library_id, 'move', 'leased', 1, id, 2, 1, 'slot', 2, 'drive', 2 from disc where label = 'gone-2'`,
	} {
		if _, err := s.pool.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	if _, err := s.EndLeases(t.Context(), "gone"); library.FaultOf(err) != library.Precondition || !strings.Contains(err.Error(), "stop it") {
		t.Errorf("the leases of an agent that calls: %v", err)
	}
	leased, err := s.Leased(t.Context(), a.lib, nil)
	if err != nil || len(leased) != 4 {
		t.Fatalf("want four tasks that run, got %+v %v", leased, err)
	}
	silent(t, s, 2*Silence, "gone")
	for _, want := range []int{4, 0} {
		if n, err := s.EndLeases(t.Context(), "gone"); err != nil || n != want {
			t.Fatalf("%d leases were ended, want %d: %v", n, want, err)
		}
	}
	// It comes back, and says that all went well.
	for _, l := range leased {
		a.results = append(a.results, Result{Ref: l.Ref, Seconds: 1, Outcome: Moved, SHA256: imageHash, Identity: Identity{State: Ours, ImageID: l.ImageID}})
	}
	if _, err := a.turn(t.Context()); err != nil {
		t.Fatal(err)
	}
	var disc, tasks, places string
	if err := s.pool.QueryRow(t.Context(), `
select (select state::text from disc where label = 'new'),
       (select string_agg(kind || ':' || state, ' ' order by kind::text, state::text) from task where kind <> 'move'),
       (select string_agg(kind || number::text || ':' || fill || case when flag <> '' then ' flagged' else '' end, ', ' order by kind, number) from element where number = 2)`).
		Scan(&disc, &tasks, &places); err != nil {
		t.Fatal(err)
	}
	if disc != "spoiled" {
		t.Errorf("the disc that was being burned is %s", disc)
	}
	if want := "build:failed build:queued burn:failed burn:queued verify:failed verify:queued"; strings.ReplaceAll(tasks, "leased", "queued") != want { // some are under way again
		t.Errorf("the tasks are %s, want %s", tasks, want)
	}
	if places != "slot2:unknown flagged, drive2:unknown flagged" {
		t.Errorf("of the move's places it is said: %s", places)
	}
	// The spoiled disc is never given out for a burn again.
	if _, err := s.pool.Exec(t.Context(), `
update task set state = 'leased', epoch = epoch + 1, drive = 4, disc_id = (select id from disc where label = 'new') where kind = 'burn' and state = 'queued'`); !violates(err, "task_one_burn_per_disc") {
		t.Errorf("a second burn of the disc: %v", err)
	}
}
