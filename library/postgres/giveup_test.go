package postgres

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/library"
)

// alone puts a content of an archive of its own onto a disc; with other, one more of the same archive onto that. It returns the archive.
func (b *bench) alone(name, label, other string) (id string) {
	b.Helper()
	id = uuid.NewString()
	root := sha256.Sum256([]byte(id))
	b.exec(`insert into archive (id, vault_id, name, root_hash, manifest_size, entries, bytes, planned, safe) select $1, id, $2, $3, 1, 1, 4096, true, now() from vault where name = 'v'`, id, name, root[:])
	b.exec(`insert into job (id, kind, archive_id, state, finished) values (gen_random_uuid(), 'archive', $1, 'succeeded', now())`, id)
	for n, label := range []string{label, other} {
		if label == "" {
			continue
		}
		hash := sha256.Sum256(fmt.Append(nil, name, " ", n))
		b.exec(`insert into placement (archive_id, image_id, bytes) select $1, image_id, 2048 from disc where label = $2`, id, label)
		b.exec(`
with c as (
  insert into content (vault_id, hash, size, sealed, planned, staged) select id, $1, 2048, true, true, false from vault where name = 'v' returning id),
x as (insert into extent (image_id, content_id, content_offset, length, sector)
      select d.image_id, c.id, 0, 2048, (select 10 + count(*) from extent o where o.image_id = d.image_id) from disc d, c where d.label = $2)
insert into entry (archive_id, path, kind, mode, uid, gid, mtime_seconds, mtime_nanoseconds, content_id)
select $3, $4, 'f', 420, 0, 0, 0, 0, c.id from c`, hash[:], label, id, fmt.Sprint(name, " ", n))
	}
	return id
}

// nth is the n-th content of an archive that alone made.
func nth(name string, n int) archive.Content {
	return archive.Content{Hash: sha256.Sum256(fmt.Append(nil, name, " ", n)), Size: 2048}
}

func (b *bench) retrieve(id string) (job string) {
	b.Helper()
	job = uuid.NewString()
	if _, err := b.s.StartRetrieval(b.Context(), job, id, nil, library.Standard); err != nil {
		b.Fatal(err)
	}
	return job
}

func (b *bench) gives(labels ...string) GiveUp {
	return GiveUp{Labels: labels, By: "eva@north", Reason: "the vault room burned"}
}

// giveUp asks what would be lost, finds that nothing has changed, and says it then.
func (b *bench) giveUp(labels ...string) Loss {
	b.Helper()
	const all = `select md5(string_agg(x, '|')) from (
  select d::text as x from disc d union all select c::text from content c union all select h::text from heal h union all select a::text from archive a
  union all select t::text from task t union all select j::text from job j union all select i::text from image i order by 1) y`
	state := func() (sum string) {
		if err := b.s.pool.QueryRow(b.Context(), all).Scan(&sum); err != nil {
			b.Fatal(err)
		}
		return sum
	}
	before := state()
	g := b.gives(labels...)
	would, err := b.s.WouldLose(b.Context(), g)
	if err != nil {
		b.Fatal(err)
	}
	if would.Contents > 0 {
		g.Most = would.Contents - 1
		if _, err := b.s.GiveUpDiscs(b.Context(), g); library.FaultOf(err) != library.Stale {
			b.Errorf("more is lost than was said: %v", err)
		}
	}
	if after := state(); after != before {
		b.Error("asking has changed something")
	}
	g.Most = would.Contents
	did, err := b.s.GiveUpDiscs(b.Context(), g)
	if err != nil {
		b.Fatal(err)
	}
	if fmt.Sprint(did) != fmt.Sprint(would) {
		b.Errorf("it was to be\n%+v\nand is\n%+v", would, did)
	}
	return did
}

func (b *bench) fates(l Loss) (said string) {
	for _, d := range l.Discs {
		said += d.Label + " " + string(d.Fate) + " "
	}
	return strings.TrimSpace(said)
}

// quiet: nothing is asked for, nothing goes on.
func (b *bench) quiet() {
	b.Helper()
	for range 3 {
		if err := b.s.Tend(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.settle()
	}
	alerts, err := b.s.Alerts(b.Context())
	if err != nil || len(alerts) != 0 {
		b.Errorf("%v %v", alerts, err)
	}
	if n := b.count(`select count(*) from task where state in ('queued', 'leased')`) + b.count(`select count(*) from heal where finished is null`); n != 0 {
		b.Errorf("%d tasks and heals go on", n)
	}
}

// Two discs of a set of 3+1 have burned. What was only on them is gone, and said to be: the retrievals that wait for it end when the rest of them has come,
// nothing asks for it any more, and what is left stays. When one of the two is found, all of it comes back through the set.
func TestGiveUpMoreThanTheSetBears(t *testing.T) {
	b := newBench(t, 4, 4)
	set := b.inSet(3)
	b.blanks(5, 4)
	b.verify, b.copy, b.read = well, well, b.brings
	b.mend = func(task Task) Result { return Result{SHA256: imageHash} }
	half, whole, lost := b.alone("half", "lib-1", "lib-3"), b.alone("whole", "lib-3", ""), b.alone("lost", "lib-2", "")
	jobs := []string{b.retrieve(half), b.retrieve(lost)}

	l := b.giveUp("lib-1", "lib-2")
	if got := b.fates(l); got != "lib-1 gone lib-2 gone" {
		t.Error(got)
	}
	if l.Contents != 2 || l.Bytes != 4096 || l.Touched != 2 || len(l.Archives) != 2 || l.Kept != 0 {
		t.Errorf("%+v", l)
	}
	for _, a := range l.Archives {
		if a.ID == whole || a.Contents != 1 || a.Bytes != 2048 || a.Of != 4096 || a.Vault != "v" {
			t.Errorf("%+v", a)
		}
	}
	if want := (SetLeft{ID: set, Images: 4, Usable: 2, Need: 3}); len(l.Sets) != 1 || l.Sets[0] != want {
		t.Errorf("%+v", l.Sets)
	}
	b.ends(jobs[0], library.Running) // the other half is about to come
	j := b.ends(jobs[1], library.Failed)
	b.settle()
	for _, said := range []string{j.Error, b.ends(jobs[0], library.Failed).Error} {
		for _, want := range []string{"1 of its contents are gone, one of them is ", "everything else has come", "the vault room burned, says eva@north"} {
			if !strings.Contains(said, want) {
				t.Errorf("%q doesn't say %q", said, want)
			}
		}
	}
	come := nth("half", 1)
	if at, err := b.s.Locate(t.Context(), jobs[0], [][]byte{come.Hash[:]}); err != nil || len(at) != 1 || at[0].Content != come {
		t.Errorf("what has come can't be downloaded: %v %v", at, err)
	}
	late := b.retrieve(lost)
	b.ends(late, library.Failed)
	b.ends(b.retrieveAll(whole), library.Succeeded)
	b.quiet()
	if said := b.told("lib-1"); !strings.Contains(said, "operator: it is lost: the vault room burned, says eva@north") {
		t.Error(said)
	}
	if err := b.s.HealDisc(t.Context(), "lib-1"); library.FaultOf(err) != library.Precondition {
		t.Error(err)
	}

	if err := b.s.FindDiscs(t.Context(), []string{"lib-1"}, "eva@north", "it was at the fair"); err != nil {
		t.Fatal(err)
	}
	if n := b.count(`select count(*) from content where gone is not null`); n != 1 {
		t.Errorf("%d contents are gone", n)
	}
	again := b.retrieve(half)
	b.settle()
	b.ends(again, library.Succeeded)
	if n := b.count(`select sum(gone_contents)::int from archive`); n != 1 {
		t.Errorf("%d are missing from archives", n)
	}
	// With it there is enough of the set for the other, once somebody says so.
	l = b.giveUp("lib-2")
	if got := b.fates(l); got != "lib-2 gone" {
		t.Error(got)
	}
	if err := b.s.FindDiscs(t.Context(), []string{"lib-2"}, "", "a piece of it"); err != nil {
		t.Fatal(err)
	}
	l = b.giveUp("lib-2")
	if got := b.fates(l); got != "lib-2 set" || l.Contents != 0 || l.Sets[0].Usable != 3 {
		t.Errorf("%s %+v", got, l)
	}
	for range 4 {
		if err := b.s.Tend(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.settle()
	}
	if h := b.record("lib-2"); h.Disc.State != library.Retired {
		t.Errorf("%+v %v", h.Disc, h.Steps)
	}
	if n := b.count(`select sum(gone_contents)::int from archive`); n != 0 {
		t.Errorf("%d are missing from archives", n)
	}
}

// What was given up is not what an upload refers to: the same bytes are wanted once more, and with them every archive that had lost them is whole again, as soon as
// they are on a disc. What the cache still had goes that way by itself.
func TestGivenUpAndUploadedAgain(t *testing.T) {
	b := newBench(t, 2, 2)
	b.verify, b.copy, b.read = well, well, b.brings
	id := b.alone("old", "lib-1", "lib-2")
	cached := b.alone("cached", "lib-1", "")
	b.ends(b.retrieveAll(cached), library.Succeeded)
	var vault string
	if err := b.s.pool.QueryRow(t.Context(), `select id::text from vault where name = 'v'`).Scan(&vault); err != nil {
		t.Fatal(err)
	}
	contents := []archive.Content{nth("old", 0), nth("old", 1), nth("cached", 0)}
	missing := func(want ...int) {
		t.Helper()
		got, err := b.s.Missing(t.Context(), vault, contents)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%v are missing, want %v: %v", got, want, err)
		}
	}
	missing()
	if l := b.giveUp("lib-1"); l.Contents != 1 || l.Kept != 1 || b.fates(l) != "lib-1 gone" {
		t.Errorf("%+v", l)
	}
	missing(0)
	if n := b.count(`select count(*) from content where staged and not planned and hash = $1`, contents[2].Hash[:]); n != 1 {
		t.Error("what the cache had is not in staging")
	}
	if a, err := b.s.Archive(t.Context(), cached); err != nil || a.GoneContents != 0 || a.Safe != nil {
		t.Errorf("%+v %v", a, err)
	}
	if a, err := b.s.Archive(t.Context(), id); err != nil || a.GoneContents != 1 || a.GoneBytes != 2048 || a.Safe == nil {
		t.Errorf("%+v %v", a, err)
	}
	seal := Seal{ID: uuid.NewString(), Vault: "v", Name: "new"}
	entries := func(yield func(archive.Entry, error) bool) {
		yield(archive.Entry{Path: "reel", Kind: archive.File, Content: contents[0]}, nil)
	}
	manifest := func() (archive.Hash, int64) { return seal.RootHash, 1 }
	if _, err := b.s.SealArchive(t.Context(), seal, entries, manifest); library.FaultOf(err) != library.Precondition || !strings.Contains(err.Error(), "upload it first") {
		t.Errorf("an archive refers to what is gone: %v", err)
	}
	waits := b.retrieve(id)
	segment, err := b.s.NewSegment(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.s.Stage(t.Context(), vault, []Staged{{Content: contents[0], Segment: segment}}); err != nil {
		t.Fatal(err)
	}
	missing()
	b.settle()
	b.ends(waits, library.Succeeded)
	if _, err := b.s.SealArchive(t.Context(), seal, entries, manifest); err != nil {
		t.Fatal(err)
	}
	pending, err := b.s.Pending(t.Context())
	if err != nil || len(pending) != 1 || pending[0].Contents != 2 || len(pending[0].Archives) != 3 {
		t.Fatalf("%+v %v", pending, err)
	}
	if a, err := b.s.Archive(t.Context(), id); err != nil || a.GoneContents != 0 || a.Safe != nil {
		t.Errorf("%+v %v", a, err)
	}
}

// retrieveAll is a retrieval that has been waited for.
func (b *bench) retrieveAll(id string) (job string) {
	job = b.retrieve(id)
	b.settle()
	return job
}

// A lost disc of which another has the image is replaced from that, and nothing is gone. When that can't be read either it is said, and saying once more that it
// is lost gives it up for good.
func TestGiveUpCopies(t *testing.T) {
	b := newBench(t, 3, 4)
	b.verify, b.copy, b.read = well, dead, absent
	b.blanks(4, 2)
	b.exec(`update disc set image_id = (select image_id from disc where label = 'lib-1') where label = 'lib-2'`)
	b.images[int64(b.count(`select id from disc where label = 'lib-2'`))] = b.images[int64(b.count(`select id from disc where label = 'lib-1'`))]
	id := b.alone("both", "lib-1", "")
	l := b.giveUp("lib-1")
	if got := b.fates(l); got != "lib-1 copy" || l.Contents != 0 {
		t.Errorf("%s %+v", got, l)
	}
	b.settle()
	alerts, err := b.s.Alerts(t.Context())
	if all := fmt.Sprint(alerts); err != nil || !strings.Contains(all, "disc lib-1 is lost: the vault room burned, says eva@north; replacing it was given up: no disc that is in a library gives the whole image any more") ||
		!strings.Contains(all, "odarchive discs lost lib-1 --reason WHY") {
		t.Errorf("%s %v", all, err)
	}
	l = b.giveUp("lib-1", "lib-2")
	if got := b.fates(l); got != "lib-1 gone lib-2 gone" || l.Contents != 1 {
		t.Errorf("%s %+v", got, l)
	}
	b.ends(b.retrieve(id), library.Failed)
	b.quiet()
	if _, err := b.s.GiveUpDiscs(t.Context(), b.gives("nope")); library.FaultOf(err) != library.NotFound {
		t.Error(err)
	}
	var blank string
	if err := b.s.pool.QueryRow(t.Context(), `select label from disc where state = 'blank' limit 1`).Scan(&blank); err != nil {
		t.Fatal(err)
	}
	if _, err := b.s.GiveUpDiscs(t.Context(), b.gives(blank)); library.FaultOf(err) != library.Precondition {
		t.Error("a blank was given up")
	}
	if err := b.s.FindDiscs(t.Context(), []string{"lib-3"}, "", "it was never lost"); library.FaultOf(err) != library.Precondition {
		t.Error(err)
	}
}

// A set bears what its parity bears; a disc that could not be read when its set was asked for it is given up when that is said twice.
func TestGiveUpWhatTheSetDoesNotGive(t *testing.T) {
	b := newBench(t, 4, 4)
	b.inSet(3)
	b.blanks(5, 3)
	b.verify, b.read = well, b.brings
	second := int64(b.count(`select id from disc where label = 'lib-2'`))
	b.copy = func(task Task) Result {
		if task.DiscID == second {
			return dead(task)
		}
		return well(task)
	}
	b.alone("first", "lib-1", "")
	if l := b.giveUp("lib-1"); b.fates(l) != "lib-1 set" || l.Contents != 0 {
		t.Errorf("%+v", l)
	}
	for range 3 {
		b.settle()
		if err := b.s.Tend(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := b.count(`select count(*) from heal where error like '%are lacking%'`); n != 1 {
		t.Fatal("the set was not asked")
	}
	if l := b.giveUp("lib-1"); b.fates(l) != "lib-1 gone" || l.Contents != 1 {
		t.Errorf("%+v", l)
	}
}

// Of a content that is split over two discs one part is lost: it is gone as a whole, and nothing is read of the other part. Uploaded again, it may be cut elsewhere.
func TestGivenUpPart(t *testing.T) {
	b := newBench(t, 2, 2)
	b.verify, b.copy, b.read = well, well, b.brings
	id := b.alone("long", "lib-1", "")
	b.exec(`update content set size = 4096`)
	b.exec(`update extent set part = 1, parts = 2`)
	b.exec(`insert into extent (image_id, content_id, content_offset, length, sector, part, parts) select d.image_id, c.id, 2048, 2048, 30, 2, 2 from disc d, content c where d.label = 'lib-2'`)
	if l := b.giveUp("lib-1"); l.Contents != 1 || l.Bytes != 4096 {
		t.Errorf("%+v", l)
	}
	b.ends(b.retrieveAll(id), library.Failed)
	if n := b.count(`select count(*) from task where kind = 'read'`); n != 0 {
		t.Errorf("%d reads of what is of no use", n)
	}
	segment, err := b.s.NewSegment(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	a, err := b.s.Archive(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	whole := archive.Content{Hash: nth("long", 0).Hash, Size: 4096}
	if err := b.s.Stage(t.Context(), a.VaultID, []Staged{{Content: whole, Segment: segment}}); err != nil {
		t.Fatal(err)
	}
	if n := b.count(`select count(*) from extent`); n != 0 {
		t.Errorf("%d parts are left of how it was cut before", n)
	}
	b.ends(b.retrieveAll(id), library.Succeeded)
}
