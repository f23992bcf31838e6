package robottest

import (
	"context"
	"errors"

	"github.com/odarchive/odarchive/robot"
)

// checkExchange: one movement brings a disc and takes the one that was there to an empty place; what can't be done moves nothing.
func checkExchange(b *bench) {
	x, ok := b.Changer.(robot.Exchanger)
	if !ok || !x.CanExchange() {
		b.Skipf("this robot can't exchange discs")
	}
	one, two, drives := b.pair()
	drive := drives[0]
	b.move(one, drive)
	before := b.inventory()
	for _, no := range []struct {
		from, at, to robot.Address
		kind         error
		place        robot.Address
	}{
		{one, drive, b.rig.Vacant, robot.ErrEmpty, one},
		{two, drive, two, robot.ErrUnreachable, two},
		{two, drive, drive, robot.ErrUnreachable, drive},
		{two, drive, robot.Address{Kind: robot.Slot, Number: len(b.slots) + 1}, robot.ErrUnreachable, robot.Address{Kind: robot.Slot, Number: len(b.slots) + 1}},
		{b.rig.Vacant, drive, one, robot.ErrEmpty, b.rig.Vacant},
	} {
		if no.from == (robot.Address{}) || no.to == (robot.Address{}) {
			continue
		}
		e := wantKind(b, "exchange", x.Exchange(b.Context(), no.from, no.at, no.to), no.kind)
		if e != nil && e.Place != no.place {
			b.Errorf("error %q has the place %v, want %v", e, e.Place, no.place)
		}
	}
	if len(drives) > 1 {
		if e := wantKind(b, "exchange in an empty drive", x.Exchange(b.Context(), two, drives[1], one), robot.ErrEmpty); e != nil && e.Place != drives[1] {
			b.Errorf("error %q has the place %v, want %v", e, e.Place, drives[1])
		}
	}
	ended, cancel := context.WithCancel(b.Context())
	cancel()
	if err := x.Exchange(ended, two, drive, one); !errors.Is(err, context.Canceled) {
		b.Errorf("exchange with an ended context: %v", err)
	}
	b.same("exchanges that were refused", before, b.inventory())

	if err := x.Exchange(b.Context(), two, drive, one); err != nil {
		b.Fatalf("exchange: %v", err)
	}
	b.took[drive] = two
	b.isIn(two, drive)
	if e := b.element(one); e.Fill != robot.Full {
		b.Errorf("%v is %v with its disc back", one, e.Fill)
	}
	if e := b.element(two); e.Fill == robot.Full {
		b.Errorf("%v is full, and its disc is in %v", two, drive)
	}
	b.move(drive, two)
}
