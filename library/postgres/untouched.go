package postgres

import (
	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/library"
)

// unburned takes a burn back that has recorded nothing: its disc is blank still, and the task is as if it had never been.
func (rec *recorder) unburned() error {
	if err := rec.exec(`update disc set state = 'blank', image_id = null, burn_drive = null where id = $1`, *rec.t.Disc); err != nil {
		return err
	}
	return rec.exec(`update task set state = 'cancelled', disc_id = null where id = $1`, rec.t.ID)
}

// untouched: a burn failed before anything was recorded, so that no disc was spent and nobody is to be blamed for one. The image gets another
// disc, or this one in another drive.
func (rec *recorder) untouched() error {
	t, r := rec.t, rec.r
	if err := rec.unburned(); err != nil {
		return err
	}
	switch {
	case r.Failure == InternalFailure:
		if err := giveUpHeals(rec.ctx, rec.tx, *t.Image, r.Error); err != nil {
			return err
		}
		return rec.hold(*t.Image, "image can't be burned: "+r.Error)
	case r.Failure == DiscFailure && r.Identity.State == BlankDisc:
		if err := rec.tooSmall(); err != nil {
			return err
		}
	case r.Failure != DriveFailure:
		// It is no longer what it was when it was brought, or has gone: the next who wants it looks again.
		if err := rec.exec(`update disc set reload = true where id = $1`, *t.Disc); err != nil {
			return err
		}
	}
	return rec.retry(library.BurnTask, nil, nil)
}

// tooSmall keeps what a blank disc takes, on which the image did not fit. One that was refused though its drive says that it takes more, takes less
// than the image all the same: it is not tried with that again.
func (rec *recorder) tooSmall() error {
	t, id := rec.t, rec.r.Identity
	var sectors int64
	var spare bool
	if err := rec.tx.QueryRow(rec.ctx, `select i.sectors, v.spare_areas from image i join vault v on v.id = i.vault_id where i.id = $1`, *t.Image).Scan(&sectors, &spare); err != nil {
		return err
	}
	room := id.Capacity
	if spare {
		room = archive.WithSpareAreas(id.Medium, id.Capacity)
	}
	if room <= 0 || room >= sectors {
		id.Capacity = max(sectors-1, 1)
	}
	return rec.blankIs(id)
}

// blankIs keeps what a drive says of a blank disc: it knows that better than whoever stocked it. That it takes less stands in its reason, until
// it is burned.
func (rec *recorder) blankIs(id Identity) error {
	return rec.exec(`
update disc set capacity = case when $2::bigint > 0 then $2 else capacity end, medium = case when $3 <> '' then $3 else medium end,
       reason = case when $2 > 0 and $2 < capacity then format('it takes %s sectors, and not %s as was thought', $2, capacity) else reason end
 where id = $1`, *rec.t.Disc, id.Capacity, id.Medium)
}
