package dialect_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/changer/dialect"
	"github.com/odarchive/odarchive/robot/changer/stack"
	"github.com/odarchive/odarchive/robot/drive/file"
	"github.com/odarchive/odarchive/robot/port"
	"github.com/odarchive/odarchive/robot/robottest"
	"github.com/odarchive/odarchive/robot/sim"
	"github.com/odarchive/odarchive/robot/sim/jukebox"
)

// site is a simulated robot behind a real line, with the folder in which its order is kept.
type site struct {
	t        testing.TB
	dir      string
	dialect  string
	capacity []int
	counts   []int
	drives   int
	store    stack.Store
	machine  stack.Machine // once it was opened
}

const fast = 2000

// memory is where the simulator writes its state: what it costs is not to be measured.
var memory = func() string {
	if _, err := os.Stat("/dev/shm"); err != nil {
		return ""
	}
	return "/dev/shm"
}()

func newSite(t testing.TB, protocol, name string, piles []sim.Pile, drives int) *site {
	t.Helper()
	dir, err := os.MkdirTemp(memory, "tower")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &site{t: t, dir: dir, dialect: name, drives: drives}
	for _, p := range piles {
		s.capacity, s.counts = append(s.capacity, p.Capacity), append(s.counts, p.Discs)
	}
	box := &jukebox.Main{
		Dir: dir, Robot: protocol, Piles: piles, Drives: drives,
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
	keep := t.TempDir()
	root, err := os.OpenRoot(keep)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	s.store = stack.InFolder(root)
	for {
		if _, err := os.Stat(filepath.Join(dir, "line")); err == nil {
			return s
		}
		select {
		case err := <-ended:
			t.Fatal(err)
		case <-time.After(time.Millisecond):
		}
	}
}

func (s *site) line() (*port.Line, *dialect.Dialect) {
	s.t.Helper()
	d, err := dialect.Load(s.dialect)
	if err != nil {
		s.t.Fatal(err)
	}
	l, err := port.Open(filepath.Join(s.dir, "line"), port.Mode{Baud: d.Line.Baud})
	if err != nil {
		s.t.Fatal(err)
	}
	return l, d
}

func (s *site) open(ctx context.Context) (robot.Changer, error) {
	line, d := s.line()
	config := dialect.Config{Capacity: s.capacity, Speed: fast}
	if s.drives < len(d.Drives) {
		for n := range s.drives {
			config.DriveWires = append(config.DriveWires, fmt.Sprint(n+1))
		}
	}
	l, err := dialect.Open(ctx, line, d, config)
	if err != nil {
		return nil, errors.Join(err, line.Close())
	}
	s.machine = l.Machine()
	c, err := stack.Open(l, s.store, s.counts)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return c, nil
}

func (s *site) must() *stack.Changer {
	s.t.Helper()
	c, err := s.open(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return c.(*stack.Changer)
}

func (s *site) tell(words ...any) string {
	s.t.Helper()
	said, err := jukebox.Tell(context.Background(), s.dir, strings.TrimSpace(fmt.Sprintln(words...)))
	if err != nil {
		s.t.Fatal(err)
	}
	return said
}

// truth compares the order with what lies in the machine, disc by disc: disc n was numbered by its slot n and keeps it here. It
// returns what physics refused.
func (s *site) truth(o stack.Order) {
	s.t.Helper()
	var is sim.TowerStatus
	if err := json.Unmarshal([]byte(s.tell("status")), &is); err != nil {
		s.t.Fatal(err)
	}
	id := func(slot int) string { return fmt.Sprintf("%04d", slot) }
	for i, pile := range o.Bins {
		var want []string
		for _, slot := range pile {
			want = append(want, id(slot))
		}
		if !slices.Equal(is.Bins[i], want) {
			s.t.Errorf("bin %d holds %v, the order says %v", i+1, is.Bins[i], want)
		}
	}
	for i, slot := range o.Drives {
		if slot == 0 && is.Drives[i+1] != "" || slot != 0 && is.Drives[i+1] != id(slot) {
			s.t.Errorf("drive %d holds %q, the order says %d", i+1, is.Drives[i+1], slot)
		}
	}
	if is.Refused != 0 {
		s.t.Errorf("%d impossible acts were asked for", is.Refused)
	}
	if o.Pending == nil && is.Hand != "" {
		s.t.Errorf("the hand holds %q, the order says that nothing is on its way", is.Hand)
	}
}

// piles are bins by capacity and discs.
func piles(numbers ...int) (all []sim.Pile) {
	for i := 0; i < len(numbers); i += 2 {
		all = append(all, sim.Pile{Capacity: numbers[i], Discs: numbers[i+1]})
	}
	return all
}

func slot(n int) robot.Address { return robot.Address{Kind: robot.Slot, Number: n} }
func bay(n int) robot.Address  { return robot.Address{Kind: robot.DriveBay, Number: n} }

var machines = []struct {
	protocol, dialect string
	piles             []sim.Pile
	drives            int
	oneWay            bool
	vacant            int
}{
	{"rimage", "rimage-liberty", piles(6, 5, 6, 3, 6, 0, 6, 4), 4, false, 13},
	{"aleratec", "aleratec-autopublisher-ls", piles(6, 5, 6, 3, 6, 0), 3, false, 12},
	{"letters", "amtren", piles(40, 30, 40, 0), 1, true, 0},
	{"letters", "amtren-get", piles(40, 30, 40, 0), 1, true, 0},
	{"letters", "kodak", piles(40, 30, 40, 0), 1, true, 0},
}

// TestConformance holds each dialect whose robot can get every disc back to the contract, over a real line.
func TestConformance(t *testing.T) {
	for _, m := range machines {
		if m.oneWay {
			continue
		}
		t.Run(m.dialect, func(t *testing.T) {
			s := newSite(t, m.protocol, m.dialect, m.piles, m.drives)
			robottest.Changer(t, robottest.ChangerRig{
				Open: s.open, Discs: []robot.Address{slot(1), slot(7)}, Vacant: slot(m.vacant),
			})
		})
	}
}

// TestOneWay: a robot that gives from one bin and takes with the other gets at each disc once, until a person carries the pile back.
func TestOneWay(t *testing.T) {
	for _, m := range machines {
		if !m.oneWay {
			continue
		}
		t.Run(m.dialect, func(t *testing.T) {
			s := newSite(t, m.protocol, m.dialect, m.piles, m.drives)
			c := s.must()
			for _, n := range []int{28, 20} {
				if err := errors.Join(c.Move(t.Context(), slot(n), bay(1)), c.Move(t.Context(), bay(1), slot(n))); err != nil {
					t.Fatal(err)
				}
				s.truth(c.Order())
			}
			if err := c.Move(t.Context(), slot(28), bay(1)); !errors.Is(err, robot.ErrUnreachable) || !strings.Contains(err.Error(), "bin 2") {
				t.Errorf("%v; want the pile to be carried", err)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestWrongDialect tries every dialect on every robot: the probe must find out, and no disc may move.
func TestWrongDialect(t *testing.T) {
	for _, protocol := range sim.Protocols {
		for _, name := range []string{"rimage-liberty", "aleratec-autopublisher-ls", "amtren"} {
			right := strings.HasPrefix(name, protocol) || protocol == "letters" && name == "amtren"
			if right {
				continue
			}
			t.Run(protocol+" "+name, func(t *testing.T) {
				t.Parallel()
				s := newSite(t, protocol, name, piles(9, 5, 9, 0, 9, 0, 9, 0), 1)
				s.capacity = s.capacity[:map[string]int{"rimage-liberty": 4, "aleratec-autopublisher-ls": 3, "amtren": 2}[name]]
				c, err := s.open(t.Context())
				if err == nil {
					c.Close()
				}
				if !errors.Is(err, robot.ErrComm) || !strings.Contains(err.Error(), "dialect") {
					t.Errorf("%v; want it found out", err)
				}
				if said := s.tell("status"); !strings.Contains(said, `"moves":0,"refused":0`) {
					t.Errorf("status %s", said)
				}
			})
		}
	}
}

// BenchmarkMove is what a driver of piles adds to a move: a robot that takes no time at all, behind a real line, with the order synced
// to a disk twice a move, which is most of the time unless TMPDIR is in memory. Two moves an operation, of six commands each and their status.
func BenchmarkMove(b *testing.B) {
	s := newSite(b, "rimage", "rimage-liberty", piles(9, 5, 9, 0, 9, 0, 9, 0), 1)
	c := s.must()
	defer c.Close()
	for b.Loop() {
		if err := errors.Join(c.Move(b.Context(), slot(5), bay(1)), c.Move(b.Context(), bay(1), slot(5))); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(2*b.N), "µs/move")
}
