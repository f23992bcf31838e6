package agent

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/pelletier/go-toml/v2"

	"github.com/odarchive/odarchive/robot/drive/mmc"
)

// Config is an agent's configuration file.
type Config struct {
	// Name of the agent, and of the library whose robot it drives. Both stay the same for ever.
	Name    string `toml:"name"`
	Library string `toml:"library"`
	// Controller is where the controller listens: "unix:///run/odarchive/agent.sock" or "host:port".
	Controller string `toml:"controller"`
	TLS        TLS    `toml:"tls"`
	// Data is a folder of the agent's own: it holds the journal.
	Data    string        `toml:"data"`
	Scratch ScratchConfig `toml:"scratch"`
	Robot   RobotConfig   `toml:"robot"`
	Drives  []DriveConfig `toml:"drive"`
}

// ScratchConfig is where images are built.
type ScratchConfig struct {
	// Dir is a folder with room for some images; empty means "scratch" in Data.
	Dir string `toml:"dir"`
	// Limit is how many bytes all images may take together; 0 means what the disk has.
	Limit int64 `toml:"limit"`
}

// RobotConfig is a robot. Which fields a kind has is told in docs/adding-a-robot.md.
type RobotConfig struct {
	Kind string `toml:"kind"`
	// Device is the node of a changer of the kind "scsi": "/dev/sg3".
	Device string `toml:"device"`
	// HostOpensTray says of a "scsi" changer that it brings discs into open trays only.
	HostOpensTray bool `toml:"host_opens_tray"`
	// Port is a serial device, best one of /dev/serial/by-id.
	Port string `toml:"port"`
	// Model is as on the front: "CAC-V3000".
	Model string `toml:"model"`
	// Units is how many are chained; 0 means 1.
	Units int `toml:"units"`
	// FirstPlayer is the address of the first player; 0 means 1.
	FirstPlayer int `toml:"first_player"`
	// Baud is in bits per second; 0 means as delivered.
	Baud int `toml:"baud"`
	// Speed is how many times as fast as the real machine it moves, as simulated ones do; 0 means 1.
	Speed float64 `toml:"speed"`

	// Dialect is the name of one that is built in, or a file ending in ".toml".
	Dialect string `toml:"dialect"`
	// Capacity is how many discs each bin holds, and Discs how many lie in each when the robot is used for the first time.
	Capacity []int `toml:"capacity"`
	Discs    []int `toml:"discs"`
	// DriveWires are how commands name the drives, from drive 1.
	DriveWires []string `toml:"drive_wires"`
	// Setup are lines that the robot forgets when it loses power.
	Setup []string `toml:"setup"`

	// Slots and Drives are those of a person's shelf and desk, and Label is what is written on the disc of a slot: "QK-%04d".
	Slots  int    `toml:"slots"`
	Drives int    `toml:"drives"`
	Label  string `toml:"label"`
	// Unit is a Denon's number on its line, 0 to 15.
	Unit int `toml:"unit_id"`
}

// DriveConfig is a drive of the robot.
type DriveConfig struct {
	// Number is the drive's in the robot, from 1.
	Number int    `toml:"number"`
	Kind   string `toml:"kind"`
	// Path is a folder for the kind "file", and for "linux" a device node, best one of /dev/disk/by-path.
	Path string `toml:"path"`
	// The rest is for the kind "linux". Burner is the program cdrskin; empty means the one in PATH.
	Burner string `toml:"burner"`
	// ReadOnly does without a burner.
	ReadOnly bool `toml:"read_only"`
	// Speed is how fast to burn, in multiples of the medium's single speed; 0 leaves it to the drive.
	Speed float64 `toml:"speed"`
	// Scan is "mediatek" for a drive on a MediaTek chip (LITE-ON's, PLDS's and some that are sold under other names), whose own commands count errors.
	Scan string `toml:"scan"`
}

// TLS is how the agent and the controller know each other. Without a CA the connection is in plain text, which is
// allowed to this host only unless Plain says otherwise.
type TLS struct {
	// CA is a file with the certificates that may vouch for the controller; Cert and Key are the agent's own.
	CA   string `toml:"ca"`
	Cert string `toml:"cert"`
	Key  string `toml:"key"`
	// ServerName is what the controller's certificate must say; empty means the host in Controller.
	ServerName string `toml:"server_name"`
	// Plain allows plain text to other hosts.
	Plain bool `toml:"plain"`
}

// ReadConfig reads a configuration file. The error shows the line that is wrong.
func ReadConfig(path string) (Config, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	var c Config
	d := toml.NewDecoder(bytes.NewReader(content))
	d.DisallowUnknownFields()
	err = d.Decode(&c)
	if strict, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		return Config{}, fmt.Errorf("read configuration %s: unknown field\n%s", path, strict.String())
	}
	if wrong, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, column := wrong.Position()
		return Config{}, fmt.Errorf("read configuration %s: line %d, column %d: %w\n%s", path, line, column, err, wrong.String())
	}
	if err == nil {
		err = c.check()
	}
	if bad, ok := errors.AsType[*badTable](err); ok {
		return Config{}, fmt.Errorf("read configuration %s: line %d: %w", path, bad.line(string(content)), err)
	}
	if err != nil {
		return Config{}, fmt.Errorf("read configuration %s: %w", path, err)
	}
	return c, nil
}

// check says what is missing or can't be.
func (c *Config) check() error {
	for _, f := range []struct{ name, value string }{
		{"name", c.Name}, {"library", c.Library}, {"controller", c.Controller}, {"data", c.Data},
	} {
		if f.value == "" {
			return fmt.Errorf("%s is missing", f.name)
		}
	}
	if c.Scratch.Limit < 0 {
		return fmt.Errorf("scratch.limit is %d", c.Scratch.Limit)
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		return errors.New("tls.cert and tls.key go together")
	}
	if c.TLS.Cert != "" && c.TLS.CA == "" {
		return errors.New("tls.cert without tls.ca")
	}
	if err := checkKind("robot", c.Robot.Kind, changers); err != nil {
		return err
	}
	if err := checkKeys(c.Robot, c.Robot.Kind, robotKeys); err != nil {
		return err.in("[robot]", 0)
	}
	most, err := checkRobot(c.Robot)
	if err != nil {
		return err
	}
	seen, devices := map[int]bool{}, map[string]int{}
	for i, d := range c.Drives {
		if !(d.Speed >= 0) || math.IsInf(d.Speed, 1) {
			return badDrive(i, fmt.Errorf("drive %d: speed is %v", d.Number, d.Speed))
		}
		if d.Number < 1 || seen[d.Number] {
			return badDrive(i, fmt.Errorf("drive %d: numbers are 1 and up, each once", d.Number))
		}
		seen[d.Number] = true
		if most > 0 && d.Number > most {
			return badDrive(i, fmt.Errorf("drive %d: the robot has drives 1 to %d", d.Number, most))
		}
		if err := checkKind(fmt.Sprintf("drive %d:", d.Number), d.Kind, drives); err != nil {
			return badDrive(i, err)
		}
		if err := checkKeys(d, d.Kind, driveKeys); err != nil {
			err.err = fmt.Errorf("drive %d: %w", d.Number, err.err)
			return err.in("[[drive]]", i)
		}
		if d.Scan != "" && d.Scan != mmc.MediaTek {
			return badDrive(i, fmt.Errorf("drive %d: scan %q: there is only %q, for drives that are known to have its commands", d.Number, d.Scan, mmc.MediaTek))
		}
		device := deviceOf("/sys", d.Path)
		if other := devices[device]; other != 0 {
			return badDrive(i, fmt.Errorf("drive %d: %s is drive %d already", d.Number, d.Path, other))
		}
		devices[device] = d.Number
	}
	return nil
}

// scratchDir is where images are built.
func (c *Config) scratchDir() string {
	if c.Scratch.Dir != "" {
		return c.Scratch.Dir
	}
	return filepath.Join(c.Data, "scratch")
}
