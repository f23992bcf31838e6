package denon_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/changer/denon"
	"github.com/odarchive/odarchive/robot/drive/file"
	"github.com/odarchive/odarchive/robot/port"
	"github.com/odarchive/odarchive/robot/robottest"
	"github.com/odarchive/odarchive/robot/sim"
	"github.com/odarchive/odarchive/robot/sim/jukebox"
)

func start(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "denon")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	box := &jukebox.Main{
		Dir: dir, Robot: "denon", Shape: sim.Shape{Units: 1, SlotsPerUnit: 200, PlayersPerUnit: 2}, Blanks: 150,
		Medium: file.Medium{Type: "BD-R", Sectors: 1000}, Log: slog.New(slog.DiscardHandler),
	}
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
		if _, err := os.Stat(filepath.Join(dir, "line")); err == nil {
			return dir
		}
		select {
		case err := <-ended:
			t.Fatal(err)
		case <-time.After(time.Millisecond):
		}
	}
}

func open(ctx context.Context, dir string) (robot.Changer, error) {
	line, err := port.Open(filepath.Join(dir, "line"), port.Mode{Baud: denon.Baud})
	if err != nil {
		return nil, err
	}
	c, err := denon.Open(ctx, line, denon.Config{Speed: 2000})
	if err != nil {
		return nil, errors.Join(err, line.Close())
	}
	return c, nil
}

func slot(n int) robot.Address { return robot.Address{Kind: robot.Slot, Number: n} }
func bay(n int) robot.Address  { return robot.Address{Kind: robot.DriveBay, Number: n} }

func TestConformance(t *testing.T) {
	dir := start(t)
	robottest.Changer(t, robottest.ChangerRig{
		Open:  func(ctx context.Context) (robot.Changer, error) { return open(ctx, dir) },
		Discs: []robot.Address{slot(1), slot(150)}, Vacant: slot(200),
	})
	wantPhysics(t, dir, nil)
}

// wantPhysics looks inside: no impossible act, and these discs in the drives.
func wantPhysics(t *testing.T, dir string, drives map[int]string) {
	t.Helper()
	said, err := jukebox.Tell(context.Background(), dir, "status")
	if err != nil {
		t.Fatal(err)
	}
	var s sim.Status
	if err := json.Unmarshal([]byte(said), &s); err != nil {
		t.Fatal(err)
	}
	if s.Refused != 0 || len(s.Players) != len(drives) {
		t.Errorf("%d impossible acts, drives %v, want %v", s.Refused, s.Players, drives)
	}
	for n, disc := range drives {
		if s.Players[n] != disc {
			t.Errorf("drive %d has %q, want %q", n, s.Players[n], disc)
		}
	}
}

// TestFaults: whatever happens to a command, the inventory after it is what physics are, and the move's error says no more than is known.
func TestFaults(t *testing.T) {
	dir := start(t)
	c, err := open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for n, f := range []struct {
		on, do string
		want   error // of the move; nil for none
		moved  bool
	}{
		{"C4", "lost", robot.ErrComm, true},
		{"C4", "garbled", robot.ErrComm, true},
		{"C4", "doubled", nil, true},
		{"C4", "E91", robot.ErrJam, false},
		{"CC", "lost", nil, true},
		{"CC", "garbled", nil, true},
		{"CC", "doubled", nil, true},
	} {
		t.Run(f.on+" "+f.do, func(t *testing.T) {
			if _, err := jukebox.Tell(t.Context(), dir, "fault "+f.on+" "+f.do); err != nil {
				t.Fatal(err)
			}
			disc := n + 49 // over the end of a rack
			if err := c.Move(t.Context(), slot(disc), bay(2)); !errors.Is(err, f.want) {
				t.Errorf("%v, want %v", err, f.want)
			}
			if _, err := jukebox.Tell(t.Context(), dir, "reset"); err != nil {
				t.Fatal(err)
			}
			all, err := c.Inventory(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if !f.moved {
				wantPhysics(t, dir, nil)
				if all[1].Fill != robot.Empty {
					t.Errorf("%+v", all[1])
				}
				return
			}
			wantPhysics(t, dir, map[int]string{2: fmt.Sprintf("%04d", disc)})
			if all[1].Fill != robot.Full || all[1].Home != slot(disc) {
				t.Errorf("%+v", all[1])
			}
			if err := c.Move(t.Context(), bay(2), slot(disc)); err != nil {
				t.Error(err)
			}
		})
	}
}
