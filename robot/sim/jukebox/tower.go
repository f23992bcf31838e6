package jukebox

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/odarchive/odarchive/robot/sim"
)

// TowerHelp lists what can be done by hand at a robot with piles.
const TowerHelp = `door open, door close, hand BIN (lay the disc in the robot's hand on a bin), pile FROM TO, lay DRIVE BIN, empty DRIVE, away BIN, set up, tidy, reset, fault ACT ACTION, status`

// runTower serves a robot with piles.
func (m *Main) runTower(ctx context.Context, dir string) error {
	if !slices.Contains(sim.Protocols, m.Robot) {
		return fmt.Errorf("run jukebox: robot %q: want pioneer, denon or one of %s", m.Robot, strings.Join(sim.Protocols, ", "))
	}
	if err := sim.CreateTower(dir, m.Piles, m.Drives, m.Medium); err != nil {
		return err
	}
	tower, err := sim.OpenTower(dir, sim.DefaultMotion.Faster(m.Speed).Carry, m.Log)
	if err != nil {
		return err
	}
	speaker := &sim.Speaker{Tower: tower, Protocol: m.Robot, Log: m.Log}
	return m.onLine(ctx, dir, speaker.Serve, func(words []string) (string, error) { return byHand(tower, speaker, words) })
}

// runDenon serves a Denon DN-1400F.
func (m *Main) runDenon(ctx context.Context, dir string, lib *sim.Library, faults *sim.Faults) error {
	if lib.Shape() != (sim.Shape{Units: 1, SlotsPerUnit: 200, PlayersPerUnit: 2}) {
		return errors.New("run jukebox: a denon has 1 unit of 200 slots and 2 players")
	}
	d := &sim.Denon{Library: lib, Faults: faults, Log: m.Log}
	return m.onLine(ctx, dir, d.Serve, func(words []string) (string, error) {
		if len(words) == 1 && (words[0] == "reset" || words[0] == "tidy") {
			d.Reset()
		}
		return act(ctx, lib, faults, words)
	})
}

// onLine serves a protocol on a pty and a person's hand on a socket.
func (m *Main) onLine(ctx context.Context, dir string, serve func(context.Context, io.ReadWriter) error, hand func([]string) (string, error)) error {
	line, slave, err := openPTY()
	if err != nil {
		return err
	}
	defer slave.Close()
	defer line.Close()
	socket := filepath.Join(dir, "control.sock")
	os.Remove(socket)
	control, err := listen(socket)
	if err != nil {
		return err
	}
	link := m.Link
	if link == "" {
		link = filepath.Join(dir, "line")
	}
	if err := replaceLink(slave.Name(), link); err != nil {
		return errors.Join(err, control.Close())
	}
	defer os.Remove(link)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		<-ctx.Done()
		return errors.Join(line.Close(), control.Close())
	})
	g.Go(func() error {
		if err := serve(ctx, line); ctx.Err() == nil {
			return fmt.Errorf("serve the serial line: %w", err)
		}
		return nil
	})
	g.Go(func() error {
		for {
			c, err := control.Accept()
			if ctx.Err() != nil {
				return nil
			} else if err != nil {
				return fmt.Errorf("serve %s: %w", socket, err)
			}
			g.Go(func() error { answer(c, hand); return nil })
		}
	})
	m.Log.Info("serving", "robot", m.Robot, "line", link, "control", socket)
	return g.Wait()
}

// answer does what one line of text says.
func answer(c net.Conn, hand func([]string) (string, error)) {
	defer c.Close()
	text, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return
	}
	said, err := hand(strings.Fields(text))
	if err != nil {
		said = "error: " + err.Error()
	}
	fmt.Fprintln(c, said)
}

// layByHand lays discs into drives and takes them out of places.
func layByHand(tower *sim.Tower, words []string) error {
	s := tower.Status()
	var n [2]int
	for i, word := range words[1:] {
		var err error
		if n[i], err = strconv.Atoi(word); err != nil || n[i] < 1 {
			return fmt.Errorf("%q is no number", word)
		}
	}
	switch {
	case words[0] == "away" && n[0] <= len(s.Bins):
		return tower.TakeAway(n[0])
	case words[0] == "empty" && s.Drives[n[0]] != "":
		return tower.Lay(n[0], 0)
	case words[0] == "lay" && n[1] <= len(s.Bins):
		return tower.Lay(n[0], n[1])
	}
	return fmt.Errorf("%q: no such bin, or no disc there", strings.Join(words, " "))
}

func byHand(tower *sim.Tower, speaker *sim.Speaker, words []string) (string, error) {
	switch text := strings.Join(words, " "); {
	case text == "status":
		b, err := json.Marshal(tower.Status())
		return string(b), err
	case text == "door open":
		tower.OpenDoor()
		return "ok", nil
	case text == "door close":
		tower.CloseDoor()
		return "ok", nil
	case text == "reset":
		speaker.Reset()
		return "ok", nil
	case text == "set up":
		speaker.SetUp()
		return "ok", nil
	case text == "tidy":
		speaker.Reset()
		return "ok", tower.Tidy()
	case len(words) == 3 && words[0] == "lay", len(words) == 2 && (words[0] == "empty" || words[0] == "away"):
		return "ok", layByHand(tower, words)
	case len(words) == 2 && words[0] == "hand":
		bin, err := strconv.Atoi(words[1])
		if err != nil || bin < 1 || bin > len(tower.Status().Bins) {
			return "", fmt.Errorf("%q is no bin", words[1])
		}
		return tower.EmptyHand(bin)
	case len(words) == 3 && words[0] == "pile":
		from, errFrom := strconv.Atoi(words[1])
		to, errTo := strconv.Atoi(words[2])
		bins := len(tower.Status().Bins)
		if errFrom != nil || errTo != nil || from == to || min(from, to) < 1 || max(from, to) > bins {
			return "", fmt.Errorf("%q: want two bins of 1 to %d", text, bins)
		}
		return "ok", tower.CarryPile(from, to)
	case len(words) == 3 && words[0] == "fault":
		if !slices.Contains(sim.TowerActions, words[2]) {
			return "", fmt.Errorf("%q: want one of %s", words[2], strings.Join(sim.TowerActions, ", "))
		}
		speaker.Fail(words[1], words[2])
		return "ok", nil
	default:
		return "", fmt.Errorf("%q: want one of: %s", text, TowerHelp)
	}
}
