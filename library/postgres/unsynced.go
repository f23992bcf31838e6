package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Synced records that a segment of the cache has become durable.
func (s *Store) Synced(ctx context.Context, segment int64) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `update segment set unsynced = null where id = $1`, segment); err != nil {
			return err
		}
		return finishRetrievals(ctx, tx, inFile, segment)
	})
}

// ForgetSegment drops from the cache what lies in a segment whose bytes were lost before they were durable; retrievals that wait for
// it get it from disc once more.
func (s *Store) ForgetSegment(ctx context.Context, segment int64) error {
	return s.inTx(ctx, func(tx pgx.Tx) error { return forgetSegments(ctx, tx, []int64{segment}) })
}

// Unsynced forgets what lies in segments of the cache that were not durable when the machine went down, which is to say that another
// boot than this wrote them, and returns those of this boot that are still to be made durable. It is called before anything is served.
func (s *Store) Unsynced(ctx context.Context, boot string) (segments []int64, err error) {
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `select id from segment where unsynced <> $1::uuid`, boot)
		if err != nil {
			return err
		}
		lost, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return err
		}
		if len(lost) > 0 {
			if err := forgetSegments(ctx, tx, lost); err != nil {
				return err
			}
		}
		rows, err = tx.Query(ctx, `select id from segment where unsynced = $1::uuid order by id`, boot)
		if err != nil {
			return err
		}
		segments, err = pgx.CollectRows(rows, pgx.RowTo[int64])
		return err
	})
	return segments, err
}

func forgetSegments(ctx context.Context, tx pgx.Tx, segments []int64) error {
	if _, err := tx.Exec(ctx, `
update content set cached_until = null, segment_id = null, segment_offset = null where segment_id = any ($1) and not staged`, segments); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `update segment set unsynced = null where id = any ($1)`, segments); err != nil {
		return err
	}
	if err := queueReads(ctx, tx); err != nil {
		return err
	}
	return announce(ctx, tx, LibraryKey)
}
