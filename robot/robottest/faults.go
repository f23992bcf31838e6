package robottest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/odarchive/odarchive/robot"
)

// Fault is something that goes wrong with a machine in a move.
type Fault string

// The faults. Those of replies carry the command out; the others are the mechanism's, the disc's, or a person's.
const (
	ReplyLost    Fault = "reply lost"
	ReplyLate    Fault = "reply late"
	ReplyHalf    Fault = "half a reply"
	ReplyGarbled Fault = "reply garbled"
	ReplyDoubled Fault = "reply doubled"
	ReplyOdd     Fault = "reply unasked for"
	SourceEmpty  Fault = "disc not at its source"
	Occupied     Fault = "destination full"
	Stuck        Fault = "mechanism stuck"
	Held         Fault = "disc stuck in the hand"
	Dropped      Fault = "disc dropped"
	TwoPicked    Fault = "two discs picked"
	Crooked      Fault = "disc lies crooked"
	DoorOpened   Fault = "door opened"
	PowerLost    Fault = "power lost"
	TrayStuck    Fault = "tray stuck"
	NoMagazine   Fault = "magazine absent"
)

// verdicts are the kinds of error with which a move may end that suffers a fault; nil is that it may succeed.
var verdicts = []struct {
	fault Fault
	kinds []error
}{
	{ReplyLost, []error{nil, robot.ErrComm}},
	{ReplyLate, []error{nil, robot.ErrComm}},
	{ReplyHalf, []error{nil, robot.ErrComm}},
	{ReplyGarbled, []error{nil, robot.ErrComm}},
	{ReplyDoubled, []error{nil, robot.ErrComm}},
	{ReplyOdd, []error{nil, robot.ErrComm}},
	{SourceEmpty, []error{robot.ErrEmpty, robot.ErrInventory, robot.ErrJam}},
	{Occupied, []error{robot.ErrFull, robot.ErrInventory, robot.ErrJam}},
	{Stuck, []error{robot.ErrJam, robot.ErrComm, robot.ErrInventory}},
	{Held, []error{robot.ErrJam, robot.ErrComm}},
	{Dropped, []error{robot.ErrJam, robot.ErrComm}},
	{TwoPicked, []error{robot.ErrJam, robot.ErrInventory}},
	{Crooked, []error{nil, robot.ErrJam, robot.ErrDriveFault}},
	{DoorOpened, []error{robot.ErrDoor, robot.ErrJam, robot.ErrComm}},
	{PowerLost, []error{nil, robot.ErrComm, robot.ErrInventory}}, // it may start anew and put its disc home
	{TrayStuck, []error{robot.ErrBusy, robot.ErrDriveFault, robot.ErrJam, robot.ErrComm}},
	{NoMagazine, []error{robot.ErrDoor, robot.ErrJam, robot.ErrUnreachable}},
}

// Act is what a machine is asked to do.
type Act string

// The acts.
const (
	Loading    Act = "loading"    // a move from FaultRig.Slot to Drive
	Unloading  Act = "unloading"  // one back
	Exchanging Act = "exchanging" // of Slot's disc for Second's, which is in Drive; of a robot.Exchanger that can
)

// Machine is the far side of a simulated machine: what happens to it, and what lies in it.
type Machine interface {
	// Strike has the next act of a kind suffer a fault. It fails with errors.ErrUnsupported when that can't happen there.
	Strike(f Fault, a Act) error
	// Discs is where every disc lies, by its name, which is its slot's number in decimal with leading zeros. Kinds besides those of
	// package robot are places where nobody wants one: "floor", and "below" for one that lies below another in a drive.
	Discs() (map[string]robot.Address, error)
	// Refused is how many physically impossible acts were asked for.
	Refused() (int, error)
	// Mend is a person: he ends every fault, puts each disc where it can lie, and tells the driver's record, if it keeps one, what
	// he found. No Changer is open.
	Mend() error
	// Record holds what the driver has written down, if it keeps a record, to the machine. Every disc is where that says, or it says
	// that the disc is on its way.
	Record(c robot.Changer) error
}

// FaultRig is a simulated machine with its driver.
type FaultRig struct {
	Open    func(ctx context.Context) (robot.Changer, error)
	Machine Machine
	// Slot has a disc at hand, which is to be moved to Drive and back. The drive is empty.
	Slot, Drive robot.Address
	// Second has another one, of a machine that can exchange them.
	Second robot.Address
	// Cannot says why a fault is not among those that such a machine can have.
	Cannot map[Fault]string
	// Blind says why this machine does not notice a fault. A move then may say that it succeeded; that it did not must show
	// when the disc is to be read, and the suite asks nothing more than that nothing worse follows from it.
	Blind map[Fault]string
	// Returns says that a machine which starts anew puts what it holds back into its slot, so that a move which the door or the power
	// has cut short counts as not made, or as made when it was one home.
	Returns bool
	// Move makes a move and says with which outcome it goes on record: moved, not moved or unknown. Nil is a bare Changer's, which
	// keeps none.
	Move func(ctx context.Context, c robot.Changer, from, to robot.Address) (Outcome, error)
}

// Outcome is what goes on record of a move.
type Outcome string

// The outcomes. The zero value is that nothing goes on record.
const (
	Moved    Outcome = "moved"
	NotMoved Outcome = "not moved"
	Unsure   Outcome = "unknown"
)

// Faults runs every fault on every move as sub-tests. After each it holds the error, the record and the inventory to what really
// lies in the machine, repeats the move as somebody would who does not believe the error, and has a person mend it all.
func Faults(t *testing.T, rig FaultRig) {
	t.Helper()
	for _, v := range verdicts {
		struck := false
		for _, act := range []Act{Loading, Unloading, Exchanging} {
			if act == Exchanging && (rig.Second == (robot.Address{}) || rig.Move != nil) {
				continue
			}
			name := fmt.Sprintf("%s, %s", v.fault, act)
			if why := rig.Cannot[v.fault]; why != "" {
				continue
			}
			t.Run(name, func(t *testing.T) {
				f := &faulty{t: t, rig: rig, fault: v.fault, may: v.kinds, act: act}
				struck = f.run() || struck
			})
		}
		if why := rig.Cannot[v.fault]; struck == (why != "") && !t.Failed() {
			t.Errorf("%s: struck is %v, and why it can't is %q", v.fault, struck, why)
		}
	}
}

// faulty is one fault of one move.
type faulty struct {
	t        *testing.T
	rig      FaultRig
	fault    Fault
	may      []error
	act      Act
	from, to robot.Address
	disc     string
	second   string // that lies in the drive, of an exchange
}

func (f *faulty) run() (struck bool) {
	f.t.Helper()
	c := f.open()
	before := f.discs()
	for disc, at := range before {
		switch at {
		case f.rig.Slot:
			f.disc = disc
		case f.rig.Second:
			f.second = disc
		}
	}
	f.from, f.to = f.rig.Slot, f.rig.Drive
	var err error
	switch f.act {
	case Loading:
	case Unloading:
		err = f.surely(c, f.from, f.to)
		f.from, f.to = f.to, f.from
	case Exchanging:
		err = f.surely(c, f.rig.Second, f.to)
	}
	if err != nil {
		f.t.Fatalf("before the fault: %v", err)
	}
	switch err := f.rig.Machine.Strike(f.fault, f.act); {
	case errors.Is(err, errors.ErrUnsupported):
		f.recovers(c, before)
		f.t.Skip("it can't happen there")
	case err != nil:
		f.t.Fatal(err)
	}
	outcome, err := f.move(c)
	f.judge(err)
	f.record(outcome, err)
	f.inventory(c)
	if err := f.rig.Machine.Record(c); err != nil && f.rig.Blind[f.fault] == "" {
		f.t.Errorf("the driver's record: %v", err)
	}
	if f.rig.Blind[f.fault] == "" || err != nil {
		if _, err := f.move(c); err != nil { // on a guess: nothing may come to harm
			f.t.Logf("again: %v", err)
		}
	}
	f.unharmed(before)
	f.recovers(c, before)
	return true
}

func (f *faulty) open() robot.Changer {
	f.t.Helper()
	c, err := f.rig.Open(f.t.Context())
	if err != nil {
		f.t.Fatalf("open: %v", err)
	}
	f.t.Cleanup(func() {
		if err := c.Close(); err != nil {
			f.t.Error(err)
		}
	})
	return c
}

func (f *faulty) move(c robot.Changer) (Outcome, error) {
	if f.act == Exchanging {
		return "", c.(robot.Exchanger).Exchange(f.t.Context(), f.from, f.to, f.rig.Second)
	}
	if f.rig.Move == nil {
		return "", c.Move(f.t.Context(), f.from, f.to)
	}
	return f.rig.Move(f.t.Context(), c, f.from, f.to)
}

func (f *faulty) discs() map[string]robot.Address {
	f.t.Helper()
	discs, err := f.rig.Machine.Discs()
	if err != nil {
		f.t.Fatal(err)
	}
	return discs
}

// surely makes a move, again when the machine says that it has started anew, with which it may answer once.
func (f *faulty) surely(c robot.Changer, from, to robot.Address) error {
	err := c.Move(f.t.Context(), from, to)
	if errors.Is(err, robot.ErrInventory) {
		if _, err := look(f.t.Context(), c); err != nil {
			return err
		}
		err = c.Move(f.t.Context(), from, to)
	}
	return err
}

// judge holds the error to the table, and to what it claims.
func (f *faulty) judge(err error) {
	f.t.Helper()
	f.t.Logf("%v", err)
	at, second := f.discs()[f.disc], f.discs()[f.second]
	e, typed := errors.AsType[*robot.Error](err)
	switch {
	case err == nil && (slices.Contains(f.may, nil) || f.rig.Blind[f.fault] != ""):
		if at != f.to || f.act == Exchanging && second != f.rig.Second {
			f.t.Errorf("success, and the disc is at %v, and %s at %v", at, f.second, second)
		}
		return
	case err == nil:
		f.t.Errorf("success in spite of it; want one of %v", f.may)
		return
	case !typed:
		f.t.Errorf("%v is no *robot.Error", err)
		return
	case !slices.Contains(f.may, e.Kind):
		f.t.Errorf("%v; want one of %v", err, f.may)
	}
	unmoved := e.Kind == robot.ErrFull || e.Kind == robot.ErrUnreachable || e.Kind == robot.ErrBusy
	if unmoved && (at != f.from || f.act == Exchanging && second != f.to) {
		f.t.Errorf("%v says that nothing was moved, and the disc is at %v, and %s at %v", err, at, f.second, second)
	}
	if e.Kind == robot.ErrEmpty && at == f.from {
		f.t.Errorf("%v, and the disc is there", err)
	}
}

// record holds what goes on record to where the disc is.
func (f *faulty) record(o Outcome, err error) {
	f.t.Helper()
	at := f.discs()[f.disc]
	switch {
	case f.fault == SourceEmpty: // a person has it
		return
	case f.rig.Returns && (f.fault == DoorOpened || f.fault == PowerLost):
		return
	}
	if f.rig.Blind[f.fault] == "" && (o == Moved && at != f.to || o == NotMoved && at != f.from) {
		f.t.Errorf("on record as %s (%v), and the disc is at %v", o, err, at)
	}
}

// look is an inventory, asked again of a machine that says that it has started anew.
func look(ctx context.Context, c robot.Changer) (all []robot.Element, err error) {
	for range 4 { // each unit may say so once
		if all, err = c.Inventory(ctx); !errors.Is(err, robot.ErrInventory) {
			break
		}
	}
	return all, err
}

// inventory says nothing that is not so: it may say that it does not know, of a place or of all.
func (f *faulty) inventory(c robot.Changer) {
	f.t.Helper()
	all, err := look(f.t.Context(), c)
	if err != nil {
		if _, ok := errors.AsType[*robot.Error](err); !ok {
			f.t.Errorf("inventory: %v is no *robot.Error", err)
		}
		f.t.Logf("inventory: %v", err)
		return
	}
	if f.rig.Blind[f.fault] == "" {
		for _, wrong := range contradictions(all, f.discs()) {
			f.t.Errorf("inventory: %s", wrong)
		}
	}
}

// contradictions are what an inventory says and is not so.
func contradictions(all []robot.Element, discs map[string]robot.Address) (wrong []string) {
	at := map[robot.Address]string{}
	for disc, a := range discs {
		at[a] = disc
	}
	for _, e := range all {
		disc, there := at[e.Address]
		switch {
		case e.Fill == robot.Full && !there:
			wrong = append(wrong, fmt.Sprintf("%v has a disc, and has none", e.Address))
		case e.Fill == robot.Empty && there:
			wrong = append(wrong, fmt.Sprintf("%v is empty, and has disc %s", e.Address, disc))
		case e.Home != (robot.Address{}) && disc != fmt.Sprintf("%04d", e.Home.Number):
			wrong = append(wrong, fmt.Sprintf("%v has the disc of %v, and has disc %s", e.Address, e.Home, disc))
		}
	}
	return wrong
}

// unharmed: all discs are there, each once, and nothing impossible was asked for.
func (f *faulty) unharmed(before map[string]robot.Address) {
	f.t.Helper()
	after := f.discs()
	if len(after) != len(before) {
		f.t.Errorf("%d discs became %d", len(before), len(after))
	}
	for disc := range before {
		if _, ok := after[disc]; !ok {
			f.t.Errorf("disc %s is gone", disc)
		}
	}
	if n, err := f.rig.Machine.Refused(); n != 0 || err != nil {
		f.t.Errorf("%d impossible acts were asked for (%v)", n, err)
	}
}

// recovers: after a person was there the machine works as before, and the inventory is true.
func (f *faulty) recovers(c robot.Changer, before map[string]robot.Address) {
	f.t.Helper()
	if err := errors.Join(c.Close(), f.rig.Machine.Mend()); err != nil {
		f.t.Fatalf("mend: %v", err)
	}
	c = f.open()
	all, err := look(f.t.Context(), c)
	if err != nil {
		f.t.Fatalf("inventory after the machine was mended: %v", err)
	}
	for _, wrong := range contradictions(all, f.discs()) {
		f.t.Errorf("inventory after the machine was mended: %s", wrong)
	}
	for _, e := range all {
		if e.Address == f.rig.Drive && e.Fill == robot.Full {
			home := f.rig.Slot
			if e.Home != (robot.Address{}) {
				home = e.Home
			}
			if err := f.surely(c, f.rig.Drive, home); err != nil {
				f.t.Errorf("put home after the machine was mended: %v", err)
			}
			if err := c.Close(); err != nil {
				f.t.Error(err)
			}
			c = f.open()
		}
	}
	for _, m := range [][2]robot.Address{{f.rig.Slot, f.rig.Drive}, {f.rig.Drive, f.rig.Slot}} {
		if err := f.surely(c, m[0], m[1]); err != nil {
			f.t.Errorf("after the machine was mended: %v", err)
		}
	}
	f.unharmed(before)
	if err := errors.Join(f.rig.Machine.Record(c), c.Close()); err != nil {
		f.t.Error(err)
	}
}
