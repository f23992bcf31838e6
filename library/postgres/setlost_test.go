package postgres

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/odarchive/odarchive/library"
)

// inSet makes the first discs of a bench a sealed set of so many data images and one parity image.
func (b *bench) inSet(data int) (set string) {
	b.Helper()
	set = uuid.NewString()
	b.exec(`
insert into disc_set (id, vault_id, library_id, medium, capacity, data, parity, state, closed, parity_ids, parity_numbers, description, released)
select $1, v.id, $2, 'BD-R', 1000, $3, 1, 'sealed', now(), array[i.id], array[i.number], '{}', true
  from vault v, disc d join image i on i.id = d.image_id where v.name = 'v' and d.label = 'lib-' || ($3::int + 1)`, set, b.lib, data)
	for n := range data + 1 {
		b.exec(`update image set set_id = $1, set_index = $2, data_sectors = 900, gathered = now() where id = (select image_id from disc where label = 'lib-' || ($2::int + 1))`, set, n)
	}
	return set
}

// wanted is a retrieval of a content that lies on a disc.
func (b *bench) wanted(label string) (job string) {
	b.Helper()
	id, job := uuid.NewString(), uuid.NewString()
	b.exec(`insert into archive (id, vault_id, name, root_hash, manifest_size, entries, bytes, planned, safe) select $1, id, 'a', $2, 1, 1, 2048, true, now() from vault where name = 'v'`, id, imageHash)
	b.exec(`insert into job (id, kind, archive_id, state, finished) values (gen_random_uuid(), 'archive', $1, 'succeeded', now())`, id)
	b.exec(`insert into placement (archive_id, image_id, bytes) select $1, image_id, 2048 from disc where label = $2`, id, label)
	b.exec(`
with c as (
  insert into content (vault_id, hash, size, sealed, planned, staged) select id, $1, 2048, true, true, false from vault where name = 'v' returning id),
x as (insert into extent (image_id, content_id, content_offset, length, sector) select d.image_id, c.id, 0, 2048, 10 from disc d, c where d.label = $2)
insert into entry (archive_id, path, kind, mode, uid, gid, mtime_seconds, mtime_nanoseconds, content_id) select $3, 'reel one', 'f', 420, 0, 0, 0, 0, c.id from c`, imageHash, label, id)
	if _, err := b.s.StartRetrieval(b.Context(), job, id, nil, library.Standard); err != nil {
		b.Fatal(err)
	}
	return job
}

// absent is a read or copy of a disc that gives nothing any more.
func absent(t Task) Result {
	r := dead(t)
	for _, x := range t.Extents {
		r.Lost = append(r.Lost, x.Hash)
	}
	return r
}

// A set that has lost more than its parity bears: the retrieval that wanted something of it ends, and says of which set and which discs nothing
// comes any more; so does the alert. Nothing goes on for ever. When one of them can be read after all, everything comes back.
func TestSetLostTooMany(t *testing.T) {
	b := newBench(t, 4, 4) // 3 + 1
	set := b.inSet(3)
	b.blanks(5, 3)
	lost := map[int64]bool{}
	for _, label := range []string{"lib-1", "lib-2"} {
		lost[int64(b.count(`select id from disc where label = $1`, label))] = true
	}
	b.verify = func(task Task) Result {
		if lost[task.DiscID] {
			return dead(task)
		}
		return well(task)
	}
	b.copy, b.read = b.verify, func(task Task) Result {
		if lost[task.DiscID] {
			return absent(task)
		}
		return well(task)
	}
	job := b.wanted("lib-1")
	b.settle()
	j, err := b.s.Job(t.Context(), job)
	if err != nil || j.State != library.Failed {
		t.Fatalf("the retrieval is %s: %v", j.State, err)
	}
	for _, want := range []string{"reel one", set, "lib-1, suspect", "needs 3 of its other images to make it anew: 1 are lacking", "disc lib-2, "} {
		if !strings.Contains(j.Error, want) {
			t.Errorf("%q doesn't say %q", j.Error, want)
		}
	}
	if n := b.count(`select count(*) from task where state in ('queued', 'leased')`) + b.count(`select count(*) from heal where finished is null`); n != 0 {
		t.Errorf("%d tasks and heals go on", n)
	}
	alerts, err := b.s.Alerts(t.Context())
	if all := fmt.Sprint(alerts); err != nil || !strings.Contains(all, "disc lib-1 is to be migrated now") || !strings.Contains(all, "given up: no disc gives the image any more, and set "+set) {
		t.Errorf("%s %v", all, err)
	}

	// Somebody has cleaned lib-2.
	clear(lost)
	lost[int64(b.count(`select id from disc where label = 'lib-1'`))] = true
	b.exec(`update task set finished = finished - interval '2 hours' where state = 'failed'`)
	if err := b.s.HealDisc(t.Context(), "lib-1"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := b.s.Tend(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.settle()
	}
	if h := b.record("lib-1"); h.Disc.State != library.Retired || !strings.Contains(strings.Join(steps(h), " "), "set") {
		t.Errorf("%+v %v", h.Disc, h.Steps)
	}
}

// A heal that is given up ends the retrievals that waited for it, and a disc without a set says no word of one.
func TestGivenUpHealEndsRetrievals(t *testing.T) {
	b := newBench(t, 2, 2)
	b.verify, b.copy, b.read = dead, dead, absent
	b.blanks(3, 1)
	if err := b.s.HealDisc(t.Context(), "lib-1"); err != nil {
		t.Fatal(err)
	}
	b.exec(`insert into content (vault_id, hash, size, sealed, planned, staged) select id, $1, 1, true, true, false from vault where name = 'v'`, make([]byte, 32))
	job := b.wanted("lib-1")
	b.exec(`insert into read_failure (disc_id, content_id) select d.id, x.content_id from disc d join extent x on x.image_id = d.image_id on conflict do nothing`)
	b.settle()
	j, err := b.s.Job(t.Context(), job)
	if err != nil || j.State != library.Failed || !strings.Contains(j.Error, "no disc that is in a library gives the whole image any more") || strings.Contains(j.Error, "set") {
		t.Errorf("%s %q %v", j.State, j.Error, err)
	}
}

// What was wrong when it was burned is wrong on every disc that is burned for it: no blanks are spent on that.
func TestHealThatDoesNotHelp(t *testing.T) {
	b := newBench(t, 4, 4)
	b.inSet(2)
	b.blanks(5, 4)
	b.verify, b.copy, b.read, b.serve = well, well, absent, absent
	job := b.wanted("lib-1")
	b.settle()
	if j, err := b.s.Job(t.Context(), job); err != nil || j.State != library.Failed {
		t.Errorf("%s %q %v", j.State, j.Error, err)
	}
	if n := b.count(`select count(*) from disc d where d.image_id = (select image_id from disc where label = 'lib-1')`); n != 2 {
		t.Errorf("the image is on %d discs now", n)
	}
}

// A disc that was healed long ago has a successor that grows old too.
func TestHealAgain(t *testing.T) {
	b := newBench(t, 2, 2)
	b.blanks(3, 3)
	fails := MaxCopyFailures - 1
	b.verify, b.copy = well, func(task Task) Result {
		if fails--; fails >= 0 {
			return dead(task)
		}
		return well(task)
	}
	labels := []string{"lib-1"}
	for range 3 {
		fails = MaxCopyFailures - 1
		b.heal(labels[len(labels)-1])
		var label string
		if err := b.s.pool.QueryRow(t.Context(), `
select n.label from heal h join disc o on o.id = h.disc_id join disc n on n.id = h.new_disc where o.label = $1 and n.state = 'good'`, labels[len(labels)-1]).Scan(&label); err != nil {
			t.Fatalf("after %v: %v", labels, err)
		}
		labels = append(labels, label)
	}
	if n := b.count(`select count(*) from disc where state = 'retired'`); n != 3 {
		t.Errorf("%d discs are retired", n)
	}
}

// Three blanks are spoiled for a parity disc: that is alerted, and 'jobs retry' of an archive in its set burns it again, though that archive is safe.
func TestRetryParity(t *testing.T) {
	b := newBench(t, 3, 4)
	set := b.inSet(2)
	b.exec(`update disc_set set released = false`)
	b.exec(`update image set safe = null, at_hand = true where set_index = 2`)
	b.exec(`update element set disc_id = null, fill = 'empty' where disc_id = (select id from disc where label = 'lib-3')`)
	b.exec(`update disc set image_id = null, state = 'retired' where label = 'lib-3'`)
	b.blanks(4, 8)
	job := b.wanted("lib-2")
	archive := b.archiveJob(job)
	b.exec(`update job set state = 'cancelled', finished = now() where id = $1`, job)
	b.exec(`delete from task where kind = 'read'`)
	b.verify, b.copy, b.read = well, well, well
	broken := true
	b.burn = func(task Task) Result {
		if broken {
			return Result{Error: "the laser is weak", Failure: DiscFailure}
		}
		return Result{}
	}
	b.exec(`insert into task (library_id, kind, image_id) select library_id, 'burn', id from image where set_index = 2`)
	settle := func() {
		t.Helper()
		for range MaxBurns {
			b.exec(`update drive set up = true`)
			b.settle()
		}
	}
	settle()
	alerts, err := b.s.Alerts(t.Context())
	if all := fmt.Sprint(alerts); err != nil || !strings.Contains(all, "of set "+set+" is not burned: 3 discs were spoiled") || !strings.Contains(all, "jobs retry "+archive[:8]) {
		t.Fatalf("%s %v", all, err)
	}
	broken = false
	b.exec(`update drive set up = true`)
	if _, err := b.s.RetryJob(t.Context(), archive); err != nil {
		t.Fatal(err)
	}
	settle()
	if n := b.count(`select count(*) from image where set_index = 2 and safe is not null`); n != 1 {
		t.Error("the parity image is not safe")
	}
	if alerts, err := b.s.Alerts(t.Context()); err != nil || len(alerts) != 0 {
		t.Errorf("%v %v", alerts, err)
	}
	if _, err := b.s.RetryJob(t.Context(), archive); library.FaultOf(err) != library.Precondition {
		t.Error(err)
	}
}

// archiveJob is the job that made the archive of a retrieval.
func (b *bench) archiveJob(retrieval string) (job string) {
	b.Helper()
	if err := b.s.pool.QueryRow(b.Context(), `
select j.id::text from job j join job r on r.archive_id = j.archive_id and r.id = $1 where j.kind = 'archive'`, retrieval).Scan(&job); err != nil {
		b.Fatal(err)
	}
	return job
}
