// Package jukebox runs a simulated library as a process of its own: a robot's serial protocol on a pty, drives and discs as folders
// (robot/drive/file), and a socket for what a person would do by hand.
package jukebox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/odarchive/odarchive/robot/drive/file"
	"github.com/odarchive/odarchive/robot/sim"
)

// Main is a simulated jukebox. Its fields are set before Run.
type Main struct {
	Dir string
	// Robot is whose protocol it speaks: "pioneer", which "" means too, "denon", or one of sim.Protocols, which have Piles and Drives
	// instead of a Shape and Blanks.
	Robot  string
	Piles  []sim.Pile
	Drives int
	Shape  sim.Shape
	Medium file.Medium
	Blanks int
	// Speed is how many times faster than a real one it moves; 0 takes no time at all.
	Speed float64
	// ReadRate and WriteRate are the drives', in bytes a second at speed 1; 0 is no limit.
	ReadRate, WriteRate int64
	// Early makes a pioneer answer when a movement begins: see sim.Pioneer.
	Early bool
	// Faults is a script; empty for none.
	Faults string
	// Link is where a symlink to the serial line is made; empty means "line" in Dir.
	Link string
	Log  *slog.Logger
}

// Run serves until ctx ends.
func (m *Main) Run(ctx context.Context) error {
	if err := m.check(); err != nil {
		return fmt.Errorf("run jukebox: %w", err)
	}
	if m.Log == nil {
		m.Log = slog.Default()
	}
	dir, err := filepath.Abs(m.Dir)
	if err != nil {
		return fmt.Errorf("run jukebox: %w", err)
	}
	faults := &sim.Faults{}
	if m.Faults != "" {
		list, err := sim.ReadFaults(m.Faults)
		if err != nil {
			return err
		}
		if err := faults.Add(list...); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("run jukebox: %w", err)
	}
	held, err := hold(dir)
	if err != nil {
		return err
	}
	defer held.Close()
	switch m.Robot {
	case "", "pioneer", "denon":
	default:
		return m.runTower(ctx, dir)
	}
	if err := sim.Create(dir, m.Shape, m.Medium, m.Blanks); err != nil {
		return err
	}
	lib, err := sim.Open(dir, sim.DefaultMotion.Faster(m.Speed), m.Log)
	if err != nil {
		return err
	}
	if err := m.setRates(dir, lib.Shape()); err != nil {
		return err
	}
	if m.Robot == "denon" {
		return m.runDenon(ctx, dir, lib, faults)
	}
	p := &sim.Pioneer{Library: lib, Faults: faults, Log: m.Log, Early: m.Early}
	serve := func(ctx context.Context, line io.ReadWriter) error {
		if err := lib.PowerUp(ctx); err != nil { // meanwhile the line is silent
			return err
		}
		return p.Serve(ctx, line)
	}
	return m.onLine(ctx, dir, serve, func(words []string) (string, error) { return act(ctx, lib, faults, words) })
}

// maxSectors is what a disc may have: with more, its numbers don't fit the 32 bits that ISO 9660 and UDF give them.
const maxSectors = 1 << 32

// check refuses what can't be meant.
func (m *Main) check() error {
	switch {
	case !(m.Speed >= 0) || math.IsInf(m.Speed, 1):
		return fmt.Errorf("speed %g: want how many times faster than a real robot it moves, or 0 to take no time at all", m.Speed)
	case m.ReadRate < 0 || m.WriteRate < 0:
		return fmt.Errorf("rates of %d and %d bytes a second: want 1 or more, or 0 for no limit", m.ReadRate, m.WriteRate)
	case m.Blanks < 0:
		return fmt.Errorf("%d blank discs: want 0 or more", m.Blanks)
	case m.Medium.Sectors > maxSectors:
		return fmt.Errorf("discs of %d sectors: want %d at most", m.Medium.Sectors, int64(maxSectors))
	case m.Drives < 0:
		return fmt.Errorf("%d drives: want 1 or more", m.Drives)
	}
	return nil
}

// hold keeps other jukeboxes out of dir until the file is closed: two machines would move the same discs, and each know of its own moves only.
func hold(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("run jukebox: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("a jukebox runs in %s already: stop that first, or choose another folder with --dir: %w", dir, err)
	}
	return f, nil
}

func (m *Main) setRates(dir string, shape sim.Shape) error {
	scaled := func(rate int64) int64 { return int64(float64(rate) * m.Speed) } // 0 at unlimited speed: no limit
	for n := 1; n <= shape.Units*shape.PlayersPerUnit; n++ {
		if err := file.SetRates(filepath.Join(dir, "drives", strconv.Itoa(n)), file.Rates{Read: scaled(m.ReadRate), Write: scaled(m.WriteRate)}); err != nil {
			return err
		}
	}
	return nil
}

// replaceLink makes link point to target, whatever a killed process left there.
func replaceLink(target, link string) error {
	temp := link + ".new"
	os.Remove(temp)
	if err := os.Symlink(target, temp); err != nil {
		return fmt.Errorf("link the serial line: %w", err)
	}
	if err := os.Rename(temp, link); err != nil {
		return fmt.Errorf("link the serial line: %w", err)
	}
	return nil
}

// HandHelp lists what can be done by hand.
const HandHelp = `door open UNIT, door close UNIT, swap SLOT SLOT, remove SLOT, put SLOT DISC, lay DRIVE DISC, empty DRIVE, tidy, reset, ` +
	`fault COMMAND ACTION, status`

// act does what words say.
func act(ctx context.Context, lib *sim.Library, faults *sim.Faults, words []string) (string, error) {
	numbers := func(from, n int) ([]int, error) {
		if len(words) != from+n {
			return nil, fmt.Errorf("%q: want one of: %s", strings.Join(words, " "), HandHelp)
		}
		out := make([]int, n)
		for i := range out {
			var err error
			if out[i], err = strconv.Atoi(words[from+i]); err != nil {
				return nil, fmt.Errorf("%q is no number", words[from+i])
			}
		}
		return out, nil
	}
	switch {
	case len(words) == 1 && words[0] == "status":
		b, err := json.Marshal(lib.Status())
		return string(b), err
	case len(words) > 1 && words[0] == "door" && words[1] == "open":
		n, err := numbers(2, 1)
		if err != nil {
			return "", err
		}
		return "ok", lib.OpenDoor(n[0])
	case len(words) > 1 && words[0] == "door" && words[1] == "close":
		n, err := numbers(2, 1)
		if err != nil {
			return "", err
		}
		return "ok", lib.CloseDoor(ctx, n[0])
	case len(words) > 0 && words[0] == "swap":
		n, err := numbers(1, 2)
		if err != nil {
			return "", err
		}
		return "ok", lib.Swap(n[0], n[1])
	case len(words) > 0 && words[0] == "remove":
		n, err := numbers(1, 1)
		if err != nil {
			return "", err
		}
		return lib.Remove(n[0])
	case len(words) == 1 && words[0] == "reset":
		faults.Clear()
		return "ok", nil
	case len(words) == 1 && words[0] == "tidy":
		faults.Clear()
		return "ok", lib.Tidy(ctx)
	case len(words) == 3 && words[0] == "fault":
		return "ok", faults.Add(sim.Fault{On: words[1], Do: words[2]})
	case len(words) == 2 && words[0] == "empty", len(words) == 3 && words[0] == "lay":
		drive, err := strconv.Atoi(words[1])
		shape := lib.Shape()
		if err != nil || drive < 1 || drive > shape.Units*shape.PlayersPerUnit {
			return "", fmt.Errorf("%q is no drive", words[1])
		}
		return "ok", lib.Lay(drive, strings.Join(words[2:], ""))
	case len(words) == 3 && words[0] == "put":
		slot, err := strconv.Atoi(words[1])
		if err != nil {
			return "", fmt.Errorf("%q is no number", words[1])
		}
		return "ok", lib.Put(slot, words[2])
	}
	return "", fmt.Errorf("%q: want one of: %s", strings.Join(words, " "), HandHelp)
}

// Tell sends a line to the jukebox that runs in dir and returns its answer.
func Tell(ctx context.Context, dir, text string) (string, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", filepath.Join(dir, "control.sock"))
	if err != nil {
		return "", fmt.Errorf("no jukebox runs in %s: %w", dir, err)
	}
	defer c.Close()
	if _, err := fmt.Fprintln(c, text); err != nil {
		return "", err
	}
	answer, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return "", err
	}
	answer = strings.TrimSuffix(answer, "\n")
	if failed, ok := strings.CutPrefix(answer, "error: "); ok {
		return "", errors.New(failed)
	}
	return answer, nil
}
