package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/odarchive/odarchive/library"
)

// ledger is what agents have said that is as it should be, of several libraries. It is written by statements that each take all of it: the cost of
// one is mostly that of having it at all. What it says is known to the desks, so that the triggers needn't note it.
type ledger struct {
	lines   []line
	running []progress
}

// line is one result in a ledger.
type line struct {
	lib string
	looked
	r Result
}

// progress is how far a library's task is.
type progress struct {
	lib string
	Progress
}

// column returns a value of each of rows, as an argument for unnest.
func column[R, T any](rows []R, of func(R) T) []T {
	values := make([]T, len(rows))
	for i, r := range rows {
		values[i] = of(r)
	}
	return values
}

// of returns the lines of tasks of a kind.
func (l *ledger) of(kind library.TaskKind) (lines []line) {
	for _, x := range l.lines {
		if x.Kind == kind {
			lines = append(lines, x)
		}
	}
	return lines
}

const (
	endTasks = `
update task t set state = 'done', finished = now(), error = '', bytes_done = u.bytes, bytes = greatest(t.bytes, u.bytes), seconds = u.seconds,
       repaired = 0, worst_row = u.worst
  from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::float8[], $5::int[]) u(id, epoch, bytes, seconds, worst)
 where t.id = u.id and t.epoch = u.epoch and t.state = 'leased'`

	// What made somebody look for a place is over when a disc of ours has been taken from it.
	emptyElements = `
update element e set fill = 'empty', disc_id = null, home = null, flag = case when u.clear then '' else e.flag end
  from unnest($1::uuid[], $2::text[], $3::int[], $4::bool[]) u(lib, kind, number, clear)
 where e.library_id = u.lib and e.kind = u.kind::element_kind and e.number = u.number`

	fillElements = `
update element e set fill = 'full', disc_id = u.disc, home = nullif(u.home, 0)
  from unnest($1::uuid[], $2::text[], $3::int[], $4::bigint[], $5::int[]) u(lib, kind, number, disc, home)
 where e.library_id = u.lib and e.kind = u.kind::element_kind and e.number = u.number`

	loadDrives = `
update drive d set loaded = now() from unnest($1::uuid[], $2::int[]) u(lib, number) where d.library_id = u.lib and d.number = u.number`

	advanceTasks = `
update task t set bytes_done = u.done, bytes = u.bytes, carried = t.carried or u.carried
  from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bool[]) u(lib, id, epoch, done, bytes, carried)
 where t.library_id = u.lib and t.id = u.id and t.epoch = u.epoch and t.state = 'leased'
   and (t.bytes_done, t.bytes, t.carried) <> (u.done, u.bytes, t.carried or u.carried)`
)

// write records what the ledger holds. When tasks aren't leased any more that were a moment ago it returns errPlanned.
func (l *ledger) write(ctx context.Context, tx pgx.Tx) error {
	b := &pgx.Batch{}
	b.Queue(told, "on")
	if len(l.lines) > 0 {
		b.Queue(endTasks,
			column(l.lines, func(x line) int64 { return x.ID }), column(l.lines, func(x line) int64 { return x.Epoch }),
			column(l.lines, func(x line) int64 { return max(x.r.Bytes, x.r.Checkpoint.bytes()) }), column(l.lines, func(x line) float64 { return x.r.Seconds }),
			column(l.lines, func(x line) int { return max(x.r.WorstRow, 0) })).
			Exec(func(tag pgconn.CommandTag) error {
				if tag.RowsAffected() != int64(len(l.lines)) {
					return fmt.Errorf("record %d results: %w", len(l.lines), errPlanned)
				}
				return nil
			})
	}
	queueMoves(b, l.of(library.MoveTask))
	queueTimings(b, l.lines)
	if len(l.running) > 0 {
		b.Queue(advanceTasks,
			column(l.running, func(p progress) string { return p.lib }), column(l.running, func(p progress) int64 { return p.Ref.ID }),
			column(l.running, func(p progress) int64 { return p.Ref.Epoch }), column(l.running, func(p progress) int64 { return p.BytesDone }),
			column(l.running, func(p progress) int64 { return p.Bytes }), column(l.running, func(p progress) bool { return p.Carried }))
	}
	verified := l.of(library.VerifyTask)
	if err := passed(ctx, tx, b, verified); err != nil {
		return err
	}
	if reads := l.of(library.ReadTask); len(reads) > 0 {
		return brought(ctx, tx, column(reads, func(x line) int64 { return x.ID }))
	}
	return nil
}

// queueMoves queues the statements that record moves.
func queueMoves(b *pgx.Batch, moves []line) {
	if len(moves) == 0 {
		return
	}
	var loads []line
	var loaded []int64 // discs that had to be loaded anew
	for _, x := range moves {
		if x.To.Kind != DriveBay {
			continue
		}
		loads = append(loads, x)
		if x.Reload {
			loaded = append(loaded, *x.Disc)
		}
	}
	libs := column(moves, func(x line) string { return x.lib })
	b.Queue(emptyElements, libs,
		column(moves, func(x line) string { return string(x.From.Kind) }), column(moves, func(x line) int { return x.From.Number }),
		column(moves, func(x line) bool { return x.To.Kind == DriveBay && x.r.Identity.State == Ours }))
	b.Queue(fillElements, libs,
		column(moves, func(x line) string { return string(x.To.Kind) }), column(moves, func(x line) int { return x.To.Number }),
		column(moves, func(x line) int64 { return *x.Disc }),
		column(moves, func(x line) int {
			if x.To.Kind == DriveBay {
				return x.From.Number
			}
			return 0
		}))
	if len(loads) > 0 {
		b.Queue(loadDrives, column(loads, func(x line) string { return x.lib }), column(loads, func(x line) int { return x.To.Number }))
	}
	if len(loaded) > 0 {
		b.Queue(`update disc set reload = false where id = any ($1)`, loaded)
	}
}
