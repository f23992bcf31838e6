package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/uuid"

	"github.com/odarchive/odarchive/library"
)

// sitFor has lib sit in a round of r; run is what the round does.
func sitFor(ctx context.Context, r *rounds, lib string, run func(members []*seat)) error {
	return r.join(&seat{ctx: ctx, sitting: sitting{lib: lib}}, run)
}

// While rounds are under way those who come wait, and share the next one, but no library sits twice at a time; one who gives up is in none.
func TestRounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r rounds
		var wg sync.WaitGroup
		goOn := make(chan struct{})
		for n := range maxRounds() {
			wg.Go(func() {
				if err := sitFor(t.Context(), &r, fmt.Sprint("first", n), func(members []*seat) { <-goOn }); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		var mu sync.Mutex
		var together [][]string
		for _, lib := range []string{"a", "b", "first0", "a", "c"} {
			wg.Go(func() {
				if err := sitFor(t.Context(), &r, lib, func(members []*seat) {
					var libs []string
					for _, m := range members {
						libs = append(libs, m.sitting.lib)
					}
					mu.Lock()
					together = append(together, libs)
					mu.Unlock()
				}); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		given, giveUp := context.WithCancel(t.Context())
		wg.Go(func() {
			if err := sitFor(given, &r, "d", func([]*seat) { t.Error("somebody who has gone runs a round") }); !errors.Is(err, context.Canceled) {
				t.Errorf("somebody who has gone gets %v", err)
			}
		})
		synctest.Wait()
		if len(together) != 0 {
			t.Errorf("%v sit although there are rounds enough", together)
		}
		giveUp()
		synctest.Wait()
		close(goOn)
		wg.Wait()
		sat, most := map[string]int{}, 0
		for _, libs := range together {
			most = max(most, len(libs))
			here := map[string]bool{}
			for _, lib := range libs {
				if sat[lib]++; here[lib] {
					t.Errorf("%s sits twice in one round", lib)
				}
				here[lib] = true
			}
		}
		if most < 3 || sat["a"] != 2 || sat["b"] != 1 || sat["c"] != 1 || sat["first0"] != 1 || sat["d"] != 0 {
			t.Errorf("the rounds were %v", together)
		}
	})
}

// The context of a round lasts until the last of its members has gone.
func TestContextOfRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var members []*seat
		var leave []context.CancelFunc
		for range 3 {
			ctx, cancel := context.WithCancel(t.Context())
			members, leave = append(members, &seat{ctx: ctx}), append(leave, cancel)
		}
		ctx, end := contextOf(members)
		defer end()
		for i, l := range leave {
			if synctest.Wait(); ctx.Err() != nil {
				t.Fatalf("it has ended although only %d have gone", i)
			}
			l()
		}
		if synctest.Wait(); ctx.Err() == nil {
			t.Error("it goes on although nobody waits for it")
		}
	})
}

// park returns seats for a turn of each agent, in one round.
func park(ctx context.Context, s *Store, agents []*agent) []*seat {
	var members []*seat
	for _, a := range agents {
		call := Call{Agent: a.name, Instance: "1", Library: a.name, Results: a.results}
		members = append(members, &seat{ctx: ctx, sitting: sitting{s: s, lib: a.lib, call: &call, decide: true, builds: 2, list: true}})
	}
	return members
}

// One whose turn can't be had doesn't keep the others, who came with him, from theirs.
func TestOneSpoilsTheRound(t *testing.T) {
	s := open(t)
	agents := []*agent{newAgent(t, s, "x", 2), newAgent(t, s, "y", 2), newAgent(t, s, "z", 2)}
	if _, err := s.StartScrub(t.Context(), uuid.NewString(), []string{}, false); err != nil {
		t.Fatal(err)
	}
	for _, a := range agents {
		if _, err := a.turn(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(a.results) == 0 {
			t.Fatalf("%s got nothing to do", a.name)
		}
	}
	// y's results can't be recorded, for as long as this lasts.
	trip := func(on bool) {
		t.Helper()
		sql := `drop trigger trip on task`
		if on {
			sql = fmt.Sprintf(`
create or replace function trip() returns trigger language plpgsql as $$ begin raise exception 'tripped'; end $$;
create trigger trip before update on task for each row when (old.library_id = '%s') execute function trip()`, agents[1].lib)
		}
		if _, err := s.pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	trip(true)
	members := park(t.Context(), s, agents)
	s.sit(members)
	for i, m := range members {
		if (m.err != nil) != (i == 1) {
			t.Errorf("%s gets %v", agents[i].name, m.err)
		}
	}
	trip(false)
	// A stranger is turned away, alone.
	stranger := park(t.Context(), s, agents)
	stranger[2].sitting.call.Agent = "stranger"
	stranger[2].sitting.call.Instance = "9"
	s.sit(stranger)
	for i, m := range stranger {
		if i == 2 && library.FaultOf(m.err) != library.Precondition || i != 2 && m.err != nil {
			t.Errorf("%s gets %v", agents[i].name, m.err)
		}
	}
	for _, a := range agents {
		for range 20 {
			if _, err := a.turn(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	var done, open int
	if err := s.pool.QueryRow(t.Context(), `
select count(*) filter (where state = 'done'), count(*) filter (where state in ('queued', 'leased')) from task`).Scan(&done, &open); err != nil {
		t.Fatal(err)
	}
	if done != 18 || open != 0 {
		t.Errorf("6 discs took %d tasks, %d are open: want a load, a verify and an unload of each", done, open)
	}
}

// A controller whose connections are killed in the middle of rounds, again and again, loses nothing that it acknowledged, and does nothing twice: an
// agent that gets an error says the same again, and in the end each disc was loaded, read and put back once.
func TestKilledInTheMiddle(t *testing.T) {
	s := open(t)
	var agents []*agent
	for n := range 8 {
		agents = append(agents, newAgent(t, s, fmt.Sprint("k", n), 6))
	}
	j, err := s.StartScrub(t.Context(), uuid.NewString(), []string{}, false)
	if err != nil {
		t.Fatal(err)
	}
	killer, err := s.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer killer.Release()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var killed, failed atomic.Int64
	var killing, wg sync.WaitGroup
	progress := make(chan struct{}, 1) // somebody has had an answer since the last one was killed
	killing.Go(func() {
		for killed.Load() < 25 {
			select {
			case <-progress:
			case <-ctx.Done():
				return
			}
			// Whoever has a transaction is in the middle of a round.
			var n int64
			if err := killer.QueryRow(context.WithoutCancel(ctx), `
select count(*) filter (where pg_terminate_backend(pid)) from (
  select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and application_name = 'odarchive' and xact_start is not null
   limit 1) one`).Scan(&n); err != nil {
				t.Error(err)
				return
			}
			killed.Add(n)
		}
	})
	acknowledged := make([]map[Ref]bool, len(agents))
	for i, a := range agents {
		acknowledged[i] = map[Ref]bool{}
		wg.Go(func() {
			idle := 0
			for n := 0; idle < 5 && n < 1000; n++ {
				said := refsOfResults(a.results)
				left, err := a.turn(t.Context())
				if err != nil {
					failed.Add(1)
					continue
				}
				for _, ref := range said {
					acknowledged[i][ref] = true
				}
				select {
				case progress <- struct{}{}:
				default:
				}
				if idle++; left > 0 {
					idle = 0
				}
			}
		})
	}
	wg.Wait()
	stop()
	killing.Wait()
	if killed.Load() == 0 || failed.Load() == 0 {
		t.Fatalf("%d connections were killed, %d calls failed: this test shows nothing", killed.Load(), failed.Load())
	}
	for i, a := range agents {
		if len(acknowledged[i]) != 18 {
			t.Errorf("%s: %d results were acknowledged, want a load, a verify and an unload of each of 6 discs", a.name, len(acknowledged[i]))
		}
		for ref := range acknowledged[i] {
			var state string
			if err := s.pool.QueryRow(t.Context(), `select state::text from task where id = $1 and epoch = $2`, ref.ID, ref.Epoch).Scan(&state); err != nil || state != "done" {
				t.Errorf("%s: the result of task %d was acknowledged, and it is %q: %v", a.name, ref.ID, state, err)
			}
		}
	}
	var tasks, open, readings, home int
	if err := s.pool.QueryRow(t.Context(), `
select (select count(*) from task), (select count(*) from task where state <> 'done'), (select count(*) from reading where finished is not null and good),
       (select count(*) from element where kind = 'slot' and fill = 'full' and disc_id is not null)`).Scan(&tasks, &open, &readings, &home); err != nil {
		t.Fatal(err)
	}
	if tasks != 144 || open != 0 || readings != 48 || home != 48 {
		t.Errorf("there are %d tasks (want 144) of which %d are not done, %d readings (want 48), %d discs in their slots (want 48)", tasks, open, readings, home)
	}
	if j, err = s.Job(t.Context(), j.ID); err != nil || j.State == library.Failed {
		t.Errorf("the scrub is %v: %v", j.State, err)
	}
	if err := s.Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	if j, err = s.Job(t.Context(), j.ID); err != nil || j.State != library.Succeeded {
		t.Errorf("after somebody has tended, the scrub is %v: %v", j.State, err)
	}
}

func refsOfResults(results []Result) []Ref {
	refs := make([]Ref, len(results))
	for i, r := range results {
		refs[i] = r.Ref
	}
	return refs
}
