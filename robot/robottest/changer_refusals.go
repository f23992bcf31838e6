package robottest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/odarchive/odarchive/robot"
)

// checkUnreachable: ErrUnreachable for moves that the mechanism has no way for; nothing is moved.
func checkUnreachable(b *bench) {
	one, two, drives := b.pair()
	unit := b.unit(one)
	tried := 0
	for _, far := range b.drives {
		if far.Unit != unit {
			b.refuses(one, far.Address, robot.ErrUnreachable, one, far.Address)
			tried++
		}
	}
	if b.Properties().HomeOnly {
		b.refuses(one, two, robot.ErrUnreachable, one, two)
		tried++
	}
	b.move(one, drives[0])
	for _, far := range b.slots {
		if far.Unit != unit {
			b.refuses(drives[0], far.Address, robot.ErrUnreachable, drives[0], far.Address)
			tried++
			break
		}
	}
	if b.Properties().HomeOnly && len(drives) > 1 {
		b.refuses(drives[0], drives[1], robot.ErrUnreachable, drives[0], drives[1])
		tried++
	}
	b.isIn(one, drives[0])
	if tried == 0 {
		b.Skipf("this robot reaches everything")
	}
}

// checkUnknownPlaces: a place that isn't there is unreachable, and nothing is moved.
func checkUnknownPlaces(b *bench) {
	one, _, drives := b.pair()
	for _, nowhere := range []robot.Address{
		{},
		{Kind: robot.Slot},
		{Kind: robot.Slot, Number: -1},
		{Kind: robot.Slot, Number: len(b.slots) + 1},
		{Kind: robot.DriveBay},
		{Kind: robot.DriveBay, Number: len(b.drives) + 1},
		{Kind: robot.MailSlot, Number: 1000},
		{Kind: "cupboard", Number: 1},
	} {
		b.refuses(one, nowhere, robot.ErrUnreachable, nowhere)
		b.refuses(nowhere, drives[0], robot.ErrUnreachable, nowhere)
	}
}

// checkTwoAtOnce: calls of several goroutines are run one after the other, and each gets its own answer.
func checkTwoAtOnce(b *bench) {
	one, two, drives := b.pair()
	if len(drives) < 2 {
		b.Skipf("the unit has one drive")
	}
	b.together([2][2]robot.Address{{one, drives[0]}, {two, drives[1]}})
	b.isIn(one, drives[0])
	b.isIn(two, drives[1])
	b.together([2][2]robot.Address{{drives[0], one}, {drives[1], two}})
	b.isHome(one, drives[0])
	b.isHome(two, drives[1])
}

// together makes two moves and takes an inventory at once; all must succeed.
func (b *bench) together(moves [2][2]robot.Address) {
	b.Helper()
	errs := b.concurrently(
		func(ctx context.Context) error { return b.Move(ctx, moves[0][0], moves[0][1]) },
		func(ctx context.Context) error { return b.Move(ctx, moves[1][0], moves[1][1]) },
		func(ctx context.Context) error { _, err := b.Inventory(ctx); return err },
	)
	if err := errors.Join(errs...); err != nil {
		b.Fatalf("moves %v and an inventory at once: %v", moves, err)
	}
}

func (b *bench) concurrently(calls ...func(context.Context) error) []error {
	errs := make([]error, len(calls))
	var all sync.WaitGroup
	for i, call := range calls {
		all.Go(func() { errs[i] = call(b.Context()) })
	}
	all.Wait()
	return errs
}

// checkTwoForOneDrive: looking and moving is one step, so that of two discs for a drive one is refused.
func checkTwoForOneDrive(b *bench) {
	one, two, drives := b.pair()
	errs := b.concurrently(
		func(ctx context.Context) error { return b.Move(ctx, one, drives[0]) },
		func(ctx context.Context) error { return b.Move(ctx, two, drives[0]) },
	)
	winner, lost := one, errs[1]
	if errs[0] != nil {
		winner, lost = two, errs[0]
	}
	b.took[drives[0]] = winner
	if errs[0] != nil && errs[1] != nil {
		b.Fatalf("two discs for %v at once: %v; %v", drives[0], errs[0], errs[1])
	}
	if e := wantKind(b, "the second disc for "+drives[0].String(), lost, robot.ErrFull); e != nil && e.Place != drives[0] {
		b.Errorf("error %q has the place %v, want %v", e, e.Place, drives[0])
	}
	b.isIn(winner, drives[0])
}

// checkContextBefore: who has given up already gets nothing done, and hears why.
func checkContextBefore(b *bench) {
	one, _, drives := b.pair()
	before := b.inventory()
	ended, cancel := context.WithCancel(b.Context())
	cancel()
	if err := b.Move(ended, one, drives[0]); !errors.Is(err, context.Canceled) {
		b.Errorf("move with an ended context: %v; want %v", err, context.Canceled)
	}
	if _, err := b.Inventory(ended); !errors.Is(err, context.Canceled) {
		b.Errorf("inventory with an ended context: %v; want %v", err, context.Canceled)
	}
	b.same("calls with an ended context", before, b.inventory())
	b.move(one, drives[0])
}

// checkContextDuring: when ctx ends while the robot moves, Move waits for the end of the movement; when it
// ends before, nothing moves, now or later. How long a move takes is measured first.
func checkContextDuring(b *bench) {
	one, _, drives := b.pair()
	drive := drives[0]
	took := b.timed(one, drive)
	took = min(took, b.timed(drive, one))
	for _, part := range []time.Duration{2, 8} {
		b.giveUp(one, drive, took/part, func() { b.isIn(one, drive) }, func() { b.isHome(one, drive) })
		if b.element(drive).Fill == robot.Empty {
			b.move(one, drive)
		}
		b.giveUp(drive, one, took/part, func() { b.isHome(one, drive) }, func() { b.isIn(one, drive) })
		if b.element(drive).Fill == robot.Full {
			b.move(drive, one)
		}
	}
}

func (b *bench) timed(from, to robot.Address) time.Duration {
	b.Helper()
	start := time.Now()
	b.move(from, to)
	return time.Since(start)
}

// giveUp moves with a context that ends after a while, and checks what Move says of it.
func (b *bench) giveUp(from, to robot.Address, after time.Duration, moved, unmoved func()) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), after)
	defer cancel()
	b.took[to] = from
	switch err := b.Move(ctx, from, to); {
	case err == nil:
		moved()
	case errors.Is(err, context.DeadlineExceeded):
		unmoved()
		// A disc that was let go on its way arrives within the time of a move.
		later := time.NewTimer(4 * after)
		defer later.Stop()
		select {
		case <-later.C:
		case <-b.Context().Done():
		}
		unmoved()
	default:
		b.Errorf("move %v to %v, given up after %v: %v; want success or %v", from, to, after, err, context.DeadlineExceeded)
	}
}

// checkClose: Close may be repeated, ends the use of this Changer, and leaves the robot as it is.
func checkClose(b *bench) {
	one, two, drives := b.pair()
	b.move(one, drives[0])
	for _, time := range []string{"", " again"} {
		if err := b.Close(); err != nil {
			b.Errorf("close%s: %v", time, err)
		}
	}
	if _, err := b.Inventory(b.Context()); err == nil {
		b.Errorf("a closed changer takes an inventory")
	}
	if err := b.Move(b.Context(), drives[0], one); err == nil {
		b.Errorf("a closed changer moves a disc")
	}
	b.open()
	b.isIn(one, drives[0])
	b.move(drives[0], one)
	b.move(two, drives[0])
}
