// Package odtest runs a whole library for tests: a controller with its own PostgreSQL, a simulated jukebox and an agent, each a
// process of its own that can be killed at any moment. The processes are the test binary itself, started again in a role, so that
// what runs is the same Main as the command's. It knows how to look at what is physically so, and asserts that nobody claims otherwise.
package odtest

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/odarchive/odarchive/internal/agent"
	"github.com/odarchive/odarchive/internal/client"
	"github.com/odarchive/odarchive/internal/controller"
	"github.com/odarchive/odarchive/robot/drive/file"
	"github.com/odarchive/odarchive/robot/sim"
	"github.com/odarchive/odarchive/robot/sim/jukebox"
)

// Role is a process of a site.
type Role string

// The processes of a site. Postgres is started by the controller, which does not outlive it.
const (
	Controller Role = "controller"
	Jukebox    Role = "jukebox"
	Agent      Role = "agent"
	Postgres   Role = "postgres"
)

const (
	roleVariable   = "ODTEST_ROLE"
	configVariable = "ODTEST_CONFIG"
)

// Main runs a package's tests, or the role that this process has been started for. A package whose tests use a Site calls it in
// TestMain.
func Main(m *testing.M) {
	role := Role(os.Getenv(roleVariable))
	if role == "" {
		// Most of the time tests wait for machines that take their time.
		if err := flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))); err != nil {
			panic(err)
		}
		code := m.Run()
		if err := os.RemoveAll(cluster.dir); err != nil {
			panic(err)
		}
		os.Exit(code)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := play(ctx, role, []byte(os.Getenv(configVariable))); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", role, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func play(ctx context.Context, role Role, config []byte) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	read := func(into any) error { return json.Unmarshal(config, into) }
	switch role {
	case Controller:
		m := &controller.Main{}
		if err := read(m); err != nil {
			return err
		}
		m.Log = log
		return m.Run(ctx)
	case Jukebox:
		m := &jukebox.Main{}
		if err := read(m); err != nil {
			return err
		}
		m.Log = log
		return m.Run(ctx)
	case Agent:
		m := &agent.Main{}
		if err := read(&m.Config); err != nil {
			return err
		}
		m.Log = log
		return m.Run(ctx)
	}
	return fmt.Errorf("no such role")
}

// Site is a library with its processes, in a folder that ends with the test.
type Site struct {
	*testing.T
	Dir    string
	Client *client.Client

	options   Options
	processes map[Role]*process
	library   string
	shares    *Site // whose controller this one's agent calls; nil for its own
}

// shape is that of two chained CAC-V3000.
var shape = sim.Shape{Units: 2, SlotsPerUnit: 300, PlayersPerUnit: 2}

// Options say what library a site is. Zero values are a small and fast one.
type Options struct {
	Sectors int64 // of a disc; 0 means 8,192 (16 MiB)
	Blanks  int   // discs, from slot 1 on, all of them blank and stocked; 0 means a disc in every slot
	// Speed is the jukebox's; 0 takes no time at all. The rates are the drives' at any speed, in bytes a second; 0 is no limit.
	Speed               float64
	ReadRate, WriteRate int64
	Faults              string // script for the jukebox

	StagingLimit int64 // bytes that staging and cache may hold; 0 for what the disk offers

	Port int // everybody talks to the controller at this TCP port, as over a network; 0 for a unix socket
}

// New starts a site whose processes run and whose blanks are stocked.
func New(t *testing.T, o Options) *Site {
	t.Helper()
	if o.Blanks == 0 {
		o.Blanks = shape.Units * shape.SlotsPerUnit
	}
	if o.Sectors == 0 {
		o.Sectors = 8192
	}
	s := &Site{T: t, Dir: folder(t), options: o, processes: map[Role]*process{}, library: "site"}
	var err error
	if s.Client, err = client.Dial(s.address(), nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.T = t // subtests lend it theirs
		s.Client.Close()
		for _, role := range []Role{Agent, Jukebox, Controller} {
			s.Stop(role)
		}
	})
	s.Start(Jukebox)
	s.seed()
	s.Start(Controller)
	s.Start(Agent)
	s.stock()
	return s
}

// Beside starts another library whose agent calls the same controller.
func (s *Site) Beside(library string, o Options) *Site {
	s.Helper()
	b := &Site{T: s.T, Dir: folder(s.T), Client: s.Client, options: o, processes: map[Role]*process{}, library: library, shares: s}
	s.Cleanup(func() {
		for _, role := range []Role{Agent, Jukebox} {
			b.Stop(role)
		}
	})
	b.Start(Jukebox)
	b.Start(Agent)
	b.stock()
	return b
}

// folder is a temporary folder with a path short enough for sockets.
func folder(t *testing.T) string {
	dir, err := os.MkdirTemp("", "odtest")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func (s *Site) path(elements ...string) string {
	return filepath.Join(append([]string{s.Dir}, elements...)...)
}

func (s *Site) address() string {
	if s.shares != nil {
		return s.shares.address()
	}
	if s.options.Port != 0 {
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.options.Port))
	}
	return s.socket()
}

// socket is the address on this host.
func (s *Site) socket() string { return "unix://" + s.path("controller", "controller.sock") }

// listen is where the controller serves; nil for the socket alone.
func (s *Site) listen() []string {
	if s.options.Port == 0 {
		return nil
	}
	return []string{s.socket(), s.address()}
}

// config is what a role is started with.
func (s *Site) config(role Role) any {
	switch role {
	case Controller:
		return map[string]any{"DataDir": s.path("controller"), "StagingReserve": 1 << 20, "StagingLimit": s.options.StagingLimit, "Listen": s.listen()}
	case Jukebox:
		speed := s.options.Speed
		rate := func(perSecond int64) int64 { // Main scales rates with its speed
			if speed == 0 {
				return 0
			}
			return int64(float64(perSecond) / speed)
		}
		return map[string]any{
			"Dir": s.path("jukebox"), "Shape": shape, "Blanks": s.options.Blanks,
			"Medium": file.Medium{Type: "BD-R", Sectors: s.options.Sectors}, "Speed": speed,
			"ReadRate": rate(s.options.ReadRate), "WriteRate": rate(s.options.WriteRate), "Faults": s.options.Faults,
		}
	}
	c := agent.Config{
		Name: "burner of " + s.library, Library: s.library, Controller: s.address(), Data: s.path("agent"),
		Robot: agent.RobotConfig{
			Kind: "pioneer", Port: s.path("jukebox", "line"), Model: "CAC-V3000", Units: shape.Units, Speed: max(1, s.options.Speed),
		},
	}
	if s.options.Speed == 0 {
		c.Robot.Speed = 100
	}
	for n := 1; n <= shape.Units*shape.PlayersPerUnit; n++ {
		c.Drives = append(c.Drives, agent.DriveConfig{Number: n, Kind: "file", Path: s.path("jukebox", "drives", strconv.Itoa(n))})
	}
	return c
}

// Hand does what a person would at the jukebox: see jukebox.HandHelp.
func (s *Site) Hand(words ...string) string {
	s.Helper()
	answer, err := jukebox.Tell(s.Context(), s.path("jukebox"), strings.Join(words, " "))
	if err != nil {
		s.Fatalf("by hand: %s: %v", strings.Join(words, " "), err)
	}
	return answer
}

// reachable says whether somebody listens on a socket of the site.
func (s *Site) reachable(elements ...string) bool {
	var d net.Dialer
	c, err := d.DialContext(s.Context(), "unix", s.path(elements...))
	if err != nil {
		return false
	}
	return c.Close() == nil
}
