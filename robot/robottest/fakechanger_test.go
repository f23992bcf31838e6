package robottest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/odarchive/odarchive/robot"
)

// world is what a fake changer moves discs in: two units of five slots and two drives each, in the
// manner of the CAC. Its map tells where discs are, by the slot they belong to.
type world struct {
	mu     sync.Mutex
	drives [4]int // slot of the disc, 0 for none
	discs  [10]bool
	hand   chan struct{}
}

func newWorld() *world {
	w := &world{hand: make(chan struct{}, 1)}
	w.hand <- struct{}{}
	for _, n := range []int{1, 3, 6, 7} {
		w.discs[n-1] = true
	}
	return w
}

func (w *world) rig(broken string) ChangerRig {
	at := func(n int) robot.Address { return robot.Address{Kind: robot.Slot, Number: n} }
	return ChangerRig{
		Open: func(context.Context) (robot.Changer, error) {
			return &fakeChanger{world: w, broken: broken}, nil
		},
		Discs:  []robot.Address{at(1), at(3), at(6), at(7)},
		Vacant: at(4),
	}
}

// fakeChanger keeps the contract, but for the one breach that `broken` names.
type fakeChanger struct {
	*world
	broken string
	closed bool
	moves  int
}

func (f *fakeChanger) Properties() robot.Properties {
	p := robot.Properties{Model: "fake, 2 units", HomeOnly: true}
	switch {
	case f.broken == "nameless":
		p.Model = ""
	case f.broken == "fickle":
		p.SensesSlots = f.moves > 0
	case f.broken == "claims free slots":
		p.HomeOnly = false
	}
	return p
}

func (f *fakeChanger) Inventory(ctx context.Context) ([]robot.Element, error) {
	if f.closed && f.broken != "works when closed" {
		return nil, errors.New("closed")
	}
	if err := ctx.Err(); err != nil && f.broken != "deaf inventory" {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken == "inventory moves" {
		f.drives[3], f.discs[6] = 7, false
	}
	var all []robot.Element
	for i, home := range f.drives {
		e := robot.Element{Address: robot.Address{Kind: robot.DriveBay, Number: i + 1}, Unit: i/2 + 1, Fill: robot.Empty}
		if home != 0 {
			e.Fill, e.Home = robot.Full, robot.Address{Kind: robot.Slot, Number: home}
			if f.broken == "wrong home" {
				e.Home.Number++
			}
		}
		all = append(all, e)
	}
	for i := range f.discs {
		e := robot.Element{Address: robot.Address{Kind: robot.Slot, Number: i + 1}, Unit: i/5 + 1}
		if slices.Contains(f.drives[:], i+1) {
			e.Fill = robot.Empty
		}
		switch {
		case f.broken == "guesses full":
			e.Fill = robot.Full
		case f.broken == "guesses empty" && !f.discs[i]:
			e.Fill = robot.Empty
		case f.broken == "one unit":
			e.Unit = 1
		}
		all = append(all, e)
	}
	switch f.broken {
	case "slots first":
		all = append(all[4:], all[:4]...)
	case "from zero":
		for i := range all {
			all[i].Address.Number--
		}
	case "element twice":
		all = append(all, all[len(all)-1])
	}
	return all, nil
}

func (f *fakeChanger) Move(ctx context.Context, from, to robot.Address) error {
	op := fmt.Sprintf("move %v to %v", from, to)
	fail := func(kind error, place robot.Address) error {
		switch f.broken {
		case "bare errors":
			return kind
		case "errors without op":
			op = ""
		case "errors without place":
			place = robot.Address{}
		case "one kind of error":
			kind = robot.ErrComm
		case "refusal moves":
			f.drives[1], f.discs[0] = 1, false
		}
		return &robot.Error{Op: op, Place: place, Kind: kind}
	}
	if f.closed && f.broken != "works when closed" {
		return errors.New("closed")
	}
	if err := ctx.Err(); err != nil && f.broken != "deaf move" {
		return err
	}
	if f.broken != "no turns" {
		<-f.hand
		defer func() { f.hand <- struct{}{} }()
	}
	slot, drive := from, to
	if from.Kind == robot.DriveBay {
		slot, drive = to, from
	}
	unknown := func(a robot.Address) bool {
		return a.Number < 1 || a.Kind == robot.Slot && a.Number > 10 || a.Kind == robot.DriveBay && a.Number > 4 ||
			a.Kind != robot.Slot && a.Kind != robot.DriveBay
	}
	switch {
	case f.broken == "goes anywhere" && (unknown(from) || unknown(to)):
		return nil
	case unknown(from):
		return fail(robot.ErrUnreachable, from)
	case unknown(to), from.Kind == to.Kind:
		return fail(robot.ErrUnreachable, to)
	}
	if (slot.Number-1)/5 != (drive.Number-1)/2 && f.broken != "long arm" {
		return fail(robot.ErrUnreachable, to)
	}
	f.mu.Lock()
	f.moves++
	held, full := f.drives[drive.Number-1], f.discs[slot.Number-1]
	f.mu.Unlock()
	fetch := from == slot
	switch {
	case fetch && held != 0 && f.broken == "swaps":
		f.discs[held-1] = true
	case fetch && held != 0:
		return fail(robot.ErrFull, drive)
	case fetch && !full && f.broken != "fetches air":
		return fail(robot.ErrEmpty, slot)
	case !fetch && held == 0 && f.broken == "puts air back":
		return nil
	case !fetch && held == 0:
		return fail(robot.ErrEmpty, drive)
	case !fetch && held != slot.Number && f.broken == "any slot":
		held = slot.Number
	case !fetch && held != slot.Number:
		return fail(robot.ErrUnreachable, slot)
	}

	arrive := func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		switch {
		case f.broken == "says so only":
		case f.broken == "next drive" && fetch:
			f.drives[(drive.Number-1)^1], f.discs[slot.Number-1] = slot.Number, false
		case fetch:
			f.drives[drive.Number-1], f.discs[slot.Number-1] = slot.Number, false
		default:
			f.drives[drive.Number-1], f.discs[held-1] = 0, true
		}
	}
	const takes = 8 * time.Millisecond
	if f.broken == "gives up" {
		arriving := time.AfterFunc(takes, arrive)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(takes + time.Millisecond):
			arriving.Stop()
			return nil
		}
	}
	if f.broken == "cancelled by ctx" {
		select {
		case <-ctx.Done():
			arrive()
			return &robot.Error{Op: op, Kind: robot.ErrComm}
		case <-time.After(takes):
		}
	} else {
		time.Sleep(takes)
	}
	arrive()
	return nil
}

func (f *fakeChanger) Close() error {
	if f.closed && f.broken == "closes once" {
		return errors.New("closed already")
	}
	if f.broken == "drops at close" {
		f.drives = [4]int{}
	}
	f.closed = true
	return nil
}
