package manual_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/changer/manual"
	"github.com/odarchive/odarchive/robot/robottest"
)

// person is somebody with a shelf: it does what is asked, and refuses to put a disc where one lies.
type person struct {
	mu      sync.Mutex
	shelf   map[string]bool
	drives  map[int]string
	crushed int
	away    error // comes instead of an answer
	says    manual.Answer
}

func (p *person) Do(_ context.Context, request string) (manual.Answer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.away != nil {
		return "", p.away
	}
	if p.says != "" {
		return p.says, nil
	}
	var disc string
	var drive int
	if n, _ := fmt.Sscanf(request, "put disc %s into drive %d", &disc, &drive); n == 2 {
		if !p.shelf[disc] {
			return manual.Absent, nil
		}
		if p.drives[drive] != "" {
			p.crushed++
		}
		delete(p.shelf, disc)
		p.drives[drive] = disc
		return manual.Done, nil
	}
	if n, _ := fmt.Sscanf(request, "take disc %s out of drive %d", &disc, &drive); n != 2 {
		return "", fmt.Errorf("what is %q?", request)
	}
	if p.drives[drive] != disc || p.shelf[disc] {
		p.crushed++
	}
	delete(p.drives, drive)
	p.shelf[disc] = true
	return manual.Done, nil
}

func open(t *testing.T, p *person, root *os.Root) *manual.Changer {
	t.Helper()
	c, err := manual.Open(p, root, manual.Config{Slots: 20, Drives: 2, Label: "QK-%04d"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestConformance(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	p := &person{shelf: map[string]bool{"QK-0001": true, "QK-0002": true}, drives: map[int]string{}}
	at := func(n int) robot.Address { return robot.Address{Kind: robot.Slot, Number: n} }
	robottest.Changer(t, robottest.ChangerRig{
		Open:  func(context.Context) (robot.Changer, error) { return open(t, p, root), nil },
		Discs: []robot.Address{at(1), at(2)}, Vacant: at(9),
	})
	if p.crushed > 0 {
		t.Errorf("%d discs crushed", p.crushed)
	}
}

// TestDoubt: a question without an answer is remembered over a restart, and nothing is asked before somebody has looked.
func TestDoubt(t *testing.T) {
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	p := &person{shelf: map[string]bool{"QK-0001": true}, drives: map[int]string{}, away: errors.New("gone home")}
	slot, drive := robot.Address{Kind: robot.Slot, Number: 1}, robot.Address{Kind: robot.DriveBay, Number: 1}
	if err := open(t, p, root).Move(t.Context(), slot, drive); !errors.Is(err, robot.ErrComm) || !strings.Contains(err.Error(), "put disc QK-0001 into drive 1") {
		t.Errorf("%v", err)
	}
	p.away = nil
	c := open(t, p, root)
	_, err = c.Inventory(t.Context())
	if moved := c.Move(t.Context(), slot, drive); !errors.Is(err, robot.ErrJam) || !errors.Is(moved, robot.ErrJam) {
		t.Errorf("inventory %v, move %v", err, moved)
	}
	if err := c.Settle(0); err != nil {
		t.Error(err)
	}
	if err := c.Move(t.Context(), slot, drive); err != nil {
		t.Error(err)
	}
	p.says = manual.Refuse
	if err := c.Move(t.Context(), drive, slot); !errors.Is(err, robot.ErrBusy) {
		t.Errorf("%v", err)
	}
	if c.Settle(0) == nil {
		t.Error("settled without a doubt")
	}
}
