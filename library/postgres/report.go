package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Report is what an agent says of its library.
type Report struct {
	Model       string
	HomeOnly    bool
	SensesSlots bool
	Trouble     string
	Elements    []ReportedElement
	Drives      []ReportedDrive
}

// ReportedElement is what a robot says of an element.
type ReportedElement struct {
	Place Place
	Unit  int
	Fill  Fill
	Home  int // of a drive: the slot of its disc, when the robot knows; otherwise 0
	// Trouble is what the robot says is wrong with the place, Tag the volume tag of the disc there.
	Trouble, Tag string
}

// ReportedDrive is what an agent says of a drive.
type ReportedDrive struct {
	Number int
	Name   string
	Fault  string
	Probed int64 // the last of an operator's words that was obeyed
}

// merge brings what an agent has seen together with what is believed. What the robot senses wins; what it doesn't sense
// stays as it was believed, and every disc is identified when it is loaded the next time.
func merge(ctx context.Context, tx pgx.Tx, lib string, r Report) error {
	if _, err := tx.Exec(ctx, `
update library set model = $2, home_only = $3, senses_slots = $4, trouble = $5, want_report = $5 <> '' where id = $1`,
		lib, r.Model, r.HomeOnly, r.SensesSlots, r.Trouble); err != nil {
		return err
	}
	for _, d := range r.Drives {
		if err := mergeDrive(ctx, tx, lib, d); err != nil {
			return err
		}
	}
	m := merger{ctx: ctx, tx: tx, lib: lib}
	if err := m.load(); err != nil {
		return err
	}
	for _, e := range r.Elements {
		if err := m.element(e); err != nil {
			return fmt.Errorf("merge the report of %v: %w", e.Place, err)
		}
	}
	return lookThrough(ctx, tx, lib)
}

// believed is a row of element.
type believed struct {
	Place Place
	Unit  int
	Fill  Fill
	Disc  *int64
	Home  *int

	Trouble, Tag string
}

type merger struct {
	ctx    context.Context
	tx     pgx.Tx
	lib    string
	known  map[Place]believed
	moving map[Place]bool // places of moves that run: their outcome is still to come
}

func (m *merger) load() error {
	rows, err := m.tx.Query(m.ctx, `select kind, number, unit, fill, disc_id, home, trouble, tag from element where library_id = $1`, m.lib)
	if err != nil {
		return err
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (b believed, err error) {
		err = row.Scan(&b.Place.Kind, &b.Place.Number, &b.Unit, &b.Fill, &b.Disc, &b.Home, &b.Trouble, &b.Tag)
		return b, err
	})
	if err != nil {
		return err
	}
	m.known = make(map[Place]believed, len(all))
	for _, b := range all {
		m.known[b.Place] = b
	}
	rows, err = m.tx.Query(m.ctx, `
select from_kind, from_number, to_kind, to_number from task where library_id = $1 and kind = 'move' and state = 'leased'`, m.lib)
	if err != nil {
		return err
	}
	m.moving = map[Place]bool{}
	var from, to Place
	_, err = pgx.ForEachRow(rows, []any{&from.Kind, &from.Number, &to.Kind, &to.Number}, func() error {
		m.moving[from], m.moving[to] = true, true
		return nil
	})
	return err
}

func (m *merger) element(e ReportedElement) error {
	old, ok := m.known[e.Place]
	if !ok {
		old = believed{Place: e.Place, Fill: Unknown}
	}
	if !ok || old.Unit != e.Unit || old.Trouble != e.Trouble || old.Tag != e.Tag {
		if _, err := m.tx.Exec(m.ctx, `
insert into element (library_id, kind, number, unit, trouble, tag) values ($1, $2, $3, $4, $5, $6)
on conflict (library_id, kind, number) do update set unit = excluded.unit, trouble = excluded.trouble, tag = excluded.tag`,
			m.lib, e.Place.Kind, e.Place.Number, e.Unit, e.Trouble, e.Tag); err != nil {
			return err
		}
	}
	if m.moving[e.Place] {
		return nil
	}
	switch e.Place.Kind {
	case DriveBay:
		return m.drive(e, old)
	case Picker:
		return m.picker(e, old)
	}
	switch {
	case e.Fill == Unknown || e.Fill == old.Fill:
		return nil
	case e.Fill == Empty && old.Disc != nil:
		return m.set(e.Place, Empty, nil, 0, "the disc that belongs here is gone")
	case e.Fill == Full && old.Disc == nil:
		return m.set(e.Place, Full, nil, 0, "it holds a disc that nobody knows")
	}
	return m.set(e.Place, e.Fill, old.Disc, 0, "")
}

func (m *merger) drive(e ReportedElement, old believed) error {
	home := 0
	if old.Home != nil {
		home = *old.Home
	}
	switch {
	case e.Fill == Full && old.Fill == Full && (e.Home == 0 || e.Home == home):
		return nil
	case e.Fill == Full && e.Home == 0:
		return m.set(e.Place, Full, old.Disc, home, "")
	case e.Fill == Full:
		return m.driveFull(e, old, home)
	case e.Fill == Empty && old.Disc != nil && home != 0:
		return m.sentHome(e, old, home)
	case e.Fill == Empty:
		return m.set(e.Place, Empty, nil, 0, "")
	}
	return m.set(e.Place, Unknown, old.Disc, home, "the robot doesn't know whether it holds a disc")
}

// driveFull: the robot has a disc in the drive that it says comes from e.Home.
func (m *merger) driveFull(e ReportedElement, old believed, home int) error {
	slot := Place{Slot, e.Home}
	disc := m.known[slot].Disc
	if home == e.Home {
		disc = old.Disc
	} else if old.Disc != nil && home != 0 {
		if err := m.sentHome(e, old, home); err != nil {
			return err
		}
	}
	if err := m.set(slot, Empty, nil, 0, ""); err != nil {
		return err
	}
	if disc != nil {
		// Nobody has read what it says of itself since it was loaded.
		if _, err := m.tx.Exec(m.ctx, `update disc set reload = true where id = $1`, *disc); err != nil {
			return err
		}
	}
	return m.set(e.Place, Full, disc, e.Home, "")
}

// sentHome: the drive does not hold the disc that it was believed to hold; the robot put it back where it belongs.
func (m *merger) sentHome(e ReportedElement, old believed, home int) error {
	slot := Place{Slot, home}
	if err := m.set(e.Place, Empty, nil, 0, ""); err != nil {
		return err
	}
	if there := m.known[slot]; there.Disc != nil {
		return m.set(slot, Unknown, there.Disc, 0, "two discs belong here")
	}
	return m.set(slot, Full, old.Disc, 0, "")
}

func (m *merger) set(p Place, fill Fill, disc *int64, home int, flag string) error {
	if disc != nil {
		if _, err := m.tx.Exec(m.ctx, `
update element set disc_id = null, fill = 'unknown' where disc_id = $1 and (library_id, kind, number) <> ($2, $3, $4)`, *disc, m.lib, p.Kind, p.Number); err != nil {
			return err
		}
		if fill == Full {
			if err := outOfHand(m.ctx, m.tx, m.lib, *disc); err != nil {
				return err
			}
		}
	}
	b := m.known[p]
	b.Fill, b.Disc, b.Home = fill, disc, nil
	if home != 0 {
		b.Home = &home
	}
	m.known[p] = b
	return setElement(m.ctx, m.tx, m.lib, p, fill, disc, home, flag)
}

// setElement writes what a place holds; home and flag may be zero. A flag that stands is only replaced, never cleared.
func setElement(ctx context.Context, tx pgx.Tx, lib string, p Place, fill Fill, disc *int64, home int, flag string) error {
	_, err := tx.Exec(ctx, fillElement, lib, p.Kind, p.Number, fill, disc, home, flag)
	return err
}

const fillElement = `
update element set fill = $4, disc_id = $5, home = nullif($6, 0), flag = case when $7 = '' then flag else $7 end
 where library_id = $1 and kind = $2 and number = $3`
