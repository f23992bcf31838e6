package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
)

// Fate is what becomes of the image of a disc that was given up.
type Fate string

// The fates.
const (
	OnAnotherDisc Fate = "copy"    // another disc has it: it is burned anew
	InItsSet      Fate = "set"     // enough of its set is left to make it anew
	OnScratch     Fate = "scratch" // it lies whole on the scratch disk: it is burned anew
	InStaging     Fate = "staging" // its contents have not left staging: it is burned anew
	Gone          Fate = "gone"    // nothing gives it any more
)

// GivenUp is a disc that was given up.
type GivenUp struct {
	Label string
	Image int64  // number
	Set   string // empty for none
	Fate  Fate
}

// GoneArchive is an archive of which something is gone.
type GoneArchive struct {
	ID, Vault, Name string
	Contents, Bytes int64 // that are gone by this, each counted once
	Of              int64 // bytes of the whole archive
}

// SetLeft is what is left of a set.
type SetLeft struct {
	ID     string
	Images int // of the set
	Usable int // that discs give, or the scratch disk
	Need   int // images from which the others can be made anew
	Spare  int // more discs that it can lose before something is gone
}

// Loss is what giving discs up comes to.
type Loss struct {
	Discs []GivenUp
	// Contents that are nowhere else, each counted once, and their bytes. Kept are those that the cache had: they are in staging again.
	Contents, Bytes, Kept int64
	// The archives that they belong to, those that lose most first: at most 1,000 of so many.
	Archives []GoneArchive
	Touched  int64
	Sets     []SetLeft
}

// GiveUp says of which discs somebody knows that they are not to be had any more.
type GiveUp struct {
	Labels []string
	// By is who says so, as he calls himself; Reason is why.
	By, Reason string
	// Most is how many contents may be lost by that, at most: what he was told.
	Most int64
}

// errTold ends a transaction whose outcome was only to be told.
var errTold = errors.New("told")

// WouldLose says what giving discs up would come to, and changes nothing.
func (s *Store) WouldLose(ctx context.Context, g GiveUp) (loss Loss, err error) {
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		if loss, err = giveUpDiscs(ctx, tx, g); err != nil {
			return err
		}
		return errTold
	})
	if errors.Is(err, errTold) {
		err = nil
	}
	return loss, err
}

// GiveUpDiscs takes an operator's word that discs are not to be had any more. Their images are burned anew where something still gives them. Of the others, what
// is nowhere else is gone: retrievals that want it end when the rest of them has come, and whoever uploads the same bytes again brings it back. A disc
// that was given up before, and could not be replaced since, is given up for good.
func (s *Store) GiveUpDiscs(ctx context.Context, g GiveUp) (loss Loss, err error) {
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		if loss, err = giveUpDiscs(ctx, tx, g); err != nil {
			return err
		}
		if loss.Contents > g.Most {
			return library.Errorf(library.Stale, "%d contents would be lost, and not %d at most: look again", loss.Contents, g.Most)
		}
		return nil
	})
	return loss, err
}

func giveUpDiscs(ctx context.Context, tx pgx.Tx, g GiveUp) (loss Loss, err error) {
	if g.Reason == "" || len(g.Labels) == 0 {
		return loss, library.Errorf(library.Invalid, "give discs up: say which, and why")
	}
	discs, libs, err := lockDiscs(ctx, tx, g.Labels, library.Good, library.Suspect, library.Lost)
	if err != nil {
		return loss, err
	}
	if err := markLost(ctx, tx, discs, g); err != nil {
		return loss, err
	}
	images, gone, err := fates(ctx, tx, discs)
	if err != nil {
		return loss, err
	}
	if err := endImages(ctx, tx, gone); err != nil {
		return loss, err
	}
	contents, kept, err := nowGone(ctx, tx, gone)
	if err != nil {
		return loss, err
	}
	for _, i := range images {
		if err := i.goOn(ctx, tx, discs); err != nil {
			return loss, fmt.Errorf("image %s: %w", i.id, err)
		}
	}
	loss.Kept = int64(kept)
	if err := loss.tell(ctx, tx, discs, images, contents); err != nil {
		return loss, err
	}
	if err := endFor(ctx, tx, contents); err != nil {
		return loss, err
	}
	if err := queueReadsOf(ctx, tx, discs...); err != nil {
		return loss, err
	}
	for _, lib := range libs {
		if err := tend(ctx, tx, lib); err != nil {
			return loss, err
		}
		if err := announce(ctx, tx, LibraryKey+lib); err != nil {
			return loss, err
		}
	}
	return loss, nil
}

// lockDiscs locks the libraries of discs and of their images, and returns the discs' ids and the libraries'. Discs in other states than these are refused, and those
// that a task works with.
func lockDiscs(ctx context.Context, tx pgx.Tx, labels []string, states ...library.DiscState) (discs []int64, libs []string, err error) {
	rows, err := tx.Query(ctx, `
select l.id::text from library l where l.id in (
  select unnest(array[d.library_id, i.library_id]) from disc d left join image i on i.id = d.image_id where d.label = any ($1)) order by l.id for update`, labels)
	if err != nil {
		return nil, nil, err
	}
	if libs, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return nil, nil, err
	}
	for _, label := range labels {
		var id int64
		var state library.DiscState
		var task string
		if err := tx.QueryRow(ctx, `
select d.id, d.state, coalesce((select format('%s task %s', kind, id) from task where disc_id = d.id and state = 'leased' limit 1), '') from disc d where label = $1 for update`, label).
			Scan(&id, &state, &task); err != nil {
			return nil, nil, notFound(err, "there is no disc %s", label)
		}
		known := false
		for _, s := range states {
			known = known || s == state
		}
		if !known {
			return nil, nil, library.Errorf(library.Precondition, "disc %s is %s: that can be said of discs that are %v", label, state, states)
		}
		if task != "" {
			return nil, nil, library.Errorf(library.Precondition, "disc %s is in the hands of the library: wait until %s has ended", label, task)
		}
		discs = append(discs, id)
	}
	return discs, libs, nil
}

// markLost writes down that discs are lost, and who says so. What was queued for them is not.
func markLost(ctx context.Context, tx pgx.Tx, discs []int64, g GiveUp) error {
	why := g.Reason
	if g.By != "" {
		why += ", says " + g.By
	}
	for _, sql := range []string{
		`update disc set state = 'lost', reason = $2, scrub_due = null where id = any ($1)`,
		`insert into disc_step (disc_id, step, detail) select id, 'operator', 'it is lost: ' || $2 from unnest($1::bigint[]) id`,
		`update task set state = 'cancelled', finished = now() where disc_id = any ($1) and state = 'queued' and $2 <> ''`,
		// Nobody has to look for them any more.
		`update element e set flag = '' from disc d where d.id = any ($1) and e.fill = 'empty' and e.flag = format('disc %s should be here and is not', d.label) and $2 <> ''`,
	} {
		if _, err := tx.Exec(ctx, sql, discs, why); err != nil {
			return err
		}
	}
	return nil
}

// tell writes down what has been lost. Everything is as it will be.
func (l *Loss) tell(ctx context.Context, tx pgx.Tx, discs []int64, images []fated, contents []int64) error {
	fate := map[string]Fate{}
	for _, i := range images {
		fate[i.id] = i.fate
	}
	rows, err := tx.Query(ctx, `
select d.label, i.number, coalesce(i.set_id::text, ''), i.id::text, i.gone is not null
  from unnest($1::bigint[]) with ordinality u(id, n) join disc d on d.id = u.id join image i on i.id = d.image_id order by u.n`, discs)
	if err != nil {
		return err
	}
	var d GivenUp
	var image string
	var gone bool
	if _, err := pgx.ForEachRow(rows, []any{&d.Label, &d.Image, &d.Set, &image, &gone}, func() error {
		d.Fate = fate[image]
		if gone {
			d.Fate = Gone
		}
		l.Discs = append(l.Discs, d)
		return nil
	}); err != nil {
		return err
	}
	if err := tx.QueryRow(ctx, `select count(*), coalesce(sum(size), 0)::bigint from content where id = any ($1)`, contents).Scan(&l.Contents, &l.Bytes); err != nil {
		return err
	}
	if rows, err = tx.Query(ctx, `
select a.id::text, v.name, a.name, g.n, g.bytes, a.bytes, count(*) over ()
  from (select archive_id, count(*) as n, sum(size)::bigint as bytes from (
          select distinct e.archive_id, c.id, c.size from content c join entry e on e.content_id = c.id where c.id = any ($1)) x group by archive_id) g
  join archive a on a.id = g.archive_id join vault v on v.id = a.vault_id order by g.bytes desc, a.id limit 1000`, contents); err != nil {
		return err
	}
	var a GoneArchive
	if _, err := pgx.ForEachRow(rows, []any{&a.ID, &a.Vault, &a.Name, &a.Contents, &a.Bytes, &a.Of, &l.Touched}, func() error {
		l.Archives = append(l.Archives, a)
		return nil
	}); err != nil {
		return err
	}
	if rows, err = tx.Query(ctx, `
select s.id::text, count(*), count(*) filter (where usable), count(*) filter (where set_index < s.data),
       greatest(case when s.state = 'sealed' then count(*) filter (where usable) - count(*) filter (where set_index < s.data) else 0 end, 0)
  from disc_set s join (
    select i.set_id, i.set_index, i.at_hand or exists (select from disc d where d.image_id = i.id and d.state in ('good', 'suspect')) as usable
      from image i where i.set_id in (select o.set_id from disc d join image o on o.id = d.image_id where d.id = any ($1))) m on m.set_id = s.id
 group by s.id order by s.created, s.id`, discs); err != nil {
		return err
	}
	l.Sets, err = pgx.CollectRows(rows, pgx.RowToStructByPos[SetLeft])
	return err
}

// endFor ends the retrievals that want contents which are gone now, when they have the rest.
func endFor(ctx context.Context, tx pgx.Tx, contents []int64) error {
	if len(contents) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, `
update retrieval r set gone = true from job j where j.id = r.id and j.state = 'running' and not r.gone and r.id = any (array(`+wanting+`))`, contents); err != nil {
		return err
	}
	return endPartly(ctx, tx, inCache, contents)
}
