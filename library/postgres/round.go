package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// round is one transaction in which several sittings are held, in ascending order of their libraries. Each statement does for all of them what
// it does; what is out of the ordinary is looked after one by one.
type round struct {
	s        *Store
	ctx      context.Context
	tx       pgx.Tx
	sittings []*sitting
}

func (r *round) run() error {
	found, err := r.look()
	if err != nil {
		return err
	}
	if err := r.greet(); err != nil {
		return err
	}
	if err := r.record(found); err != nil {
		return err
	}
	if err := r.plan(); err != nil {
		return err
	}
	return r.finish()
}

// record takes in what the agents say.
func (r *round) record(found map[int64]looked) error {
	var l ledger
	for _, t := range r.sittings {
		t.sort(found, &l)
	}
	if err := l.write(r.ctx, r.tx); err != nil {
		return err
	}
	for _, t := range r.sittings {
		if err := t.record(); err != nil {
			return err
		}
	}
	return nil
}

// leave drops the sittings at which nothing is to be done.
func (r *round) leave() {
	var stay []*sitting
	for _, t := range r.sittings {
		if t.err == nil {
			stay = append(stay, t)
		}
	}
	r.sittings = stay
}

func (r *round) libraries() []string {
	libs := make([]string, len(r.sittings))
	for i, t := range r.sittings {
		libs[i] = t.lib
	}
	return libs
}

// generic has PostgreSQL plan the statements of a transaction once for each connection, and not for each set of arguments: nothing in them depends on
// what the arguments are, and planning takes longer than most of them run. They look rows up by keys, so that a plan is wanted that does even if it
// was made while a table was nearly empty: by an index wherever there is one. What costs that seems to have is no reason to compile anything.
const generic = `
select set_config('plan_cache_mode', 'force_generic_plan', true), set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)`

// look locks the libraries' rows and reads them, together with what is to be known of the tasks of which results have come.
func (r *round) look() (map[int64]looked, error) {
	var ids []int64
	at := make(map[string]*sitting, len(r.sittings))
	for _, t := range r.sittings {
		t.ctx, t.tx = r.ctx, r.tx
		at[t.lib] = t
		t.err = notFound(pgx.ErrNoRows, "there is no library %s", t.lib)
		if t.call != nil {
			ids = append(ids, idsOf(t.call.Results)...)
		}
	}
	b := &pgx.Batch{}
	b.Queue(generic)
	b.Queue(`
select id::text, name, agent, instance, coalesce(planner::text, ''), plan_version, want_report, coalesce(last_seen > now() - $2::interval, false),
       extract(epoch from now())::float8
  from library where id = any ($1::uuid[]) order by id for update`, r.libraries(), Lease)
	if len(ids) > 0 {
		b.Queue(lookAtTasks, ids)
	}
	res := r.tx.SendBatch(r.ctx, b)
	defer res.Close()
	if _, err := res.Exec(); err != nil {
		return nil, err
	}
	rows, err := res.Query()
	if err != nil {
		return nil, err
	}
	var row sitting
	var now float64
	if _, err := pgx.ForEachRow(rows, []any{&row.lib, &row.name, &row.agent, &row.instance, &row.mark, &row.version, &row.wantReport, &row.online, &now}, func() error {
		t := at[row.lib]
		t.name, t.agent, t.instance, t.mark, t.version, t.wantReport, t.online = row.name, row.agent, row.instance, row.mark, row.version, row.wantReport, row.online
		t.now, t.err = since(now), nil
		return nil
	}); err != nil {
		return nil, err
	}
	r.leave()
	if len(ids) == 0 {
		return nil, res.Close()
	}
	if rows, err = res.Query(); err != nil {
		return nil, err
	}
	found, err := collectLooked(rows)
	if err != nil {
		return nil, err
	}
	return found, res.Close()
}

// greet says who may go on, and from what he knows.
func (r *round) greet() error {
	for _, t := range r.sittings {
		if t.err = t.mayDrive(); t.err != nil {
			continue
		}
		if err := t.greet(); err != nil {
			return err
		}
		builds := t.builds
		if !t.decide {
			builds = t.d.builds
		}
		if !t.d.good(t.mark, r.s.self, t.version, t.now, builds) {
			t.d.clear()
		}
		t.d.latest = t.now
	}
	r.leave()
	return nil
}

// plan brings the desks up to date and carries out what is decided.
func (r *round) plan() error {
	var deciding []*sitting
	var kept []string
	for _, t := range r.sittings {
		if !t.decide {
			continue
		}
		deciding = append(deciding, t)
		if t.d.planner != nil {
			kept = append(kept, t.lib)
		} else if err := t.d.read(r.ctx, r.tx, t.builds); err != nil {
			return err
		}
	}
	if len(kept) > 0 {
		noted, err := takeChanges(r.ctx, r.tx, kept)
		if err != nil {
			return err
		}
		for _, t := range deciding {
			if err := t.takeIn(noted[t.lib]); err != nil {
				return err
			}
		}
	}
	// What is stopped leaves its drive free for something else at once.
	for range 4 {
		var acting []*sitting
		for _, t := range deciding {
			if t.actions = t.d.planner.Decide(t.now); len(t.actions) == 0 {
				continue
			}
			acting = append(acting, t)
			t.d.checker.Decide(t.now)
			for _, a := range t.actions {
				if err := t.d.checker.Check(a); err != nil {
					return fmt.Errorf("schedule library %s: %w", t.name, err)
				}
			}
		}
		if len(acting) == 0 {
			return nil
		}
		if err := lease(r.ctx, r.tx, acting); err != nil {
			return err
		}
		deciding = acting
	}
	return nil
}

// change is a note of something that others have changed: a task, a disc, or neither.
type change struct{ task, disc int64 }

// takeChanges takes the notes of what was changed in libraries out of the database.
func takeChanges(ctx context.Context, tx pgx.Tx, libs []string) (map[string][]change, error) {
	rows, err := tx.Query(ctx, `
delete from plan_change where library_id = any ($1::uuid[]) returning library_id::text, coalesce(task_id, 0), coalesce(disc_id, 0)`, libs)
	if err != nil {
		return nil, err
	}
	noted := map[string][]change{}
	var lib string
	var c change
	_, err = pgx.ForEachRow(rows, []any{&lib, &c.task, &c.disc}, func() error {
		noted[lib] = append(noted[lib], c)
		return nil
	})
	return noted, err
}

// finish writes who planned last and which agents have called, and reads what is leased and what operators have said of drives.
func (r *round) finish() error {
	var libs, lists []string
	var called []bool
	var versions []int64
	at := make(map[string]*sitting, len(r.sittings))
	for _, t := range r.sittings {
		at[t.lib] = t
		libs, called, versions = append(libs, t.lib), append(called, t.call != nil), append(versions, t.version+1)
		if t.list {
			lists = append(lists, t.lib)
		}
	}
	b := &pgx.Batch{}
	b.Queue(`
update library l set planner = $1, plan_version = u.version, last_seen = case when u.called then now() else l.last_seen end, silent = l.silent and not u.called
  from unnest($2::uuid[], $3::bool[], $4::bigint[]) u(id, called, version) where l.id = u.id
returning l.id::text, l.want_report`, r.s.self, libs, called, versions)
	b.Queue(selectLeased, lists)
	b.Queue(`
select library_id::text, number, probe from drive where library_id = any ($1::uuid[]) and probe > probed order by library_id, number`, lists)
	res := r.tx.SendBatch(r.ctx, b)
	defer res.Close()
	rows, err := res.Query()
	if err != nil {
		return err
	}
	var lib string
	var want bool
	if _, err := pgx.ForEachRow(rows, []any{&lib, &want}, func() error {
		at[lib].wantReport = want
		return nil
	}); err != nil {
		return err
	}
	if rows, err = res.Query(); err != nil {
		return err
	}
	tasks, err := collectLeased(rows)
	if err != nil {
		return err
	}
	for lib, tasks := range tasks {
		at[lib].tasks = tasks
	}
	if rows, err = res.Query(); err != nil {
		return err
	}
	var p Probe
	if _, err := pgx.ForEachRow(rows, []any{&lib, &p.Drive, &p.Number}, func() error {
		at[lib].probes = append(at[lib].probes, p)
		return nil
	}); err != nil {
		return err
	}
	return res.Close()
}
