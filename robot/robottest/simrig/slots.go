package simrig

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/changer/denon"
	"github.com/odarchive/odarchive/robot/changer/pioneer"
	"github.com/odarchive/odarchive/robot/changer/smc"
	"github.com/odarchive/odarchive/robot/port"
	"github.com/odarchive/odarchive/robot/robottest"
	"github.com/odarchive/odarchive/robot/scsi"
	"github.com/odarchive/odarchive/robot/sim"
	"github.com/odarchive/odarchive/robot/sim/jukebox"
)

// own is the slot whose disc is moved, to drive 1; other is one whose disc a person takes in his hand.
// Second is one that is exchanged for it.
const own, other, second = 7, 9, 5

// slots is a machine with slots.
type slots struct {
	by       hands
	commands map[robottest.Act]string
	senses   bool // it senses its slots
	pocket   map[string]bool
}

// hands are a person's at a machine.
type hands interface {
	fault(on, do string) error
	status() (sim.Status, error)
	remove(slot int) (string, error)
	put(slot int, disc string) error
	lay(drive int, disc string) error
	tidy() error
}

// Strike implements robottest.Machine.
func (m *slots) Strike(f robottest.Fault, act robottest.Act) error {
	command, load := m.commands[act], act == robottest.Loading
	take := func(slot int) error {
		disc, err := m.by.remove(slot)
		m.pocket[disc] = true
		return err
	}
	switch {
	case f == robottest.SourceEmpty && act != robottest.Unloading:
		return take(own)
	case f == robottest.SourceEmpty:
		m.pocket[fmt.Sprintf("%04d", own)] = true
		return m.by.lay(1, "")
	case f == robottest.Occupied && (load || m.senses):
		disc, err := m.by.remove(other)
		if load {
			return errors.Join(err, m.by.lay(1, disc))
		}
		home := own
		if act == robottest.Exchanging {
			home = second
		}
		return errors.Join(err, m.by.put(home, disc))
	case f == robottest.Stuck:
		return m.by.fault(command, "E91")
	case f == robottest.NoMagazine:
		return m.by.fault(command, "magazine")
	case f == robottest.Occupied, f == robottest.Crooked && act == robottest.Unloading, f == robottest.TrayStuck && load:
		return unsupported(f)
	}
	return m.by.fault(command, words[f])
}

// Discs implements robottest.Machine.
func (m *slots) Discs() (map[string]robot.Address, error) {
	s, err := m.by.status()
	all := map[string]robot.Address{}
	for n, disc := range s.Slots {
		all[disc] = slot(n)
	}
	for n, disc := range s.Players {
		all[disc] = drive(n)
	}
	for _, disc := range s.Transport {
		all[disc] = robot.Address{Kind: robot.Picker, Number: 1}
	}
	for _, disc := range s.Floor {
		all[disc] = floor
	}
	for disc := range m.pocket {
		all[disc] = pocket
	}
	return all, err
}

// Refused implements robottest.Machine.
func (m *slots) Refused() (int, error) {
	s, err := m.by.status()
	return s.Refused, err
}

// Mend implements robottest.Machine: every disc goes to the slot of its number.
func (m *slots) Mend() error {
	s, err := m.by.status()
	for n, disc := range s.Players {
		m.pocket[disc] = true
		err = errors.Join(err, m.by.lay(n, ""))
	}
	for n, disc := range s.Slots {
		if disc != fmt.Sprintf("%04d", n) {
			m.pocket[disc] = true
			_, failed := m.by.remove(n)
			err = errors.Join(err, failed)
		}
	}
	err = errors.Join(err, m.by.tidy())
	for disc := range m.pocket {
		n, failed := strconv.Atoi(disc)
		err = errors.Join(err, failed, m.by.put(n, disc))
		delete(m.pocket, disc)
	}
	return err
}

// Record implements robottest.Machine: these drivers keep none.
func (*slots) Record(robot.Changer) error { return nil }

// boxed are hands at a jukebox.
type boxed struct{ box }

func (b boxed) fault(on, do string) error { return b.do("fault", on, do) }
func (b boxed) status() (s sim.Status, err error) {
	err = b.box.status(&s)
	return s, err
}
func (b boxed) remove(slot int) (string, error) { return b.tell("remove", slot) }
func (b boxed) put(slot int, disc string) error { return b.do("put", slot, disc) }
func (b boxed) lay(drive int, disc string) error {
	if disc == "" {
		return b.do("empty", drive)
	}
	return b.do("lay", drive, disc)
}
func (b boxed) tidy() error { return b.do("tidy") }

// silent is how long an answer is waited for: long for a machine that takes no time, and a test that loses answers takes it often.
const silent = 1500 * time.Millisecond

var ownDiscOnly = map[robottest.Fault]string{robottest.TwoPicked: "every disc has a slot of its own"}

func newPioneer(t testing.TB, early bool) robottest.FaultRig {
	b := start(t, jukebox.Main{Shape: sim.Shape{Units: 1, SlotsPerUnit: 300, PlayersPerUnit: 2}, Blanks: 300, Early: early})
	return robottest.FaultRig{
		Open: func(ctx context.Context) (robot.Changer, error) {
			model, err := pioneer.ModelNamed("CAC-V3000")
			if err != nil {
				return nil, err
			}
			line, err := port.Open(b.line(), port.Mode{Baud: model.Baud})
			if err != nil {
				return nil, err
			}
			timing := pioneer.Timing{Poll: time.Millisecond, Query: 2 * time.Second, Move: silent, Init: 10 * time.Second}
			c, err := pioneer.Open(ctx, line, pioneer.Config{Model: model, Timing: timing})
			if err != nil {
				return nil, errors.Join(err, line.Close())
			}
			return c, nil
		},
		Machine: &slots{by: boxed{b}, commands: map[robottest.Act]string{robottest.Loading: "ZS", robottest.Unloading: "ZR"}, pocket: map[string]bool{}},
		Slot:    slot(own), Drive: drive(1), Cannot: ownDiscOnly, Returns: true,
	}
}

func newDenon(t testing.TB) robottest.FaultRig {
	b := start(t, jukebox.Main{Robot: "denon", Shape: sim.Shape{Units: 1, SlotsPerUnit: 200, PlayersPerUnit: 2}, Blanks: 200})
	return robottest.FaultRig{
		Open: func(ctx context.Context) (robot.Changer, error) {
			line, err := port.Open(b.line(), port.Mode{Baud: denon.Baud})
			if err != nil {
				return nil, err
			}
			c, err := denon.Open(ctx, line, denon.Config{Speed: Speed})
			if err != nil {
				return nil, errors.Join(err, line.Close())
			}
			return c, nil
		},
		Machine: &slots{by: boxed{b}, commands: map[robottest.Act]string{robottest.Loading: "C4", robottest.Unloading: "C5"}, pocket: map[string]bool{}},
		Slot:    slot(own), Drive: drive(1), Cannot: ownDiscOnly, Returns: true,
	}
}

// newSCSI is a changer behind SCSI commands, without any transport's own peculiarities.
func newSCSI(t testing.TB) robottest.FaultRig {
	dir := folder(t)
	if err := sim.Create(dir, sim.Shape{Units: 1, SlotsPerUnit: 12, PlayersPerUnit: 2}, blank, 10); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	library, err := sim.Open(dir, sim.Motion{}, log)
	if err != nil {
		t.Fatal(err)
	}
	device := &sim.SMC{Library: library, Faults: &sim.Faults{}, Log: log}
	paired := "SCSI's transports check answers and say to which command they belong"
	return robottest.FaultRig{
		Open: func(ctx context.Context) (robot.Changer, error) {
			return smc.Open(ctx, transport{device}, smc.Config{Timing: smc.Timing{
				Query: time.Second, Move: time.Second, Settle: time.Millisecond, Busy: time.Millisecond,
			}})
		},
		Machine: &slots{by: wired{device}, commands: map[robottest.Act]string{robottest.Loading: "A5", robottest.Unloading: "A5", robottest.Exchanging: "A6"}, senses: true, pocket: map[string]bool{}},
		Slot:    slot(own), Drive: drive(1), Second: slot(second), Returns: true,
		Cannot: map[robottest.Fault]string{
			robottest.TwoPicked: ownDiscOnly[robottest.TwoPicked],
			robottest.ReplyLate: paired, robottest.ReplyHalf: paired, robottest.ReplyGarbled: paired, robottest.ReplyDoubled: paired, robottest.ReplyOdd: paired,
		},
	}
}

// wired are hands at a library in this process.
type wired struct{ *sim.SMC }

func (w wired) fault(on, do string) error       { return w.Faults.Add(sim.Fault{On: on, Do: do}) }
func (w wired) status() (sim.Status, error)     { return w.Library.Status(), nil }
func (w wired) remove(slot int) (string, error) { return w.Library.Remove(slot) }
func (w wired) put(slot int, disc string) error { return w.Library.Put(slot, disc) }
func (w wired) lay(n int, disc string) error    { return w.Library.Lay(n, disc) }
func (w wired) tidy() error {
	w.Faults.Clear()
	return w.Library.Tidy(context.Background())
}

// transport carries commands to a simulated changer.
type transport struct{ device *sim.SMC }

// Do implements scsi.Transport.
func (d transport) Do(c scsi.Command) (int, error) {
	n, err := d.device.Do(context.Background(), c.CDB, c.In)
	if code, ok := errors.AsType[sim.SenseCode](err); ok {
		sense := scsi.Sense{Code: scsi.Code{Key: scsi.Key(code[0]), ASC: code[1], ASCQ: code[2]}}
		return n, &scsi.CheckCondition{Op: c.CDB[0], Sense: sense}
	}
	if errors.Is(err, sim.ErrSilent) {
		return n, &scsi.PathError{Op: c.CDB[0], Kind: scsi.ErrTimeout}
	}
	return n, err
}

// Close implements scsi.Transport.
func (transport) Close() error { return nil }
