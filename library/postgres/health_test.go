package postgres

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
	"github.com/odarchive/odarchive/library/health"
)

// bench is a library whose agent answers each task as a test says.
type bench struct {
	*testing.T
	*agent
	verify func(t Task) Result // of verifies; its Ref is filled in
	drives []int               // in which verifies ran, in their order
	copy   func(t Task) Result // of copies to the scratch disk
	copies []int64             // discs that were copied, in their order
	read   func(t Task) Result // of reads of contents; nil is well
	burn   func(t Task) Result // of burns; nil is well
	mend   func(t Task) Result // of rebuilds; nil is well
	serve  func(t Task) Result // of reads from the scratch disk; nil is well
	move   func(t Task) Result // of moves; nil is well
	// unreadable are drives in which no disc says what it is.
	unreadable map[int]bool
}

func newBench(t *testing.T, discs, drives int) *bench {
	s := open(t)
	b := &bench{T: t, agent: newAgent(t, s, "lib", discs), unreadable: map[int]bool{}}
	b.exec(`update drive set up = number <= $1`, drives)
	b.exec(`update vault set heal_at = null`)
	return b
}

// settle runs until there is nothing left to do.
func (b *bench) settle() {
	b.Helper()
	b.settleAs("1")
}

func (b *bench) settleAs(instance string) {
	b.Helper()
	var results []Result
	for range 300 {
		if _, err := b.s.Called(b.Context(), Call{Agent: "lib", Instance: instance, Library: "lib", Results: results}); err != nil {
			b.Fatal(err)
		}
		results = nil
		if _, err := b.s.Schedule(b.Context(), b.lib, 2); err != nil {
			b.Fatal(err)
		}
		tasks, err := b.s.Leased(b.Context(), b.lib, nil)
		if err != nil {
			b.Fatal(err)
		}
		if len(tasks) == 0 {
			return
		}
		for _, t := range tasks {
			r := Result{Outcome: Moved, Identity: Identity{State: Ours, ImageID: b.images[t.DiscID], MediaID: "VERBAT-IMe-000"}}
			if b.images[t.DiscID] == "" {
				r.Identity = b.burned(t.DiscID)
			}
			switch {
			case t.Copy:
				b.copies = append(b.copies, t.DiscID)
				r = b.copy(t)
			case t.Kind == library.VerifyTask:
				b.drives = append(b.drives, t.Drive)
				r = b.verify(t)
			case t.Kind == library.ReadTask && b.read != nil:
				r = b.read(t)
			case t.Kind == library.MoveTask && b.move != nil:
				if o := b.move(t); o.Error != "" {
					r = o
				}
			case t.Kind == library.RebuildTask && b.mend != nil:
				r = b.mend(t)
			case t.Kind == library.ServeTask && b.serve != nil:
				r = b.serve(t)
			case t.Kind == library.ServeTask:
				r = b.brings(t)
			case t.Kind == library.BurnTask && b.burn != nil:
				r = b.burn(t)
			case t.To.Kind == DriveBay && b.unreadable[t.To.Number]:
				r.Identity = Identity{State: Unreadable}
			}
			r.Ref, r.Seconds = t.Ref, 10
			results = append(results, r)
		}
	}
	b.Fatal("it never comes to an end")
}

func (b *bench) scrub(labels ...string) {
	b.Helper()
	b.drives = nil
	if _, err := b.s.StartScrub(b.Context(), uuid.NewString(), labels, false); err != nil {
		b.Fatal(err)
	}
	b.settle()
}

func (b *bench) record(label string) DiscHealth {
	b.Helper()
	h, err := b.s.DiscHealth(b.Context(), label, 100)
	if err != nil {
		b.Fatal(err)
	}
	return h
}

func (b *bench) exec(sql string, args ...any) {
	b.Helper()
	if _, err := b.s.pool.Exec(b.Context(), sql, args...); err != nil {
		b.Fatal(err)
	}
}

func steps(h DiscHealth) (names []string) {
	for i := len(h.Steps) - 1; i >= 0; i-- {
		names = append(names, h.Steps[i].Step)
	}
	return names
}

func well(Task) Result { return Result{SHA256: imageHash} }

func dead(Task) Result {
	return Result{Error: "7 sectors can't be read, the first is 3", Failure: DiscFailure, Damaged: 7}
}

// dirty is a drive that can read nothing.
func dirty(number int) func(Task) Result {
	return func(t Task) Result {
		if t.Drive == number {
			return dead(t)
		}
		return well(t)
	}
}

func TestTwoDrivesCondemn(t *testing.T) {
	b := newBench(t, 3, 2)
	b.verify = dead
	b.scrub("lib-1")
	h := b.record("lib-1")
	if h.Disc.State != library.Suspect || h.Disc.Grade != health.MigrateNow || !h.Disc.Confirmed || len(h.BadIn) != 2 {
		t.Errorf("%+v, bad in %v", h.Disc, h.BadIn)
	}
	if len(b.drives) != 2 || b.drives[0] == b.drives[1] {
		t.Errorf("it was read in drives %v, want two", b.drives)
	}
	if got := strings.Join(steps(h), " "); got != "suspected other_drive condemned" {
		t.Errorf("steps: %s", got)
	}
	if n := len(h.Readings); n != 2 || h.Readings[0].Good || h.Readings[0].Unreadable != 7 {
		t.Errorf("%+v", h.Readings)
	}
	seen, err := b.s.Observed(t.Context(), "v")
	if err != nil || len(seen) != 2 || seen[0].Failures != 0 || seen[0].Discs != 2 || seen[1].Failures != 1 || seen[1].Discs != 1 || seen[1].MediaID != "VERBAT-IMe-000" {
		t.Errorf("%+v %v", seen, err)
	}
}

func TestSecondDriveClears(t *testing.T) {
	b := newBench(t, 3, 2)
	b.verify = dirty(1)
	b.exec(`update drive set up = false where number = 2`)
	b.scrub("lib-1") // read twice in drive 1, and no other one to ask
	h := b.record("lib-1")
	if h.Disc.State != library.Suspect || h.Disc.Confirmed || h.Disc.Grade != health.MigrateNow || !strings.Contains(h.Disc.Reason, "no other drive can be asked") {
		t.Errorf("%+v", h.Disc)
	}
	if got := strings.Join(steps(h), " "); got != "suspected other_drive reload" || len(b.drives) != 2 {
		t.Errorf("steps: %s; in drives %v", got, b.drives)
	}
	if seen, err := b.s.Observed(t.Context(), ""); err != nil || seen[0].Failures != 0 || seen[1].Failures != 0 {
		t.Errorf("a disc that one drive alone has condemned counts as failed: %+v %v", seen, err)
	}
	b.exec(`update drive set up = number = 2`)
	b.scrub("lib-1")
	h = b.record("lib-1")
	if h.Disc.State != library.Good || h.Disc.Grade != health.Healthy || h.Disc.Reason != "" || len(h.BadIn) != 0 {
		t.Errorf("%+v", h.Disc)
	}
	if h.Steps[0].Step != "cleared" {
		t.Errorf("%v", steps(h))
	}
	var charged, by int
	if err := b.s.pool.QueryRow(t.Context(), `select drive, by_drive from drive_charge`).Scan(&charged, &by); err != nil || charged != 1 || by != 2 {
		t.Errorf("drive %d is charged by %d: %v", charged, by, err)
	}
}

// A drive that fails with disc after disc, which others read, leaves service; one that does so with its last mate is kept and alerted.
func TestBadDriveIsFound(t *testing.T) {
	b := newBench(t, 12, 3)
	b.verify = dirty(1)
	for n := 1; n <= 12; n++ {
		b.scrub(fmt.Sprintf("lib-%d", n))
	}
	drives, err := b.s.Drives(t.Context(), "lib")
	if err != nil || drives[0].Up || !strings.Contains(drives[0].Reason, "other drives read well") || !drives[1].Up || !drives[2].Up {
		t.Errorf("%+v %v", drives, err)
	}
	discs, err := b.s.Discs(t.Context(), DiscFilter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range discs {
		if d.State != library.Good || d.Grade != health.Healthy {
			t.Errorf("disc %s: %s, %v", d.Label, d.State, d.Grade)
		}
	}
	// Cleaned and put back, it starts with a clean record.
	if err := b.s.SetDrive(t.Context(), "lib", 1, true, ""); err != nil {
		t.Fatal(err)
	}
	err = b.s.inTx(t.Context(), func(tx pgx.Tx) error {
		own, _, n, err := conduct(t.Context(), tx, b.lib, 1)
		if own != (health.Conduct{}) || n != 4 {
			t.Errorf("%+v of %d drives", own, n)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The last drive in service stays there, and somebody is told.
func TestLastDriveStays(t *testing.T) {
	b := newBench(t, 8, 1)
	b.exec(`insert into drive_charge (library_id, drive, disc_id, by_drive) select library_id, 1, id, 2 from disc`)
	drive := 2
	err := b.s.inTx(t.Context(), func(tx pgx.Tx) error {
		rec := recorder{ctx: t.Context(), tx: tx, lib: b.lib}
		rec.t.Drive = &drive
		if err := tx.QueryRow(t.Context(), `select id from disc where label = 'lib-1'`).Scan(&rec.t.Disc); err != nil {
			return err
		}
		return rec.charge("lib/1")
	})
	if err != nil {
		t.Fatal(err)
	}
	drives, err := b.s.Drives(t.Context(), "lib")
	if err != nil || !drives[0].Up || drives[0].Suspect == "" || drives[0].Charges != 9 {
		t.Errorf("%+v %v", drives, err)
	}
	said := func() (n int) {
		alerts, err := b.s.Alerts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range alerts {
			if strings.Contains(a.Text, "drive 1 is suspected, and the last one in service") {
				n++
			}
		}
		return n
	}
	if said() != 1 {
		t.Error("nobody is told")
	}
	if err := b.s.SetDrive(t.Context(), "lib", 1, true, ""); err != nil || said() != 0 {
		t.Errorf("cleaned, and still suspected: %v", err)
	}
}

// A drive's own fault says nothing of the disc.
func TestDriveFault(t *testing.T) {
	b := newBench(t, 2, 2)
	failed := false
	b.verify = func(t Task) Result {
		if !failed {
			failed = true
			return Result{Error: "the laser is dead", Failure: DriveFailure}
		}
		return well(t)
	}
	b.scrub("lib-1")
	h := b.record("lib-1")
	if h.Disc.State != library.Good || len(h.Readings) != 1 || h.Disc.Grade != health.Healthy || len(b.drives) != 2 || b.drives[0] == b.drives[1] {
		t.Errorf("%+v, %d readings in %v", h.Disc, len(h.Readings), b.drives)
	}
	first := b.drives[0]
	up := func(want bool) {
		t.Helper()
		drives, err := b.s.Drives(t.Context(), "lib")
		if err != nil || drives[first-1].Up != want {
			t.Errorf("%+v %v", drives, err)
		}
	}
	up(true) // for once
	b.exec(`update drive set up = number = $1`, first)
	left := mostFaults - 2 // and the one that was
	b.verify = func(t Task) Result {
		if left--; left >= 0 {
			return Result{Error: "the laser is dead", Failure: DriveFailure}
		}
		return well(t)
	}
	b.scrub("lib-1")
	up(true) // it did what was asked of it in the end, which counts
	left = mostFaults
	b.scrub("lib-2")
	up(false)
	drives, err := b.s.Drives(t.Context(), "lib")
	if err != nil || !strings.Contains(drives[first-1].Reason, "5 tasks in a row failed: the laser is dead") {
		t.Errorf("%+v %v", drives, err)
	}
}

func TestUnreadableIdentity(t *testing.T) {
	b := newBench(t, 2, 2)
	b.verify, b.unreadable = well, map[int]bool{1: true}
	b.exec(`update drive set up = number = 1`)
	b.scrub("lib-1")
	h := b.record("lib-1")
	if h.Disc.State != library.Suspect || h.Disc.Confirmed || !strings.Contains(h.Disc.Reason, "twice, and no other drive") {
		t.Errorf("%+v", h.Disc)
	}
	b.exec(`update drive set up = number = 2`)
	b.scrub("lib-1")
	if h := b.record("lib-1"); h.Disc.State != library.Good || h.Steps[0].Step != "cleared" {
		t.Errorf("%+v %v", h.Disc, steps(h))
	}
}

// worn passes, and its error correction has used up so many of 32 roots.
func worn(row int) func(Task) Result {
	return func(Task) Result {
		return Result{Repairable: true, Repaired: int64(row), WorstRow: row, Roots: 32}
	}
}

// A disc that still comes out whole and has little margin left is graded by two drives, and stays good.
func TestMargin(t *testing.T) {
	b := newBench(t, 2, 2)
	b.verify = worn(9)
	b.scrub("lib-1")
	h := b.record("lib-1")
	if h.Disc.State != library.Good || h.Disc.Grade != health.MigrateSoon || !h.Disc.Confirmed || len(b.drives) != 2 || b.drives[0] == b.drives[1] {
		t.Errorf("%+v in %v", h.Disc, b.drives)
	}
	if !strings.Contains(h.Disc.GradeReason, "28 %") || h.Readings[0].WorstRow != 9 || h.Readings[0].Roots != 32 {
		t.Errorf("%q %+v", h.Disc.GradeReason, h.Readings[0])
	}
	b.verify = worn(3)
	b.scrub("lib-2")
	if h := b.record("lib-2"); h.Disc.Grade != health.Watch || len(b.drives) != 1 {
		t.Errorf("%+v in %v", h.Disc, b.drives)
	}
	for _, c := range []struct {
		f    DiscFilter
		want string
	}{
		{DiscFilter{Grade: health.Watch}, "lib-1 lib-2"},
		{DiscFilter{Grade: health.MigrateSoon, Confirmed: true}, "lib-1"},
		{DiscFilter{Grade: health.MigrateNow}, ""},
	} {
		discs, err := b.s.Discs(t.Context(), c.f)
		var labels []string
		for _, d := range discs {
			labels = append(labels, d.Label)
		}
		if got := strings.Join(labels, " "); err != nil || got != c.want {
			t.Errorf("%+v: %s %v", c.f, got, err)
		}
	}
	alerts, err := b.s.Alerts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, a := range alerts {
		if a.Kind == "disc" {
			found++
			if !strings.Contains(a.Text, "disc lib-1 is to be migrated soon") {
				t.Error(a.Text)
			}
		}
	}
	if found != 1 {
		t.Errorf("%+v", alerts)
	}
}

// A disc that is new must not need its error correction.
func TestNewDiscMustNotNeedRepair(t *testing.T) {
	b := newBench(t, 2, 2)
	b.exec(`alter table disc disable trigger disc_transition`)
	b.exec(`update disc set state = 'verifying' where label = 'lib-1'`)
	b.exec(`insert into task (library_id, kind, priority, disc_id) select library_id, 'verify', 300, id from disc where label = 'lib-1'`)
	b.verify = func(task Task) Result {
		if task.Scrub {
			t.Error("a new disc may be repaired")
		}
		return worn(1)(task)
	}
	b.settle()
	h := b.record("lib-1")
	if h.Disc.State != library.Spoiled || len(b.drives) != 2 {
		t.Errorf("%+v in %v", h.Disc, b.drives)
	}
}

func TestOperatorsWord(t *testing.T) {
	b := newBench(t, 3, 1)
	b.verify = well
	b.scrub("lib-1")
	for name, bad := range map[string]error{
		"watch":     b.s.JudgeDisc(t.Context(), "lib-1", health.Watch, "so so"),
		"no reason": b.s.JudgeDisc(t.Context(), "lib-1", health.MigrateNow, ""),
		"no disc":   b.s.JudgeDisc(t.Context(), "lib-9", health.MigrateNow, "gone"),
	} {
		if f := library.FaultOf(bad); f != library.Invalid && f != library.NotFound {
			t.Errorf("%s: %v", name, bad)
		}
	}
	if err := b.s.JudgeDisc(t.Context(), "lib-1", health.MigrateNow, "a crack"); err != nil {
		t.Fatal(err)
	}
	h := b.record("lib-1")
	if h.Disc.State != library.Suspect || h.Disc.Grade != health.MigrateNow || !h.Disc.Confirmed || !strings.Contains(h.Disc.GradeReason, "a crack") {
		t.Errorf("%+v", h.Disc)
	}
	b.scrub("lib-1") // it reads well, and the crack is still there
	if h := b.record("lib-1"); h.Disc.State != library.Suspect || !strings.Contains(h.Disc.Reason, "a crack") || h.Disc.Grade != health.MigrateNow || !h.Disc.Confirmed {
		t.Errorf("%+v", h.Disc)
	}
	if err := b.s.JudgeDisc(t.Context(), "lib-1", health.Ungraded, ""); err != nil {
		t.Fatal(err)
	}
	if h := b.record("lib-1"); h.Disc.State != library.Good || h.Disc.Reason != "" || h.Disc.Grade != health.Healthy || h.Disc.Confirmed {
		t.Errorf("%+v", h.Disc)
	}
	if seen, err := b.s.Observed(t.Context(), "v"); err != nil || seen[0].Failures != 0 {
		t.Errorf("what was taken back counts as a failure: %+v %v", seen, err)
	}
	// One drive says that a disc is dead; somebody has looked, and knows better.
	b.verify = dead
	b.scrub("lib-2")
	if h := b.record("lib-2"); h.Disc.State != library.Suspect || h.Disc.Confirmed {
		t.Errorf("%+v", h.Disc)
	}
	if err := b.s.JudgeDisc(t.Context(), "lib-2", health.Healthy, "reads well on my desk"); err != nil {
		t.Fatal(err)
	}
	if h := b.record("lib-2"); h.Disc.State != library.Good || h.Disc.Grade != health.Ungraded || len(h.Readings) != 2 {
		t.Errorf("%+v", h.Disc)
	}
}

// regionsUntil are what an agent tells of a disc of 1,000 sectors.
func regionsUntil(first, end int64) (all []Region) {
	for n := range int64(health.Regions) {
		from, to := (n*1000+63)/64, ((n+1)*1000+63)/64
		if from >= first && to <= end {
			all = append(all, Region{Number: int(n), First: from, Sectors: to - from, Seconds: 1})
		}
	}
	return all
}

// A verify that is taken from its drive, or whose agent is started anew, goes on where it was; the planner knows how much is left.
func TestVerifyGoesOn(t *testing.T) {
	b := newBench(t, 3, 1)
	ctx := t.Context()
	if _, err := b.s.StartScrub(ctx, uuid.NewString(), []string{"lib-1"}, false); err != nil {
		t.Fatal(err)
	}
	b.refuse = func(t Task) bool { return t.Kind == library.VerifyTask }
	for range 6 {
		if _, err := b.turn(ctx); err != nil {
			t.Fatal(err)
		}
	}
	leased := func() Task {
		tasks, err := b.s.Leased(ctx, b.lib, nil)
		if err != nil || len(tasks) != 1 || tasks[0].Kind != library.VerifyTask {
			t.Fatalf("want a verify, got %+v %v", tasks, err)
		}
		return tasks[0]
	}
	call := func(instance string, p ...Progress) {
		if _, err := b.s.Called(ctx, Call{Agent: "lib", Instance: instance, Library: "lib", Running: p}); err != nil {
			t.Fatal(err)
		}
	}
	task := leased()
	if task.Resume != nil || !task.Scrub {
		t.Errorf("%+v", task)
	}
	at := func(sector int64, state string) *Checkpoint {
		return &Checkpoint{Sector: sector, HashState: []byte(state)}
	}
	call("1", Progress{Ref: task.Ref, BytesDone: 500 * 2048, Bytes: 1000 * 2048, Checkpoint: at(500, "half"), Regions: regionsUntil(0, 500)})
	call("1", Progress{Ref: task.Ref, Checkpoint: at(250, "an old word"), Regions: regionsUntil(0, 250)})                     // it came late
	call("1", Progress{Ref: Ref{task.Ref.ID, task.Ref.Epoch - 1}, Checkpoint: at(750, "an old lease"), Regions: nil})         // nobody believes it
	call("1", Progress{Ref: task.Ref, Checkpoint: at(1001, "more than there is"), Regions: []Region{{First: -1, Number: 5}}}) // nor that

	// The agent is killed and started anew.
	call("2")
	task = leased()
	if task.Resume == nil || task.Resume.Sector != 500 || string(task.Resume.HashState) != "half" {
		t.Fatalf("%+v", task.Resume)
	}
	call("2", Progress{Ref: task.Ref, BytesDone: 750 * 2048, Bytes: 1000 * 2048, Checkpoint: at(750, "three quarters"), Regions: regionsUntil(500, 750)})

	// It is stopped in order, and says in its result how far it was.
	if _, err := b.s.Called(ctx, Call{Agent: "lib", Instance: "2", Library: "lib", Results: []Result{{
		Ref: task.Ref, Error: "the agent is being stopped", Failure: Interrupted, Checkpoint: at(875, "seven eighths"), Regions: regionsUntil(750, 875),
	}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.s.Schedule(ctx, b.lib, 0); err != nil {
		t.Fatal(err)
	}
	task = leased()
	if task.Resume == nil || task.Resume.Sector != 875 || string(task.Resume.HashState) != "seven eighths" {
		t.Fatalf("%+v", task.Resume)
	}

	// Something more urgent takes the drive.
	b.exec(stopTasks, []int64{task.Ref.ID})
	snap, err := b.s.Snapshot(ctx, b.lib)
	if err != nil || len(snap.Tasks) != 1 || snap.Tasks[0].Sectors != 125 || snap.Tasks[0].Sector != 875 {
		t.Fatalf("%+v %v", snap.Tasks, err)
	}
	call("2", Progress{Ref: task.Ref, Checkpoint: at(1000, "after it was stopped")})
	b.verify = func(task Task) Result {
		if task.Resume == nil || task.Resume.Sector != 875 || string(task.Resume.HashState) != "seven eighths" {
			t.Errorf("%+v", task.Resume)
		}
		return Result{SHA256: imageHash, Checkpoint: at(1000, "all"), Regions: regionsUntil(875, 1000), Bytes: 125 * 2048}
	}
	b.agent.name = "lib"
	b.settleAs("2")
	h := b.record("lib-1")
	if len(h.Readings) != 1 || h.Readings[0].Finished == nil || h.Readings[0].Done != 1000 || h.Readings[0].Seconds != 64 || len(h.Regions) != 64 {
		t.Errorf("%+v, %d regions", h.Readings, len(h.Regions))
	}
	if h.Disc.State != library.Good || h.Disc.Grade != health.Watch && h.Disc.Grade != health.Healthy {
		t.Errorf("%+v", h.Disc)
	}

	// What was broken off too long ago is begun anew.
	b.exec(`insert into reading (disc_id, library_id, drive, kind, sectors, done, hash_state, begun) select id, library_id, 1, 'scrub', 1000, 900, 'x', now() - interval '40 days' from disc where label = 'lib-2'`)
	b.verify = func(task Task) Result {
		if task.Resume != nil {
			t.Errorf("%+v", task.Resume)
		}
		return well(task)
	}
	if _, err := b.s.StartScrub(ctx, uuid.NewString(), []string{"lib-2"}, false); err != nil {
		t.Fatal(err)
	}
	b.settleAs("2")
}

// A restore that had to help itself shows in the record, and one that lost something has the disc read in another drive.
func TestRestoreLeavesItsMark(t *testing.T) {
	b := newBench(t, 2, 2)
	drive, avoid := 1, (*int)(nil)
	rec := func(label string, r Result) {
		b.Helper()
		err := b.s.inTx(t.Context(), func(tx pgx.Tx) error {
			x := recorder{ctx: t.Context(), tx: tx, lib: b.lib, r: r}
			x.t.Kind, x.t.Drive, x.t.Avoid = library.ReadTask, &drive, avoid
			if err := tx.QueryRow(t.Context(), `select id from disc where label = $1`, label).Scan(&x.t.Disc); err != nil {
				return err
			}
			return x.read()
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	rec("lib-1", Result{Bytes: 50 * 2048, Repaired: 3, Wrong: 1, WorstRow: 2, Roots: 32, Retries: 4, Slowly: 1})
	h := b.record("lib-1")
	if len(h.Readings) != 1 || h.Readings[0].Whole || h.Readings[0].Repaired != 3 || h.Readings[0].Wrong != 1 || h.Disc.State != library.Good {
		t.Errorf("%+v %+v", h.Readings, h.Disc)
	}
	if got := strings.Join(steps(h), " "); got != "silent repair retry slower other_drive" {
		t.Error(got)
	}
	b.verify = well
	b.settle()
	if len(b.drives) != 1 || b.drives[0] == drive {
		t.Errorf("what may be worn is read in %v", b.drives)
	}
	b.drives = nil
	b.exec(`update disc set image_id = (select image_id from disc where label = 'lib-2') where label = 'lib-1'`)
	lost := Result{Bytes: 50 * 2048, Lost: [][]byte{imageHash}, Damaged: 5, Error: "1 content is lost", Failure: DiscFailure}
	rec("lib-2", lost)
	if h = b.record("lib-2"); h.Disc.State != library.Good || strings.Join(steps(h), " ") != "other_drive" {
		t.Errorf("after the first drive: %+v %v", h.Disc, steps(h))
	}
	first := 1
	drive, avoid = 2, &first
	rec("lib-2", lost)
	h = b.record("lib-2")
	if h.Disc.State != library.Suspect || h.Disc.Grade != health.MigrateNow || !h.Disc.Confirmed {
		t.Errorf("%+v", h.Disc)
	}
	if got := strings.Join(steps(h), " "); got != "other_drive suspected other_copy" || !strings.Contains(h.Steps[0].Detail, "lib-1") {
		t.Error(h.Steps)
	}
	b.verify = well
	b.settle()
	if h = b.record("lib-2"); h.Disc.State != library.Good || len(b.drives) != 1 || b.drives[0] == 2 {
		t.Errorf("%+v, read in %v", h.Disc, b.drives)
	}
}

func TestScrubInterval(t *testing.T) {
	b := newBench(t, 30, 1)
	ctx := t.Context()
	if _, err := b.s.KeepCalendar(ctx); err != nil {
		t.Fatal(err)
	}
	const day = 24 * time.Hour
	v, err := b.s.SetScrubInterval(ctx, "v", 100*day)
	if err != nil || v.Scrub != 100*day {
		t.Fatalf("%+v %v", v, err)
	}
	for _, bad := range []time.Duration{0, time.Hour, 40000 * day} {
		if _, err := b.s.SetScrubInterval(ctx, "v", bad); library.FaultOf(err) != library.Invalid {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if _, err := b.s.SetScrubInterval(ctx, "w", 100*day); library.FaultOf(err) != library.NotFound {
		t.Error(err)
	}
	if _, err := b.s.KeepCalendar(ctx); err != nil {
		t.Fatal(err)
	}
	span := func() (first, last float64) {
		if err := b.s.pool.QueryRow(ctx, `select extract(epoch from min(scrub_due) - now()) / 86400, extract(epoch from max(scrub_due) - now()) / 86400 from disc`).Scan(&first, &last); err != nil {
			t.Fatal(err)
		}
		return first, last
	}
	if first, last := span(); first < 50 || last > 100 {
		t.Errorf("due after %.1f to %.1f days", first, last)
	}
	// The lot that a bad disc was bought with comes sooner, wherever its discs were burned and when.
	b.exec(`update disc set lot = 'A', burned = burned - id * interval '40 days' where id % 3 = 0`)
	b.exec(`update disc set burned = burned - id * interval '40 days' where id % 3 <> 0`)
	b.exec(`update disc set media_id = 'RITEK-BR3-000' where id % 5 = 0`)
	b.exec(`update disc set state = 'suspect' where id = (select min(id) from disc where lot = 'A')`)
	if _, err := b.s.KeepCalendar(ctx); err != nil {
		t.Fatal(err)
	}
	var lot, rest float64
	if err := b.s.pool.QueryRow(ctx, `
select avg(extract(epoch from scrub_due - now())) filter (where lot = 'A' and state = 'good') / 86400, avg(extract(epoch from scrub_due - now())) filter (where lot = '') / 86400 from disc`).
		Scan(&lot, &rest); err != nil || lot > 0.6*rest {
		t.Errorf("the lot is due after %.1f days on average, the rest after %.1f: %v", lot, rest, err)
	}
	// For one disc the same is found as for all.
	err = b.s.inTx(ctx, func(tx pgx.Tx) error {
		all, err := turns(ctx, tx, nil)
		if err != nil || len(all) != 30 {
			return fmt.Errorf("%d turns: %w", len(all), err)
		}
		for _, want := range all {
			one, err := turns(ctx, tx, []int64{want.disc})
			if err != nil || len(one) != 1 || one[0].risk != want.risk {
				t.Errorf("disc %d: %+v, %v; among all %+v", want.disc, one, err, want)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestLot(t *testing.T) {
	b := newBench(t, 5, 1)
	b.exec(`update element set disc_id = null, fill = 'empty' where kind = 'slot' and number = 2`)
	b.exec(`update element set disc_id = (select id from disc where label = 'lib-2'), fill = 'full', home = 2 where kind = 'drive' and number = 1`)
	if n, err := b.s.SetLot(t.Context(), "lib", []SlotRange{{1, 2}, {4, 4}}, "A"); err != nil || n != 3 {
		t.Errorf("%d discs: %v", n, err)
	}
	var labels string
	if err := b.s.pool.QueryRow(t.Context(), `select string_agg(label, ' ' order by label) from disc where lot = 'A'`).Scan(&labels); err != nil || labels != "lib-1 lib-2 lib-4" {
		t.Errorf("%s %v", labels, err)
	}
	for _, bad := range []SlotRange{{0, 1}, {3, 2}, {5, 6}} {
		if _, err := b.s.SetLot(t.Context(), "lib", []SlotRange{{1, 1}, bad}, "B"); library.FaultOf(err) != library.Invalid {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if _, err := b.s.SetLot(t.Context(), "lib", []SlotRange{{1, 1}}, strings.Repeat("x", 256)); library.FaultOf(err) != library.Invalid {
		t.Error(err)
	}
}

func TestAlerts(t *testing.T) {
	b := newBench(t, 3, 4)
	if alerts, err := b.s.Alerts(t.Context()); err != nil || len(alerts) != 0 {
		t.Errorf("%+v %v", alerts, err)
	}
	b.exec(`update library set trouble = 'door open'`)
	b.exec(`update drive set up = false, reason = 'dust' where number = 3`)
	b.exec(`update disc set scrub_due = now() - interval '3 days' where label = 'lib-1'`)
	b.exec(`update disc set state = 'suspect', reason = 'odd' where label = 'lib-2'`)
	alerts, err := b.s.Alerts(t.Context())
	var kinds []string
	for _, a := range alerts {
		kinds = append(kinds, a.Kind)
	}
	if got := strings.Join(kinds, " "); err != nil || got != "disc drive overdue robot" {
		t.Errorf("%+v %v", alerts, err)
	}
	for _, c := range []struct {
		limit time.Duration
		fault library.Fault
	}{{72 * time.Hour, 0}, {0, 0}, {-1, library.Invalid}} {
		if err := b.s.SetEvacuationLimit(t.Context(), "lib", c.limit); library.FaultOf(err) != c.fault || (err != nil) != (c.fault != 0) {
			t.Errorf("%v: %v", c.limit, err)
		}
		if libs, err := b.s.Libraries(t.Context()); err != nil || c.limit >= 0 && libs[0].EvacuationLimit != c.limit.Seconds() {
			t.Errorf("%+v %v", libs, err)
		}
	}
	if err := b.s.SetEvacuationLimit(context.Background(), "no", time.Hour); library.FaultOf(err) != library.NotFound {
		t.Error(err)
	}
}

func TestObserved(t *testing.T) {
	b := newBench(t, 10, 1)
	b.exec(`update disc set burned = now() - interval '2 years', verified = now() - interval '1 year'`)
	b.exec(`update disc set failed = now() - interval '1 year' where label in ('lib-1', 'lib-2')`)
	b.exec(`update disc set state = 'retired' where label = 'lib-3'`)
	seen, err := b.s.Observed(t.Context(), "")
	if err != nil || len(seen) != 1 || seen[0].Failures != 2 || seen[0].Discs != 9 || seen[0].DiscYears < 16.9 || seen[0].DiscYears > 17.1 {
		t.Fatalf("%+v %v", seen, err)
	}
	if _, err := b.s.Observed(t.Context(), "w"); library.FaultOf(err) != library.NotFound {
		t.Error(err)
	}
}
