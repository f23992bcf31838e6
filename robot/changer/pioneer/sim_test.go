package pioneer_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/changer/pioneer"
	"github.com/odarchive/odarchive/robot/drive/file"
	"github.com/odarchive/odarchive/robot/port"
	"github.com/odarchive/odarchive/robot/robottest"
	"github.com/odarchive/odarchive/robot/sim"
	"github.com/odarchive/odarchive/robot/sim/jukebox"
)

// TestSimulated holds the driver to the contract over a real serial line with a simulated robot at its other end, for each model, and for
// machines that answer when a movement begins.
func TestSimulated(t *testing.T) {
	at := func(numbers ...int) (slots []robot.Address) {
		for _, n := range numbers {
			slots = append(slots, robot.Address{Kind: robot.Slot, Number: n})
		}
		return slots
	}
	for _, c := range []struct {
		name, model string
		shape       sim.Shape
		early       bool
		blanks      int
		discs       []robot.Address
		vacant      int
	}{
		{"two V3000", "CAC-V3000", sim.Shape{Units: 2, SlotsPerUnit: 300, PlayersPerUnit: 2}, false, 310, at(1, 2, 301, 305), 400},
		// Of a slot that was empty such a machine tells only by ?E, which may be of an older command: it is not believed, and so there
		// is no vacant slot to find out.
		{"early V3000", "CAC-V3000", sim.Shape{Units: 2, SlotsPerUnit: 300, PlayersPerUnit: 2}, true, 600, at(1, 2, 301, 305), 0},
		{"V5000", "CAC-V5000", sim.Shape{Units: 1, SlotsPerUnit: 500, PlayersPerUnit: 2}, false, 20, at(3, 20), 500},
		{"V180M", "CAC-V180M", sim.Shape{Units: 1, SlotsPerUnit: 18, PlayersPerUnit: 1}, false, 17, at(3, 17), 18},
	} {
		t.Run(c.name, func(t *testing.T) { simulated(t, c.model, c.shape, c.early, c.blanks, c.discs, c.vacant) })
	}
}

func simulated(t *testing.T, name string, shape sim.Shape, early bool, blanks int, discs []robot.Address, vacant int) {
	t.Helper()
	dir, err := os.MkdirTemp("", "juke")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	box := &jukebox.Main{
		Dir: dir, Shape: shape, Early: early, Medium: file.Medium{Type: "BD-R", Sectors: 1000}, Blanks: blanks, Log: slog.New(slog.DiscardHandler),
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- box.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	line := filepath.Join(dir, "line")
	model, err := pioneer.ModelNamed(name)
	if err != nil {
		t.Fatal(err)
	}
	timing := pioneer.DefaultTiming().Faster(1000)
	timing.Move = 2 * time.Second // a busy machine may answer late
	timing.Pacing = 0
	free := robot.Address{}
	if vacant > 0 {
		free = robot.Address{Kind: robot.Slot, Number: vacant}
	}
	robottest.Changer(t, robottest.ChangerRig{
		Open: func(ctx context.Context) (robot.Changer, error) {
			for {
				if _, err := os.Stat(line); err == nil {
					break
				}
				if ctx.Err() != nil {
					return nil, ctx.Err()
				}
			}
			l, err := port.Open(line, port.Mode{Baud: model.Baud})
			if err != nil {
				return nil, err
			}
			c, err := pioneer.Open(ctx, l, pioneer.Config{Model: model, Units: shape.Units, Timing: timing})
			if err != nil {
				l.Close()
				return nil, err
			}
			return c, nil
		},
		Discs:  discs,
		Vacant: free,
	})
	status, err := jukebox.Tell(t.Context(), dir, "status")
	if err != nil || !strings.Contains(status, `"refused":0`) {
		t.Errorf("%v: impossible acts were asked for: %.100s", err, status)
	}
}
