package postgres

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/odarchive/odarchive/library"
)

// waits is what the only job that runs says that it waits for.
func (b *bench) waits() string {
	b.Helper()
	jobs, err := b.s.Jobs(b.Context(), true, 10, "")
	if err != nil || len(jobs) != 1 {
		b.Fatalf("%d jobs run: %v", len(jobs), err)
	}
	return jobs[0].WaitingFor
}

func (b *bench) media(drive int, readOnly bool, reads ...string) {
	b.Helper()
	if err := b.s.SetDriveMedia(b.Context(), "lib", drive, reads, readOnly); err != nil {
		b.Fatal(err)
	}
}

// A disc goes only into drives that can read it. Where there is none its job says so, and what an operator can do; it goes on when he has.
func TestNoDriveReadsIt(t *testing.T) {
	b := newBench(t, 3, 2)
	b.verify = well
	b.media(1, false, "DVD-R")
	b.scrub("lib-1", "lib-2", "lib-3")
	if len(b.drives) != 3 || slices.Contains(b.drives, 1) {
		t.Errorf("read in drives %v: drive 1 can't", b.drives)
	}
	b.media(2, true, "CD-R", "DVD-R", "CD-R")
	b.scrub("lib-1")
	if len(b.drives) != 0 {
		t.Errorf("read in drives %v: none can", b.drives)
	}
	if w := b.waits(); !strings.Contains(w, "no drive in service that reaches disc lib-1 reads BD-R") || !strings.Contains(w, "odarchive drives media") {
		t.Errorf("it waits for %q", w)
	}
	drives, err := b.s.Drives(t.Context(), "lib")
	if err != nil || !slices.Equal(drives[1].Reads, []string{"CD-R", "DVD-R"}) || !drives[1].ReadOnly || drives[0].ReadOnly {
		t.Errorf("%+v: %v", drives, err)
	}
	b.media(2, true)
	b.settle()
	if !slices.Equal(b.drives, []int{2}) {
		t.Errorf("read in drives %v, want 2", b.drives)
	}
	for _, bad := range []string{"", " BD-R"} {
		if err := b.s.SetDriveMedia(t.Context(), "lib", 1, []string{bad}, false); library.FaultOf(err) != library.Invalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if err := b.s.SetDriveMedia(t.Context(), "lib", 9, nil, false); library.FaultOf(err) != library.NotFound {
		t.Error(err)
	}
}

// A blank disc never goes into a drive that only reads, and a burn for which there is no other says so.
func TestNoDriveBurnsIt(t *testing.T) {
	b := newBench(t, 3, 1)
	b.media(1, true)
	b.exec(`delete from element where kind = 'slot' and number = 3`)
	b.exec(`insert into element (library_id, kind, number, unit, fill) select id, 'slot', 3, 1, 'empty' from library`)
	if _, err := b.s.StockBlanks(t.Context(), "lib", []SlotRange{{3, 3}}, "BD-R", 1000); err != nil {
		t.Fatal(err)
	}
	image, archive, job := uuid.NewString(), uuid.NewString(), uuid.NewString()
	b.exec(`insert into image (id, vault_id, library_id, medium, sectors, created, sha256) select '` + image + `', v.id, l.id, 'BD-R', 1000, now(), '\x` + strings.Repeat("07", 32) + `' from vault v, library l`)
	b.exec(`insert into archive (id, vault_id, name, root_hash, manifest_size, entries, bytes, planned) select '` + archive + `', id, 'a', sha256('x'), 1, 1, 1, true from vault`)
	b.exec(`insert into placement (archive_id, image_id, bytes) values ('` + archive + `', '` + image + `', 1)`)
	b.exec(`insert into job (id, kind, archive_id) values ('` + job + `', 'archive', '` + archive + `')`)
	b.exec(`insert into task (library_id, kind, priority, image_id, bytes) select library_id, 'burn', 200, id, 2048000 from image where id = '` + image + `'`)
	b.settle()
	if w := b.waits(); !strings.Contains(w, "no drive of library lib that is in service burns BD-R") {
		t.Errorf("it waits for %q", w)
	}
}

// In a drive in which a disc of a set has failed no other one of the set is put at risk, until somebody has looked after it or it
// turns out that the disc was at fault.
func TestSetIsSpreadOverDrives(t *testing.T) {
	b := newBench(t, 4, 3)
	b.exec(`insert into disc_set (id, vault_id, library_id, medium, capacity, data, parity, created)
select gen_random_uuid(), v.id, l.id, 'BD-R', 1000, 4, 1, now() from vault v, library l`)
	b.exec(`update image i set data_sectors = sectors, gathered = now(), set_id = (select id from disc_set), set_index = n.n
  from (select image_id, row_number() over (order by id) - 1 as n from disc) n where n.image_id = i.id`)
	b.verify = well
	b.scrub("lib-4") // the plan is in memory from here on
	b.exec(`insert into reading (disc_id, library_id, drive, kind, finished, good) select id, library_id, 1, 'scrub', now(), false from disc where label = 'lib-1'`)
	trusts := func() bool {
		snap, err := b.s.Snapshot(t.Context(), b.lib)
		if err != nil {
			t.Fatal(err)
		}
		return len(snap.Drives[0].Distrust) == 0
	}
	if trusts() {
		t.Fatal("nothing is held against drive 1")
	}
	for range 3 {
		b.scrub("lib-2", "lib-3", "lib-4")
		if len(b.drives) != 3 || slices.Contains(b.drives, 1) {
			t.Errorf("read in drives %v: a disc of the set has failed in drive 1", b.drives)
		}
	}
	// Another drive agrees that the disc is bad: neither is to blame. Until then somebody's word is needed.
	b.exec(`insert into reading (disc_id, library_id, drive, kind, finished, good) select id, library_id, 2, 'scrub', now(), false from disc where label = 'lib-1'`)
	if !trusts() {
		t.Errorf("the disc is at fault, and the drive is distrusted")
	}
	b.exec(`delete from reading where drive = 2 and not good`)
	b.exec(`update drive set up = false where number = 1`)
	if trusts() {
		t.Error("nothing is held against drive 1 any more")
	}
	if err := b.s.SetDrive(t.Context(), "lib", 1, true, ""); err != nil || !trusts() {
		t.Errorf("somebody has looked after drive 1, and it is still distrusted: %v", err)
	}
}

// A disc that leaves the library while it is wanted: the job waits and says what can be done; it goes on where the disc is found.
func TestDiscVanishes(t *testing.T) {
	b := newBench(t, 3, 2)
	b.verify = well
	b.exec(`update drive set up = false`)
	b.scrub("lib-2")
	b.exec(`update element set fill = 'empty', disc_id = null where kind = 'slot' and number = 2`)
	b.exec(`update drive set up = number <= 2`)
	b.settle()
	if len(b.drives) != 0 {
		t.Errorf("read in drives %v, and it is not there", b.drives)
	}
	if w := b.waits(); !strings.Contains(w, "disc lib-2 is not in library lib") || !strings.Contains(w, "odarchive library set-element") {
		t.Errorf("it waits for %q", w)
	}
	if _, err := b.s.SetElement(t.Context(), "lib", Place{Slot, 2}, Full, "lib-2"); err != nil {
		t.Fatal(err)
	}
	b.settle()
	if len(b.drives) != 1 || b.record("lib-2").Disc.State != library.Good {
		t.Errorf("read in drives %v after it was found", b.drives)
	}
}
