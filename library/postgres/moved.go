package postgres

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
)

// move applies the result of a move: where the disc is now, and whether it is the disc that it should be.
func (rec *recorder) move() error {
	t, r := rec.t, rec.r
	switch r.Outcome {
	case Moved:
		return rec.moved()
	case SourceEmpty:
		if stranger, err := rec.stranger(); err != nil {
			return err
		} else if stranger {
			return rec.noStranger()
		}
		if t.From.Kind == DriveBay {
			return rec.doubt("the robot found no disc in the drive")
		}
		if err := setElement(rec.ctx, rec.tx, rec.lib, t.From, Empty, nil, 0, rec.named("%s should be here and is not")); err != nil {
			return err
		}
		return rec.missing(fmt.Sprintf("not in %v, where it should be", t.From))
	case DestinationFull:
		if err := setElement(rec.ctx, rec.tx, rec.lib, t.To, Unknown, nil, 0, "a disc is here that nobody knows of"); err != nil {
			return err
		}
		return rec.exec(`update library set want_report = true where id = $1`, rec.lib)
	case NotMoved:
		return rec.notMoved()
	}
	why := "a move from " + t.From.String() + " to " + t.To.String() + " did not end"
	if err := rec.inHand(why); err != nil {
		return err
	}
	return rec.doubt(why)
}

// named formats a text about the moved disc by its label.
func (rec *recorder) named(format string) string {
	label := "a disc"
	if rec.t.Disc != nil {
		var l string
		if err := rec.tx.QueryRow(rec.ctx, `select label from disc where id = $1`, *rec.t.Disc).Scan(&l); err == nil {
			label = "disc " + l
		}
	}
	return fmt.Sprintf(format, label)
}

// doubt: nobody knows where the disc is. It is supposed to be where it came from; both places need a look.
func (rec *recorder) doubt(why string) error {
	t := rec.t
	home := 0
	if t.From.Kind == DriveBay {
		home = t.To.Number
	}
	if err := setElement(rec.ctx, rec.tx, rec.lib, t.To, Unknown, nil, 0, why); err != nil {
		return err
	}
	if err := setElement(rec.ctx, rec.tx, rec.lib, t.From, Unknown, t.Disc, home, why); err != nil {
		return err
	}
	return rec.exec(`update library set want_report = true where id = $1`, rec.lib)
}

// notMoved: the disc is where it was. A drive from which three moves in a row failed is left out.
func (rec *recorder) notMoved() error {
	return rec.exec(`
update drive set up = false, reason = 'three moves in a row failed: ' || $3
 where library_id = $1 and number = $2 and 3 = (
   select count(*) from (
     select state from task where library_id = $1 and drive = $2 and kind = 'move' and state in ('done', 'failed') order by finished desc, id desc limit 3) m
    where state = 'failed')`, rec.lib, *rec.t.Drive, rec.r.Error)
}

func (rec *recorder) moved() error {
	t := rec.t
	home := 0
	if t.To.Kind == DriveBay {
		home = t.From.Number
	}
	disc, err := rec.carried()
	if err != nil {
		return err
	}
	if err := setElement(rec.ctx, rec.tx, rec.lib, t.From, Empty, nil, 0, ""); err != nil {
		return err
	}
	if err := setElement(rec.ctx, rec.tx, rec.lib, t.To, Full, disc, home, ""); err != nil {
		return err
	}
	if t.To.Kind != DriveBay && t.Disc == nil {
		return lookThrough(rec.ctx, rec.tx, rec.lib)
	} else if t.To.Kind != DriveBay {
		return nil
	}
	if err := rec.exec(`update drive set loaded = now() where library_id = $1 and number = $2`, rec.lib, t.To.Number); err != nil || t.Disc == nil {
		return err
	}
	return rec.identify()
}

// carried returns the disc that was moved, as far as is known: nil when, while the robot was on its way, the disc that it was sent for
// has been found in another place.
func (rec *recorder) carried() (*int64, error) {
	t := rec.t
	if t.Disc == nil {
		return nil, nil
	}
	var elsewhere bool
	err := rec.tx.QueryRow(rec.ctx, `
select exists (select from element where disc_id = $1 and not (library_id = $2 and ((kind = $3 and number = $4) or (kind = $5 and number = $6))))`,
		*t.Disc, rec.lib, t.From.Kind, t.From.Number, t.To.Kind, t.To.Number).Scan(&elsewhere)
	if err != nil || elsewhere {
		return nil, err
	}
	return t.Disc, nil
}

// identify compares what the loaded disc says of itself with what it should be.
func (rec *recorder) identify() error {
	t, id := rec.t, rec.r.Identity
	var state library.DiscState
	var image string
	if err := rec.tx.QueryRow(rec.ctx, `select state, coalesce(image_id::text, '') from disc where id = $1`, *t.Disc).Scan(&state, &image); err != nil {
		return err
	}
	if id.MediaID != "" && (image == "" && id.State == BlankDisc || image != "" && id.State == Ours && id.ImageID == image) {
		if err := rec.exec(`update disc set media_id = $2 where id = $1 and media_id <> $2`, *t.Disc, id.MediaID); err != nil {
			return err
		}
	}
	switch {
	case state == library.Unknown:
		return rec.met()
	case image == "" && id.State == BlankDisc:
		if err := rec.exec(`update disc set reload = false where id = $1`, *t.Disc); err != nil {
			return err
		}
		return rec.blankIs(id)
	case image != "" && id.State == Ours && id.ImageID == image:
		if state == library.Lost {
			if err := turnedUp(rec.ctx, rec.tx, []int64{*t.Disc}, fmt.Sprintf("drive %d has loaded it", *t.Drive)); err != nil {
				return err
			}
		}
		if err := rec.exec(`update element set flag = '' where library_id = $1 and kind = $2 and number = $3`, rec.lib, t.From.Kind, t.From.Number); err != nil {
			return err
		}
		return rec.exec(`update disc set reload = false where id = $1`, *t.Disc)
	case id.State == NoDisc:
		return rec.doubt("the robot says that it loaded a disc, the drive has none")
	case id.State == Unreadable || id.State == NotIdentified:
		return rec.unreadable(state, image)
	case image == "" && id.State != Ours:
		return rec.spoilBlank(id)
	}
	return rec.wrongDisc(image, id)
}

// unreadable: disc or drive is at fault. A second drive shall say which.
func (rec *recorder) unreadable(state library.DiscState, image string) error {
	t := rec.t
	if image == "" {
		return rec.spoilBlank(rec.r.Identity)
	}
	if err := rec.exec(`update disc set reload = true where id = $1`, *t.Disc); err != nil {
		return err
	}
	if err := rec.badReading("its identity can't be read"); err != nil {
		return err
	}
	v, err := rec.grade()
	if err != nil {
		return err
	}
	if v.Failures < 2 && (state == library.Good || state == library.Suspect) {
		// Whoever wanted it may be content with another copy; what is the matter with this one is to be known all the same.
		if err := rec.readAgain(library.PriorityBulk); err != nil {
			return err
		}
	}
	tag, err := rec.tx.Exec(rec.ctx, `
update task set avoid_drive = $3 where library_id = $1 and disc_id = $2 and state = 'queued' and avoid_drive is null`, rec.lib, *t.Disc, *t.Drive)
	if err != nil || tag.RowsAffected() > 0 {
		return err
	}
	why := "its identity can't be read in two drives"
	if !v.Confirmed {
		why = fmt.Sprintf("its identity can't be read in drive %d, twice, and no other drive can be asked", *t.Drive)
	}
	if err := rec.giveUp(why); err != nil {
		return err
	}
	return rec.condemn(*t.Disc, state, image, why)
}

// giveUp fails the tasks that wait for the disc; what they wanted is sought elsewhere.
func (rec *recorder) giveUp(why string) error {
	if err := rec.exec(`
insert into read_failure (disc_id, content_id) select $1, c.id`+wantedContents+` on conflict do nothing`, *rec.t.Disc); err != nil {
		return err
	}
	if err := rec.exec(`
update task set state = 'failed', error = $3, finished = now() where library_id = $1 and disc_id = $2 and state = 'queued'`, rec.lib, *rec.t.Disc, why); err != nil {
		return err
	}
	return queueReadsOf(rec.ctx, rec.tx, *rec.t.Disc)
}

func (rec *recorder) spoilBlank(id Identity) error {
	why := fmt.Sprintf("not blank: %v was in its place", id)
	if id.State == Unreadable || id.State == NotIdentified {
		why = "the drive can't make out what it is"
	}
	if err := rec.exec(`update element set flag = $4 where library_id = $1 and kind = $2 and number = $3`, rec.lib, rec.t.From.Kind, rec.t.From.Number, why); err != nil {
		return err
	}
	return rec.exec(`update disc set state = 'spoiled', reason = $2 where id = $1`, *rec.t.Disc, why)
}

// wrongDisc: something else lay where the disc should be. It goes back there; both slots are flagged. When it is another
// disc of ours, the two were probably swapped: the missing one is looked for in the other's slot.
func (rec *recorder) wrongDisc(image string, id Identity) error {
	t := rec.t
	flag := fmt.Sprintf("%v is here instead of %s", id, rec.named("%s"))
	if err := rec.exec(`update element set flag = $4 where library_id = $1 and kind = $2 and number = $3`, rec.lib, t.From.Kind, t.From.Number, flag); err != nil {
		return err
	}
	if id.State != Ours {
		if err := rec.loaded(nil); err != nil {
			return err
		}
		return rec.missing(flag)
	}
	var other int64
	var place Place
	err := rec.tx.QueryRow(rec.ctx, `
select d.id, coalesce(e.kind::text, ''), coalesce(e.number, 0) from disc d left join element e on e.disc_id = d.id
 where d.library_id = $1 and d.image_id = $2 and d.id <> $3 order by e.number limit 1`, rec.lib, id.ImageID, *t.Disc).Scan(&other, &place.Kind, &place.Number)
	if errors.Is(err, pgx.ErrNoRows) {
		if image == "" {
			return rec.spoilBlank(id)
		}
		if err := rec.loaded(nil); err != nil {
			return err
		}
		return rec.missing(flag)
	} else if err != nil {
		return err
	}
	if err := rec.loaded(nil); err != nil {
		return err
	}
	if place.Number != 0 {
		if err := setElement(rec.ctx, rec.tx, rec.lib, place, Unknown, t.Disc, 0, fmt.Sprintf("its disc was found in %v", t.From)); err != nil {
			return err
		}
	}
	if err := rec.exec(`update disc set reload = true where id = $1`, other); err != nil {
		return err
	}
	return rec.loaded(&other)
}

// loaded corrects which disc is in the drive that the move ended in.
func (rec *recorder) loaded(disc *int64) error {
	return setElement(rec.ctx, rec.tx, rec.lib, rec.t.To, Full, disc, rec.t.From.Number, "")
}

// missing: the disc is in no element that we know of. What its readers want is sought elsewhere; a copy that was never
// verified is burned again.
func (rec *recorder) missing(why string) error {
	if rec.t.Disc == nil {
		return nil
	}
	disc := *rec.t.Disc
	var state library.DiscState
	var image *string
	if err := rec.tx.QueryRow(rec.ctx, `select state, image_id::text from disc where id = $1`, disc).Scan(&state, &image); err != nil {
		return err
	}
	if err := rec.exec(`update element set disc_id = null where disc_id = $1`, disc); err != nil {
		return err
	}
	if state == library.Blank {
		return rec.exec(`update disc set reason = $2 where id = $1`, disc, why)
	}
	if err := rec.giveUp(why); err != nil {
		return err
	}
	return rec.condemn(disc, state, *image, why)
}
