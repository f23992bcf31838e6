package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/library"
)

// CachedPart records that a part of a content has come back and is durable, and says whether the whole has.
func (s *Store) CachedPart(ctx context.Context, ref Ref, c archive.Content, offset, length int64) (whole bool, err error) {
	vault, err := s.CheckLease(ctx, ref)
	if err != nil {
		return false, err
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		var id int64
		if err := tx.QueryRow(ctx, `select id from content where vault_id = $1 and hash = $2 for update`, vault, c.Hash[:]).Scan(&id); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
insert into cache_part (content_id, content_offset, length, disc_id) select $1, $2, $3, disc_id from task where id = $4
on conflict (content_id, content_offset) do update set disc_id = excluded.disc_id`, id, offset, length, ref.ID); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `select sum(length) >= $2 from cache_part where content_id = $1`, id, c.Size).Scan(&whole)
	})
	return whole, err
}

// WrongParts draws the conclusions of a content's parts having come to a wrong hash, the last of them by the task of ref: all are
// forgotten. What came from a disc with error correction was held against its checksums when it was read, and what came from a scratch disk
// is of an image that had its hash. So the other discs are
// at fault, and aren't asked for the content again until they have been read as a whole; the last one is not among them, because its agent
// says that itself. When all were proven, something between discs and cache is at fault; then the last one, a disc or an image, stands for it,
// so that there is an end.
func (s *Store) WrongParts(ctx context.Context, ref Ref, hash archive.Hash) error {
	vault, err := s.CheckLease(ctx, ref)
	if err != nil {
		return err
	}
	return s.inTx(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
with part as (
  delete from cache_part p using content c where c.vault_id = $1 and c.hash = $2 and p.content_id = c.id returning p.content_id, p.disc_id),
proven as (
  select part.content_id, d.id as disc_id, d.id is null or coalesce(i.layer_sectors, 0) <> 0 as proven,
         coalesce(d.id = (select disc_id from task where id = $3), false) as last
    from part left join disc d on d.id = part.disc_id left join image i on i.id = d.image_id),
image_failed as (
  insert into image_failure (image_id, content_id)
  select t.image_id, c.id from task t, content c
   where t.id = $3 and t.kind = 'serve' and c.vault_id = $1 and c.hash = $2 and not exists (select from proven where not proven)
  on conflict do nothing),
failed as (
  insert into read_failure (disc_id, content_id)
  select disc_id, content_id from proven
   where disc_id is not null and (not proven and not last or last and not exists (select from proven where not proven))
  on conflict do nothing returning disc_id)
select disc_id from failed order by disc_id`, vault, hash[:], ref.ID)
		if err != nil {
			return err
		}
		discs, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil || len(discs) == 0 {
			return err
		}
		const why = "a content that has a part on it came to a wrong hash"
		if _, err := tx.Exec(ctx, `
insert into disc_step (disc_id, step, task_id, detail) select unnest($1::bigint[]), 'suspected', $2, $3`, discs, ref.ID, why); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
update disc set state = 'suspect', reason = $2 where id = any ($1) and state in ('good', 'suspect')`, discs, why); err != nil {
			return err
		}
		if _, err = tx.Exec(ctx, `
insert into task (library_id, kind, priority, disc_id, bytes) select library_id, 'verify', $2, id, recorded * 2048 from disc where id = any ($1)
on conflict do nothing`, discs, library.PriorityBulk); err != nil {
			return err
		}
		return queueReadsOf(ctx, tx, discs...)
	})
}
