package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/odarchive/odarchive/library"
)

// ElementKind is a kind of element as the database calls it.
type ElementKind string

// The kinds of elements.
const (
	Slot     ElementKind = "slot"
	DriveBay ElementKind = "drive"
	MailSlot ElementKind = "mailslot"
	Picker   ElementKind = "picker"
)

// Place is an element's address within a library. The zero value is no place.
type Place struct {
	Kind   ElementKind
	Number int
}

func (p Place) String() string { return fmt.Sprintf("%s %d", p.Kind, p.Number) }

// Fill is what is known of an element.
type Fill string

// The states of an element.
const (
	Unknown Fill = "unknown"
	Empty   Fill = "empty"
	Full    Fill = "full"
)

// Element is a place where a disc can be.
type Element struct {
	Place Place
	Unit  int
	Fill  Fill
	Disc  string // label; empty when there is none or it is not known which
	Flag  string
	// Trouble is what the robot says is wrong with it, Tag the volume tag of the disc there.
	Trouble, Tag string
}

// Library is one robot with what it holds.
type Library struct {
	Name     string
	Model    string
	Agent    string
	Trouble  string
	LastSeen *time.Time
	Online   bool
	Slots    int
	Drives   int
	Blank    int
	Good     int
	Other    int
	Flagged  int
	Moves    int64
	// Of recorded discs: how many and how large, and how many of them should have been scrubbed by now.
	Recorded, RecordedBytes, Overdue int64
	Up, Units                        int // drives in service, and pickers
	ID                               string
	// Recorded discs by grade.
	Healthy, Watch, MigrateSoon, MigrateNow int
	EvacuationLimit                         float64 // seconds; 0: none
	WithoutParity                           int     // sets that no disc joins any more, and that have no good parity disc
}

// Libraries returns all libraries by name.
func (s *Store) Libraries(ctx context.Context) ([]Library, error) {
	rows, err := s.pool.Query(ctx, `
select l.name, l.model, l.agent, l.trouble, l.last_seen, coalesce(l.last_seen > now() - interval '1 minute', false),
       e.slots, e.drives, d.blank, d.good, d.other, e.flagged, (select count(*) from task t where t.library_id = l.id and t.kind = 'move' and t.state = 'done'),
       d.recorded, d.bytes, d.overdue, (select count(*) from drive where library_id = l.id and up), e.units, l.id::text,
       d.healthy, d.watch, d.soon, d.now, coalesce(extract(epoch from l.evacuation_limit), 0)::float8,
       (select count(*) from disc_set s where s.library_id = l.id and `+unparted+`)
  from library l,
       lateral (select count(*) filter (where kind = 'slot') as slots, count(*) filter (where kind = 'drive') as drives,
                       count(*) filter (where flag <> '' or trouble <> '') as flagged, count(distinct unit) as units from element where library_id = l.id) e,
       lateral (select count(*) filter (where state = 'blank') as blank, count(*) filter (where state = 'good') as good,
                       count(*) filter (where state not in ('blank', 'good', 'retired', 'unknown')) as other,
                       count(*) filter (where state in ('good', 'suspect')) as recorded,
                       coalesce(sum(recorded * 2048) filter (where state in ('good', 'suspect')), 0)::bigint as bytes,
                       count(*) filter (where scrub_due < now()) as overdue,
                       count(*) filter (where state in ('good', 'suspect') and grade = 'healthy') as healthy,
                       count(*) filter (where state in ('good', 'suspect') and grade = 'watch') as watch,
                       count(*) filter (where state in ('good', 'suspect') and grade = 'migrate_soon') as soon,
                       count(*) filter (where state in ('good', 'suspect') and grade = 'migrate_now') as now from disc where library_id = l.id) d
 order by l.name`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Library])
}

func libraryID(ctx context.Context, q interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}, name string,
) (id string, err error) {
	err = q.QueryRow(ctx, `select id from library where name = $1`, name).Scan(&id)
	return id, notFound(err, "there is no library %q: it appears when its agent has called", name)
}

// LibraryName returns the name of the library with that id.
func (s *Store) LibraryName(ctx context.Context, id string) (name string, err error) {
	err = s.pool.QueryRow(ctx, `select name from library where id = $1`, id).Scan(&name)
	return name, err
}

// Elements returns the elements of a library by kind and number.
func (s *Store) Elements(ctx context.Context, name string, kind ElementKind, flagged bool) ([]Element, error) {
	id, err := libraryID(ctx, s.pool, name)
	if err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, `
select e.kind, e.number, e.unit, e.fill, coalesce(d.label, ''), e.flag, e.trouble, e.tag
  from element e left join disc d on d.id = e.disc_id and d.state <> 'unknown'
 where e.library_id = $1 and ($2 = '' or e.kind::text = $2) and (not $3 or e.flag <> '' or e.trouble <> '') order by e.kind, e.number`, id, string(kind), flagged)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (e Element, err error) {
		err = row.Scan(&e.Place.Kind, &e.Place.Number, &e.Unit, &e.Fill, &e.Disc, &e.Flag, &e.Trouble, &e.Tag)
		return e, err
	})
}

// SetElement settles what a place holds, after somebody has looked: it is empty, or full with the labelled disc or with
// one that nobody knows. It clears the place's flag.
func (s *Store) SetElement(ctx context.Context, name string, place Place, fill Fill, label string) (Element, error) {
	if fill == Empty && label != "" {
		return Element{}, library.Errorf(library.Invalid, "%v can't be empty and hold disc %s", place, label)
	}
	if place.Kind == Picker && fill != Empty {
		return Element{}, library.Errorf(library.Invalid, "%v: take out what is in the robot's hand, say where you have put it, and then that the hand is empty", place)
	}
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		id, err := libraryID(ctx, tx, name)
		if err != nil {
			return err
		}
		var disc *int64
		from := id
		if label != "" {
			if err := tx.QueryRow(ctx, `select id, library_id::text from disc where label = $1`, label).Scan(&disc, &from); err != nil {
				return notFound(err, "there is no disc %s", label)
			}
		}
		for _, lib := range slices.Compact([]string{min(id, from), max(id, from)}) {
			if err := lockLibrary(ctx, tx, lib); err != nil {
				return err
			}
		}
		if label != "" && from != id {
			if err := carriedTo(ctx, tx, *disc, id, place); err != nil {
				return err
			}
		}
		if label != "" {
			if _, err := tx.Exec(ctx, `update element set disc_id = null, fill = case when fill = 'full' then 'unknown' else fill end where disc_id = $1`, disc); err != nil {
				return err
			}
			if fill == Full {
				if err := outOfHand(ctx, tx, id, *disc); err != nil {
					return err
				}
			}
		}
		tag, err := tx.Exec(ctx, `update element set fill = $4, disc_id = $5, flag = '' where library_id = $1 and kind = $2 and number = $3`,
			id, place.Kind, place.Number, fill, disc)
		if err == nil && tag.RowsAffected() == 0 {
			return library.Errorf(library.NotFound, "library %s has no %v", name, place)
		}
		if err != nil {
			return err
		}
		return announce(ctx, tx, LibraryKey+id)
	})
	if err != nil {
		return Element{}, err
	}
	elements, err := s.Elements(ctx, name, place.Kind, false)
	for _, e := range elements {
		if e.Place == place {
			return e, nil
		}
	}
	return Element{}, err
}

// Drive is a drive and what it does.
type Drive struct {
	Library   string
	Number    int
	Name      string
	Up        bool
	Reason    string
	Disc      string
	Doing     string
	BytesDone int64
	Bytes     int64
	// Whole discs that it read since somebody put it into service, those that it could not read and another drive could, and why it
	// is suspected although it is in service.
	Readings, Charges int64
	Suspect           string
	Fault             string // that its agent has found
	// Trouble is what the robot says is wrong with its place, Tag the volume tag of the disc in it.
	Trouble, Tag string
	// Reads are the media that it reads, none for every one; ReadOnly says that it doesn't burn.
	Reads    []string
	ReadOnly bool
}

// Drives returns the drives of a library, or of all when the name is empty.
func (s *Store) Drives(ctx context.Context, name string) ([]Drive, error) {
	rows, err := s.pool.Query(ctx, `
select l.name, d.number, d.name, d.up, d.reason, coalesce(disc.label, ''), coalesce(t.kind::text, ''), coalesce(t.bytes_done, 0), coalesce(t.bytes, 0),
       (select count(*) from reading r where r.library_id = d.library_id and r.drive = d.number and r.kind = 'scrub' and r.finished > d.trusted),
       (select count(*) from drive_charge c where c.library_id = d.library_id and c.drive = d.number and c.at > d.trusted), d.suspect, d.fault,
       coalesce(e.trouble, ''), coalesce(e.tag, ''), d.reads, d.read_only
  from drive d join library l on l.id = d.library_id
  left join element e on e.library_id = d.library_id and e.kind = 'drive' and e.number = d.number
  left join disc on disc.id = e.disc_id
  left join task t on t.library_id = d.library_id and t.drive = d.number and t.state = 'leased'
 where $1 = '' or l.name = $1 order by l.name, d.number`, name)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Drive])
}
