package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// Alert is something that somebody should do something about.
type Alert struct {
	Library string
	// Kind is agent, blanks, copies, disc, drive, element, evacuation, overdue, robot or set.
	Kind string
	Text string
	Next string // what to do, with the command that does it
}

func (a Alert) String() string { return a.Text + "; next: " + a.Next }

// Alerts returns what agents, robots, drives, discs, places, sets and the scrub calendar need somebody for, by library, kind and text.
func (s *Store) Alerts(ctx context.Context) ([]Alert, error) {
	var all []Alert
	err := pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		all = nil
		var libraries int
		if err := tx.QueryRow(ctx, `select count(*) from library`).Scan(&libraries); err != nil {
			return err
		}
		x := &alerter{ctx: ctx, tx: tx, several: libraries > 1}
		for _, look := range []func() error{x.machines, x.drives, x.discs, x.elements, x.heals, x.sets, x.together, x.overdue} {
			if err := look(); err != nil {
				return err
			}
		}
		all = x.all
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for alerts: %w", err)
	}
	slices.SortStableFunc(all, func(a, b Alert) int {
		return cmp.Or(cmp.Compare(a.Library, b.Library), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Text, b.Text))
	})
	return all, nil
}

// alerter gathers alerts.
type alerter struct {
	ctx     context.Context
	tx      pgx.Tx
	several bool // libraries: commands must say which
	all     []Alert
}

func (x *alerter) add(lib, kind, text, next string) {
	x.all = append(x.all, Alert{Library: lib, Kind: kind, Text: text, Next: next})
}

// each calls one with every row scanned into dest.
func (x *alerter) each(sql string, dest []any, one func(), args ...any) error {
	rows, err := x.tx.Query(x.ctx, sql, args...)
	if err != nil {
		return err
	}
	_, err = pgx.ForEachRow(rows, dest, func() error {
		one()
		return nil
	})
	return err
}

// in is what a command that works on one library needs to say which.
func (x *alerter) in(lib string) string {
	if !x.several {
		return ""
	}
	return " --library " + lib
}

func (x *alerter) stock(lib string) string {
	return fmt.Sprintf("put blank discs into slots, then say which: 'odarchive library stock%s --slots FIRST-LAST'", x.in(lib))
}

// machines: robots in trouble, and agents that say nothing.
func (x *alerter) machines() error {
	var lib, trouble string
	var silent bool
	return x.each(`select name, trouble, silent from library where trouble <> '' or silent`, []any{&lib, &trouble, &silent}, func() {
		if trouble != "" {
			x.add(lib, "robot", trouble, "see to the robot; its agent looks again by itself, and goes on")
		}
		if silent {
			x.add(lib, "agent", fmt.Sprintf("its agent has said nothing for more than %d minutes", int(Silence.Minutes())),
				fmt.Sprintf("start its agent, or see why it can't reach the controller; if its host is lost for good, 'odarchive library end-leases %s'", lib))
		}
	})
}

func (x *alerter) drives() error {
	var lib, reason, fault, suspect string
	var n int
	var up bool
	return x.each(`
select l.name, d.number, d.up, d.reason, d.fault, d.suspect from drive d join library l on l.id = d.library_id where not d.up or d.suspect <> ''`,
		[]any{&lib, &n, &up, &reason, &fault, &suspect}, func() {
			on := fmt.Sprintf("'odarchive drives up %d%s'", n, x.in(lib))
			switch {
			case up:
				x.add(lib, "drive", fmt.Sprintf("drive %d is suspected, and the last one in service: %s", n, suspect),
					"take another drive into service with 'odarchive drives up', or clean or replace this one and say so with "+on)
			case fault != "":
				x.add(lib, "drive", fmt.Sprintf("drive %d is out of service: %s", n, reason),
					"see to it: its agent tries it again by itself from time to time, and at once with "+on)
			default:
				x.add(lib, "drive", fmt.Sprintf("drive %d is out of service: %s", n, reason), "when it is well, "+on)
			}
		})
}

func (x *alerter) overdue() error {
	var lib, first string
	var n, outside int
	var silent bool
	return x.each(`
select l.name, count(*), min(d.scrub_due)::date::text, count(*) filter (where not exists (select from element where disc_id = d.id)), l.silent
  from disc d join library l on l.id = d.library_id where d.scrub_due < now() - interval '1 day' group by l.name, l.silent`,
		[]any{&lib, &n, &first, &outside, &silent}, func() {
			next := "see with 'odarchive drives' what the drives do; if this stays so, the library needs more of them, or its vaults a longer 'odarchive vaults set VAULT --scrub-interval'"
			switch {
			case silent:
				next = "start its agent"
			case outside > 0:
				next = fmt.Sprintf("put the %d of them that are in no place into slots and say where: 'odarchive library set-element slot NUMBER full --disc DISC%s'", outside, x.in(lib))
			}
			x.add(lib, "overdue", fmt.Sprintf("%d discs should have been scrubbed by now, the first on %s", n, first), next)
		})
}
