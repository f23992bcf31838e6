package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
)

// An image belongs to one library, where its set is; that one builds it first. Copies of it that are made in other libraries have rows of
// image_away: these libraries build it anew, of what is in staging, and it must come to the same bytes.

// atHand notes whether an image lies on the scratch disk of the library whose agent has said so.
func (rec *recorder) atHand(image string, there bool) error {
	tag, err := rec.tx.Exec(rec.ctx, `update image set at_hand = $3 where id = $1 and library_id = $2`, image, rec.lib, there)
	if err != nil || tag.RowsAffected() > 0 {
		return err
	}
	if !there {
		return rec.exec(`update image_away set at_hand = false where image_id = $1 and library_id = $2`, image, rec.lib)
	}
	return rec.exec(`
insert into image_away (image_id, library_id, copies, at_hand) values ($1, $2, 0, true)
on conflict (image_id, library_id) do update set at_hand = true`, image, rec.lib)
}

// elsewhere are the libraries besides the one for which images are planned that could burn copies of them now, with their blanks that no queued burn
// will take.
func elsewhere(ctx context.Context, tx pgx.Tx, home Target) ([]Target, error) {
	rows, err := tx.Query(ctx, `
select t.* from (`+selectTargets+`) t join library l on l.id = t.library_id
 where l.id <> $1 and t.medium = $2 and t.capacity = $3 and t.blanks > 0 and not l.silent and l.trouble = ''
   and exists (select from drive d where d.library_id = l.id and d.up and not d.read_only and (d.reads = '{}' or $2 = any (d.reads)))
 order by l.id`, home.LibraryID, home.Medium, home.Capacity)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Target])
}

// allot says how many of an image's copies each of the other libraries makes, and takes their blanks. The first copy is made at home; each further one where
// there are fewest of them, and of those where there are most blanks. Where others have none to spare all are made at home.
func allot(copies int, others []Target) []int {
	home, away := 1, make([]int, len(others))
	for range copies - 1 {
		best := -1
		for i, t := range others {
			switch {
			case t.Blanks <= 0 || away[i] >= home:
			case best < 0 || away[i] < away[best] || away[i] == away[best] && t.Blanks > others[best].Blanks:
				best = i
			}
		}
		if best < 0 {
			home++
			continue
		}
		away[best]++
		others[best].Blanks--
	}
	return away
}

// planAway queues the burns of those of an image's copies that are made in other libraries, and returns how many those are.
func planAway(ctx context.Context, tx pgx.Tx, image string, copies int, others []Target) (sum int, err error) {
	for i, n := range allot(copies, others) {
		if n == 0 {
			continue
		}
		sum += n
		if _, err := tx.Exec(ctx, `insert into image_away (image_id, library_id, copies) values ($1, $2, $3)`, image, others[i].LibraryID, n); err != nil {
			return 0, err
		}
		if _, err := tx.Exec(ctx, `
insert into task (library_id, kind, priority, image_id) select $1, 'burn', $2, $3 from generate_series(1, $4::int)`,
			others[i].LibraryID, library.PriorityBurn, image, n); err != nil {
			return 0, err
		}
	}
	return sum, nil
}

// buildAway: the library of an image has built it. Now the others that make copies of it may.
func (rec *recorder) buildAway() error {
	rows, err := rec.tx.Query(rec.ctx, `
insert into task (library_id, kind, priority, image_id)
select w.library_id, 'build', $2, w.image_id from image_away w join image i on i.id = w.image_id
 where i.id = $1 and i.library_id = $3 and i.safe is null and not w.at_hand
   and w.copies > (select count(*) from disc d where d.image_id = i.id and d.library_id = w.library_id and d.state in ('burning', 'verifying', 'good'))
on conflict do nothing returning library_id::text`, *rec.t.Image, rec.t.Priority, rec.lib)
	if err != nil {
		return err
	}
	libs, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, lib := range libs {
		if err := announce(rec.ctx, rec.tx, LibraryKey+lib); err != nil {
			return err
		}
	}
	return nil
}

// notBuilt: an image can't be built, and nothing will change that but somebody.
func (rec *recorder) notBuilt(why string) error {
	var name string
	var away bool
	if err := rec.tx.QueryRow(rec.ctx, `
select l.name, i.library_id <> l.id from image i, library l where i.id = $1 and l.id = $2`, *rec.t.Image, rec.lib).Scan(&name, &away); err != nil {
		return err
	}
	if away {
		why = fmt.Sprintf("library %s, which makes a copy of it, says: %s", name, why)
	}
	return rec.hold(*rec.t.Image, fmt.Sprintf("image %s can't be built: %s", *rec.t.Image, why))
}

// AwayWait is how long a copy may wait for a library that can't make it now, before it is made where the image belongs.
const AwayWait = 72 * time.Hour

// homeAgain has copies that a library was to make of other libraries' images made where the images belong: at once those of vaults that don't want
// theirs apart any more; after AwayWait those that wait for an agent that says nothing, for a robot, for a drive, for a blank disc or for an image that can't be
// built there. Of what has begun nothing is taken back. The caller has the library's lock.
func homeAgain(ctx context.Context, tx pgx.Tx, lib string) error {
	rows, err := tx.Query(ctx, `
with stuck as (
  select w.image_id, array_agg(t.id) as burns
    from image_away w join task t on t.image_id = w.image_id and t.library_id = w.library_id and t.kind = 'burn' and t.state = 'queued'
    join image i on i.id = w.image_id join vault v on v.id = i.vault_id join library l on l.id = w.library_id
   where w.library_id = $1 and w.copies > 0 and i.safe is null
     and (not v.apart or l.last_seen < now() - $2::interval
       or w.since < now() - $2::interval and (l.trouble <> ''
         or not exists (select from drive d where d.library_id = l.id and d.up and not d.read_only and (d.reads = '{}' or i.medium = any (d.reads)))
         or not exists (select from element e join disc b on b.id = e.disc_id and b.state = 'blank' and b.medium = i.medium and b.capacity >= i.sectors
                         where e.library_id = l.id and e.fill = 'full')
         or not w.at_hand and i.sha256 is not null and not exists (
              select from task b where b.image_id = i.id and b.library_id = l.id and b.kind = 'build' and b.state in ('queued', 'leased'))))
   group by w.image_id),
taken as (
  update task t set state = 'cancelled', finished = now(), error = 'it is done in the library to which the image belongs'
    from stuck s where t.image_id = s.image_id and t.library_id = $1 and t.state = 'queued' and (t.kind = 'build' or t.id = any (s.burns))),
fewer as (
  update image_away w set copies = greatest(w.copies - cardinality(s.burns), 0) from stuck s where w.image_id = s.image_id and w.library_id = $1)
insert into task (library_id, kind, priority, image_id)
select i.library_id, 'burn', $3, i.id from stuck s join image i on i.id = s.image_id, unnest(s.burns) b
returning library_id::text`, lib, AwayWait, library.PriorityBurn)
	if err != nil {
		return err
	}
	homes, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	told := map[string]bool{}
	for _, home := range homes {
		if told[home] {
			continue
		}
		told[home] = true
		if err := announce(ctx, tx, LibraryKey+home); err != nil {
			return err
		}
	}
	return nil
}

// releaseAway has what a library has built of others' images leave its scratch disk once its copies are there.
const releaseAway = `insert into task (library_id, kind, priority, image_id)
		 select w.library_id, 'release', $2::int - $2::int, i.id from image_away w join image i on i.id = w.image_id
		  where w.library_id = $1 and w.at_hand
		    and (i.safe is not null or w.copies <= (select count(*) from disc d where d.image_id = i.id and d.library_id = w.library_id and d.state = 'good'))
		    and not exists (select from disc d where d.image_id = i.id and d.library_id = w.library_id and d.state in ('burning', 'verifying'))
		    and not exists (select from heal h join disc d on d.id = h.disc_id where d.image_id = i.id and h.finished is null)
		    and not exists (select from task t where t.image_id = i.id and t.library_id = w.library_id and t.state in ('queued', 'leased'))` + notLately + `f.image_id = i.id and f.library_id = $1 and f.kind = 'release')`

// SetApart says whether copies of a vault's images are made in different libraries, of images that are planned from now on. Those that wait for another
// library when they are to be together are soon made in the images' own.
func (s *Store) SetApart(ctx context.Context, vault string, apart bool) (Vault, error) {
	if _, err := s.pool.Exec(ctx, `update vault set apart = $2 where name = $1`, vault, apart); err != nil {
		return Vault{}, err
	}
	return s.Vault(ctx, vault)
}
