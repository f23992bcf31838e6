package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
)

// SetWork is what a task of a disc set needs to know of it.
type SetWork struct {
	SetPlace
	Number      int64 // of the task's image
	DataSectors int64 // of the task's image, without its error correction
	Closed      time.Time
	Description []byte      // set.json
	Parities    []SetImage  // that the set has or will have
	Members     []SetImage  // data images
	AtHand      []SetImage  // the images of the set, besides the task's, that lie on the scratch disk
	Carries     *ParityDisc // of a parity image's build
}

// SetImage is an image of a set.
type SetImage struct {
	Index   int
	ID      string
	Number  int64
	Sectors int64
	SHA256  []byte
	AtHand  bool
}

// setWork returns what a task needs of its set; nil for tasks that have to do with none.
func (s *Store) setWork(ctx context.Context, task int64, image string) (*SetWork, error) {
	rows, err := s.pool.Query(ctx, `
select s.id::text, coalesce(i.number, 0), coalesce(i.data_sectors, 0), coalesce(i.set_index, 0), s.data, s.parity, coalesce(s.closed, s.created), coalesce(s.description, ''),
       coalesce(s.parity_ids::text[], '{}'), coalesce(s.parity_numbers, '{}')
  from task t left join image i on i.id = t.image_id
  join disc_set s on s.id = t.set_id or t.kind = 'build' and s.id = i.set_id and i.set_index >= s.data where t.id = $1`, task)
	if err != nil {
		return nil, err
	}
	var ids []string
	var numbers []int64
	w, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (w SetWork, err error) {
		err = row.Scan(&w.Set, &w.Number, &w.DataSectors, &w.Index, &w.Data, &w.Parity, &w.Closed, &w.Description, &ids, &numbers)
		return w, err
	})
	if err != nil || len(w) == 0 {
		return nil, err
	}
	work := &w[0]
	for i := range ids {
		work.Parities = append(work.Parities, SetImage{Index: work.Data + i, ID: ids[i], Number: numbers[i]})
	}
	rows, err = s.pool.Query(ctx, `
select set_index, id::text, number, sectors, coalesce(sha256, ''), at_hand from image where set_id = $1 order by set_index`, work.Set)
	if err != nil {
		return nil, err
	}
	images, err := pgx.CollectRows(rows, pgx.RowToStructByPos[SetImage])
	for _, i := range images {
		if i.Index < work.Data {
			work.Members = append(work.Members, i)
		}
		if i.AtHand && i.ID != image {
			work.AtHand = append(work.AtHand, i)
		}
	}
	if err == nil && work.Index >= work.Data {
		work.Carries, err = s.parityDisc(ctx, image)
	}
	return work, err
}

// gather draws the conclusions of an image having been added to its set's parity.
func (rec *recorder) gather() error {
	switch {
	case rec.r.Error == "":
		return rec.exec(`update image set gathered = now() where id = $1`, *rec.t.Image)
	case len(rec.r.Absent) > 0:
		return rec.lostParity()
	case rec.r.Failure == Interrupted:
		return rec.soonAgain()
	}
	return rec.notAtHand()
}

// seal keeps what the agent has sealed. What it hasn't is gathered again first.
func (rec *recorder) seal() error {
	if rec.r.Failure == Interrupted {
		return rec.soonAgain()
	}
	if rec.r.Error != "" {
		return rec.lostParity()
	}
	if err := rec.exec(`update disc_set set state = 'sealed', description = $2 where id = $1 and state = 'closed'`, *rec.t.Set, rec.r.Description); err != nil {
		return err
	}
	// Of a set that is sealed once more, what was planned before and never built.
	if err := rec.exec(`
insert into task (library_id, kind, priority, image_id)
select i.library_id, 'build', $2, i.id from image i join disc_set s on s.id = i.set_id and i.set_index >= s.data where s.id = $1 and i.sha256 is null
on conflict do nothing`, *rec.t.Set, library.PriorityBurn); err != nil {
		return err
	}
	return announce(rec.ctx, rec.tx, PlanKey)
}

// lostParity: the scratch disk has not all of a set's parity that it should have. The images that are missing are added again, from the
// scratch disk or their discs; a set that was sealed is sealed again, as the same one.
func (rec *recorder) lostParity() error {
	if len(rec.r.Absent) == 0 {
		return nil
	}
	if err := rec.soonAgain(); err != nil {
		return err
	}
	set := `(select set_id from task where id = $1)`
	if rec.t.Kind == library.BuildTask {
		set = `(select i.set_id from image i join task t on t.image_id = i.id where t.id = $1)`
	}
	if err := rec.exec(`update image set gathered = null where set_id = `+set+` and set_index = any ($2)`, rec.t.ID, rec.r.Absent); err != nil {
		return err
	}
	return rec.exec(`update disc_set set state = 'closed', description = null, released = false where id = `+set+` and state = 'sealed'`, rec.t.ID)
}

// soonAgain lets whoever tends repeat the task at once: it didn't fail at what it was to do.
func (rec *recorder) soonAgain() error {
	return rec.exec(`update task set state = 'cancelled' where id = $1`, rec.t.ID)
}

// notAtHand believes the scratch disk rather than the catalogue: what is said to be missing there is made or fetched again.
func (rec *recorder) notAtHand() error {
	if !rec.r.Missing {
		return nil
	}
	return rec.atHand(*rec.t.Image, false)
}
