package postgres

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
	"github.com/odarchive/odarchive/library/schedule"
)

// sitting is what happens at a desk in one transaction: what an agent says is recorded, what others have changed is taken in, what should start is
// decided, checked and leased, and what is leased is read. Several sittings, at desks of different libraries, share the transaction.
type sitting struct {
	s    *Store
	ctx  context.Context
	tx   pgx.Tx
	d    *desk
	lib  string
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

	err     error             // why there is nothing to be done here; the others go on
	fresh   bool              // the agent's process is new
	rest    []Result          // those that are recorded one after the other
	knows   []int64           // tasks of whose end the desk was told
	actions []schedule.Action // what has been decided and not been leased yet
	leased  int
	tasks   []Task
	probes  []Probe
}

// anew is the same wish, of which nothing has happened.
func (t sitting) anew() *sitting {
	return &sitting{s: t.s, lib: t.lib, call: t.call, decide: t.decide, builds: t.builds, list: t.list}
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
	a = Answer{LibraryID: lib, WantReport: t.wantReport, Probes: t.probes, Changed: t.fresh || len(c.Results) > 0 || c.Report != nil}
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

// Continue decides as Schedule does, unless builds is negative, and returns what the library's agent should be running, and the
// operators' words that no report has answered. The work of those in running is left out.
func (s *Store) Continue(ctx context.Context, lib string, builds int, running []Ref) ([]Task, []Probe, error) {
	t := sitting{decide: builds >= 0, builds: builds, list: true}
	if err := s.take(ctx, lib, &t); err != nil {
		return nil, nil, err
	}
	return t.tasks, t.probes, s.withExtents(ctx, t.tasks, refsOf(running))
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

// take has a turn taken, together with those of other libraries that come at the same time.
func (s *Store) take(ctx context.Context, lib string, t *sitting) error {
	t.s, t.lib = s, lib
	seat := &seat{ctx: ctx, sitting: *t}
	err := s.rounds.join(seat, s.sit)
	*t = seat.sitting
	return err
}

// sit runs a round. One that fails, whoever's fault that is, is taken apart: each of its members is served alone.
func (s *Store) sit(members []*seat) {
	ctx, cancel := contextOf(members)
	defer cancel()
	if len(members) > 1 && s.sitOnce(ctx, inOrder(members)) == nil {
		return
	}
	for _, m := range members {
		alone := []*seat{m}
		for attempt := 0; ; attempt++ {
			// Again when Postgres asks for that, or when somebody changed what had just been decided about.
			if m.err = s.sitOnce(ctx, alone); m.err == nil || attempt == 5 || !again(m.err) && !errors.Is(m.err, errPlanned) {
				break
			}
		}
	}
}

// sitOnce tries to hold all the sittings in one transaction. When it returns nil each has been held, or has its own error.
func (s *Store) sitOnce(ctx context.Context, members []*seat) error {
	r := round{s: s, ctx: ctx}
	for _, m := range members {
		t := m.sitting.anew()
		t.d = s.desk(t.lib)
		defer t.d.mu.Unlock()
		r.sittings = append(r.sittings, t)
	}
	all := slices.Clone(r.sittings)
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		r.tx = tx
		return r.run()
	})
	for i, t := range all {
		if err != nil {
			t.d.clear() // what was decided has not come about
			continue
		}
		members[i].err, members[i].sitting = t.err, *t
		if t.err == nil {
			t.d.version = t.version + 1
		}
	}
	return err
}

// mayDrive returns why the agent may not drive the library.
func (t *sitting) mayDrive() error {
	if t.call != nil && t.agent != t.call.Agent && t.online {
		return library.Errorf(library.Precondition, "library %s is driven by agent %s, which called less than %v ago", t.call.Library, t.agent, Lease)
	}
	return nil
}

// greet notes the agent's process when it is new.
func (t *sitting) greet() error {
	c := t.call
	if c == nil || t.instance == c.Instance {
		return nil
	}
	t.fresh = true
	// What the old process may still send is refused, and the journal of the new one knows what was begun.
	t.d.clear()
	b := &pgx.Batch{}
	b.Queue(`update library set agent = $2, instance = $3, want_report = true where id = $1`, t.lib, c.Agent, c.Instance)
	b.Queue(`update task set epoch = epoch + 1 where library_id = $1 and state = 'leased'`, t.lib)
	return t.tx.SendBatch(t.ctx, b).Close()
}

// takeIn takes in what others have changed since the desk was up to date.
func (t *sitting) takeIn(noted []change) error {
	tasks, discs := []int64{}, []int64{}
	news := false
	for _, c := range noted {
		switch {
		case slices.Contains(t.knows, c.task):
			continue
		case c.task != 0:
			tasks = append(tasks, c.task)
		case c.disc != 0:
			discs = append(discs, c.disc)
		}
		news = true
	}
	if !news {
		return nil
	}
	return t.d.reread(t.ctx, t.tx, tasks, discs)
}
