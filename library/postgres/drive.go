package postgres

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
)

// Probe is an operator's word that a drive may be well again.
type Probe struct {
	Drive  int
	Number int64 // grows by one with each word
}

// mergeDrive takes what an agent says of a drive. One that was left out for a fault is in service again when its agent finds it well, unless
// somebody else had a reason besides.
func mergeDrive(ctx context.Context, tx pgx.Tx, lib string, d ReportedDrive) error {
	_, err := tx.Exec(ctx, `
insert into drive as old (library_id, number, name, up, reason, fault, probed) values ($1, $2, $3, $4 = '', $4, $4, $5)
on conflict (library_id, number) do update set
  name = case when excluded.name = '' then old.name else excluded.name end, -- a drive that can't be opened has none
  fault = excluded.fault,
  probed = greatest(old.probed, excluded.probed),
  faults = case when excluded.fault = '' and old.fault <> '' then 0 else old.faults end,
  up = excluded.fault = '' and (old.up or old.fault <> '' and old.reason = old.fault),
  reason = case when excluded.fault <> '' and (old.up or old.reason = old.fault) then excluded.fault
                when excluded.fault = '' and old.fault <> '' and old.reason = old.fault then '' else old.reason end`,
		lib, d.Number, d.Name, d.Fault, d.Probed)
	return err
}

// SetDrive takes a drive out of service, or back into it. One in which its agent has found a fault is tried by the agent first: the word
// is kept until a report answers it.
func (s *Store) SetDrive(ctx context.Context, name string, number int, up bool, reason string) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		id, err := libraryID(ctx, tx, name)
		if err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `
update drive set up = $3 and fault = '', reason = case when $3 then fault else $4 end, probe = probe + ($3 and fault <> '')::int,
       faults = case when $3 then 0 else faults end, trusted = case when $3 and (not up or suspect <> '') then now() else trusted end, suspect = ''
 where library_id = $1 and number = $2`, id, number, up, reason)
		if err == nil && tag.RowsAffected() == 0 {
			return library.Errorf(library.NotFound, "library %s has no drive %d", name, number)
		}
		if err != nil {
			return err
		}
		return announce(ctx, tx, LibraryKey+id)
	})
}

// setNumber is the number by which a planner knows the set of image i; null when it is in none.
const setNumber = `hashtextextended(i.set_id::text, 0)`

// distrusted are the sets of which a disc has failed in drive d since somebody put it into service, and in no other drive: until somebody
// looks, the drive is as likely to be at fault as the disc.
const distrusted = `array(
         select distinct ` + setNumber + ` from reading r join disc b on b.id = r.disc_id join image i on i.id = b.image_id and i.set_id is not null
          where r.library_id = d.library_id and r.drive = d.number and not r.good and r.finished > d.trusted
            and not exists (select from reading o where o.disc_id = r.disc_id and not o.good and (o.library_id, o.drive) <> (r.library_id, r.drive)))`

// SetDriveMedia says which media a drive reads, none for every one, and whether it only reads.
func (s *Store) SetDriveMedia(ctx context.Context, name string, number int, reads []string, readOnly bool) error {
	for _, m := range reads {
		if m == "" || strings.TrimSpace(m) != m {
			return library.Errorf(library.Invalid, "set drive %d: %q is no medium: say it as 'odarchive discs' shows it", number, m)
		}
	}
	return s.inTx(ctx, func(tx pgx.Tx) error {
		id, err := libraryID(ctx, tx, name)
		if err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `
update drive set reads = array(select distinct unnest($3::text[]) order by 1), read_only = $4 where library_id = $1 and number = $2`, id, number, reads, readOnly)
		if err == nil && tag.RowsAffected() == 0 {
			return library.Errorf(library.NotFound, "library %s has no drive %d", name, number)
		}
		if err != nil {
			return err
		}
		return announce(ctx, tx, LibraryKey+id)
	})
}
