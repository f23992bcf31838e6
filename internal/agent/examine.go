package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/odarchive/odarchive/internal/agent/doctor"
	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/drive/mmc"
	"github.com/odarchive/odarchive/robot/scsi"
)

// Host is the host of a configuration as the doctor looks at it.
func (c *Config) Host() doctor.Host {
	h := doctor.Host{Root: "/", Port: c.Robot.Port}
	if c.Robot.Kind == "scsi" {
		h.Changer = c.Robot.Device
	}
	for _, d := range c.Drives {
		if d.Kind == "linux" {
			h.Drives = append(h.Drives, doctor.Drive{Number: d.Number, Path: d.Path, Burner: d.Burner, Burns: !d.ReadOnly})
		}
	}
	return h
}

// MapDrives finds out which of the devices is which drive of the robot. With a slot from 1 up it has the robot carry that slot's
// disc around; with 0 it opens one tray after the other and asks. No agent may be running. No devices means all that the
// kernel has.
func MapDrives(ctx context.Context, c Config, devices []string, slot int, ask func(path string) (int, error)) (m doctor.Mapping, err error) {
	if len(devices) == 0 {
		h := c.Host()
		if devices = h.Attached(); len(devices) == 0 {
			return nil, errors.New("map drives: the kernel has no disc drives")
		}
	}
	var candidates []doctor.Candidate
	for _, path := range devices {
		d, err := mmc.New(mmc.Config{Name: filepath.Base(path), Open: nodeOpener(path)})
		if err != nil {
			return nil, err
		}
		defer d.Close()
		if _, err := d.Identify(); err != nil {
			return nil, fmt.Errorf("map drives: %w", err)
		}
		candidates = append(candidates, doctor.Candidate{Path: path, Drive: d})
	}
	if slot == 0 {
		return doctor.MapByTray(ctx, candidates, ask)
	}
	if err := checkKind("robot", c.Robot.Kind, changers); err != nil {
		return nil, err
	}
	r := &resources{}
	defer func() { err = errors.Join(err, r.close()) }()
	main, a := Main{Config: c}, &agent{log: slog.Default()}
	if err := main.openData(a, r); err != nil {
		return nil, err
	}
	if err := main.openRobot(ctx, a, r); err != nil {
		return nil, fmt.Errorf("open robot: %w", err)
	}
	return doctor.MapByDisc(ctx, a.changer, candidates, robot.Address{Kind: robot.Slot, Number: slot})
}

func nodeOpener(path string) func() (scsi.Transport, error) {
	return func() (scsi.Transport, error) {
		device, err := scsi.OpenDevice(path)
		if err != nil {
			return nil, err // not device, which would be a Transport that is not nil
		}
		return device, nil
	}
}
