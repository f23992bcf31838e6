package postgres

import (
	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
)

// looked is a leased task of which a result has come, with what decides whether that is ordinary. Most moves carry a disc to where it should
// be. What follows is known beforehand, so that it is written without asking the database in between, and told to the desk.
// Everything that is the least out of the ordinary goes through recorder, which asks.
type looked struct {
	leased
	Epoch     int64
	DiscImage string
	Reload    bool
	Capacity  int64
	Medium    string
	MediaID   string
	Elsewhere bool // another element than its move's holds its disc
	Stranger  bool // nobody knows which disc it is
}

const lookAtTasks = `
select t.id, t.epoch, t.kind, t.image_id::text, t.disc_id, t.drive, t.avoid_drive, t.priority,
       coalesce(t.from_kind::text, ''), coalesce(t.from_number, 0), coalesce(t.to_kind::text, ''), coalesce(t.to_number, 0),
       coalesce(d.image_id::text, ''), coalesce(d.reload, false), coalesce(d.capacity, 0),
       coalesce(d.medium, ''), coalesce(d.media_id, ''),
       t.kind = 'move' and exists (select from element e where e.disc_id = t.disc_id
         and not (e.library_id = $1 and (e.kind = t.from_kind and e.number = t.from_number or e.kind = t.to_kind and e.number = t.to_number))),
       coalesce(d.state = 'unknown', false)
  from task t left join disc d on d.id = t.disc_id
 where t.id = any ($2) and t.library_id = $1 and t.state = 'leased'`

func collectLooked(rows pgx.Rows) (map[int64]looked, error) {
	found := map[int64]looked{}
	var l looked
	_, err := pgx.ForEachRow(rows, []any{
		&l.ID, &l.Epoch, &l.Kind, &l.Image, &l.Disc, &l.Drive, &l.Avoid, &l.Priority, &l.From.Kind, &l.From.Number, &l.To.Kind, &l.To.Number,
		&l.DiscImage, &l.Reload, &l.Capacity, &l.Medium, &l.MediaID, &l.Elsewhere, &l.Stranger,
	}, func() error {
		found[l.ID] = l
		l = looked{}
		return nil
	})
	return found, err
}

func idsOf(results []Result) []int64 {
	ids := make([]int64, len(results))
	for i, r := range results {
		ids[i] = r.Ref.ID
	}
	return ids
}

// ordinary says whether the move of which r has come carried the disc to where it should be, and that is the one which it should be.
func (l looked) ordinary(r Result) bool {
	return r.Error == "" && r.Failure == NoFailure && r.Outcome == Moved && l.Disc != nil && !l.Elsewhere && !l.Stranger &&
		(l.From.Kind == DriveBay || l.identified(r.Identity))
}

func (l looked) identified(id Identity) bool {
	if id.MediaID != "" && id.MediaID != l.MediaID {
		return false // that is news
	}
	if l.DiscImage == "" {
		return id.State == BlankDisc && (id.Capacity <= 0 || id.Capacity == l.Capacity) && (id.Medium == "" || id.Medium == l.Medium)
	}
	return id.State == Ours && id.ImageID == l.DiscImage
}

// record takes in what the agent says: its results, its report, how far it is.
func (t *sitting) record(found map[int64]looked) error {
	if t.call == nil {
		return nil
	}
	// Whatever is not as it should be is recorded in the order in which it happened, and noted for the desk by the triggers.
	swift := t.call.Report == nil && !t.fresh
	for _, r := range t.call.Results {
		if l, ok := found[r.Ref.ID]; ok && l.Epoch == r.Ref.Epoch && l.Kind == library.MoveTask && !l.ordinary(r) {
			swift = false
		}
	}
	b := &pgx.Batch{}
	b.Queue(told, "on")
	var rest []Result
	for _, r := range t.call.Results {
		l, ok := found[r.Ref.ID]
		if !ok || l.Epoch != r.Ref.Epoch {
			continue // of an old lease
		}
		delete(found, l.ID) // what was sent twice counts once
		if !swift || l.Kind != library.MoveTask {
			rest = append(rest, r)
		} else {
			l.write(b, t.d.lib, r)
		}
		if swift {
			t.ended(l)
		}
	}
	if len(rest) == 0 {
		t.progress(b)
	}
	b.Queue(told, "")
	if err := t.tx.SendBatch(t.ctx, b).Close(); err != nil {
		return err
	}
	for _, r := range rest {
		if err := record(t.ctx, t.tx, t.d.lib, r); err != nil {
			return err
		}
	}
	if t.call.Report != nil {
		if err := merge(t.ctx, t.tx, t.d.lib, *t.call.Report); err != nil {
			return err
		}
	}
	if len(rest) > 0 {
		b := &pgx.Batch{}
		t.progress(b)
		if err := t.tx.SendBatch(t.ctx, b).Close(); err != nil {
			return err
		}
	}
	for _, p := range t.call.Running {
		if err := keepReading(t.ctx, t.tx, t.d.lib, p.Ref, p.Checkpoint, p.Regions); err != nil {
			return err
		}
	}
	return nil
}

// write queues the statements that an ordinary move comes to.
func (l looked) write(b *pgx.Batch, lib string, r Result) {
	b.Queue(endTask, r.ending(lib)...)
	home := 0
	if l.To.Kind == DriveBay {
		home = l.From.Number
		b.Queue(`
update element set fill = 'empty', disc_id = null, home = null, flag = case when $4 then '' else flag end
 where library_id = $1 and kind = $2 and number = $3`, lib, l.From.Kind, l.From.Number, r.Identity.State == Ours)
		b.Queue(`update drive set loaded = now() where library_id = $1 and number = $2`, lib, l.To.Number)
	} else {
		b.Queue(fillElement, lib, l.From.Kind, l.From.Number, Empty, nil, 0, "")
	}
	b.Queue(fillElement, lib, l.To.Kind, l.To.Number, Full, l.Disc, home, "")
	if l.Reload && l.To.Kind == DriveBay {
		b.Queue(`update disc set reload = false where id = $1`, *l.Disc)
	}
	rec := recorder{lib: lib, t: l.leased, r: r}
	if args := rec.measurement(); args != nil {
		b.Queue(addTiming, args...)
	}
}

// ended tells the desk that a task is over. What else follows from that is noted by the triggers.
func (t *sitting) ended(l looked) {
	d := t.d
	if d.planner == nil {
		return
	}
	e, known := d.running[l.ID]
	if !known {
		d.clear()
		return
	}
	delete(d.running, l.ID)
	switch l.Kind {
	case library.BuildTask, library.GatherTask, library.SealTask, library.RebuildTask:
		return // builds are counted anew
	}
	if l.Kind != library.MoveTask {
		d.tell(func(n listener) { n.Ended(l.ID) })
		t.knows = append(t.knows, l.ID)
		return
	}
	if !e.carried {
		d.tell(func(n listener) { n.Released(e.unit) })
	}
	if e.load {
		d.tell(func(n listener) { n.Loaded(e.drive) })
	} else {
		d.tell(func(n listener) { n.Unloaded(e.drive) })
	}
}

// renewal is how much of a lease may be gone before it is renewed: an agent calls much more often than leases end.
const renewal = Lease / 3

// progress queues the statements that renew the agent's leases and say how far its tasks are.
func (t *sitting) progress(b *pgx.Batch) {
	b.Queue(`
update task set lease_until = now() + $2::interval where library_id = $1 and state = 'leased' and lease_until < now() + $3::interval`,
		t.d.lib, Lease, Lease-renewal)
	for _, p := range t.call.Running {
		b.Queue(`
update task set bytes_done = $4, bytes = $5, carried = carried or $6
 where library_id = $1 and id = $2 and epoch = $3 and state = 'leased' and (bytes_done, bytes, carried) <> ($4, $5, carried or $6)`,
			t.d.lib, p.Ref.ID, p.Ref.Epoch, p.BytesDone, p.Bytes, p.Carried)
		e, known := t.d.running[p.Ref.ID]
		if !p.Carried || !known || e.epoch != p.Ref.Epoch || e.carried || t.d.planner == nil {
			continue
		}
		e.carried = true
		t.d.running[p.Ref.ID] = e
		t.d.tell(func(n listener) { n.Released(e.unit) })
	}
}
