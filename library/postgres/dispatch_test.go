package postgres

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/odarchive/odarchive/internal/pgserver/pgtest"
	"github.com/odarchive/odarchive/library"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func open(t testing.TB) *Store {
	t.Helper()
	ctx := context.Background()
	dsn := pgtest.New(t, "catalogue", func(ctx context.Context, dsn string) error {
		pool, err := pgxpool.New(ctx, dsn)
		if err != nil {
			return err
		}
		defer pool.Close()
		return Migrate(ctx, pool)
	})
	s, err := Open(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

var imageHash = bytes.Repeat([]byte{7}, 32)

// agent is a simulated agent: everything that it is given takes no time and goes well.
type agent struct {
	s       *Store
	name    string
	lib     string
	results []Result
	images  map[int64]string // by disc
	refuse  func(t Task) bool
	fail    func(t Task, r *Result)
	done    atomic.Int64
}

// newAgent makes a library of 4 drives with recorded discs in its first slots.
func newAgent(t testing.TB, s *Store, name string, discs int) *agent {
	t.Helper()
	ctx := context.Background()
	a := &agent{s: s, name: name, images: map[int64]string{}}
	r := &Report{Model: "test", SensesSlots: true}
	for n := 1; n <= 4; n++ {
		r.Elements = append(r.Elements, ReportedElement{Place: Place{DriveBay, n}, Unit: 1, Fill: Empty})
		r.Drives = append(r.Drives, ReportedDrive{Number: n, Name: fmt.Sprint("sr", n)})
	}
	for n := 1; n <= discs; n++ {
		r.Elements = append(r.Elements, ReportedElement{Place: Place{Slot, n}, Unit: 1, Fill: Empty})
	}
	answer, err := s.Called(ctx, Call{Agent: name, Instance: "1", Library: name, Report: r})
	if err != nil {
		t.Fatal(err)
	}
	a.lib = answer.LibraryID
	if _, err := s.CreateVault(ctx, Vault{Name: "v", Copies: 1}); err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= discs; n++ {
		image := uuid.NewString()
		var disc int64
		if _, err := s.pool.Exec(ctx, `
insert into image (id, vault_id, library_id, medium, sectors, created, sha256, safe) select $1, id, $2, 'BD-R', 1000, now(), $3, now() from vault where name = 'v'`, image, a.lib, imageHash); err != nil {
			t.Fatal(err)
		}
		if err := s.pool.QueryRow(ctx, `
insert into disc (label, library_id, medium, capacity, state, image_id, recorded, burned, verified)
values ($1, $2, 'BD-R', 1000, 'good', $3, 1000, now(), now()) returning id`, fmt.Sprintf("%s-%d", name, n), a.lib, image).Scan(&disc); err != nil {
			t.Fatal(err)
		}
		if _, err := s.pool.Exec(ctx, `update element set fill = 'full', disc_id = $3 where library_id = $1 and kind = 'slot' and number = $2`, a.lib, n, disc); err != nil {
			t.Fatal(err)
		}
		a.images[disc] = image
	}
	return a
}

// turn is one call: what was done is reported, and what is given then is done.
func (a *agent) turn(ctx context.Context) (n int, err error) {
	_, tasks, err := a.s.Turn(ctx, Call{Agent: a.name, Instance: "1", Library: a.name, Results: a.results}, 2)
	if err != nil {
		return 0, err
	}
	a.done.Add(int64(len(a.results)))
	a.results = a.results[:0]
	for _, t := range tasks {
		if a.refuse != nil && a.refuse(t) {
			continue
		}
		r := Result{Ref: t.Ref, Seconds: 10, Bytes: 2048000}
		switch t.Kind {
		case library.MoveTask:
			r.Outcome = Moved
			r.Identity = Identity{State: Ours, ImageID: a.images[t.DiscID]}
		default:
			r.SHA256 = imageHash
		}
		if a.fail != nil {
			a.fail(t, &r)
		}
		a.results = append(a.results, r)
	}
	return len(tasks), nil
}

func TestDispatch(t *testing.T) {
	s := open(t)
	a := newAgent(t, s, "one", 12)
	// They have come home after a burn: whatever drive they go into, they are loaded anew.
	if _, err := s.pool.Exec(t.Context(), `update disc set reload = true`); err != nil {
		t.Fatal(err)
	}
	j, err := s.StartScrub(t.Context(), uuid.NewString(), []string{}, false)
	if err != nil {
		t.Fatal(err)
	}
	for range 200 {
		n, err := a.turn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
	}
	if j, err = s.Job(t.Context(), j.ID); err != nil || j.State != library.Succeeded {
		t.Fatalf("the scrub is %v: %v", j, err)
	}
	if n := a.done.Load(); n != 36 {
		t.Errorf("12 discs took %d tasks, want a load, a verify and an unload of each", n)
	}
	timing, err := s.Timing(t.Context(), a.lib)
	if err != nil || timing.Load != 10 || timing.VerifyRate != 204800 {
		t.Errorf("what was measured: %+v %v", timing, err)
	}
}

// A scrub gives its drive to a read at once, and goes on later; what its agent says of the old lease is not believed.
func TestStop(t *testing.T) {
	s := open(t)
	a := newAgent(t, s, "two", 5)
	if _, err := s.StartScrub(t.Context(), uuid.NewString(), []string{"two-1", "two-2", "two-3", "two-4"}, false); err != nil {
		t.Fatal(err)
	}
	a.refuse = func(t Task) bool { return t.Kind == library.VerifyTask }
	for range 20 {
		if _, err := a.turn(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	leased, err := s.Leased(t.Context(), a.lib, nil)
	if err != nil || len(leased) != 4 {
		t.Fatalf("want 4 verifies that run, got %+v %v", leased, err)
	}
	if _, err := s.pool.Exec(t.Context(), `
insert into task (library_id, kind, priority, disc_id) select library_id, 'read', $1, id from disc where label = 'two-5'`, library.PriorityBulk); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Schedule(t.Context(), a.lib, 2); err != nil || n != 2 {
		t.Fatalf("want one stop and the unload for which it was, got %d actions: %v", n, err)
	}
	now, err := s.Leased(t.Context(), a.lib, nil)
	if err != nil || len(now) != 4 || now[3].Kind != library.MoveTask {
		t.Fatalf("want 3 verifies that go on, and the move, got %+v %v", now, err)
	}
	for _, l := range leased {
		a.results = append(a.results, Result{Ref: l.Ref, Seconds: 1, SHA256: imageHash})
	}
	for range 40 {
		if _, err := a.turn(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var open, verified int
	if err := s.pool.QueryRow(t.Context(), `
select count(*) filter (where state in ('queued', 'leased')), count(*) filter (where kind = 'verify' and state = 'done') from task`).Scan(&open, &verified); err != nil {
		t.Fatal(err)
	}
	if verified != 3 {
		t.Errorf("%d verifies were believed, want the 3 that were not stopped", verified)
	}
}

func TestCalendar(t *testing.T) {
	s := open(t)
	a := newAgent(t, s, "three", 40)
	if n, err := s.KeepCalendar(t.Context()); err != nil || n != 0 {
		t.Fatalf("%d scrubs of discs that have just been verified: %v", n, err)
	}
	const year = 365 * 24 * time.Hour
	var first, last time.Duration
	var days int
	if err := s.pool.QueryRow(t.Context(), `
select min(scrub_due) - now(), max(scrub_due) - now(), count(distinct scrub_due::date) from disc where scrub_due is not null`).Scan(&first, &last, &days); err != nil {
		t.Fatal(err)
	}
	if first < year/2 || last > year+24*time.Hour || days < 30 {
		t.Errorf("40 scrubs are due on %d days, the first after %v, the last after %v", days, first, last)
	}
	// A disc goes bad: those that were burned with it are due sooner.
	if _, err := s.pool.Exec(t.Context(), `update disc set state = 'suspect' where label = 'three-1'`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.KeepCalendar(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.pool.QueryRow(t.Context(), `select max(scrub_due) - now() from disc`).Scan(&last); err != nil {
		t.Fatal(err)
	}
	if last > year/2+24*time.Hour {
		t.Errorf("mates of a disc that went bad are scrubbed only after %v", last)
	}
	// What is overdue is queued once.
	if _, err := s.pool.Exec(t.Context(), `update disc set scrub_due = now() - interval '1 hour' where label in ('three-2', 'three-3')`); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int64{2, 0} {
		if n, err := s.KeepCalendar(t.Context()); err != nil || n != want {
			t.Fatalf("call %d queued %d scrubs, want %d: %v", i+1, n, want, err)
		}
	}
	for range 20 {
		if _, err := a.turn(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	var overdue int
	if err := s.pool.QueryRow(t.Context(), `select count(*) from disc where scrub_due < now()`).Scan(&overdue); err != nil || overdue != 0 {
		t.Errorf("%d discs are overdue after their scrub: %v", overdue, err)
	}
}
