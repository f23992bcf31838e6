// Package simrig has every driver of a robot with a simulated machine at its other end, as rigs for robottest.Faults. It is for
// tests. It knows which command of a protocol a fault strikes, and nothing else of the protocols.
package simrig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/drive/file"
	"github.com/odarchive/odarchive/robot/robottest"
	"github.com/odarchive/odarchive/robot/sim/jukebox"
)

// Rig is one driver with its machine.
type Rig struct {
	Name string
	// Piles says that it is a robot with piles, OneWay one that takes from one pile and puts onto another.
	Piles, OneWay bool
	// New makes a machine that ends with the test.
	New func(t testing.TB) robottest.FaultRig
}

// Records is the folder in which drivers keep what they must remember. Empty means one in memory for each rig; a benchmark wants a disk.
var Records string

// Speed is how many times as fast as real ones drivers take their machines to be, where those want pauses: faults need some time left to be noticed in,
// and a benchmark none. The long form, which may run for a while beside what is more urgent, leaves five times as much.
var Speed = func() float64 {
	if long() {
		return 400
	}
	return 2000
}()

func long() bool { return os.Getenv("ODARCHIVE_SOAK") != "" }

// Some are one of each kind, and all of them where ODARCHIVE_SOAK is set.
func Some() []Rig {
	all := All()
	if !long() {
		all = all[:len(all)-len(piles)+1]
	}
	return all
}

// SCSI is the one that can exchange discs.
func SCSI() Rig { return Rig{Name: "scsi", New: newSCSI} }

// All are the rigs.
func All() []Rig {
	rigs := []Rig{
		{Name: "pioneer CAC-V3000", New: func(t testing.TB) robottest.FaultRig { return newPioneer(t, false) }},
		{Name: "pioneer CAC-V3000, early answers", New: func(t testing.TB) robottest.FaultRig { return newPioneer(t, true) }},
		{Name: "denon DN-1400F", New: newDenon},
		SCSI(),
	}
	for _, p := range piles {
		rigs = append(rigs, Rig{Name: p.dialect, Piles: true, OneWay: p.oneWay, New: func(t testing.TB) robottest.FaultRig { return newPiles(t, p) }})
	}
	return rigs
}

// words are what faults are called at the jukebox, of those that are called the same for every machine.
var words = map[robottest.Fault]string{
	robottest.ReplyLost: "lost", robottest.ReplyLate: "late", robottest.ReplyHalf: "half", robottest.ReplyGarbled: "garbled",
	robottest.ReplyDoubled: "doubled", robottest.ReplyOdd: "unsolicited",
	robottest.Held: "held", robottest.Dropped: "drop", robottest.TwoPicked: "two", robottest.Crooked: "crooked",
	robottest.DoorOpened: "door", robottest.PowerLost: "power", robottest.TrayStuck: "clamp",
}

// blank is a medium that is never burned.
var blank = file.Medium{Type: "BD-R", Sectors: 1000}

// folder is one in memory where there is such a thing: simulators write their state at each act.
func folder(t testing.TB) string {
	t.Helper()
	memory := "/dev/shm"
	if _, err := os.Stat(memory); err != nil {
		memory = ""
	}
	dir, err := os.MkdirTemp(memory, "rig")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// box is a jukebox that runs.
type box struct{ dir string }

func start(t testing.TB, m jukebox.Main) box {
	t.Helper()
	m.Dir, m.Medium, m.Log = folder(t), blank, slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for {
		if _, err := os.Stat(filepath.Join(m.Dir, "line")); err == nil {
			return box{m.Dir}
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatal(err)
		case <-time.After(time.Millisecond): // until it has made its line
		}
	}
}

func (b box) line() string { return filepath.Join(b.dir, "line") }

// tell has something done by hand.
func (b box) tell(words ...any) (string, error) {
	return jukebox.Tell(context.Background(), b.dir, strings.TrimSpace(fmt.Sprintln(words...)))
}

func (b box) do(words ...any) error {
	_, err := b.tell(words...)
	return err
}

// status reads what a look inside shows.
func (b box) status(into any) error {
	said, err := b.tell("status")
	if err == nil {
		err = json.Unmarshal([]byte(said), into)
	}
	return err
}

// unsupported is for what can't happen on a way.
func unsupported(f robottest.Fault) error { return fmt.Errorf("%s: %w", f, errors.ErrUnsupported) }

func slot(n int) robot.Address  { return robot.Address{Kind: robot.Slot, Number: n} }
func drive(n int) robot.Address { return robot.Address{Kind: robot.DriveBay, Number: n} }

// Where discs lie that nobody wants there.
var (
	floor  = robot.Address{Kind: "floor", Number: 1}
	pocket = robot.Address{Kind: "a person's hand", Number: 1}
)

func below(n int) robot.Address { return robot.Address{Kind: "below", Number: n} }
