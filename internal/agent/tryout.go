package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/changer/manual"
	"github.com/odarchive/odarchive/robot/changer/stack"
	"github.com/odarchive/odarchive/robot/port"
)

// Tryout tries a robot out with its owner watching, while no agent runs.
type Tryout struct {
	Config Config
	In     io.Reader // the owner's answers
	Out    io.Writer
	// Transcript is a file for the traffic of the line; empty for none.
	Transcript string
}

// with runs f with the robot and the drives, holding the lock of the data folder.
func (t *Tryout) with(ctx context.Context, f func(*agent) error) (err error) {
	r := &resources{}
	defer func() { err = errors.Join(err, r.close()) }()
	m := Main{Config: t.Config, Log: slog.New(slog.NewTextHandler(t.Out, nil))}
	a := &agent{log: m.Log, bays: map[int32]*bay{}}
	if err := m.openData(a, r); err != nil {
		return err
	}
	if t.Transcript != "" {
		file, err := os.OpenFile(t.Transcript, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o644)
		if err != nil {
			return fmt.Errorf("record the line: %w", err)
		}
		r.add(file.Close)
		m.record = port.Transcript(file)
	}
	if err := m.openMachine(ctx, a, r); err != nil {
		return err
	}
	return f(a)
}

// Probe finds the robot and shows what it says of itself. It moves nothing.
func (t *Tryout) Probe(ctx context.Context) error {
	return t.with(ctx, func(a *agent) error {
		p := a.changer.Properties()
		fmt.Fprintf(t.Out, "found: %s\nreturns discs to their own slot only: %v\nsenses slots: %v\nwants trays opened: %v\n",
			p.Model, p.HomeOnly, p.SensesSlots, p.HostOpensTray)
		all, err := a.inventory(ctx)
		if err != nil {
			return err
		}
		count := map[robot.Fill]int{}
		for _, e := range all {
			if e.Address.Kind == robot.Slot {
				count[e.Fill]++
				continue
			}
			fmt.Fprintf(t.Out, "%v: %v", e.Address, e.Fill)
			if e.Home != (robot.Address{}) {
				fmt.Fprintf(t.Out, ", its disc belongs to %v", e.Home)
			}
			fmt.Fprintln(t.Out)
		}
		fmt.Fprintf(t.Out, "slots: %d full, %d empty, %d unknown\n", count[robot.Full], count[robot.Empty], count[robot.Unknown])
		if s, ok := a.changer.(*stack.Changer); ok {
			fmt.Fprint(t.Out, s.Order())
		}
		fmt.Fprintln(t.Out, "nothing was moved")
		return nil
	})
}

// errWrong is what the owner saw.
var errWrong = errors.New("the owner saw something else: note which drive, stop here, and see docs/adding-a-robot.md")

// Exercise carries the disc of a slot to each configured drive and back, one step at a time, and each only when the owner says so.
func (t *Tryout) Exercise(ctx context.Context, slot int) error {
	answers := bufio.NewScanner(t.In)
	ask := func(format string, args ...any) bool {
		fmt.Fprintf(t.Out, format+" [y/n] ", args...)
		return answers.Scan() && strings.HasPrefix(strings.ToLower(strings.TrimSpace(answers.Text())), "y")
	}
	return t.with(ctx, func(a *agent) error {
		home := robot.Address{Kind: robot.Slot, Number: slot}
		for _, n := range a.driveNumbers() {
			bay := robot.Address{Kind: robot.DriveBay, Number: int(n)}
			for _, step := range [][2]robot.Address{{home, bay}, {bay, home}} {
				if !ask("Keep your hands away. Move %v to %v?", step[0], step[1]) {
					return errors.New("stopped by the owner")
				}
				if err := t.step(ctx, a, a.bays[n], step[0], step[1]); err != nil {
					return err
				}
				if !ask("Does the disc lie in %v now?", step[1]) {
					return errWrong
				}
			}
		}
		fmt.Fprintln(t.Out, "every drive was tried")
		return nil
	})
}

// step makes one move and tells what the drive says.
func (t *Tryout) step(ctx context.Context, a *agent, b *bay, from, to robot.Address) error {
	if b.missing() {
		return fmt.Errorf("drive %d: %s", b.number, b.trouble())
	}
	if a.changer.Properties().HostOpensTray || from.Kind == robot.DriveBay {
		if err := b.eject(ctx); err != nil {
			return err
		}
	}
	if err := a.changer.Move(ctx, from, to); err != nil {
		return err
	}
	if to.Kind == robot.DriveBay || a.changer.Properties().HostOpensTray {
		id, err := b.load(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(t.Out, "%s holds %s\n", b.drive.Name(), describe(id))
	}
	return nil
}

// Order shows the order of a robot with piles, or changes it by what a person has done or seen there:
//
//	show | settle PLACE | remove SLOT | add BIN COUNT | carry BIN BIN | set BIN SLOT…
//
// where a PLACE is "bin 2", "drive 1" or "out". No agent may run meanwhile.
func (t *Tryout) Order(ctx context.Context, words []string) (err error) {
	r := &resources{}
	defer func() { err = errors.Join(err, r.close()) }()
	m := Main{Config: t.Config}
	if err := m.openData(&agent{log: slog.New(slog.DiscardHandler)}, r); err != nil {
		return err
	}
	folder, err := os.OpenRoot(filepath.Join(t.Config.Data, "robot"))
	if err != nil {
		return fmt.Errorf("there is no order yet: %w", err)
	}
	r.add(folder.Close)
	store := stack.InFolder(folder)
	if c, ok := store.(io.Closer); ok {
		r.add(c.Close)
	}
	o, err := store.Load()
	if err != nil {
		return err
	}
	if len(words) > 0 && words[0] != "show" {
		machine, err := machineOf(t.Config.Robot)
		if err != nil {
			return err
		}
		if err := changeOrder(&o, machine, words, t.Out); err != nil {
			return err
		}
		if err := store.Save(o); err != nil {
			return err
		}
	}
	_, err = fmt.Fprint(t.Out, o)
	return err
}

// Settle says that the drive about which a person was asked without an answer has the disc of a slot, or none with 0.
func (t *Tryout) Settle(ctx context.Context, slot string) error {
	n, err := strconv.Atoi(slot)
	if err != nil {
		return fmt.Errorf("%q is no slot", slot)
	}
	return t.with(ctx, func(a *agent) error {
		c, ok := a.changer.(*manual.Changer)
		if !ok {
			return errors.New("that is for a person as the robot; of a robot with piles, use: robot order settle")
		}
		return c.Settle(n)
	})
}
