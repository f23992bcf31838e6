package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
	"github.com/odarchive/odarchive/library/durability"
	"github.com/odarchive/odarchive/library/health"
)

// DiscReading is a reading as it is kept.
type DiscReading struct {
	health.Reading
	ID          int64
	Begun       time.Time
	Finished    *time.Time // nil: it runs, or was broken off and goes on
	Library     string
	DriveNumber int
	Error       string
	Done        int64 // sectors
	Seconds     float64
	SlowRegions int
}

// Step is something that was done for a disc's bytes, or concluded about it.
type Step struct {
	At     time.Time
	Step   string
	Drive  int // 0 for none
	Detail string
}

// DiscHealth is what is known of a disc's health.
type DiscHealth struct {
	Disc           Disc
	Graded         *time.Time
	BadIn          []string // drives that found it bad since it last read well
	OperatorGrade  health.Grade
	OperatorReason string
	Readings       []DiscReading // newest first
	Trends         []health.Trend
	Steps          []Step       // newest first
	Regions        []ReadRegion // of the newest reading of the whole disc
}

// DiscHealth returns the health record of the labelled disc, with its newest readings and steps.
func (s *Store) DiscHealth(ctx context.Context, label string, limit int) (h DiscHealth, err error) {
	discs, err := s.Discs(ctx, DiscFilter{Labels: []string{label}})
	if err != nil {
		return h, err
	}
	if len(discs) == 0 {
		return h, library.Errorf(library.NotFound, "there is no disc %s", label)
	}
	h.Disc = discs[0]
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		var id int64
		var word string
		if err := tx.QueryRow(ctx, `select id, graded, coalesce(operator_grade::text, ''), operator_reason from disc where label = $1`, label).
			Scan(&id, &h.Graded, &word, &h.OperatorReason); err != nil {
			return err
		}
		if h.OperatorGrade, err = health.ParseGrade(word); err != nil {
			return err
		}
		past, err := histories(ctx, tx, []int64{id})
		if err != nil {
			return err
		}
		h.BadIn, h.Trends = health.Judge(past[id]).Drives, health.Trends(past[id])
		if h.Readings, err = readings(ctx, tx, id, limit); err != nil {
			return err
		}
		for _, r := range h.Readings {
			if !r.Whole {
				continue
			}
			if h.Regions, err = readRegions(ctx, tx, r.ID); err != nil {
				return err
			}
			if len(h.Regions) > 0 {
				break
			}
		}
		for i, slow := range health.Slowness(pacesOf(h.Regions), h.Disc.Capacity) {
			h.Regions[i].Slowness = slow
		}
		rows, err := tx.Query(ctx, `select at, step, coalesce(drive, 0), detail from disc_step where disc_id = $1 order by id desc limit $2`, id, limit)
		if err != nil {
			return err
		}
		h.Steps, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Step])
		return err
	})
	return h, err
}

func readings(ctx context.Context, tx pgx.Tx, disc int64, limit int) ([]DiscReading, error) {
	rows, err := tx.Query(ctx, `
select r.id, r.begun, r.finished, l.name, r.drive, r.kind = 'scrub', coalesce(r.good, true), r.error, d.medium, r.sectors, r.done, r.seconds,
       r.retries, r.recovered, r.unreadable, r.disagreed, r.repaired, r.wrong, r.worst_row, r.roots, r.slowest, r.slow, r.metric, coalesce(r.measured, 0)
  from reading r join disc d on d.id = r.disc_id join library l on l.id = r.library_id where r.disc_id = $1 order by r.id desc limit $2`, disc, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (r DiscReading, err error) {
		err = row.Scan(&r.ID, &r.Begun, &r.Finished, &r.Library, &r.DriveNumber, &r.Whole, &r.Good, &r.Error, &r.Medium, &r.Sectors, &r.Done, &r.Seconds,
			&r.Retries, &r.Recovered, &r.Unreadable, &r.Disagreed, &r.Repaired, &r.Wrong, &r.WorstRow, &r.Roots, &r.Slowest, &r.SlowRegions, &r.Metric, &r.Measured)
		r.Slow, r.At = float64(r.SlowRegions)/health.Regions, r.Begun
		r.Drive = fmt.Sprintf("%s/%d", r.Library, r.DriveNumber)
		return r, err
	})
}

// JudgeDisc takes an operator's word about a disc, which goes before all readings. MigrateSoon and MigrateNow condemn it; Healthy declares
// all readings until now void; Ungraded takes the word back.
func (s *Store) JudgeDisc(ctx context.Context, label string, g health.Grade, reason string) error {
	if g == health.Watch || g > health.MigrateNow || g < health.Ungraded {
		return library.Errorf(library.Invalid, "judge disc %s: say that it is healthy, or to be migrated soon or now", label)
	}
	if reason == "" && g != health.Ungraded {
		return library.Errorf(library.Invalid, "judge disc %s: say why", label)
	}
	return s.inTx(ctx, func(tx pgx.Tx) error {
		var id int64
		var lib string
		var state library.DiscState
		if err := tx.QueryRow(ctx, `select id, library_id::text, state from disc where label = $1 for update`, label).Scan(&id, &lib, &state); err != nil {
			return notFound(err, "there is no disc %s", label)
		}
		if state != library.Good && state != library.Suspect {
			return library.Errorf(library.Precondition, "disc %s is %s: only good and suspect discs are judged", label, state)
		}
		if _, err := tx.Exec(ctx, `
update disc set operator_grade = nullif($2, '')::disc_grade, operator_reason = $3, operator_judged = case when $2 = '' then null else now() end,
       state = case when $2 like 'migrate%' then 'suspect'::disc_state when $2 = 'healthy' then 'good' else state end,
       reason = case when $2 like 'migrate%' then 'an operator says: ' || $3 when $2 = 'healthy' then '' else reason end,
       failed = case when $2 = 'migrate_now' then coalesce(failed, now()) when $2 = 'healthy' or failed >= operator_judged then null else failed end
 where id = $1`, id, g.String(), reason); err != nil {
			return err
		}
		if _, _, err := grade(ctx, tx, id); err != nil {
			return err
		}
		if g == health.Healthy {
			if err := trust(ctx, tx, id); err != nil {
				return err
			}
		}
		said := g.String()
		if said == "" {
			said = "the word is taken back"
			// What the readings say holds again.
			if _, err := tx.Exec(ctx, `
update disc set state = 'good', reason = '' where id = $1 and state = 'suspect' and coalesce(grade, 'healthy') <= 'watch'`, id); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `insert into disc_step (disc_id, step, detail) values ($1, 'operator', $2)`, id, said+": "+reason); err != nil {
			return err
		}
		return announce(ctx, tx, LibraryKey+lib)
	})
}

// SetScrubInterval says how often each disc of a vault is read as a whole. The calendar follows when it is kept the next time.
func (s *Store) SetScrubInterval(ctx context.Context, vault string, interval time.Duration) (Vault, error) {
	const day = 24 * time.Hour
	if interval < day || interval > 36525*day {
		return Vault{}, library.Errorf(library.Invalid, "vault %q: a scrub interval of %v: want a day to 100 years", vault, interval)
	}
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `update vault set scrub_interval = $2 where name = $1`, vault, interval)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		// What is planned by the old one is planned anew.
		_, err = tx.Exec(ctx, `
update disc d set scrub_due = null from image i join vault v on v.id = i.vault_id where i.id = d.image_id and v.name = $1 and d.scrub_due > now() + interval '1 day'`, vault)
		return err
	})
	if err != nil {
		return Vault{}, err
	}
	return s.Vault(ctx, vault)
}

// SetEvacuationLimit says how long it may take to read all that a library holds before somebody is told; 0 is no limit.
func (s *Store) SetEvacuationLimit(ctx context.Context, name string, limit time.Duration) error {
	if limit < 0 {
		return library.Errorf(library.Invalid, "library %q: an evacuation in %v", name, limit)
	}
	tag, err := s.pool.Exec(ctx, `update library set evacuation_limit = nullif($2::interval, '0') where name = $1`, name, limit)
	if err == nil && tag.RowsAffected() == 0 {
		return library.Errorf(library.NotFound, "there is no library %q: it appears when its agent has called", name)
	}
	return err
}

// SetLot says that the discs in ranges of slots were bought together, and returns how many discs these are. It changes nothing when a
// slot doesn't exist.
func (s *Store) SetLot(ctx context.Context, name string, ranges []SlotRange, lot string) (discs int, err error) {
	if len(lot) > 255 {
		return 0, library.Errorf(library.Invalid, "a lot's name of %d bytes: want 255 at most", len(lot))
	}
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		discs = 0
		id, err := libraryID(ctx, tx, name)
		if err != nil {
			return err
		}
		if err := lockLibrary(ctx, tx, id); err != nil {
			return err
		}
		for _, r := range ranges {
			if err := r.check(ctx, tx, id, name); err != nil {
				return err
			}
			// A disc that is in a drive now belongs to its slot all the same.
			tag, err := tx.Exec(ctx, `
update disc set lot = $4 from element e
 where e.library_id = $1 and e.disc_id = disc.id and (e.kind = 'slot' and e.number between $2 and $3 or e.kind = 'drive' and e.home between $2 and $3)`, id, r.First, r.Last, lot)
			if err != nil {
				return err
			}
			discs += int(tag.RowsAffected())
		}
		return nil
	})
	return discs, err
}

// Exposure is what became of the discs of a medium.
type Exposure struct {
	Medium  string
	MediaID string // who made them, and as what
	Discs   int64  // that are kept now
	durability.Observed
}

// Observed counts, by medium and maker, the discs that could not be read as a whole any more (two drives or an operator said so), and the
// years that all discs together were kept: from the burn to that failure, or to now; of retired discs, to their last good reading. With
// a vault's name, of its discs only.
func (s *Store) Observed(ctx context.Context, vault string) ([]Exposure, error) {
	if vault != "" {
		if _, err := s.Vault(ctx, vault); err != nil {
			return nil, err
		}
	}
	rows, err := s.pool.Query(ctx, `
select d.medium, d.media_id, count(*) filter (where d.state in ('good', 'suspect')), count(d.failed)::int,
       coalesce(sum(extract(epoch from greatest(least(coalesce(d.failed, now()), case when d.state in ('retired', 'lost') and d.failed is null then d.verified else now() end) - d.burned, '0'))), 0)::float8
         / (365.25 * 86400)
  from disc d join image i on i.id = d.image_id join vault v on v.id = i.vault_id
 where d.burned is not null and d.verified is not null and ($1 = '' or v.name = $1) group by d.medium, d.media_id order by d.medium, d.media_id`, vault)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (e Exposure, err error) {
		err = row.Scan(&e.Medium, &e.MediaID, &e.Discs, &e.Failures, &e.DiscYears)
		return e, err
	})
}
