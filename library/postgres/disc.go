package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
	"github.com/odarchive/odarchive/library/health"
)

// Disc is one physical medium.
type Disc struct {
	Label    string
	State    library.DiscState
	Library  string
	Place    Place
	Medium   string
	Capacity int64 // sectors
	Recorded int64 // sectors
	ImageID  string
	Vault    string
	Burned   *time.Time
	Verified *time.Time
	Reason   string
	// How it is by all readings, why, and whether two drives or an operator say so. Healing goes by grades from MigrateSoon on that
	// are confirmed.
	Grade       health.Grade
	GradeReason string
	Confirmed   bool
	ScrubDue    *time.Time
	MediaID     string // who made it, and as what; empty when no drive has told
	Lot         string // what it was bought together with
	// SpareAreas says that it was formatted with them before it was burned; Tag is the volume tag at its place.
	SpareAreas bool
	Tag        string
}

// DiscFilter says which discs are wanted; zero fields don't restrict.
type DiscFilter struct {
	Library string
	State   library.DiscState
	Labels  []string
	// Grade is how bad a disc must be at least; with Confirmed, a second drive or an operator must say so: what healing goes by.
	Grade     health.Grade
	Confirmed bool
	Together  bool   // only further copies of images that have all theirs in one library, and should not
	After     string // label
	Limit     int
}

// Discs returns discs by label.
func (s *Store) Discs(ctx context.Context, f DiscFilter) ([]Disc, error) {
	if f.Limit == 0 {
		f.Limit = 1000
	}
	rows, err := s.pool.Query(ctx, `
select d.label, d.state, l.name, coalesce(e.kind::text, ''), coalesce(e.number, 0), d.medium, d.capacity, d.recorded,
       coalesce(d.image_id::text, ''), coalesce(v.name, ''), d.burned, d.verified, d.reason,
       coalesce(d.grade::text, ''), d.grade_reason, d.grade_confirmed, d.scrub_due, d.media_id, d.lot, d.spare_areas, coalesce(e.tag, '')
  from disc d join library l on l.id = d.library_id
  left join element e on e.disc_id = d.id
  left join image i on i.id = d.image_id
  left join vault v on v.id = i.vault_id
 where ($1 = '' or l.name = $1) and ($2 = '' or d.state::text = $2) and ($3::text[] is null or d.label = any ($3))
   and (length(d.label), d.label) > (length($4), $4)
   and ($6 = '' or d.grade >= $6::disc_grade and d.state in ('good', 'suspect')) and (not $7 or d.grade_confirmed) and d.state <> 'unknown'
   and (not $8 or `+couldBeCarried+`)
 order by length(d.label), d.label limit $5`, f.Library, string(f.State), f.Labels, f.After, f.Limit, f.Grade.String(), f.Confirmed, f.Together)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (d Disc, err error) {
		var grade string
		err = row.Scan(&d.Label, &d.State, &d.Library, &d.Place.Kind, &d.Place.Number, &d.Medium, &d.Capacity, &d.Recorded,
			&d.ImageID, &d.Vault, &d.Burned, &d.Verified, &d.Reason, &grade, &d.GradeReason, &d.Confirmed, &d.ScrubDue, &d.MediaID, &d.Lot, &d.SpareAreas, &d.Tag)
		if err == nil {
			d.Grade, err = health.ParseGrade(grade)
		}
		return d, err
	})
}
