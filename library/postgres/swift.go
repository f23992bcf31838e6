package postgres

import (
	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
)

// looked is a leased task of which a result has come, with what decides whether that is ordinary. Most moves carry a disc to where it should
// be, most discs read as they were burned. What follows is known beforehand, so that a ledger writes it for many at once, and the desk is
// told. Everything that is the least out of the ordinary goes through recorder, which asks.
type looked struct {
	leased
	Library   string
	Epoch     int64
	DiscImage string
	DiscState library.DiscState
	Reload    bool
	Capacity  int64
	Medium    string
	MediaID   string
	Hash      []byte // of a verify: what the disc should read as
	Calm      bool   // of a verify: nothing waits for what comes out, and no operator has condemned the disc
	Elsewhere bool   // another element than its move's holds its disc
	Stranger  bool   // nobody knows which disc it is
}

const lookAtTasks = `
select t.id, t.library_id::text, t.epoch, t.kind, t.image_id::text, t.disc_id, t.drive, t.avoid_drive, t.priority,
       coalesce(t.from_kind::text, ''), coalesce(t.from_number, 0), coalesce(t.to_kind::text, ''), coalesce(t.to_number, 0),
       coalesce(d.image_id::text, ''), coalesce(d.state::text, ''), coalesce(d.reload, false), coalesce(d.capacity, 0),
       coalesce(d.medium, ''), coalesce(d.media_id, ''), i.sha256,
       i.safe is not null and d.operator_grade is distinct from 'migrate_soon' and d.operator_grade is distinct from 'migrate_now'
         and not exists (select from disc o join heal h on h.disc_id = o.id and h.finished is null where o.image_id = i.id),
       t.kind = 'move' and exists (select from element e where e.disc_id = t.disc_id
         and not (e.library_id = t.library_id and (e.kind = t.from_kind and e.number = t.from_number or e.kind = t.to_kind and e.number = t.to_number))),
       coalesce(d.state = 'unknown', false)
  from task t left join disc d on d.id = t.disc_id left join image i on t.kind = 'verify' and i.id = d.image_id
 where t.id = any ($1) and t.state = 'leased'`

func collectLooked(rows pgx.Rows) (map[int64]looked, error) {
	found := map[int64]looked{}
	var l looked
	_, err := pgx.ForEachRow(rows, []any{
		&l.ID, &l.Library, &l.Epoch, &l.Kind, &l.Image, &l.Disc, &l.Drive, &l.Avoid, &l.Priority, &l.From.Kind, &l.From.Number, &l.To.Kind, &l.To.Number,
		&l.DiscImage, &l.DiscState, &l.Reload, &l.Capacity, &l.Medium, &l.MediaID, &l.Hash, &l.Calm, &l.Elsewhere, &l.Stranger,
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

// ordinary says whether the task of which r has come ended as tasks should, so that nothing has to be asked.
func (l looked) ordinary(r Result) bool {
	if r.Error != "" || r.Failure != NoFailure || l.Disc == nil || l.Drive == nil {
		return false
	}
	switch l.Kind {
	case library.MoveTask: // the disc is where it should be, and the one which it should be
		return r.Outcome == Moved && !l.Elsewhere && !l.Stranger && (l.From.Kind == DriveBay || l.identified(r.Identity))
	case library.VerifyTask: // a good disc has been read, and is good
		return l.DiscState == library.Good && l.Calm && string(r.SHA256) == string(l.Hash) && len(l.Hash) > 0 &&
			!r.Repairable && r.Slowly == 0 && r.Repaired == 0 && r.Damaged == 0 && r.Wrong == 0
	case library.ReadTask: // everything that was wanted has come, without any trouble
		return l.Image == nil && len(r.Lost) == 0 && r.Retries == 0 && r.Slowly == 0 && r.Repaired == 0 && r.Damaged == 0 && r.Wrong == 0
	}
	return false
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

// sort tells what a ledger can record of what the agent says from what is recorded one by one, and tells the desk of what has ended.
func (t *sitting) sort(found map[int64]looked, into *ledger) {
	if t.call == nil {
		return
	}
	// When something has happened to a disc on its way, everything is recorded in the order in which it happened, and noted for the desk by the
	// triggers.
	swift := t.call.Report == nil && !t.fresh
	for _, r := range t.call.Results {
		if l, ok := found[r.Ref.ID]; ok && l.Epoch == r.Ref.Epoch && l.Library == t.lib && l.Kind == library.MoveTask && !l.ordinary(r) {
			swift = false
		}
	}
	for _, r := range t.call.Results {
		l, ok := found[r.Ref.ID]
		if !ok || l.Epoch != r.Ref.Epoch || l.Library != t.lib {
			continue // of an old lease
		}
		delete(found, l.ID) // what was sent twice counts once
		if swift && l.ordinary(r) {
			into.lines = append(into.lines, line{t.lib, l, r})
		} else {
			t.rest = append(t.rest, r)
		}
		if swift {
			t.ended(l)
		}
	}
	for _, p := range t.call.Running {
		into.running = append(into.running, progress{t.lib, p})
		t.carried(p)
	}
}

// record takes in what the agent says that is out of the ordinary: results, its report, how far its verifies are.
func (t *sitting) record() error {
	if t.call == nil {
		return nil
	}
	for _, r := range t.rest {
		if err := record(t.ctx, t.tx, t.lib, r); err != nil {
			return err
		}
	}
	if t.call.Report != nil {
		if err := merge(t.ctx, t.tx, t.lib, *t.call.Report); err != nil {
			return err
		}
	}
	for _, p := range t.call.Running {
		if err := keepReading(t.ctx, t.tx, t.lib, p.Ref, p.Checkpoint, p.Regions); err != nil {
			return err
		}
	}
	return nil
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

// carried tells the desk that the picker is free while a move goes on.
func (t *sitting) carried(p Progress) {
	e, known := t.d.running[p.Ref.ID]
	if !p.Carried || !known || e.epoch != p.Ref.Epoch || e.carried || t.d.planner == nil {
		return
	}
	e.carried = true
	t.d.running[p.Ref.ID] = e
	t.d.tell(func(n listener) { n.Released(e.unit) })
}
