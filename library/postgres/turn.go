package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
)

// sitting is one transaction of a desk: what an agent says is recorded, what others have changed is taken in, what should start is
// decided, checked and leased, and what is leased is read. Statements that don't wait for each other's answers travel together.
type sitting struct {
	s    *Store
	ctx  context.Context
	tx   pgx.Tx
	d    *desk
	call *Call
	// What is wanted: decisions, with so many builds at a time, and the leased tasks.
	decide bool
	builds int
	list   bool

	// What the library's row says.
	name, agent, instance, mark string
	version                     int64
	now                         time.Duration
	online, wantReport          bool

	fresh  bool    // the agent's process is new
	knows  []int64 // tasks of whose end the desk was told
	leased int
	tasks  []Task
}

// Called records what an agent says: who it is, its results, what it sees and how far it is. A result of an old lease is
// acknowledged and not believed.
func (s *Store) Called(ctx context.Context, c Call) (Answer, error) {
	a, _, err := s.Turn(ctx, c, -1)
	return a, err
}

// Turn records what an agent says, as Called does, and unless builds is negative decides what its library should start now, with
// so many builds at a time, and leases that: all of it, or nothing. It returns what the agent should be running.
func (s *Store) Turn(ctx context.Context, c Call, builds int) (a Answer, tasks []Task, err error) {
	lib, err := s.Meet(ctx, c)
	if err != nil {
		return a, nil, err
	}
	t := sitting{call: &c, decide: builds >= 0, builds: builds, list: true}
	if err := s.take(ctx, lib, &t); err != nil {
		return a, nil, err
	}
	a = Answer{LibraryID: lib, WantReport: t.wantReport, Changed: t.fresh || len(c.Results) > 0 || c.Report != nil}
	for _, r := range c.Results {
		a.Acknowledged = append(a.Acknowledged, r.Ref)
	}
	running := make([]Ref, len(c.Running))
	for i, r := range c.Running {
		running[i] = r.Ref
	}
	return a, t.tasks, s.withExtents(ctx, t.tasks, refsOf(running))
}

// Schedule decides what the library should start now, leases it, and returns how many actions it took. What is decided is
// checked by somebody else than who decided it: a plan that breaks a rule is not carried out.
func (s *Store) Schedule(ctx context.Context, lib string, builds int) (leased int, err error) {
	t := sitting{decide: true, builds: builds}
	err = s.take(ctx, lib, &t)
	return t.leased, err
}

// Continue decides as Schedule does, unless builds is negative, and returns what the library's agent should be running. The work of
// those in running is left out.
func (s *Store) Continue(ctx context.Context, lib string, builds int, running []Ref) ([]Task, error) {
	t := sitting{decide: builds >= 0, builds: builds, list: true}
	if err := s.take(ctx, lib, &t); err != nil {
		return nil, err
	}
	return t.tasks, s.withExtents(ctx, t.tasks, refsOf(running))
}

// Meet returns the id of the library that an agent calls for, and makes it at the first call.
func (s *Store) Meet(ctx context.Context, c Call) (id string, err error) {
	if c.Library == "" || c.Agent == "" || c.Instance == "" {
		return "", library.Errorf(library.Invalid, "an agent gives its name, its instance and its library")
	}
	s.mu.Lock()
	id = s.named[c.Library]
	s.mu.Unlock()
	if id != "" {
		return id, nil
	}
	if _, err := s.pool.Exec(ctx, `insert into library (name, agent) values ($1, $2) on conflict (name) do nothing`, c.Library, c.Agent); err != nil {
		return "", err
	}
	if err := s.pool.QueryRow(ctx, `select id::text from library where name = $1`, c.Library).Scan(&id); err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.named == nil {
		s.named = map[string]string{}
	}
	s.named[c.Library] = id
	return id, nil
}

// errPlanned says that a lease found the library in another state than it was planned for: the desk is read anew.
var errPlanned = errors.New("the library is not as it was planned for")

// take runs a turn in a transaction, again when Postgres asks for that or when somebody changed what had just been decided about.
func (s *Store) take(ctx context.Context, lib string, t *sitting) error {
	d := s.desk(lib)
	defer d.mu.Unlock()
	for attempt := 0; ; attempt++ {
		next := sitting{s: s, ctx: ctx, d: d, call: t.call, decide: t.decide, builds: t.builds, list: t.list}
		err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
			next.tx = tx
			return next.run()
		})
		if err == nil {
			d.version = next.version + 1
			*t = next
			return nil
		}
		d.clear() // what was decided has not come about
		if (again(err) || errors.Is(err, errPlanned)) && attempt < 5 {
			continue
		}
		return err
	}
}

func (t *sitting) run() error {
	looked, err := t.look()
	if err != nil {
		return err
	}
	if err := t.greet(); err != nil {
		return err
	}
	builds := t.builds
	if !t.decide {
		builds = t.d.builds
	}
	if !t.d.good(t.mark, t.s.self, t.version, t.now, builds) {
		t.d.clear()
	}
	t.d.latest = t.now
	if err := t.record(looked); err != nil {
		return err
	}
	if t.decide {
		if err := t.plan(); err != nil {
			return err
		}
	}
	return t.finish()
}

// generic has PostgreSQL plan the statements of a transaction once for each connection, and not for each set of arguments: nothing in them depends on
// what the arguments are, and planning takes longer than most of them run.
const generic = `set local plan_cache_mode = force_generic_plan`

// look locks the library's row and reads it, together with what is to be known of the tasks of which results have come.
func (t *sitting) look() (map[int64]looked, error) {
	b := &pgx.Batch{}
	b.Queue(generic)
	b.Queue(`
select name, agent, instance, coalesce(planner::text, ''), plan_version, want_report, coalesce(last_seen > now() - $2::interval, false),
       extract(epoch from now())::float8
  from library where id = $1 for update`, t.d.lib, Lease)
	if t.call != nil && len(t.call.Results) > 0 {
		b.Queue(lookAtTasks, t.d.lib, idsOf(t.call.Results))
	}
	r := t.tx.SendBatch(t.ctx, b)
	defer r.Close()
	if _, err := r.Exec(); err != nil {
		return nil, err
	}
	var now float64
	if err := r.QueryRow().Scan(&t.name, &t.agent, &t.instance, &t.mark, &t.version, &t.wantReport, &t.online, &now); err != nil {
		return nil, notFound(err, "there is no library %s", t.d.lib)
	}
	t.now = since(now)
	if b.Len() == 2 {
		return nil, r.Close()
	}
	rows, err := r.Query()
	if err != nil {
		return nil, err
	}
	found, err := collectLooked(rows)
	if err != nil {
		return nil, err
	}
	return found, r.Close()
}

// greet says whether the agent may drive the library, and whether its process is new.
func (t *sitting) greet() error {
	c := t.call
	if c == nil {
		return nil
	}
	if t.agent != c.Agent && t.online {
		return library.Errorf(library.Precondition, "library %s is driven by agent %s, which called less than %v ago", c.Library, t.agent, Lease)
	}
	t.fresh = t.instance != c.Instance
	if !t.fresh {
		return nil
	}
	// What the old process may still send is refused, and the journal of the new one knows what was begun.
	t.d.clear()
	b := &pgx.Batch{}
	b.Queue(`update library set agent = $2, instance = $3, want_report = true where id = $1`, t.d.lib, c.Agent, c.Instance)
	b.Queue(`update task set lease_until = now() + $2::interval, epoch = epoch + 1 where library_id = $1 and state = 'leased'`, t.d.lib, Lease)
	return t.tx.SendBatch(t.ctx, b).Close()
}

// finish writes who planned last and what the agent said of itself, and reads what is leased.
func (t *sitting) finish() error {
	b := &pgx.Batch{}
	if t.call != nil {
		b.Queue(`update library set last_seen = now(), planner = $2, plan_version = $3 where id = $1`, t.d.lib, t.s.self, t.version+1)
	} else {
		b.Queue(`update library set planner = $2, plan_version = $3 where id = $1`, t.d.lib, t.s.self, t.version+1)
	}
	b.Queue(`select want_report from library where id = $1`, t.d.lib)
	if t.list {
		b.Queue(selectLeased, t.d.lib)
	}
	r := t.tx.SendBatch(t.ctx, b)
	defer r.Close()
	if _, err := r.Exec(); err != nil {
		return err
	}
	if err := r.QueryRow().Scan(&t.wantReport); err != nil {
		return err
	}
	if !t.list {
		return r.Close()
	}
	rows, err := r.Query()
	if err != nil {
		return err
	}
	if t.tasks, err = collectLeased(rows); err != nil {
		return err
	}
	return r.Close()
}

// plan brings the desk up to date and carries out what it decides.
func (t *sitting) plan() error {
	if t.d.planner == nil {
		if err := t.d.read(t.ctx, t.tx, t.builds); err != nil {
			return err
		}
	} else if err := t.catchUp(); err != nil {
		return err
	}
	// What is stopped leaves its drive free for something else at once.
	for range 4 {
		actions := t.d.planner.Decide(t.now)
		if len(actions) == 0 {
			return nil
		}
		t.d.checker.Decide(t.now)
		for _, a := range actions {
			if err := t.d.checker.Check(a); err != nil {
				return fmt.Errorf("schedule library %s: %w", t.name, err)
			}
		}
		if err := t.lease(actions); err != nil {
			return err
		}
		t.leased += len(actions)
	}
	return nil
}

// catchUp takes in what others have changed since the desk was up to date.
func (t *sitting) catchUp() error {
	rows, err := t.tx.Query(t.ctx, `delete from plan_change where library_id = $1 returning coalesce(task_id, 0), coalesce(disc_id, 0)`, t.d.lib)
	if err != nil {
		return err
	}
	tasks, discs := []int64{}, []int64{}
	var task, disc int64
	news := false
	_, err = pgx.ForEachRow(rows, []any{&task, &disc}, func() error {
		switch {
		case slices.Contains(t.knows, task):
			return nil
		case task != 0:
			tasks = append(tasks, task)
		case disc != 0:
			discs = append(discs, disc)
		}
		news = true
		return nil
	})
	if err != nil || !news {
		return err
	}
	return t.d.reread(t.ctx, t.tx, tasks, discs)
}
