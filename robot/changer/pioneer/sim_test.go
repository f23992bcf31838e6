package pioneer_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/changer/pioneer"
	"github.com/odarchive/odarchive/robot/drive/file"
	"github.com/odarchive/odarchive/robot/port"
	"github.com/odarchive/odarchive/robot/robottest"
	"github.com/odarchive/odarchive/robot/sim"
	"github.com/odarchive/odarchive/robot/sim/jukebox"
)

// TestSimulated holds the driver to the contract over a real serial line with a simulated robot at its other end.
func TestSimulated(t *testing.T) {
	dir, err := os.MkdirTemp("", "juke")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	box := &jukebox.Main{
		Dir: dir, Shape: sim.Shape{Units: 2, SlotsPerUnit: 300, PlayersPerUnit: 2}, Medium: file.Medium{Type: "BD-R", Sectors: 1000}, Blanks: 310, Log: slog.New(slog.DiscardHandler),
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
	model, err := pioneer.ModelNamed("CAC-V3000")
	if err != nil {
		t.Fatal(err)
	}
	timing := pioneer.DefaultTiming().Faster(1000)
	timing.Pacing = 0
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
			c, err := pioneer.Open(ctx, l, pioneer.Config{Model: model, Units: 2, Timing: timing})
			if err != nil {
				l.Close()
				return nil, err
			}
			return c, nil
		},
		Discs:  []robot.Address{{Kind: robot.Slot, Number: 1}, {Kind: robot.Slot, Number: 2}, {Kind: robot.Slot, Number: 301}, {Kind: robot.Slot, Number: 305}},
		Vacant: robot.Address{Kind: robot.Slot, Number: 400},
	})
	status, err := jukebox.Tell(t.Context(), dir, "status")
	if err != nil {
		t.Fatal(err)
	}
	t.Log(len(status))
}
