package postgres

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
	"github.com/odarchive/odarchive/library/schedule"
)

// sameView fails when the desk of a's library, brought up to date, decides otherwise than one that is read anew from the database.
func sameView(t *testing.T, a *agent) {
	t.Helper()
	d := a.s.desk(a.lib)
	defer d.mu.Unlock()
	if d.planner == nil {
		t.Fatal("the desk was cleared")
	}
	tx, err := a.s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.WithoutCancel(t.Context()))
	sit := sitting{s: a.s, ctx: t.Context(), tx: tx, d: d, lib: a.lib, builds: d.builds}
	noted, err := takeChanges(t.Context(), tx, []string{a.lib})
	if err != nil {
		t.Fatal(err)
	}
	if err := sit.takeIn(noted[a.lib]); err != nil {
		t.Fatal(err)
	}
	fresh := &desk{lib: a.lib}
	if err := fresh.read(t.Context(), tx, d.builds); err != nil {
		t.Fatal(err)
	}
	if len(d.running) != len(fresh.running) {
		t.Fatalf("the desk knows of the errands %+v, there are %+v", d.running, fresh.running)
	}
	for id, e := range fresh.running {
		if k := d.running[id]; k.epoch != e.epoch || k.drive != e.drive || k.load != e.load || k.unload != e.unload || k.carried != e.carried || k.kind != e.kind {
			t.Fatalf("the desk knows errand %d as %+v, it is %+v", id, k, e)
		}
	}
	now := d.latest + time.Second
	// Which of several drives takes a disc may depend on how often each was used: what matters is what is done.
	if got, want := doings(d.planner.Decide(now)), doings(fresh.planner.Decide(now)); !slices.Equal(got, want) {
		t.Fatalf("the desk decides\n%v, one that is read anew\n%v", got, want)
	}
	d.clear()
}

func doings(actions []schedule.Action) (all []string) {
	for _, a := range actions {
		if a.Load {
			a.Drive = 0
		}
		all = append(all, fmt.Sprintf("%+v", a))
	}
	slices.Sort(all)
	return all
}

// However far a library's work has got, and whatever others have changed meanwhile, the desk knows what the database says.
func TestDeskKnowsTheTruth(t *testing.T) {
	s := open(t)
	a := newAgent(t, s, "truth", 9)
	ctx := t.Context()
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := s.pool.Exec(ctx, sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	read := func(disc int) {
		exec(`insert into task (library_id, kind, priority, disc_id) select library_id, 'read', $1, id from disc where label = $2
on conflict do nothing`, library.PriorityStandard, fmt.Sprint("truth-", disc))
	}
	others := []func(){
		func() { read(1) },
		func() {
			if _, err := s.StartScrub(ctx, uuid.NewString(), []string{"truth-2", "truth-3", "truth-4"}, false); err != nil {
				t.Fatal(err)
			}
		},
		func() {
			exec(`update drive set up = false, reason = 'test' where library_id = $1 and number = 2`, a.lib)
		},
		func() { read(5); read(2) },
		func() {
			exec(`update task set priority = 500, due = now() where library_id = $1 and kind = 'read' and state = 'queued'`, a.lib)
		},
		func() {
			// Somebody takes a disc out that is wanted, and says so.
			read(6)
			exec(`update element set fill = 'empty', disc_id = null where library_id = $1 and kind = 'slot' and number = 6`, a.lib)
		},
		func() { exec(`update drive set up = true, reason = '' where library_id = $1 and number = 2`, a.lib) },
		func() {
			// He puts it back, into another place.
			exec(`update element set fill = 'full', disc_id = (select id from disc where label = 'truth-6') where library_id = $1 and kind = 'slot' and number = 6 and disc_id is null`, a.lib)
		},
		func() {
			exec(`update task set state = 'cancelled', finished = now() where library_id = $1 and kind = 'verify' and state = 'queued'`, a.lib)
		},
		func() {
			exec(`update library set trouble = 'the door is open', want_report = true where id = $1`, a.lib)
		},
		func() { exec(`update library set trouble = '', want_report = false where id = $1`, a.lib) },
	}
	turns := func(n int) {
		t.Helper()
		for range n {
			if _, err := a.turn(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, change := range others {
		turns(1) // by now the desk has been read
		change()
		sameView(t, a)
		for n := range 4 {
			turns(n + 1)
			sameView(t, a)
		}
		turns(i % 3)
	}
	turns(30)
	var left int
	if err := s.pool.QueryRow(ctx, `select count(*) from task where library_id = $1 and state in ('queued', 'leased')`, a.lib).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d tasks are left: %v", left, err)
	}
}

// Two controllers that serve one library in turn, and now and then at once, never decide from two views of it: the constraints of
// the database and each one's checker would refuse that.
func TestTwoControllers(t *testing.T) {
	s := open(t)
	a := newAgent(t, s, "shared", 12)
	other := New(s.pool)
	if _, err := s.StartScrub(t.Context(), uuid.NewString(), []string{}, false); err != nil {
		t.Fatal(err)
	}
	for i := range 60 {
		if i%5 == 4 {
			var wg sync.WaitGroup
			for _, st := range []*Store{s, other, s, other} {
				wg.Go(func() {
					if _, err := st.Schedule(t.Context(), a.lib, 2); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		before, began := a.s, time.Time{}
		if a.s = s; i%3 == 0 {
			a.s = other
		}
		if d := a.s.desks[a.lib]; d != nil {
			began = d.began
		}
		if _, err := a.turn(t.Context()); err != nil {
			t.Fatal(err)
		}
		if now := a.s.desks[a.lib].began; a.s != before && i%5 != 4 && !now.After(began) {
			t.Fatal("a controller goes on from what it knew before another one decided")
		} else if a.s == before && i%5 != 4 && now.After(began) {
			t.Fatal("a controller reads everything anew although it was alone")
		}
	}
	var done, open int
	if err := s.pool.QueryRow(t.Context(), `
select count(*) filter (where state = 'done'), count(*) filter (where state in ('queued', 'leased')) from task`).Scan(&done, &open); err != nil {
		t.Fatal(err)
	}
	if done != 36 || open != 0 {
		t.Errorf("12 discs took %d tasks, %d are open: want a load, a verify and an unload of each", done, open)
	}
}

// What was decided is not carried out, and nothing of it stays in memory, when the library has become another meanwhile.
func TestPlannedForAnother(t *testing.T) {
	s := open(t)
	a := newAgent(t, s, "race", 2)
	if _, err := s.StartScrub(t.Context(), uuid.NewString(), []string{"race-1"}, false); err != nil {
		t.Fatal(err)
	}
	d := s.desk(a.lib)
	err := pgx.BeginFunc(t.Context(), s.pool, func(tx pgx.Tx) error {
		sit := &sitting{s: s, ctx: t.Context(), tx: tx, d: d, lib: a.lib, builds: 2}
		if err := d.read(t.Context(), tx, 2); err != nil {
			return err
		}
		actions := d.planner.Decide(d.latest)
		if len(actions) != 1 || !actions[0].Load {
			t.Errorf("want a load, got %+v", actions)
		}
		// Somebody has taken the disc out in the moment between.
		if _, err := tx.Exec(t.Context(), `update element set fill = 'empty', disc_id = null where library_id = $1 and number = 1 and kind = 'slot'`, a.lib); err != nil {
			return err
		}
		sit.actions = actions
		return lease(t.Context(), tx, []*sitting{sit})
	})
	d.clear()
	d.mu.Unlock()
	if err == nil {
		t.Fatal("a disc that is gone was to be fetched")
	}
	if n, err := s.Schedule(t.Context(), a.lib, 2); err != nil || n != 1 {
		t.Errorf("the next decision took %d actions: %v", n, err)
	}
}

// A database whose clock went far ahead and was set back, or the other way round, makes the desk begin anew; what is wanted is done.
func TestClockThatJumps(t *testing.T) {
	s := open(t)
	a := newAgent(t, s, "clock", 3)
	if _, err := s.StartScrub(t.Context(), uuid.NewString(), []string{}, false); err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		d := s.desk(a.lib)
		began := d.began
		jump := map[int]time.Duration{3: 365 * 24 * time.Hour, 6: -365 * 24 * time.Hour}[i]
		if d.planner != nil && jump != 0 {
			d.latest += jump
		}
		d.mu.Unlock()
		if _, err := a.turn(t.Context()); err != nil {
			t.Fatal(err)
		}
		if i == 3 {
			if d := s.desks[a.lib]; !d.began.After(began) || d.latest > since(float64(time.Now().Add(time.Hour).Unix())) {
				t.Error("the desk plans on by a clock that was wrong")
			}
		}
	}
	var open int
	if err := s.pool.QueryRow(t.Context(), `select count(*) from task where state in ('queued', 'leased')`).Scan(&open); err != nil || open != 0 {
		t.Errorf("%d tasks are open: %v", open, err)
	}
}
