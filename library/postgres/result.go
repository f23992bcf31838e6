package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
)

// Failure says what a failed task means for what happens next.
type Failure int

// The failures.
const (
	NoFailure       Failure = iota
	RetryFailure            // nothing was done
	DiscFailure             // the disc is at fault
	DriveFailure            // the drive is at fault
	RobotFailure            // the robot is at fault or in doubt
	InternalFailure         // the request made no sense to the agent
	Interrupted             // the agent was stopped in the middle
)

// Outcome says where a moved disc is.
type Outcome int

// The outcomes of a move.
const (
	NoOutcome Outcome = iota
	Moved
	NotMoved
	SourceEmpty
	DestinationFull
	OutcomeUnknown
)

// IdentityState is what a loaded disc looks like.
type IdentityState int

// The states of an identity.
const (
	NotIdentified IdentityState = iota
	NoDisc
	BlankDisc
	Ours
	Foreign
	Spent
	Unreadable
)

// Identity is what a disc said of itself when it was loaded.
type Identity struct {
	State    IdentityState
	ImageID  string
	Medium   string
	Capacity int64  // sectors, 0 when not known
	Recorded int64  // sectors
	MediaID  string // who made it, and as what; empty when the drive doesn't tell
}

func (i Identity) String() string {
	switch i.State {
	case NoDisc:
		return "no disc"
	case BlankDisc:
		return "a blank disc"
	case Ours:
		return "a disc with image " + i.ImageID
	case Foreign:
		return "a disc that odarchive did not write"
	case Spent:
		return "a disc whose burn was broken off"
	case Unreadable:
		return "a disc that can't be read"
	default:
		return "a disc that was not identified"
	}
}

// Result is how a task ended.
type Result struct {
	Ref      Ref
	Error    string
	Failure  Failure
	Outcome  Outcome
	Identity Identity
	SHA256   []byte
	Bytes    int64
	Seconds  float64
	Lost     [][]byte // hashes of contents that a read could not bring back
	Damaged  int64    // sectors that could not be read
	Repaired int64    // sectors that could not be read and were repaired by the disc's error correction
	WorstRow int      // the most bad sectors in a row that was looked at for that
	Roots    int      // that a row bears; 0 when nobody looked
	// Of a verify: how far it came, what the regions told that it read, sectors with other bytes than were burned, and whether
	// the error correction brings back everything that is wrong, so that there is no hash.
	Checkpoint *Checkpoint
	Regions    []Region
	Wrong      int64
	Repairable bool
	Metric     string // of what was measured below the drive's correction; empty for nothing
	Measured   float64
	Retries    int64 // of a read: sectors that had to be asked for again
	Slowly     int64 // sectors for which the drive was made to read slowly, and which came then
	// Of a seal: set.json. Absent are the data images of a set that its parity on the scratch disk lacks; Missing says that the
	// task's image isn't there.
	Description []byte
	Absent      []int32
	Missing     bool
	Untouched   bool // of a burn: nothing was recorded
	// Of a copy that failed: it is kept and lacks so many sectors of what its set protects, in these rows; Missing says that one that was kept
	// is gone. Of a read of rows: those that the disc doesn't give either.
	Torn           bool
	Lacking        []Run
	LackingSectors int64
}

// leased is the row of the task that a result is about.
type leased struct {
	ID       int64
	Kind     library.TaskKind
	Image    *string
	Set      *string
	Disc     *int64
	Drive    *int
	Avoid    *int
	Priority int
	From, To Place
}

// recorder applies one result.
type recorder struct {
	ctx context.Context
	tx  pgx.Tx
	lib string
	t   leased
	r   Result
}

const endTask = `
update task set state = case when $4 = '' then 'done'::task_state else 'failed' end, finished = now(), error = $4,
       bytes_done = greatest($5::bigint, $9::bigint), bytes = greatest(bytes, $5::bigint, $9::bigint), seconds = $6, repaired = $7, worst_row = $8
 where id = $1 and epoch = $2 and library_id = $3 and state = 'leased'
returning id, kind, image_id::text, set_id::text, disc_id, drive, avoid_drive, priority,
          coalesce(from_kind::text, ''), coalesce(from_number, 0), coalesce(to_kind::text, ''), coalesce(to_number, 0)`

// ending are the arguments of endTask.
func (r Result) ending(lib string) []any {
	return []any{r.Ref.ID, r.Ref.Epoch, lib, r.Error, r.Bytes, r.Seconds, max(r.Repaired, 0), max(r.WorstRow, 0), r.Checkpoint.bytes()}
}

// record applies a result to the catalogue. One that isn't of the present lease changes nothing.
func record(ctx context.Context, tx pgx.Tx, lib string, r Result) error {
	rec := recorder{ctx: ctx, tx: tx, lib: lib, r: r}
	t := &rec.t
	err := tx.QueryRow(ctx, endTask, r.ending(lib)...).
		Scan(&t.ID, &t.Kind, &t.Image, &t.Set, &t.Disc, &t.Drive, &t.Avoid, &t.Priority, &t.From.Kind, &t.From.Number, &t.To.Kind, &t.To.Number)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	} else if err != nil {
		return err
	}
	switch t.Kind {
	case library.MoveTask:
		err = rec.move()
	case library.BuildTask:
		err = rec.build()
	case library.BurnTask:
		err = rec.burn()
	case library.VerifyTask:
		if err = rec.verify(); err == nil {
			err = finishScrubs(ctx, tx, []int64{t.ID})
		}
	case library.ReadTask:
		if t.Image != nil {
			err = rec.copied()
		} else {
			err = rec.read()
		}
	case library.ReleaseTask:
		err = rec.released()
	case library.GatherTask:
		err = rec.gather()
	case library.SealTask:
		err = rec.seal()
	case library.RebuildTask:
		err = rec.rebuilt()
	case library.ServeTask:
		err = rec.served()
	}
	if err == nil && t.Kind != library.MoveTask && (t.Kind != library.ReadTask || t.Image != nil) {
		err = tend(ctx, tx, lib)
	}
	if err == nil {
		err = rec.measure()
	}
	if err == nil && r.Failure == RobotFailure {
		err = rec.exec(`update library set want_report = true where id = $1`, lib)
	}
	if err == nil && t.Drive != nil {
		err = rec.driveFault()
	}
	if err != nil {
		return fmt.Errorf("record the result of %s task %d: %w", t.Kind, t.ID, err)
	}
	return nil
}

func (rec *recorder) exec(sql string, args ...any) error {
	_, err := rec.tx.Exec(rec.ctx, sql, args...)
	return err
}

// mostFaults is after how many tasks in a row that failed through a drive's own fault it is out of service until an operator has looked. Its
// agent leaves it out sooner where it finds the fault itself, and takes it back when it is well again.
const mostFaults = 5

// driveFault counts the faults of the task's drive in a row. One that has cost a disc is enough.
func (rec *recorder) driveFault() error {
	switch t, r := rec.t, rec.r; {
	case r.Failure == DriveFailure && t.Kind == library.BurnTask && !r.Untouched:
		return rec.exec(`update drive set faults = faults + 1, up = false, reason = $3 where library_id = $1 and number = $2`, rec.lib, *t.Drive, r.Error)
	case r.Failure == DriveFailure:
		return rec.exec(`
update drive set faults = faults + 1, up = up and faults + 1 < $4,
       reason = case when up and faults + 1 >= $4 then format('%s tasks in a row failed: %s', $4::int, $3::text) else reason end
 where library_id = $1 and number = $2`, rec.lib, *t.Drive, r.Error, mostFaults)
	case r.Error == "" && t.Kind != library.MoveTask:
		return rec.exec(`update drive set faults = 0 where library_id = $1 and number = $2 and faults > 0`, rec.lib, *t.Drive)
	}
	return nil
}

// retry queues the task's work again as a new task.
func (rec *recorder) retry(kind library.TaskKind, disc *int64, avoid *int) error {
	return rec.exec(`
with again as (
  insert into task (library_id, kind, priority, image_id, disc_id, avoid_drive) values ($1, $2, $3, $4, $5, $6)
  on conflict do nothing returning id)
insert into task_job (task_id, job_id) select again.id, j.job_id from again, task_job j where j.task_id = $7`,
		rec.lib, kind, rec.t.Priority, rec.t.Image, disc, avoid, rec.t.ID)
}

func (rec *recorder) build() error {
	if rec.r.Error != "" {
		if len(rec.r.Absent) > 0 {
			return rec.lostParity()
		}
		if rec.r.Failure == RetryFailure || rec.r.Failure == Interrupted {
			return rec.retry(library.BuildTask, nil, nil)
		}
		return rec.notBuilt(rec.r.Error)
	}
	tag, err := rec.tx.Exec(rec.ctx, `update image set sha256 = $2 where id = $1 and coalesce(sha256, $2) = $2`, *rec.t.Image, rec.r.SHA256)
	if err == nil && tag.RowsAffected() == 0 {
		return rec.notBuilt("it came to other bytes than before")
	}
	if err != nil {
		return err
	}
	if err := rec.burnHealed(); err != nil { // a parity image's discs are healed by building it again
		return err
	}
	return rec.buildAway()
}

// hold tells the archive jobs that wait for an image why they don't go on, and what does that.
func (rec *recorder) hold(image, why string) error {
	return rec.exec(`
update job set waiting_for = format('%s. When that is mended, ''odarchive jobs retry %s'' tries again', $2::text, left(id::text, 8)) where state = 'running' and kind = 'archive' and archive_id in (select archive_id from placement where image_id = $1)`, image, why)
}

// MaxBurns is how many discs are spent for one copy of an image before somebody is asked to look.
const MaxBurns = 3

func (rec *recorder) burn() error {
	t, r := rec.t, rec.r
	if r.Error == "" {
		if err := rec.exec(`
update disc set state = 'verifying', burned = now(), recorded = (select sectors from image where id = $2), reload = true where id = $1`, *t.Disc, *t.Image); err != nil {
			return err
		}
		return rec.exec(`insert into task (library_id, kind, priority, disc_id) values ($1, 'verify', $2, $3)`, rec.lib, library.PriorityVerify, *t.Disc)
	}
	if r.Untouched && r.Failure != RetryFailure {
		return rec.untouched()
	}
	if r.Failure == RetryFailure {
		// Nothing was recorded, and the image may have to be built again.
		if err := rec.unburned(); err != nil {
			return err
		}
		if gone, err := rec.gone(); gone || err != nil {
			return err
		}
		if err := rec.notAtHand(); err != nil {
			return err
		}
		if err := rec.retry(library.BurnTask, nil, nil); err != nil {
			return err
		}
		var safe bool
		if err := rec.tx.QueryRow(rec.ctx, `select safe is not null from image where id = $1`, *t.Image).Scan(&safe); err != nil {
			return err
		}
		if safe { // its contents are not in staging any more
			return queueCopy(rec.ctx, rec.tx, *t.Image, "", nil)
		}
		return rec.exec(`insert into task (library_id, kind, priority, image_id) values ($1, 'build', $2, $3) on conflict do nothing`, rec.lib, t.Priority, *t.Image)
	}
	if err := rec.exec(`update disc set state = 'spoiled', reason = $2 where id = $1`, *t.Disc, r.Error); err != nil {
		return err
	}
	if r.Failure == DiscFailure {
		if err := rec.blameDrive(); err != nil {
			return err
		}
	}
	return rec.burnAgain(*t.Image, r.Error)
}

// blameDrive takes the drive down when its last two burns failed on different discs.
func (rec *recorder) blameDrive() error {
	return rec.exec(`
update drive set up = false, reason = 'two burns in a row failed: ' || $3
 where library_id = $1 and number = $2 and 2 = (
   select count(*) from (
     select state from task where library_id = $1 and drive = $2 and kind = 'burn' and state in ('done', 'failed') order by finished desc, id desc limit 2) b
    where state = 'failed')`, rec.lib, *rec.t.Drive, rec.r.Error)
}

// burnAgain queues another burn for an image that lacks copies, unless too many discs have been spent for it.
func (rec *recorder) burnAgain(image, why string) error {
	var spoiled, copies int
	if err := rec.tx.QueryRow(rec.ctx, `
select count(*) filter (where d.state = 'spoiled'), min(i.copies)
  from image i left join disc d on d.image_id = i.id where i.id = $1`, image).Scan(&spoiled, &copies); err != nil {
		return err
	}
	if spoiled >= MaxBurns*copies {
		if err := giveUpHeals(rec.ctx, rec.tx, image, fmt.Sprintf("%d discs were spoiled for the image, the last one because: %s", spoiled, why)); err != nil {
			return err
		}
		return rec.hold(image, fmt.Sprintf("%d discs were spoiled for image %s, the last one because: %s", spoiled, image, why))
	}
	return rec.exec(`insert into task (library_id, kind, priority, image_id) values ($1, 'burn', $2, $3)`, rec.lib, library.PriorityBurn, image)
}

func (rec *recorder) read() error {
	t, r := rec.t, rec.r
	if err := rec.noteRead(); err != nil {
		return err
	}
	again := false
	if len(r.Lost) > 0 && t.Avoid == nil {
		others, err := rec.otherDrives()
		if err != nil {
			return err
		}
		again = others > 0
	}
	switch {
	case again:
		// Another drive may read what this one couldn't; what it has brought back isn't asked for again.
		if err := rec.exec(`update disc set reload = true where id = $1`, *t.Disc); err != nil {
			return err
		}
		if err := rec.step("other_drive", fmt.Sprintf("%d contents could not be read", len(r.Lost))); err != nil {
			return err
		}
		if err := rec.retry(library.ReadTask, t.Disc, t.Drive); err != nil {
			return err
		}
	case len(r.Lost) > 0:
		if err := rec.exec(`
insert into read_failure (disc_id, content_id)
select d.id, c.id from disc d join image i on i.id = d.image_id join content c on c.vault_id = i.vault_id and c.hash = any ($2)
 where d.id = $1 on conflict do nothing`, *t.Disc, r.Lost); err != nil {
			return err
		}
		if err := rec.lostContents(); err != nil {
			return err
		}
	case (r.Failure == DiscFailure || r.Failure == DriveFailure) && t.Avoid != nil:
		// Two drives could do nothing with it: whatever is wanted of it is sought elsewhere.
		if err := rec.exec(`
insert into read_failure (disc_id, content_id) select $1, c.id`+wantedContents+` on conflict do nothing`, *t.Disc); err != nil {
			return err
		}
	case r.Failure == DiscFailure || r.Failure == DriveFailure:
		if err := rec.exec(`update disc set reload = true where id = $1`, *t.Disc); err != nil {
			return err
		}
		if err := rec.step("other_drive", r.Error); err != nil {
			return err
		}
		if err := rec.retry(library.ReadTask, t.Disc, t.Drive); err != nil {
			return err
		}
	}
	if r.Error == "" && len(r.Lost) == 0 {
		return brought(rec.ctx, rec.tx, []int64{t.ID})
	}
	if err := finishRetrievals(rec.ctx, rec.tx, servedBy, []int64{t.ID}); err != nil {
		return err
	}
	return queueReadsOf(rec.ctx, rec.tx, *t.Disc)
}
