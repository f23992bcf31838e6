package pioneer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/drive/file"
	"github.com/odarchive/odarchive/robot/port"
	"github.com/odarchive/odarchive/robot/sim"
)

// plant is two simulated V3000 behind a real line.
type plant struct {
	*Changer
	library *sim.Library
	faults  *sim.Faults
	line    *port.Line
}

func newPlant(t testing.TB, units int) *plant {
	t.Helper()
	memory := "/dev/shm" // where there is one: the simulator syncs its state at each act
	if _, err := os.Stat(memory); err != nil {
		memory = ""
	}
	dir, err := os.MkdirTemp(memory, "cac")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	shape := sim.Shape{Units: units, SlotsPerUnit: 300, PlayersPerUnit: 2}
	if err := sim.Create(dir, shape, file.Medium{Type: "BD-R", Sectors: 1000}, 300*units); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	p := &plant{faults: &sim.Faults{}}
	if p.library, err = sim.Open(dir, sim.Motion{}, log); err != nil {
		t.Fatal(err)
	}
	far, line := terminal(t, nil)
	p.line = line
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = (&sim.Pioneer{Library: p.library, Faults: p.faults, Log: log}).Serve(context.Background(), far) // until far is closed
	}()
	t.Cleanup(func() { far.Close(); <-ended })
	model, err := ModelNamed("CAC-V3000")
	if err != nil {
		t.Fatal(err)
	}
	timing := Timing{Poll: 100 * time.Microsecond, Query: 2 * time.Second, Move: 300 * time.Millisecond, Init: 10 * time.Second}
	if p.Changer, err = Open(context.Background(), line, Config{Model: model, Units: units, Timing: timing}); err != nil {
		t.Fatal(err)
	}
	return p
}

// BenchmarkMove is what the driver adds to a move: a robot that takes no time at all, behind a real line. Two moves an operation.
func BenchmarkMove(b *testing.B) {
	p := newPlant(b, 1)
	for b.Loop() {
		if err := errors.Join(p.Move(b.Context(), slot(7), driveBay(1)), p.Move(b.Context(), driveBay(1), slot(7))); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(2*b.N), "µs/move")
}

// TestSoak makes random moves with a fault every 50: two units, 600 discs. It ends with the inventory equal to physics, every disc
// in its own slot, and nothing impossible asked for. ODARCHIVE_SOAK gives the number of moves; a day of a machine that takes 6 s a
// move has 14,400.
func TestSoak(t *testing.T) {
	moves := 1000
	if testing.Short() {
		moves = 200
	}
	if n := os.Getenv("ODARCHIVE_SOAK"); n != "" {
		var err error
		if moves, err = strconv.Atoi(n); err != nil {
			t.Fatal(err)
		}
	}
	p := newPlant(t, 2)
	random := rand.New(rand.NewPCG(5, 6))
	struck := map[string]int{}
	for n := range moves {
		if n%50 == 49 {
			p.trouble(t, random)
		}
		err := p.someMove(t, random)
		if err == nil {
			continue
		}
		e, ok := errors.AsType[*robot.Error](err)
		if !ok {
			t.Fatalf("%v is no *robot.Error", err)
		}
		struck[e.Kind.Error()]++
		// A person opens the door and closes it: the robot starts anew, and puts home what it has in its hand.
		if e.Kind == robot.ErrJam || e.Kind == robot.ErrDoor {
			for u := 1; u <= 2; u++ {
				if err := errors.Join(p.library.OpenDoor(u), p.library.CloseDoor(t.Context(), u)); err != nil {
					t.Fatal(err)
				}
			}
		}
		p.compare(t)
	}
	t.Logf("%d moves, faults %v", moves, struck)
	if moves >= 1000 && len(struck) < 3 {
		t.Errorf("only faults of the kinds %v struck", struck)
	}
	for n := 1; n <= 4; n++ {
		for tries := 0; p.compare(t)[n] != 0 && tries < 5; tries++ { // a fault may still wait, and E22
			if err := p.Move(t.Context(), driveBay(n), slot(p.compare(t)[n])); err != nil {
				t.Logf("at the end: %v", err)
			}
		}
	}
	s := p.library.Status()
	for n := 1; n <= 600; n++ {
		if want := fmt.Sprintf("%04d", n); s.Slots[n] != want {
			t.Errorf("slot %d holds %q, want %q", n, s.Slots[n], want)
		}
	}
	if s.Refused != 0 || len(s.Transport) != 0 {
		t.Errorf("%d impossible acts, in hands %v", s.Refused, s.Transport)
	}
}

// trouble arranges for something to go wrong with the next command that moves.
func (p *plant) trouble(t *testing.T, random *rand.Rand) {
	t.Helper()
	do := append([]string{"door"}, "E91", "E92", "E93", "E98", "lost", "doubled", "garbled", "power")[random.IntN(9)]
	if do == "door" {
		for u := 1; u <= 2; u++ {
			if err := p.library.OpenDoor(u); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	on := []string{"ZS", "ZR"}[random.IntN(2)]
	if on == "ZR" && (do == "E98" || do == "power") {
		on = "ZS"
	}
	if err := p.faults.Add(sim.Fault{On: on, Do: do}); err != nil {
		t.Fatal(err)
	}
}

func (p *plant) someMove(t *testing.T, random *rand.Rand) error {
	n := 1 + random.IntN(4)
	if h, ok := p.library.Status().Players[n]; ok {
		home, err := strconv.Atoi(h)
		if err != nil {
			t.Fatal(err)
		}
		return p.Move(t.Context(), driveBay(n), slot(home))
	}
	home := (n-1)/2*300 + 1 + random.IntN(300)
	if _, there := p.library.Status().Slots[home]; !there {
		return nil // it is in the other drive
	}
	return p.Move(t.Context(), slot(home), driveBay(n))
}

// compare holds the inventory to physics, and returns the home of the disc in each drive.
func (p *plant) compare(t *testing.T) (homes [5]int) {
	t.Helper()
	all, err := p.Inventory(t.Context())
	for tries := 0; errors.Is(err, robot.ErrInventory) && tries < 4; tries++ { // each unit says once that it has started anew
		all, err = p.Inventory(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	s := p.library.Status()
	for n := 1; n <= 4; n++ {
		e := all[n-1]
		disc, full := s.Players[n]
		if full {
			homes[n] = e.Home.Number
		}
		if full != (e.Fill == robot.Full) || full && fmt.Sprintf("%04d", e.Home.Number) != disc {
			t.Errorf("drive %d has %q, the inventory says %+v", n, disc, e)
		}
	}
	return homes
}
