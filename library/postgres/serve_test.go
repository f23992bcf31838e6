package postgres

import (
	"crypto/sha256"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/odarchive/odarchive/library"
)

// brings is a serve that brings all that is wanted of it into the cache.
func (b *bench) brings(t Task) (r Result) {
	b.Helper()
	for _, x := range t.Extents {
		b.exec(`
with g as (insert into segment (open) values (false) returning id)
update content set segment_id = g.id, segment_offset = 0, cached_until = now() + interval '1 day' from g where hash = $1`, x.Hash)
		r.Bytes += x.Length
	}
	return r
}

// beside puts one more content onto a disc, and wants it; the disc gives as little of it as of the others.
func (b *bench) beside(label, name string, sector, size int64) (job string) {
	b.Helper()
	hash := sha256.Sum256([]byte(name))
	job = uuid.NewString()
	var archive string
	if err := b.s.pool.QueryRow(b.Context(), `
with c as (
  insert into content (vault_id, hash, size, sealed, planned, staged) select id, $1, $5, true, true, false from vault where name = 'v' returning id),
x as (insert into extent (image_id, content_id, content_offset, length, sector) select d.image_id, c.id, 0, $5, $4 from disc d, c where d.label = $2),
f as (insert into read_failure (disc_id, content_id) select d.id, c.id from disc d, c where d.label = $2)
insert into entry (archive_id, path, kind, mode, uid, gid, mtime_seconds, mtime_nanoseconds, content_id)
select a.id, $3, 'f', 420, 0, 0, 0, 0, c.id from c, archive a where a.name = 'a' returning archive_id::text`, hash[:], label, name, sector, size).Scan(&archive); err != nil {
		b.Fatal(err)
	}
	if _, err := b.s.StartRetrieval(b.Context(), job, archive, []string{name}, library.Standard); err != nil {
		b.Fatal(err)
	}
	return job
}

func (b *bench) ends(job string, state library.JobState) Job {
	b.Helper()
	j, err := b.s.Job(b.Context(), job)
	if err != nil || j.State != state {
		b.Errorf("the retrieval is %s, want %s: %s %v", j.State, state, j.Error, err)
	}
	return j
}

// withoutBlanks hides the blank discs until the function that it returns is called.
func (b *bench) withoutBlanks() (back func()) {
	b.Helper()
	b.exec(`update disc set capacity = 10 where state = 'blank'`)
	return func() { b.exec(`update disc set capacity = 1000 where state = 'blank'`) }
}

func (b *bench) told(label string) (said string) {
	b.Helper()
	for _, s := range b.record(label).Steps {
		said += s.Step + ": " + s.Detail + "\n"
	}
	return said
}

// A retrieval that waits for a disc to be healed ends when its image is whole on the scratch disk, and doesn't wait for a blank disc. So does one that is
// asked for meanwhile, without a drive. The image stays there until it has been burned and verified.
func TestServe(t *testing.T) {
	for _, how := range []string{"torn", "dead"} {
		t.Run(how, func(t *testing.T) {
			b := newTornBench(t)
			if how == "dead" {
				copied := b.copy
				b.copy = func(task Task) Result {
					r := copied(task)
					r.Torn, r.Lacking, r.LackingSectors = false, nil, 0
					return r
				}
			}
			var served [][]ReadExtent
			b.serve = func(task Task) Result {
				served = append(served, task.Extents)
				return b.brings(task)
			}
			back := b.withoutBlanks()
			job := b.wanted("lib-1")
			b.settle()
			b.ends(job, library.Succeeded)
			if len(b.mends) != 1 || b.mends[0].Torn != (how == "torn") {
				t.Errorf("%+v", b.mends)
			}
			b.exec(`update drive set up = false`)
			late := b.beside("lib-1", "reel two", 400, 2048)
			b.settle()
			b.ends(late, library.Succeeded)
			if len(served) != 2 || len(served[0]) != 1 || served[0][0].Sector != 10 || len(served[1]) != 1 || served[1][0].Sector != 400 {
				t.Errorf("served %v", served)
			}
			if n := b.count(`select count(*) from image where at_hand and id = (select image_id from disc where label = 'lib-1')`); n != 1 {
				t.Error("the image has left the scratch disk before it was burned")
			}
			if n := b.count(`select count(*) from task where kind = 'burn' and state = 'queued'`); n != 1 {
				t.Errorf("%d burns wait", n)
			}
			if said := b.told("lib-1"); !strings.Contains(said, "heal: 614400 bytes that retrievals waited for were read from its image on the scratch disk") ||
				!strings.Contains(said, "heal: 2048 bytes that retrievals waited for were read from its image on the scratch disk") {
				t.Error(said)
			}
			b.exec(`update drive set up = true`)
			back()
			b.settle()
			if h := b.record("lib-1"); h.Disc.State != library.Retired {
				t.Errorf("%+v", h.Disc)
			}
			b.nothingLeft()
			if n := b.count(`select count(*) from image where at_hand`); n != 0 {
				t.Errorf("%d images are on the scratch disk", n)
			}
		})
	}
}

// The agent is killed while it reads from the scratch disk, and then the cache is full: it is read again, at once and after a minute.
func TestServeGoesOn(t *testing.T) {
	b := newTornBench(t)
	serves := 0
	b.serve = func(task Task) Result {
		switch serves++; serves {
		case 1:
			return Result{Error: "the agent was stopped in the middle", Failure: Interrupted}
		case 2, 3, 4:
			return Result{Error: "store contents: no space", Failure: RetryFailure}
		}
		return b.brings(task)
	}
	b.withoutBlanks()
	job := b.wanted("lib-1")
	b.settle()
	b.ends(job, library.Running)
	if err := b.s.Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.settle()
	if serves != 1+mostServes {
		t.Errorf("served %d times within a minute", serves)
	}
	b.exec(`update task set finished = finished - interval '2 minutes' where kind = 'serve'`)
	if err := b.s.Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.settle()
	b.ends(job, library.Succeeded)
	if serves != 2+mostServes {
		t.Errorf("served %d times", serves)
	}
}

// The image has gone from the scratch disk: it is made whole once more, whether who reads it or who burns it finds that, and served and burned then.
func TestServeOfNothing(t *testing.T) {
	for _, who := range []library.TaskKind{library.ServeTask, library.BurnTask} {
		t.Run(string(who), func(t *testing.T) {
			b := newTornBench(t)
			gone := true
			finds := func(task Task) bool {
				found := gone && task.Kind == who
				gone = gone && !found
				return found
			}
			missing := Result{Error: "the image is not on the scratch disk", Failure: RetryFailure, Missing: true}
			b.serve = func(task Task) Result {
				if finds(task) {
					return missing
				}
				return b.brings(task)
			}
			b.burn = func(task Task) Result {
				if finds(task) {
					return missing
				}
				return Result{}
			}
			back := func() {}
			if who == library.ServeTask {
				back = b.withoutBlanks()
			}
			job := b.wanted("lib-1")
			b.settle()
			b.ends(job, library.Succeeded)
			back()
			b.settle()
			if h := b.record("lib-1"); h.Disc.State != library.Retired || len(b.mends) != 2 {
				t.Errorf("%+v, mended %d times", h.Disc, len(b.mends))
			}
			b.nothingLeft()
		})
	}
}

// A content that is wrong in an image which has its hash was wrong when it was burned: the retrieval ends with that, before anything is burned, and
// nothing is served or healed for it again. What else is wanted comes.
func TestServeOfWrongContent(t *testing.T) {
	b := newTornBench(t)
	wrong := string(imageHash)
	serves := 0
	b.serve = func(task Task) (r Result) {
		serves++
		for _, x := range task.Extents {
			if string(x.Hash) == wrong {
				r = Result{Error: "1 content has a wrong hash", Failure: DiscFailure, Lost: [][]byte{x.Hash}}
			}
		}
		r.Bytes = b.brings(Task{Extents: slices.DeleteFunc(task.Extents, func(x ReadExtent) bool { return string(x.Hash) == wrong })}).Bytes
		return r
	}
	back := b.withoutBlanks()
	job := b.wanted("lib-1")
	other := b.beside("lib-1", "reel two", 400, large)
	b.settle()
	if j := b.ends(job, library.Failed); !strings.Contains(j.Error, "reel one") || !strings.Contains(j.Error, "lib-1") {
		t.Error(j.Error)
	}
	b.ends(other, library.Succeeded)
	if said := b.told("lib-1"); !strings.Contains(said, "heal: 1 contents are wrong in its image as it was burned") || !strings.Contains(said, "614400 bytes that retrievals waited for") {
		t.Error(said)
	}
	back()
	b.settle()
	if h := b.record("lib-1"); h.Disc.State != library.Retired || serves != 1 {
		t.Errorf("%+v, served %d times", h.Disc, serves)
	}
	b.nothingLeft()
}

// A library that has fallen silent serves nothing any more; when it calls again, it does.
func TestServeOfSilentLibrary(t *testing.T) {
	b := newTornBench(t)
	b.serve = func(task Task) Result { return Result{Error: "store contents: no space", Failure: RetryFailure} }
	b.withoutBlanks()
	job := b.wanted("lib-1")
	b.settle()
	b.exec(`update task set finished = finished - interval '2 minutes' where kind = 'serve'`)
	if err := b.s.Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	open := func() int {
		return b.count(`select count(*) from task where kind = 'serve' and state in ('queued', 'leased')`)
	}
	if open() != 1 {
		t.Fatalf("%d serves wait", open())
	}
	b.exec(`update library set last_seen = now() - interval '1 hour'`)
	b.s.opened = b.s.opened.Add(-time.Hour)
	if names, err := b.s.Silenced(t.Context()); err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	if open() != 0 {
		t.Error("a silent library is to serve")
	}
	b.serve = nil
	b.settle()
	if err := b.s.Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.settle()
	b.ends(job, library.Succeeded)
}

// Every blank is spoiled, and the heal given up, before all that is wanted has been read of the image, which lies whole on the scratch disk: it is read all the same, and
// leaves it then. When it has gone from there, nothing gives it any more.
func TestServeAfterHealIsGivenUp(t *testing.T) {
	for _, ends := range []library.JobState{library.Succeeded, library.Failed} {
		t.Run(string(ends), func(t *testing.T) {
			b := newTornBench(t)
			b.blanks(20, MaxBurns+1)
			b.serve = func(task Task) Result { return Result{Error: "store contents: no space", Failure: RetryFailure} }
			b.burn = func(task Task) Result { return Result{Error: "the laser is weak", Failure: DiscFailure} }
			job := b.wanted("lib-1")
			for range MaxBurns {
				b.exec(`update drive set up = true`)
				b.settle()
			}
			if n := b.count(`select count(*) from heal where error like '3 discs were spoiled%'`); n != 1 {
				t.Fatal("the heal was not given up")
			}
			b.ends(job, library.Running)
			if n := b.count(`select count(*) from image where at_hand`) - b.count(`select count(*) from task where kind = 'release'`); n < 1 {
				t.Error("the image has left the scratch disk before it was read")
			}
			b.serve = b.brings
			if ends == library.Failed {
				b.serve = func(task Task) Result {
					return Result{Error: "the image is not on the scratch disk", Failure: RetryFailure, Missing: true}
				}
			}
			b.exec(`update task set finished = finished - interval '2 minutes' where kind = 'serve'`)
			if err := b.s.Tend(t.Context()); err != nil {
				t.Fatal(err)
			}
			b.settle()
			j := b.ends(job, ends)
			if ends == library.Failed && !strings.Contains(j.Error, "3 discs were spoiled for the image") {
				t.Error(j.Error)
			}
			if n := b.count(`select count(*) from image where at_hand and id = (select image_id from disc where label = 'lib-1')`); n != 0 {
				t.Error("the image is on the scratch disk still")
			}
			if said := b.told("lib-1"); ends == library.Succeeded && !strings.Contains(said, "heal: 614400 bytes that retrievals waited for were read from its image on the scratch disk") {
				t.Error(said)
			}
			b.nothingLeft()
		})
	}
}
