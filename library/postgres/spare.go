package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/library"
)

// KeepSpareAreas makes a vault one whose BD-R have spare areas, or makes sure that it is: a vault that has a disc keeps to what it
// began with.
func (s *Store) KeepSpareAreas(ctx context.Context, vault string, spare bool) error {
	tag, err := s.pool.Exec(ctx, `
update vault v set spare_areas = $2
 where v.id = $1 and (v.spare_areas = $2 or not exists (select from image where vault_id = v.id))`, vault, spare)
	if err == nil && tag.RowsAffected() == 0 {
		return library.Errorf(library.Exists, "the vault exists, and whether its discs have spare areas can't be changed any more")
	}
	return err
}

// SpareAreas says whether the BD-R of a vault have spare areas.
func (s *Store) SpareAreas(ctx context.Context, vault string) (spare bool, err error) {
	err = s.pool.QueryRow(ctx, `select spare_areas from vault where id = $1`, vault).Scan(&spare)
	return spare, notFound(err, "there is no vault %s", vault)
}

// blankSizes are the sizes of blank discs that there are, and what images can have on them: without spare areas, which is nothing on a disc
// that has them already, and with.
type blankSizes struct {
	media                     []string
	capacities, without, with []int64 // sectors
}

func (s *Store) blankSizes(ctx context.Context) (all blankSizes, err error) {
	rows, err := s.pool.Query(ctx, `select distinct medium, capacity from disc where state = 'blank'`)
	if err != nil {
		return all, err
	}
	var medium string
	var capacity int64
	_, err = pgx.ForEachRow(rows, []any{&medium, &capacity}, func() error {
		without := capacity
		if archive.HasSpareAreas(medium, capacity) {
			without = 0
		}
		all.media, all.capacities = append(all.media, medium), append(all.capacities, capacity)
		all.without, all.with = append(all.without, without), append(all.with, archive.WithSpareAreas(medium, capacity))
		return nil
	})
	return all, err
}
