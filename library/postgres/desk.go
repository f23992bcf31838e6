package postgres

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
	"github.com/odarchive/odarchive/library/schedule"
)

// desk is where one library is planned: a planner and its checker in memory, which are told of everything that happens in the
// library. PostgreSQL stays the truth, and the desk is good only while what it was told is all that there is: it counts the
// transactions in which it took part, and so does the library's row, together with whose desk that was. Every transaction of a desk holds
// the lock of that row from its first statement on. A desk that finds another's mark or another count there, whose transaction
// failed, or that is told of something which it can't make sense of, is cleared and read anew from the database. So two controllers
// may serve one library and never decide from two views of it.
//
// What others change (somebody asks for an archive, looks after an element, takes a drive down) is noted by triggers in plan_change in
// the transaction that changes it; a desk reads those rows before it decides. Results that end as they should are the desk's
// own: it changes the rows and its plan alike, without the triggers.
type desk struct {
	mu      sync.Mutex // held while a transaction of the desk runs
	lib     string
	planner *schedule.Planner // nil when it has to be read anew
	checker *schedule.Checker
	version int64
	builds  int
	began   time.Time
	latest  time.Duration // the database's time when it was last asked
	units   map[int]int   // by drive
	running map[int64]errand
	// What its planners have learned; kept when the desk is cleared.
	experience schedule.Experience
}

// errand is a leased task as a desk knows it.
type errand struct {
	epoch        int64
	drive, unit  int
	load, unload bool
	carried      bool
	kind         library.TaskKind
	sectors      int64
}

// A desk is cleared after deskLife, whatever happens, so that what nobody has thought of doesn't stay. clockSlack is how far the
// database's clock may go back before everything that was planned by it is doubted.
const (
	deskLife   = time.Hour
	clockSlack = 5 * time.Second
)

// desk returns the desk of a library, locked.
func (s *Store) desk(lib string) *desk {
	s.mu.Lock()
	if s.desks == nil {
		s.desks = map[string]*desk{}
	}
	d := s.desks[lib]
	if d == nil {
		d = &desk{lib: lib}
		s.desks[lib] = d
	}
	s.mu.Unlock()
	d.mu.Lock()
	return d
}

// clear makes the next transaction read everything anew.
func (d *desk) clear() {
	if d.planner != nil {
		d.experience = d.planner.Experience()
	}
	d.planner, d.checker, d.running, d.units = nil, nil, nil, nil
}

// good says whether the desk may plan on from what it knows: mark and version are those of the library's row, now its clock.
func (d *desk) good(mark, self string, version int64, now time.Duration, builds int) bool {
	return d.planner != nil && mark == self && version == d.version && builds == d.builds &&
		now > d.latest-clockSlack && time.Since(d.began) < deskLife
}

// read fills the desk from the database.
func (d *desk) read(ctx context.Context, tx pgx.Tx, builds int) error {
	d.clear()
	// What is noted is part of what is read below; what is noted later will be read again, which does no harm.
	if _, err := tx.Exec(ctx, `delete from plan_change where library_id = $1`, d.lib); err != nil {
		return err
	}
	snap, err := takeSnapshot(ctx, tx, d.lib, builds)
	if err != nil {
		return err
	}
	errands, err := readErrands(ctx, tx, d.lib)
	if err != nil {
		return err
	}
	d.planner, d.checker = schedule.FromSnapshot(snap, schedule.Config{Experience: d.experience}), schedule.CheckerFor(snap)
	d.builds, d.began, d.latest, d.running, d.units = builds, time.Now(), snap.Now, errands, unitsOf(snap)
	return nil
}

func unitsOf(snap schedule.Snapshot) map[int]int {
	units := make(map[int]int, len(snap.Drives))
	for _, v := range snap.Drives {
		units[v.Number] = v.Unit
	}
	return units
}

func readErrands(ctx context.Context, tx pgx.Tx, lib string) (map[int64]errand, error) {
	rows, err := tx.Query(ctx, `
select id, epoch, kind, coalesce(drive, 0), coalesce(unit, 0), coalesce(to_kind = 'drive', false), coalesce(from_kind = 'drive', false), carried, bytes / 2048
  from task where library_id = $1 and state = 'leased'`, lib)
	if err != nil {
		return nil, err
	}
	errands := map[int64]errand{}
	var id int64
	var e errand
	_, err = pgx.ForEachRow(rows, []any{&id, &e.epoch, &e.kind, &e.drive, &e.unit, &e.load, &e.unload, &e.carried, &e.sectors}, func() error {
		errands[id] = e
		return nil
	})
	return errands, err
}

// reread takes in what others have changed: all drives, which are few, and the tasks and discs that were noted.
func (d *desk) reread(ctx context.Context, tx pgx.Tx, tasks, discs []int64) error {
	snap, err := snapshotOf(ctx, tx, d.lib, d.builds, tasks, discs)
	if err != nil {
		return err
	}
	errands, err := readErrands(ctx, tx, d.lib)
	if err != nil {
		return err
	}
	for _, id := range tasks {
		d.tell(func(l listener) { l.Cancel(id) })
	}
	// What ran and runs no more is over, whoever ended it.
	for id := range d.running {
		if _, runs := errands[id]; !runs {
			d.tell(func(l listener) { l.Cancel(id) })
		}
	}
	d.tell(func(l listener) { l.Refresh(snap) })
	d.running, d.units = errands, unitsOf(snap)
	return nil
}

// listener is who is told of what happens: planner and checker.
type listener interface {
	Cancel(id int64)
	Ended(id int64)
	Stopped(id, left int64)
	Loaded(drive int)
	Unloaded(drive int)
	Released(unit int)
	Refresh(s schedule.Snapshot)
}

func (d *desk) tell(f func(l listener)) {
	f(d.planner)
	f(d.checker)
}
