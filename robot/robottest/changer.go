package robottest

import (
	"context"
	"testing"

	"github.com/odarchive/odarchive/robot"
)

// ChangerRig is a changer with what can't be found out from it. While the suite runs nobody else moves discs.
type ChangerRig struct {
	// Open opens the changer. Every check opens it anew and closes it. The machine's state stays from one
	// check to the next: every drive is empty, and each check puts back what it took, after a failure too as
	// far as it can.
	Open func(ctx context.Context) (robot.Changer, error)
	// Discs are slots that hold a disc that may be moved: two or more in one unit that has drives, and
	// better two in each unit.
	Discs []robot.Address
	// Vacant is a slot without a disc, in a unit that has drives. Zero leaves out what needs one.
	Vacant robot.Address
}

// Changer runs the suite for changers as sub-tests.
func Changer(t *testing.T, rig ChangerRig) {
	t.Helper()
	runAll(t, ChangerChecks(rig))
}

// ChangerChecks returns the suite for changers. It takes some two dozen moves and as many refusals.
func ChangerChecks(rig ChangerRig) []Check {
	var checks []Check
	for _, c := range []struct {
		name string
		run  func(*bench)
	}{
		{"properties", checkProperties},
		{"inventory", checkInventory},
		{"there and back", checkThereAndBack},
		{"empty source", checkEmptySource},
		{"disc in another drive", checkDiscElsewhere},
		{"full destination", checkFullDestination},
		{"home only", checkHomeOnly},
		{"unreachable", checkUnreachable},
		{"exchange", checkExchange},
		{"unknown places", checkUnknownPlaces},
		{"two at once", checkTwoAtOnce},
		{"two for one drive", checkTwoForOneDrive},
		{"context ended before", checkContextBefore},
		{"context ended during a move", checkContextDuring},
		{"close", checkClose},
	} {
		checks = append(checks, Check{c.name, func(t T) {
			t.Helper()
			b := &bench{T: t, rig: rig, took: make(map[robot.Address]robot.Address)}
			b.open()
			defer b.tidy()
			b.survey()
			c.run(b)
		}})
	}
	return checks
}

// bench is one check's view of the changer.
type bench struct {
	T
	rig ChangerRig
	robot.Changer
	drives []robot.Element
	slots  []robot.Element
	took   map[robot.Address]robot.Address // by drive: the slot that the check took its disc from
}

func (b *bench) open() {
	b.Helper()
	c, err := b.rig.Open(b.Context())
	if err != nil {
		b.Fatalf("open: %v", err)
	}
	b.Changer = c
}

// survey learns the elements and refuses to start from another state than the rig promises.
func (b *bench) survey() {
	b.Helper()
	for _, e := range b.inventory() {
		switch e.Address.Kind {
		case robot.DriveBay:
			b.drives = append(b.drives, e)
			if e.Fill != robot.Empty {
				b.Fatalf("%v is %v before the check: the suite starts with empty drives", e.Address, e.Fill)
			}
		case robot.Slot:
			b.slots = append(b.slots, e)
		}
	}
	if len(b.drives) == 0 || len(b.slots) == 0 {
		b.Fatalf("the inventory has %d drives and %d slots", len(b.drives), len(b.slots))
	}
}

func (b *bench) inventory() []robot.Element {
	b.Helper()
	all, err := b.Inventory(b.Context())
	if err != nil {
		b.Fatalf("inventory: %v", err)
	}
	return all
}

// element asks the robot for one element.
func (b *bench) element(a robot.Address) robot.Element {
	b.Helper()
	for _, e := range b.inventory() {
		if e.Address == a {
			return e
		}
	}
	b.Fatalf("%v is not in the inventory", a)
	return robot.Element{}
}

func (b *bench) unit(a robot.Address) int {
	b.Helper()
	for _, e := range append(b.drives, b.slots...) {
		if e.Address == a {
			return e.Unit
		}
	}
	b.Fatalf("the rig names %v, which is not in the inventory", a)
	return 0
}

func (b *bench) drivesOf(unit int) (drives []robot.Address) {
	for _, d := range b.drives {
		if d.Unit == unit {
			drives = append(drives, d.Address)
		}
	}
	return drives
}

func (b *bench) discsOf(unit int) (discs []robot.Address) {
	b.Helper()
	for _, d := range b.rig.Discs {
		if b.unit(d) == unit {
			discs = append(discs, d)
		}
	}
	return discs
}

// pair returns two discs and the drives of their unit, which are one or more.
func (b *bench) pair() (one, two robot.Address, drives []robot.Address) {
	b.Helper()
	for _, d := range b.rig.Discs {
		unit := b.unit(d)
		if discs, drives := b.discsOf(unit), b.drivesOf(unit); len(discs) > 1 && len(drives) > 0 {
			return discs[0], discs[1], drives
		}
	}
	b.Fatalf("the rig has no two discs in a unit that has a drive: %v", b.rig.Discs)
	return one, two, nil
}

// move must succeed.
func (b *bench) move(from, to robot.Address) {
	b.Helper()
	if err := b.Move(b.Context(), from, to); err != nil {
		b.Fatalf("move %v to %v: %v", from, to, err)
	}
	b.took[to] = from
}

// refuses checks that a move fails with a kind and a place, and that it moved nothing.
func (b *bench) refuses(from, to robot.Address, kind error, places ...robot.Address) {
	b.Helper()
	before := b.inventory()
	doing := "move " + from.String() + " to " + to.String()
	e := wantKind(b, doing, b.Move(b.Context(), from, to), kind)
	if e != nil && len(places) > 0 {
		named := false
		for _, p := range places {
			named = named || e.Place == p
		}
		if !named {
			b.Errorf("%s: error %q has the place %v, want %v", doing, e, e.Place, places)
		}
	}
	b.same(doing+", which was refused", before, b.inventory())
}

// same checks that two inventories say the same of drives and nothing contrary of slots: a robot that
// doesn't sense slots may know more or less of them by and by.
func (b *bench) same(doing string, before, after []robot.Element) {
	b.Helper()
	if len(before) != len(after) {
		b.Errorf("%s: %d elements became %d", doing, len(before), len(after))
		return
	}
	for i, was := range before {
		is := after[i]
		learnt := was.Address.Kind == robot.Slot && (was.Fill == robot.Unknown || is.Fill == robot.Unknown)
		if learnt && !b.Properties().SensesSlots {
			is.Fill = was.Fill
		}
		if was != is {
			b.Errorf("%s: %+v became %+v", doing, was, is)
		}
	}
}

// isIn checks that the disc of a slot lies in a drive.
func (b *bench) isIn(slot, drive robot.Address) {
	b.Helper()
	if d := b.element(drive); d.Fill != robot.Full || d.Home != slot && d.Home != (robot.Address{}) {
		b.Errorf("%v is %v with a disc from %v; want the disc from %v", drive, d.Fill, d.Home, slot)
	}
	if s := b.element(slot); s.Fill == robot.Full {
		b.Errorf("%v is full while its disc is in %v", slot, drive)
	}
}

// isHome checks that a drive is empty and a slot may have its disc.
func (b *bench) isHome(slot, drive robot.Address) {
	b.Helper()
	if d := b.element(drive); d.Fill != robot.Empty {
		b.Errorf("%v is %v with a disc from %v; want it empty", drive, d.Fill, d.Home)
	}
	if s := b.element(slot); s.Fill == robot.Empty || b.Properties().SensesSlots && s.Fill != robot.Full {
		b.Errorf("%v is %v with its disc back", slot, s.Fill)
	}
}

// tidy puts discs home and closes. It reports nothing: it runs after failures too, and the next check
// refuses to start when it could not do its work.
func (b *bench) tidy() {
	ctx := context.WithoutCancel(b.Context()) // who breaks off wants his discs back too
	if all, err := b.Inventory(ctx); err == nil {
		for _, e := range all {
			if e.Address.Kind != robot.DriveBay || e.Fill != robot.Full {
				continue
			}
			home := e.Home
			if home == (robot.Address{}) {
				home = b.took[e.Address]
			}
			if err := b.Move(ctx, e.Address, home); err != nil {
				b.Logf("tidy: %v", err)
			}
		}
	}
	if err := b.Close(); err != nil {
		b.Logf("tidy: %v", err)
	}
}
