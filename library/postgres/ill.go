package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

const (
	// illLibraries are the libraries that can read nothing now: their agents say nothing, or their robots are in trouble.
	illLibraries = `select l.id from library l where l.silent or l.trouble <> ''`

	// unitsThatRead are the units of all libraries that have a drive in service: discs in others can't be read, for drives take discs of their own unit.
	unitsThatRead = `
select v.library_id, b.unit from drive v join element b on b.library_id = v.library_id and b.kind = 'drive' and b.number = v.number where v.up`
)

// inReach is which discs, by the alias of their table, can be read now.
func inReach(alias string) string {
	return fmt.Sprintf(`%[1]s.library_id not in (`+illLibraries+`) and exists (
  select from element p where p.disc_id = %[1]s.id and (p.library_id, p.unit) in (`+unitsThatRead+`))`, alias)
}

// readElsewhere takes the reads for retrievals that no drive has begun back from libraries in which nothing can read their discs now, as far as others
// have copies that can be read; what waits for them is queued there.
func (s *Store) readElsewhere(ctx context.Context) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		stuck := `
  from task t join disc d on d.id = t.disc_id
 where t.kind = 'read' and t.state = 'queued' and t.image_id is null and not (` + inReach("d") + `)
   and exists (
     select from disc o where o.image_id = d.image_id and o.library_id <> d.library_id and o.state in ('good', 'suspect') and ` + inReach("o") + `
        and not exists (select from read_failure f where f.disc_id = o.id))`
		rows, err := tx.Query(ctx, `select id::text from library where id in (select t.library_id `+stuck+`) order by id for update`)
		if err != nil {
			return err
		}
		libs, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil || len(libs) == 0 {
			return err
		}
		if _, err := tx.Exec(ctx, `
update task set state = 'cancelled', finished = now(), error = 'nothing in its library can read the disc now, and another one has a copy'
 where state = 'queued' and library_id = any ($1::uuid[]) and id in (select t.id `+stuck+`)`, libs); err != nil {
			return err
		}
		if err := queueReads(ctx, tx); err != nil {
			return err
		}
		return announce(ctx, tx, LibraryKey)
	})
}
