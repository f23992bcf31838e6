package postgres

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/odarchive/odarchive/library"
)

// pair is two libraries with blank discs, whose agents build, burn and verify images.
type pair struct {
	*testing.T
	s           *Store
	here, there *agent
	vault       Vault
	number      int
}

func newPair(t *testing.T, copies, here, there int) *pair {
	p := &pair{T: t, s: open(t)}
	p.here, p.there = newAgent(t, p.s, "here", 0), newAgent(t, p.s, "there", 0)
	p.exec(`update vault set copies = $1, heal_at = null`, copies)
	p.blanks(p.here, here)
	p.blanks(p.there, there)
	for _, a := range []*agent{p.here, p.there} {
		a.fail = p.answer
	}
	var err error
	if p.vault, err = p.s.Vault(t.Context(), "v"); err != nil {
		t.Fatal(err)
	}
	return p
}

// answer is what an agent says of a task that goes well: discs say what has been burned onto them.
func (p *pair) answer(task Task, r *Result) {
	if task.Kind != library.MoveTask {
		return
	}
	r.Identity = Identity{State: BlankDisc, Medium: "BD-R", Capacity: 1000}
	var image string
	if err := p.s.pool.QueryRow(p.Context(), `select coalesce((select image_id::text from disc where id = $1), '')`, task.DiscID).Scan(&image); err != nil {
		p.Error(err)
	}
	if image != "" {
		r.Identity = Identity{State: Ours, ImageID: image}
	}
}

func (p *pair) exec(sql string, args ...any) {
	p.Helper()
	if _, err := p.s.pool.Exec(p.Context(), sql, args...); err != nil {
		p.Fatal(err)
	}
}

func (p *pair) count(sql string, args ...any) (n int) {
	p.Helper()
	if err := p.s.pool.QueryRow(p.Context(), sql, args...).Scan(&n); err != nil {
		p.Fatal(err)
	}
	return n
}

// said returns the words that a query comes to.
func (p *pair) said(sql string, args ...any) (text string) {
	p.Helper()
	if err := p.s.pool.QueryRow(p.Context(), sql, args...).Scan(&text); err != nil {
		p.Fatal(err)
	}
	return text
}

// blanks stocks n more blank discs.
func (p *pair) blanks(a *agent, n int) {
	p.Helper()
	if n == 0 {
		return
	}
	first := p.count(`select count(*) + 1 from element where kind = 'slot' and library_id = $1`, a.lib)
	p.exec(`insert into element (library_id, kind, number, unit, fill) select $1, 'slot', g, 1, 'empty' from generate_series($2::int, $3) g`, a.lib, first, first+n-1)
	if _, err := p.s.StockBlanks(p.Context(), a.name, []SlotRange{{first, first + n - 1}}, "BD-R", 1000); err != nil {
		p.Fatal(err)
	}
}

// plan plans an image for the library here, with one content in staging and an archive that waits for it.
func (p *pair) plan() (image, job string) {
	p.Helper()
	p.number++
	image, job = uuid.NewString(), uuid.NewString()
	p.exec(`insert into segment (bytes) values (2048)`)
	p.exec(`
insert into content (vault_id, hash, size, sealed, segment_id, segment_offset) select $1, sha256($2::text::bytea), 2048, true, max(id), 0 from segment`, p.vault.ID, image)
	p.exec(`insert into archive (id, vault_id, name, root_hash, manifest_size, entries, bytes) values ($1::uuid, $2, $1::uuid::text, sha256(''), 1, 1, 2048)`, job, p.vault.ID)
	p.exec(`
insert into entry (archive_id, path, kind, mode, uid, gid, mtime_seconds, mtime_nanoseconds, content_id)
select $1, 'f', 'f', 0, 0, 0, 0, 0, id from content where hash = sha256($2::text::bytea)`, job, image)
	p.exec(`insert into job (id, kind, archive_id, bytes) values ($1::uuid, 'archive', $1::uuid, 2048)`, job)
	content := p.count(`select id from content where hash = sha256($1::text::bytea)`, image)
	if err := p.s.SavePlan(p.Context(), p.vault, Target{LibraryID: p.here.lib, Medium: "BD-R", Capacity: 1000}, []PlannedImage{{
		ID: image, Number: int64(1000 + p.number), Sectors: 1000, Data: 1000, Created: time.Now(), Capacity: 1000,
		Archives: []ImageArchive{{ArchiveID: job, Directory: "a"}},
		Extents:  []PlannedExtent{{ContentID: int64(content), Length: 2048, Sector: 100}},
	}}); err != nil {
		p.Fatal(err)
	}
	return image, job
}

// run has both agents call in turn until neither is given anything more.
func (p *pair) run(agents ...*agent) {
	p.Helper()
	if len(agents) == 0 {
		agents = []*agent{p.here, p.there}
	}
	for quiet, rounds := 0, 0; quiet < 3; rounds++ {
		if rounds > 400 {
			p.Fatal("it never comes to an end")
		}
		busy := 0
		for _, a := range agents {
			n, err := a.turn(p.Context())
			if err != nil {
				p.Fatal(err)
			}
			busy += n
		}
		if quiet++; busy > 0 {
			quiet = 0
		}
	}
}

// copies returns where an image's good discs are, as "library library".
func (p *pair) copies(image string) string {
	p.Helper()
	return p.said(`
select coalesce(string_agg(l.name, ' ' order by l.name), '') from disc d join library l on l.id = d.library_id where d.image_id = $1 and d.state = 'good'`, image)
}

// tasks tells everything that was to be done with an image.
func (p *pair) tasks(image string) string {
	return p.said(`
select coalesce(string_agg(concat_ws(' ', l.name, t.kind, t.state, t.error), '; ' order by t.id), '')
  from task t left join disc d on d.id = t.disc_id join library l on l.id = t.library_id where t.image_id = $1 or d.image_id = $1`, image)
}

// done returns the libraries in which tasks of a kind have been done, in their order.
func (p *pair) done(kind library.TaskKind, image string) string {
	p.Helper()
	return p.said(`
select coalesce(string_agg(l.name, ' ' order by t.finished, t.id), '') from task t join library l on l.id = t.library_id where t.image_id = $1 and t.kind::text = $2 and t.state = 'done'`, image, kind)
}

// Two copies are made in two libraries: the image's own builds it first, the other one when that is done; and only when both are verified
// anything leaves staging.
func TestCopiesLieApart(t *testing.T) {
	p := newPair(t, 2, 3, 3)
	image, job := p.plan()
	p.run(p.here)
	if got := p.copies(image); got != "here" {
		t.Fatalf("before the other library has called there are copies in %q", got)
	}
	if n := p.count(`select count(*) from content where staged`); n != 1 {
		t.Fatal("the content has left staging with one copy")
	}
	p.run()
	if got := p.copies(image); got != "here there" {
		t.Errorf("copies are in %q", got)
	}
	if got := p.done(library.BuildTask, image); got != "here there" {
		t.Errorf("it was built in %q", got)
	}
	if err := p.s.Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.run()
	if got := p.done(library.ReleaseTask, image); got != "here there" && got != "there here" {
		t.Errorf("it left the scratch disks of %q", got)
	}
	if n := p.count(`select count(*) from content where staged`); n != 0 {
		t.Error("the content is still staged")
	}
	if got := p.said(`select state::text from job where id = $1`, job); got != "succeeded" {
		t.Errorf("the job is %s", got)
	}
}

// Where there is no choice all copies are made at home: without blanks in the other library, when it is silent or in trouble, when no drive
// there burns the medium, and when the vault wants it so.
func TestCopiesWithoutChoice(t *testing.T) {
	p := newPair(t, 2, 30, 1)
	for _, c := range []struct{ name, before, after string }{
		{"silent", `update library set silent = true where name = 'there'`, `update library set silent = false`},
		{"in trouble", `update library set trouble = 'the door is open' where name = 'there'`, `update library set trouble = ''`},
		{"no burner", `update drive set read_only = true where library_id = (select id from library where name = 'there')`, `update drive set read_only = false`},
		{"another medium", `update drive set reads = '{DVD-R}' where library_id = (select id from library where name = 'there')`, `update drive set reads = '{}'`},
		{"another capacity", `update disc set capacity = 999 where library_id = (select id from library where name = 'there')`, `update disc set capacity = 1000 where state = 'blank'`},
		{"together", `update vault set apart = false`, `update vault set apart = true`},
	} {
		p.exec(c.before)
		var err error
		if p.vault, err = p.s.Vault(t.Context(), "v"); err != nil {
			t.Fatal(err)
		}
		image, _ := p.plan()
		if n := p.count(`select count(*) from image_away where image_id = $1`, image); n != 0 {
			t.Errorf("%s: another library is to make copies", c.name)
		}
		p.exec(c.after)
	}
	var err error
	if p.vault, err = p.s.Vault(t.Context(), "v"); err != nil {
		t.Fatal(err)
	}
	first, _ := p.plan()
	second, _ := p.plan() // the only blank is taken
	p.run()
	if a, b := p.copies(first), p.copies(second); a != "here there" || b != "here here" {
		t.Errorf("copies are in %q and %q", a, b)
	}
}

// A library that comes to other bytes makes no copy, and that is said; when it is mended and somebody has said so, it does.
func TestCopyOfOtherBytes(t *testing.T) {
	p := newPair(t, 2, 3, 3)
	p.there.fail = func(task Task, r *Result) {
		p.answer(task, r)
		if task.Kind == library.BuildTask {
			if !bytes.Equal(task.SHA256, imageHash) {
				t.Errorf("it is not told what the image must come to: %x", task.SHA256)
			}
			r.SHA256 = bytes.Repeat([]byte{8}, 32)
		}
	}
	image, job := p.plan()
	p.run()
	if got := p.copies(image); got != "here" {
		t.Errorf("copies are in %q", got)
	}
	j, err := p.s.Job(t.Context(), job)
	if err != nil || !strings.Contains(j.WaitingFor, "library there") || !strings.Contains(j.WaitingFor, "other bytes") || !strings.Contains(j.WaitingFor, "jobs retry") {
		t.Errorf("%+v %v", j, err)
	}
	p.there.fail = p.answer
	if _, err := p.s.RetryJob(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	p.run()
	if got := p.copies(image); got != "here there" {
		t.Errorf("copies are in %q", got)
	}
	if _, err := p.s.RetryJob(t.Context(), job); library.FaultOf(err) != library.Precondition {
		t.Errorf("a job that is done: %v", err)
	}
}

// A copy does not wait for ever for a library that is away: after AwayWait, and at once when the vault wants its copies together, it is made at home. What has
// begun there goes on.
func TestCopyComesHome(t *testing.T) {
	p := newPair(t, 2, 8, 3)
	tend := func() {
		t.Helper()
		if err := p.s.Tend(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.run(p.here)
	}
	image, _ := p.plan()
	p.run(p.here)
	silent(t, p.s, AwayWait-time.Hour, "there")
	tend()
	if got := p.copies(image); got != "here" {
		t.Fatalf("copies are in %q: the other library has been away for less than %v", got, AwayWait)
	}
	silent(t, p.s, AwayWait+time.Hour, "there")
	tend()
	if got := p.copies(image); got != "here here" {
		t.Errorf("copies are in %q", got)
	}
	if n := p.count(`select count(*) from image_away where copies > 0`); n != 0 {
		t.Error("the other library is to make it still")
	}
	// It comes back, and there is nothing to do for it.
	p.run()
	if got := p.copies(image); got != "here here" || p.count(`select count(*) from disc where state = 'blank' and library_id = $1`, p.there.lib) != 3 {
		t.Errorf("copies are in %q", got)
	}

	// Its blanks have gone meanwhile.
	image, _ = p.plan()
	p.run(p.here)
	p.exec(`update disc set state = 'retired' where state = 'blank' and library_id = $1`, p.there.lib)
	tend()
	if got := p.copies(image); got != "here" {
		t.Fatalf("copies are in %q: it may get blanks", got)
	}
	p.exec(`update image_away set since = now() - $1::interval - interval '1 hour'`, AwayWait)
	tend()
	if got := p.copies(image); got != "here here" {
		t.Errorf("copies are in %q", got)
	}

	// The vault wants its copies together: the one whose burn has begun is not taken back.
	p.blanks(p.there, 2)
	first, _ := p.plan()
	p.run(p.here)
	p.there.refuse = func(task Task) bool { return task.Kind == library.BurnTask }
	for range 8 {
		if _, err := p.there.turn(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := p.count(`select count(*) from task where kind = 'burn' and state = 'leased' and library_id = $1`, p.there.lib); n != 1 {
		t.Fatalf("%d burns run in the other library", n)
	}
	second, _ := p.plan()
	if _, err := p.s.SetApart(t.Context(), "v", false); err != nil {
		t.Fatal(err)
	}
	tend()
	if got := p.copies(second); got != "here here" {
		t.Errorf("copies are in %q", got)
	}
	leased, err := p.s.Leased(t.Context(), p.there.lib, nil)
	if err != nil || len(leased) != 1 {
		t.Fatal(leased, err)
	}
	p.there.results = append(p.there.results, Result{Ref: leased[0].Ref, SHA256: imageHash})
	p.run()
	if got := p.copies(first); got != "here there" {
		t.Errorf("copies are in %q; tasks: %s", got, p.tasks(first))
	}
}

// Whatever happens to builds, burns and verifies in either library, in whatever order: in the end there is a good copy in each, nothing has left staging
// before, and no disc was burned twice.
func TestCopiesInTrouble(t *testing.T) {
	seeds := uint64(1)
	if os.Getenv("ODARCHIVE_SLOW") != "" {
		seeds = 20
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			p := newPair(t, 2, 30, 30)
			random := rand.New(rand.NewPCG(seed, 4))
			troubled := true
			hash := func(task Task, r *Result) {
				p.answer(task, r)
				if !troubled || random.IntN(4) > 0 {
					return
				}
				failures := map[library.TaskKind][]Failure{
					library.BuildTask:   {RetryFailure, Interrupted, InternalFailure},
					library.BurnTask:    {RetryFailure, DiscFailure, Interrupted},
					library.VerifyTask:  {RetryFailure, Interrupted, DiscFailure},
					library.ReleaseTask: {RetryFailure, Interrupted},
				}[task.Kind]
				if len(failures) == 0 {
					return
				}
				r.Failure = failures[random.IntN(len(failures))]
				r.Error, r.SHA256 = "trouble", nil
				r.Missing = task.Kind == library.BurnTask && r.Failure == RetryFailure
			}
			p.here.fail, p.there.fail = hash, hash
			images, jobs := make([]string, 4), make([]string, 4)
			for i := range images {
				images[i], jobs[i] = p.plan()
			}
			for turn := range 120 {
				a := p.here
				if random.IntN(2) == 0 {
					a = p.there
				}
				if turn > 80 {
					troubled = false
				}
				a.refuse = nil
				if troubled && random.IntN(6) == 0 { // killed: it forgets what it has been given, and says so when it is back
					a.refuse = func(task Task) bool { return true }
				}
				if _, err := a.turn(t.Context()); err != nil {
					t.Fatal(err)
				}
				if a.refuse != nil {
					leased, err := p.s.Leased(t.Context(), a.lib, nil)
					if err != nil {
						t.Fatal(err)
					}
					for _, l := range leased {
						if !slices.ContainsFunc(a.results, func(r Result) bool { return r.Ref == l.Ref }) {
							r := unheard(l.Ref, l.Kind)
							if l.Kind == library.MoveTask { // it has looked where its disc is
								r.Failure, r.Outcome = RetryFailure, NotMoved
							}
							a.results = append(a.results, r)
						}
					}
				}
				if n := p.count(`
select count(*) from content c join extent x on x.content_id = c.id
 where not c.staged and 2 > (select count(*) from disc d where d.image_id = x.image_id and d.state = 'good')`); n > 0 {
					t.Fatal("a content has left staging before both copies were good")
				}
			}
			for range 4 {
				p.here.refuse, p.there.refuse = nil, nil
				p.exec(`update drive set up = true, faults = 0`)
				p.exec(`update task set finished = finished - interval '2 minutes' where state = 'failed'`)
				if err := p.s.Tend(t.Context()); err != nil {
					t.Fatal(err)
				}
				p.run()
				for _, job := range jobs {
					if _, err := p.s.RetryJob(t.Context(), job); err != nil && library.FaultOf(err) != library.Precondition {
						t.Fatal(err)
					}
				}
			}
			for i, image := range images {
				if got := p.copies(image); got != "here there" {
					t.Errorf("copies of image %d are in %q; tasks: %s", i, got, p.tasks(image))
				}
			}
			if n := p.count(`select count(*) from (select from task where kind = 'burn' and disc_id is not null and state <> 'queued' group by disc_id having count(*) > 1) x`); n > 0 {
				t.Errorf("%d discs were burned twice", n)
			}
			if n := p.count(`select count(*) from image_away where at_hand`) + p.count(`select count(*) from image where at_hand`); n > 0 {
				t.Errorf("%d images are still on scratch disks", n)
			}
		})
	}
}

// What the database refuses of copies in other libraries.
func TestCopiesElsewhereFit(t *testing.T) {
	const others = `insert into library (name) values ('a'), ('b'); update image set copies = 3;`
	away := func(library string, copies int) string {
		return fmt.Sprintf(`insert into image_away (image_id, library_id, copies) select d.image_id, l.id, %d from disc d, library l where d.label = 'lib-1' and l.name = '%s';`, copies, library)
	}
	build := func(library string) string {
		return fmt.Sprintf(`insert into task (library_id, kind, image_id) select l.id, 'build', d.image_id from disc d, library l where d.label = 'lib-1' and l.name = '%s';`, library)
	}
	refuses(t, []refusal{
		{"none at home", others + away("a", 1), away("b", 1), away("b", 2), "image_away_fits"},
		{"none at home any more", others + away("a", 1), `update image_away set copies = 2`, `update image_away set copies = 3`, "image_away_fits"},
		{"at home", others, away("a", 1), away("lib", 1), "image_away_elsewhere"},
		{"less than none", others + away("a", 1), `update image_away set copies = 0`, `update image_away set copies = -1`, "image_away_copies_check"},
		{"two builds in one library", others + build("a"), build("b"), build("a"), "task_one_build"},
	})
}

// However copies and blanks are: every copy is made somewhere, at least one at home, no blank is promised twice, and no library makes two copies more than another
// one that could.
func TestAllot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		copies := rapid.IntRange(1, 6).Draw(t, "copies")
		blanks := rapid.SliceOfN(rapid.IntRange(0, 4), 0, 4).Draw(t, "blanks")
		others := make([]Target, len(blanks))
		for i, n := range blanks {
			others[i].Blanks = n
		}
		away := allot(copies, others)
		home := copies
		for i, n := range away {
			home -= n
			if n < 0 || n > blanks[i] || others[i].Blanks != blanks[i]-n {
				t.Fatalf("%d copies of %d blanks, %d left", n, blanks[i], others[i].Blanks)
			}
		}
		if home < 1 {
			t.Fatalf("%d copies at home", home)
		}
		for i, n := range away {
			if others[i].Blanks > 0 && home > n+1 {
				t.Fatalf("%d copies at home, %d where there are blanks still", home, n)
			}
			for j, m := range away {
				if others[j].Blanks > 0 && n > m+1 {
					t.Fatalf("%d copies in one library, %d in another one that has blanks", n, m)
				}
			}
		}
	})
}

// A disc is replaced in its own library as long as a disc there gives the image, and in another one that has a copy when none does.
func TestHealFromAnotherLibrary(t *testing.T) {
	p := newPair(t, 2, 4, 4)
	image, _ := p.plan()
	p.run()
	if err := p.s.Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.run()
	label := func(a *agent) string {
		return p.said(`select label from disc where image_id = $1 and library_id = $2 and state = 'good'`, image, a.lib)
	}
	heal := func(discs ...string) {
		t.Helper()
		for _, disc := range discs {
			if err := p.s.HealDisc(t.Context(), disc); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 {
			p.run()
			p.exec(`update task set finished = finished - interval '2 minutes' where state = 'failed'`)
			if err := p.s.Tend(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Both at once: each library makes its own anew.
	heal(label(p.there), label(p.here))
	if got := p.copies(image); got != "here there" || p.count(`select count(*) from disc where state = 'retired'`) != 2 {
		t.Errorf("copies are in %q", got)
	}
	if got := p.done(library.ReadTask, image); got != "there here" {
		t.Errorf("it was copied in %q", got)
	}
	// The disc here gives nothing any more.
	p.here.fail = func(task Task, r *Result) {
		if p.answer(task, r); task.Copy {
			r.Error, r.Failure, r.SHA256 = "7 sectors can't be read", DiscFailure, nil
		}
	}
	old := label(p.here)
	heal(old)
	if got := p.copies(image); got != "there there" {
		t.Errorf("copies are in %q; tasks: %s", got, p.tasks(image))
	}
	if got := p.said(`select state::text from disc where label = $1`, old); got != "retired" {
		t.Errorf("the disc that was to be replaced is %s", got)
	}
	if n := p.count(`select count(*) from heal where finished is null`); n != 0 {
		t.Errorf("%d discs are still to be replaced", n)
	}
	if n := p.count(`select count(*) from image_away where at_hand`) + p.count(`select count(*) from image where at_hand`); n > 0 {
		t.Errorf("%d images are still on scratch disks", n)
	}
	// Nor do any others.
	p.there.fail = p.here.fail
	old = p.said(`select min(label) from disc where image_id = $1 and state = 'good'`, image)
	heal(old)
	if got := p.said(`select error from heal h join disc d on d.id = h.disc_id where d.label = $1`, old); !strings.Contains(got, "no disc that is in a library gives the whole image") {
		t.Errorf("the heal says %q", got)
	}
}
