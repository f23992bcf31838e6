package agent

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/drive/file"
	"github.com/odarchive/odarchive/robot/sim"
	"github.com/odarchive/odarchive/robot/sim/jukebox"
)

// TestWrongRobot has every driver find a robot of another make at its line: it says so, and nothing is moved.
func TestWrongRobot(t *testing.T) {
	four := []sim.Pile{{Capacity: 9, Discs: 5}, {Capacity: 9}, {Capacity: 9}, {Capacity: 9}}
	robots := map[string]jukebox.Main{
		"pioneer":  {Shape: sim.Shape{Units: 1, SlotsPerUnit: 300, PlayersPerUnit: 2}, Blanks: 5},
		"denon":    {Robot: "denon", Shape: sim.Shape{Units: 1, SlotsPerUnit: 200, PlayersPerUnit: 2}, Blanks: 5},
		"rimage":   {Robot: "rimage", Piles: four, Drives: 2},
		"aleratec": {Robot: "aleratec", Piles: four[:3], Drives: 2},
		"letters":  {Robot: "letters", Piles: four[:2], Drives: 1},
	}
	configs := map[string]RobotConfig{
		"pioneer":  {Kind: "pioneer", Model: "CAC-V3000"},
		"denon":    {Kind: "denon"},
		"rimage":   {Kind: "dialect", Dialect: "rimage-liberty", Capacity: []int{9, 9, 9, 9}, DriveWires: []string{"1", "2"}},
		"aleratec": {Kind: "dialect", Dialect: "aleratec-autopublisher-ls", Capacity: []int{9, 9, 9}},
		"letters":  {Kind: "dialect", Dialect: "amtren", Capacity: []int{9, 9}},
	}
	for is, box := range robots {
		for driver, config := range configs {
			if is == driver {
				continue
			}
			t.Run(driver+" at "+is, func(t *testing.T) {
				t.Parallel()
				dir := runBox(t, box)
				config.Port, config.Speed = filepath.Join(dir, "line"), 2000
				root, err := os.OpenRoot(t.TempDir())
				if err != nil {
					t.Fatal(err)
				}
				defer root.Close()
				c, err := changers[config.Kind](t.Context(), config, robotHost{folder: root})
				if err == nil {
					c.Close()
				}
				if !errors.Is(err, robot.ErrComm) || !strings.Contains(err.Error(), "port, and speed of the line? Nothing was moved") {
					t.Errorf("%v; want %v, and what to look at", err, robot.ErrComm)
				}
				if said, err := jukebox.Tell(t.Context(), dir, "status"); err != nil || !strings.Contains(said, `"moves":0,"refused":0`) {
					t.Errorf("status %s %v", said, err)
				}
			})
		}
	}
}

// runBox has a simulated robot serve until the test ends, and returns its folder.
func runBox(t *testing.T, box jukebox.Main) string {
	t.Helper()
	box.Dir, box.Medium, box.Log = t.TempDir(), file.Medium{Type: "BD-R", Sectors: 1000}, slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- box.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for {
		if _, err := os.Stat(filepath.Join(box.Dir, "line")); err == nil {
			return box.Dir
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatal(err)
		case <-time.After(time.Millisecond): // until it has made its line
		}
	}
}
