package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/changer/pioneer"
	"github.com/odarchive/odarchive/robot/port"
)

// openChanger opens a robot of any kind that this program knows.
func openChanger(ctx context.Context, c RobotConfig) (robot.Changer, error) {
	switch c.Kind {
	case "pioneer":
		return openPioneer(ctx, c)
	case "":
		return nil, errors.New("robot.kind is missing: known is pioneer")
	default:
		return nil, fmt.Errorf("robot.kind %q: known is pioneer", c.Kind)
	}
}

func openPioneer(ctx context.Context, c RobotConfig) (robot.Changer, error) {
	model, err := pioneer.ModelNamed(c.Model)
	if err != nil {
		return nil, err
	}
	timing := pioneer.DefaultTiming()
	if c.Speed < 0 {
		return nil, fmt.Errorf("robot.speed is %v", c.Speed)
	} else if c.Speed > 0 {
		timing = timing.Faster(c.Speed)
	}
	line, err := port.Open(c.Port, port.Mode{Baud: cmp.Or(c.Baud, model.Baud)})
	if err != nil {
		return nil, err
	}
	changer, err := pioneer.Open(ctx, line, pioneer.Config{Model: model, Units: c.Units, FirstPlayer: c.FirstPlayer, Timing: timing})
	if err != nil {
		return nil, errors.Join(err, line.Close())
	}
	return changer, nil
}

// openDrive opens a drive of any kind that this program knows.
func openDrive(_ context.Context, c DriveConfig) (robot.Drive, error) {
	return nil, fmt.Errorf("drive.kind %q: none is known", c.Kind)
}
