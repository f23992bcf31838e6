package agent

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.bug.st/serial"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/changer/dialect"
	"github.com/odarchive/odarchive/robot/changer/stack"
	"github.com/odarchive/odarchive/robot/drive/file"
	"github.com/odarchive/odarchive/robot/port"
	"github.com/odarchive/odarchive/robot/sim"
	"github.com/odarchive/odarchive/robot/sim/jukebox"
)

// towerConfig starts a simulated Rimage and is an owner's configuration for it.
func towerConfig(t *testing.T) Config {
	t.Helper()
	dir, err := os.MkdirTemp("", "tower")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	box := &jukebox.Main{
		Dir: dir, Robot: "rimage", Piles: []sim.Pile{{Capacity: 9, Discs: 5}, {Capacity: 9}, {Capacity: 9}, {Capacity: 9}}, Drives: 2,
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
			break
		}
		select {
		case err := <-ended:
			t.Fatal(err)
		case <-time.After(time.Millisecond):
		}
	}
	c := Config{Name: "a", Library: "l", Controller: "unix:///nowhere", Data: t.TempDir()}
	c.Robot = RobotConfig{
		Kind: "dialect", Dialect: "rimage-liberty", Port: filepath.Join(dir, "line"), Speed: 1000,
		Capacity: []int{9, 9, 9, 9}, Discs: []int{5}, DriveWires: []string{"1", "2"},
	}
	for n := 1; n <= 2; n++ {
		c.Drives = append(c.Drives, DriveConfig{Number: n, Kind: "file", Path: filepath.Join(dir, "drives", fmt.Sprint(n))})
	}
	return c
}

// TestTryout is an owner who tries his robot out: he finds it, exercises it, looks at the order; and the recording of that replays.
func TestTryout(t *testing.T) {
	config := towerConfig(t)
	record := filepath.Join(t.TempDir(), "transcript")
	try := func(answers string, f func(*Tryout) error) (string, error) {
		var out bytes.Buffer
		err := f(&Tryout{Config: config, In: strings.NewReader(answers), Out: &out})
		return out.String(), err
	}
	out, err := try("", func(t2 *Tryout) error { return t2.Probe(t.Context()) })
	if err != nil || !strings.Contains(out, "Liberty") || !strings.Contains(out, "slots: 5 full, 22 empty") {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = try(strings.Repeat("y\n", 8), func(t2 *Tryout) error { t2.Transcript = record; return t2.Exercise(t.Context(), 2) })
	if err != nil || !strings.Contains(out, "drive 2 holds a blank disc") || !strings.Contains(out, "every drive was tried") {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = try("y\nn\n", func(t2 *Tryout) error { return t2.Exercise(t.Context(), 2) })
	if err == nil || !strings.Contains(err.Error(), "something else") {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = try("", func(t2 *Tryout) error { return t2.Order(t.Context(), []string{"show"}) })
	if err != nil || !strings.Contains(out, "drive 1: disc 2") {
		t.Errorf("%v\n%s", err, out)
	}
	for _, words := range []string{"settle bin 1", "carry 1 9", "set 1 99", "add 1 x", "dance"} {
		if out, err := try("", func(t2 *Tryout) error { return t2.Order(t.Context(), strings.Fields(words)) }); err == nil {
			t.Errorf("%s: no error\n%s", words, out)
		}
	}
	out, err = try("", func(t2 *Tryout) error { return t2.Order(t.Context(), []string{"remove", "2"}) })
	if err != nil || !strings.Contains(out, "drive 1: empty") {
		t.Errorf("%v\n%s", err, out)
	}
	replay(t, record, config)
}

// replay holds the driver to a recording.
func replay(t *testing.T, path string, config Config) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	line, err := port.ReadTranscript(f)
	if err != nil {
		t.Fatal(err)
	}
	d, err := dialect.Load("rimage-liberty")
	if err != nil {
		t.Fatal(err)
	}
	l, err := dialect.Open(t.Context(), line, d, dialect.Config{Capacity: config.Robot.Capacity, DriveWires: []string{"1", "2"}, Speed: 1000})
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	c, err := stack.Open(l, stack.InFolder(root), []int{5})
	if err != nil {
		t.Fatal(err)
	}
	home := robot.Address{Kind: robot.Slot, Number: 2}
	for n := 1; n <= 2; n++ {
		bay := robot.Address{Kind: robot.DriveBay, Number: n}
		for _, m := range [][2]robot.Address{{home, bay}, {bay, home}} {
			if err := c.Move(t.Context(), m[0], m[1]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if line.Rest() != 0 {
		t.Errorf("%d pieces of the recording were not needed", line.Rest())
	}
	if err := c.Move(t.Context(), home, robot.Address{Kind: robot.DriveBay, Number: 1}); err == nil {
		t.Error("a move that was not recorded")
	}
}

// TestTryoutOfNoSuchSlot: a slot that the robot hasn't got is refused by its number before anything moves.
func TestTryoutOfNoSuchSlot(t *testing.T) {
	config := towerConfig(t)
	for _, n := range []int{0, 28, -1} {
		var out bytes.Buffer
		err := (&Tryout{Config: config, In: strings.NewReader("y\ny\n"), Out: &out}).Exercise(t.Context(), n)
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("slot %d", n)) {
			t.Errorf("slot %d: %v\n%s", n, err, out.String())
		}
	}
	if said, err := jukebox.Tell(t.Context(), filepath.Dir(config.Robot.Port), "status"); err != nil || !strings.Contains(said, `"moves":0`) {
		t.Errorf("%s %v", said, err)
	}
}

// TestTryoutFindsWrongDialect: before anything moves.
func TestTryoutFindsWrongDialect(t *testing.T) {
	config := towerConfig(t)
	config.Robot.Dialect, config.Robot.Capacity = "amtren", []int{9, 9}
	config.Robot.DriveWires = nil
	err := (&Tryout{Config: config, Out: &bytes.Buffer{}}).Probe(t.Context())
	if err == nil || !strings.Contains(err.Error(), "Nothing was moved") {
		t.Errorf("%v", err)
	}
}

// TestModeOfLine: a pty can't tell a wrong line, so that what a dialect says of it is checked here.
func TestModeOfLine(t *testing.T) {
	for name, want := range map[string]port.Mode{
		"aleratec-autopublisher-ls": {Baud: 9600, Parity: serial.EvenParity, Modem: &port.Modem{DTR: false, RTS: true}},
		"rimage-liberty":            {Baud: 38400},
		"amtren":                    {Baud: 9600},
	} {
		d, err := dialect.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		if have := modeOf(d, RobotConfig{}); !reflect.DeepEqual(have, want) {
			t.Errorf("%s: %+v, want %+v", name, have, want)
		}
	}
	if have := denonMode(RobotConfig{}, robotHost{}); !reflect.DeepEqual(have, port.Mode{Baud: 19200, Parity: serial.EvenParity}) {
		t.Errorf("denon: %+v", have)
	}
	if have := denonMode(RobotConfig{Baud: 9600}, robotHost{}); have.Baud != 9600 {
		t.Errorf("denon at another speed: %+v", have)
	}
	d, err := dialect.Parse("x.toml", []byte("name = 1"))
	if d != nil || err == nil || !strings.Contains(err.Error(), "x.toml:1") {
		t.Errorf("%v", err)
	}
}
