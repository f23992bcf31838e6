package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"

	"go.bug.st/serial"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/changer/denon"
	"github.com/odarchive/odarchive/robot/changer/dialect"
	"github.com/odarchive/odarchive/robot/changer/manual"
	"github.com/odarchive/odarchive/robot/changer/pioneer"
	"github.com/odarchive/odarchive/robot/changer/stack"
	"github.com/odarchive/odarchive/robot/drive/file"
	"github.com/odarchive/odarchive/robot/port"
)

// changers and drives are the kinds of robots and drives that this program knows.
var (
	changers = map[string]func(context.Context, RobotConfig, robotHost) (robot.Changer, error){
		"pioneer": openPioneer,
		"dialect": openDialect,
		"denon":   openDenon,
		"manual":  openManual,
		"scsi":    openSCSI,
	}
	drives = map[string]func(context.Context, DriveConfig) (robot.Drive, error){
		"file":  openFile,
		"linux": openLinux,
	}
)

// maxShelf is more discs than a person carries.
const maxShelf = 1_000_000

// checkRobot refuses a configuration that its kind can't be, before anything is opened, and says how many drives the robot has;
// 0 when only the robot can tell.
func checkRobot(c RobotConfig) (drives int, err error) {
	if !(c.Speed >= 0) || math.IsInf(c.Speed, 1) {
		return 0, fmt.Errorf("robot.speed is %v", c.Speed)
	}
	for _, f := range []struct {
		name   string
		is, to int
	}{{"units", c.Units, 16}, {"first_player", c.FirstPlayer, 99}, {"baud", c.Baud, 4_000_000}, {"unit_id", c.Unit, 15}, {"slots", c.Slots, maxShelf}, {"drives", c.Drives, 1000}} {
		if f.is < 0 || f.is > f.to {
			return 0, fmt.Errorf("robot.%s is %d: want %d at most, and not below 0", f.name, f.is, f.to)
		}
	}
	if c.Port == "" && (c.Kind == "pioneer" || c.Kind == "denon" || c.Kind == "dialect") {
		return 0, errors.New("robot.port is missing: best a name in /dev/serial/by-id")
	}
	switch c.Kind {
	case "pioneer":
		model, err := pioneer.ModelNamed(c.Model)
		return model.Players * max(c.Units, 1), err
	case "denon":
		return denon.Drives, nil
	case "manual":
		if c.Slots < 1 || c.Drives < 1 {
			return 0, fmt.Errorf("robot.slots is %d and robot.drives %d: want one or more of each", c.Slots, c.Drives)
		}
		return c.Drives, nil
	case "dialect":
		m, err := machineOf(c)
		if err != nil {
			return 0, err
		}
		if _, err := stack.NewOrder(m, c.Discs); err != nil {
			return 0, fmt.Errorf("robot.discs: %w", err)
		}
		return m.Drives, nil
	}
	return 0, nil
}

// checkKind refuses a kind that is not among the known ones.
func checkKind[T any](what, kind string, known map[string]T) error {
	if _, ok := known[kind]; ok {
		return nil
	}
	return fmt.Errorf("%s kind %q: known are %s", what, kind, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
}

func openPioneer(ctx context.Context, c RobotConfig, host robotHost) (robot.Changer, error) {
	model, err := pioneer.ModelNamed(c.Model)
	if err != nil {
		return nil, err
	}
	timing := pioneer.DefaultTiming()
	if c.Speed > 0 {
		timing = timing.Faster(c.Speed)
	}
	line, err := port.OpenDurable(c.Port, port.Mode{Baud: cmp.Or(c.Baud, model.Baud), Record: host.record})
	if err != nil {
		return nil, err
	}
	changer, err := pioneer.Open(ctx, line, pioneer.Config{Model: model, Units: c.Units, FirstPlayer: c.FirstPlayer, Timing: timing})
	if err != nil {
		return nil, errors.Join(stranger(err), line.Close())
	}
	return changer, nil
}

// stranger says of a robot that gave no sensible answer to who it is what that usually comes of.
func stranger(err error) error {
	if errors.Is(err, robot.ErrComm) {
		return fmt.Errorf("%w: is it the right kind of robot, port, and speed of the line? Nothing was moved", err)
	}
	return err
}

// robotHost is what a robot's driver gets from its agent besides the configuration.
type robotHost struct {
	// folder is where drivers keep what their robots can't be asked.
	folder *os.Root
	record port.Recorder // of the line; nil for none
	person manual.Person
	names  map[int]string // of the drives, as the computer calls them
}

func openDialect(ctx context.Context, c RobotConfig, host robotHost) (robot.Changer, error) {
	loader, err := openLoader(ctx, c, host)
	if err != nil {
		return nil, err
	}
	changer, err := stack.Open(loader, stack.InFolder(host.folder), c.Discs)
	if err != nil {
		return nil, errors.Join(err, loader.Close())
	}
	return changer, nil
}

func openDenon(ctx context.Context, c RobotConfig, host robotHost) (robot.Changer, error) {
	line, err := port.OpenDurable(c.Port, denonMode(c, host))
	if err != nil {
		return nil, err
	}
	changer, err := denon.Open(ctx, line, denon.Config{Unit: c.Unit, Speed: c.Speed})
	if err != nil {
		return nil, errors.Join(stranger(err), line.Close())
	}
	return changer, nil
}

// denonMode is how the line of a Denon is set up.
func denonMode(c RobotConfig, host robotHost) port.Mode {
	return port.Mode{Baud: cmp.Or(c.Baud, denon.Baud), Parity: serial.EvenParity, Record: host.record}
}

func openManual(_ context.Context, c RobotConfig, host robotHost) (robot.Changer, error) {
	changer, err := manual.Open(host.person, host.folder, manual.Config{Slots: c.Slots, Drives: c.Drives, Label: c.Label, Names: host.names})
	if err != nil {
		return nil, err // not changer, which would be a robot.Changer that is not nil
	}
	return changer, nil
}

// openLoader finds the robot of a dialect.
func openLoader(ctx context.Context, c RobotConfig, host robotHost) (*dialect.Loader, error) {
	d, err := dialect.Load(c.Dialect)
	if err != nil {
		return nil, err
	}
	mode := modeOf(d, c)
	mode.Record = host.record
	line, err := port.OpenDurable(c.Port, mode)
	if err != nil {
		return nil, err
	}
	loader, err := dialect.Open(ctx, line, d, dialect.Config{Capacity: c.Capacity, DriveWires: c.DriveWires, Setup: c.Setup, Speed: c.Speed})
	if err != nil {
		return nil, errors.Join(err, line.Close())
	}
	return loader, nil
}

// modeOf is how the line of a dialect is set up.
func modeOf(d *dialect.Dialect, c RobotConfig) port.Mode {
	mode := port.Mode{Baud: cmp.Or(c.Baud, d.Line.Baud), DataBits: d.Line.DataBits, RTSCTS: d.Line.RTSCTS}
	mode.Parity = map[string]serial.Parity{"none": serial.NoParity, "even": serial.EvenParity, "odd": serial.OddParity}[d.Line.ParityName()]
	if d.Line.StopBits == 2 {
		mode.StopBits = serial.TwoStopBits
	}
	if d.Line.DTR != nil || d.Line.RTS != nil {
		mode.Modem = &port.Modem{DTR: d.Line.DTR == nil || *d.Line.DTR, RTS: d.Line.RTS == nil || *d.Line.RTS}
	}
	return mode
}

func openFile(_ context.Context, c DriveConfig) (robot.Drive, error) {
	d, err := file.Open(c.Path)
	if err != nil {
		return nil, err // not d, which would be a robot.Drive that is not nil
	}
	return d, nil
}
