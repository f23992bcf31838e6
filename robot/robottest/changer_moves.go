package robottest

import (
	"cmp"
	"slices"

	"github.com/odarchive/odarchive/robot"
)

// checkProperties: they need no I/O and never change.
func checkProperties(b *bench) {
	before := b.Properties()
	if before.Model == "" {
		b.Errorf("the model has no name")
	}
	one, _, drives := b.pair()
	b.move(one, drives[0])
	if after := b.Properties(); after != before {
		b.Errorf("properties %+v became %+v", before, after)
	}
	b.move(drives[0], one)
	if err := b.Close(); err != nil {
		b.Errorf("close: %v", err)
	}
	if after := b.Properties(); after != before {
		b.Errorf("properties %+v became %+v with the line closed", before, after)
	}
	b.open()
}

// checkInventory: every element, in ascending order of kind and number, numbers from 1, nothing moved, and
// nothing claimed that isn't sensed.
func checkInventory(b *bench) {
	all := b.inventory()
	checkOrder(b, all)
	senses := b.Properties().SensesSlots
	for _, e := range all {
		switch {
		case e.Unit < 1:
			b.Errorf("%v is in unit %d", e.Address, e.Unit)
		case e.Fill != robot.Unknown && e.Fill != robot.Empty && e.Fill != robot.Full:
			b.Errorf("%v is %v", e.Address, e.Fill)
		case e.Home != (robot.Address{}):
			b.Errorf("%v, which is %v, has the home %v", e.Address, e.Fill, e.Home)
		case e.Address.Kind == robot.Slot && (e.Fill == robot.Unknown) == senses:
			b.Errorf("%v is %v of a robot that senses slots: %v", e.Address, e.Fill, senses)
		case e.Fill == robot.Empty && slices.Contains(b.rig.Discs, e.Address):
			b.Errorf("%v is empty, and the rig has a disc there", e.Address)
		case e.Fill == robot.Full && e.Address == b.rig.Vacant:
			b.Errorf("%v is full, and the rig has no disc there", e.Address)
		}
	}
	if again := b.inventory(); !slices.Equal(all, again) {
		b.Errorf("two inventories differ with nothing done between")
	}
}

func checkOrder(b *bench, all []robot.Element) {
	last := robot.Address{}
	for _, e := range all {
		a := e.Address
		switch {
		case !slices.Contains([]robot.Kind{robot.Slot, robot.DriveBay, robot.MailSlot, robot.Picker}, a.Kind):
			b.Errorf("%v is of no known kind", a)
		case cmp.Or(cmp.Compare(last.Kind, a.Kind), cmp.Compare(last.Number, a.Number)) >= 0:
			b.Errorf("%v comes after %v", a, last)
		case a.Kind == last.Kind && a.Number != last.Number+1, a.Kind != last.Kind && a.Number != 1:
			b.Errorf("%v comes after %v: numbers start at 1 and have no gaps", a, last)
		}
		last = a
	}
}

// checkThereAndBack: when Move returns nil the disc lies at its destination, and nothing else has moved.
func checkThereAndBack(b *bench) {
	for _, drive := range b.drives {
		discs := b.discsOf(drive.Unit)
		if len(discs) == 0 {
			b.Logf("%v is left out: the rig has no disc in unit %d", drive.Address, drive.Unit)
			continue
		}
		disc := discs[len(discs)-1]
		before := b.inventory()
		b.move(disc, drive.Address)
		b.isIn(disc, drive.Address)
		checkOrder(b, b.inventory())
		for _, e := range b.inventory() {
			if e.Address != drive.Address && e.Home != (robot.Address{}) {
				b.Errorf("%v has the home %v", e.Address, e.Home)
			}
			if e.Address.Kind == robot.DriveBay && e.Address != drive.Address && e.Fill != robot.Empty {
				b.Errorf("%v is %v after a move to %v", e.Address, e.Fill, drive.Address)
			}
			if e.Address.Kind == robot.Slot && e.Address != disc && e.Fill == robot.Empty && slices.Contains(b.rig.Discs, e.Address) {
				b.Errorf("%v is empty after a move from %v", e.Address, disc)
			}
		}
		b.move(drive.Address, disc)
		b.isHome(disc, drive.Address)
		b.same("a disc carried there and back", before, b.inventory())
	}
}

// checkEmptySource: ErrEmpty and the place that has no disc; nothing is moved.
func checkEmptySource(b *bench) {
	one, two, drives := b.pair()
	b.refuses(drives[0], one, robot.ErrEmpty, drives[0])
	b.refuses(drives[len(drives)-1], two, robot.ErrEmpty, drives[len(drives)-1])
	if b.rig.Vacant == (robot.Address{}) {
		b.Logf("the rig has no vacant slot")
		return
	}
	there := b.drivesOf(b.unit(b.rig.Vacant))
	if len(there) == 0 {
		b.Fatalf("%v of the rig is in a unit without drives", b.rig.Vacant)
	}
	b.refuses(b.rig.Vacant, there[0], robot.ErrEmpty, b.rig.Vacant)
	b.move(one, drives[0]) // the machine must be usable after it
	b.isIn(one, drives[0])
}

// checkDiscElsewhere: a slot whose disc is in a drive has no disc.
func checkDiscElsewhere(b *bench) {
	one, _, drives := b.pair()
	if len(drives) < 2 {
		b.Skipf("the unit has one drive")
	}
	b.move(one, drives[1])
	b.refuses(one, drives[0], robot.ErrEmpty, one)
	b.isIn(one, drives[1])
}

// checkFullDestination: ErrFull and the place that has a disc; nothing is moved, above all not the disc that is
// there.
func checkFullDestination(b *bench) {
	one, two, drives := b.pair()
	b.move(one, drives[0])
	b.refuses(two, drives[0], robot.ErrFull, drives[0])
	b.isIn(one, drives[0])
	if p := b.Properties(); !p.HomeOnly {
		b.refuses(drives[0], two, robot.ErrFull, two)
	}
	b.move(drives[0], one)
	b.isHome(one, drives[0])
	b.move(two, drives[0])
	b.isIn(two, drives[0])
}

// checkHomeOnly: a robot that says HomeOnly takes a disc to no slot but its own, and one that doesn't does.
func checkHomeOnly(b *bench) {
	one, two, drives := b.pair()
	b.move(one, drives[0])
	if b.Properties().HomeOnly {
		b.refuses(drives[0], two, robot.ErrUnreachable, two)
		if v := b.rig.Vacant; v != (robot.Address{}) && b.unit(v) == b.unit(drives[0]) {
			b.refuses(drives[0], v, robot.ErrUnreachable, v)
		}
		b.isIn(one, drives[0])
		return
	}
	v := b.rig.Vacant
	if v == (robot.Address{}) || b.unit(v) != b.unit(drives[0]) {
		b.Skipf("the rig has no vacant slot in unit %d", b.unit(drives[0]))
	}
	b.move(drives[0], v)
	b.isHome(v, drives[0])
	b.move(v, drives[0])
	b.move(drives[0], one)
	b.isHome(one, drives[0])
}
