package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/changer/pioneer"
	"github.com/odarchive/odarchive/robot/drive/file"
	"github.com/odarchive/odarchive/robot/port"
)

// changers and drives are the kinds of robots and drives that this program knows.
var (
	changers = map[string]func(context.Context, RobotConfig) (robot.Changer, error){
		"pioneer": openPioneer,
		"scsi":    openSCSI,
	}
	drives = map[string]func(context.Context, DriveConfig) (robot.Drive, error){
		"file":  openFile,
		"linux": openLinux,
	}
)

// checkKind refuses a kind that is not among the known ones.
func checkKind[T any](what, kind string, known map[string]T) error {
	if _, ok := known[kind]; ok {
		return nil
	}
	return fmt.Errorf("%s kind %q: known are %s", what, kind, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
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
	line, err := port.OpenDurable(c.Port, port.Mode{Baud: cmp.Or(c.Baud, model.Baud)})
	if err != nil {
		return nil, err
	}
	changer, err := pioneer.Open(ctx, line, pioneer.Config{Model: model, Units: c.Units, FirstPlayer: c.FirstPlayer, Timing: timing})
	if err != nil {
		return nil, errors.Join(err, line.Close())
	}
	return changer, nil
}

func openFile(_ context.Context, c DriveConfig) (robot.Drive, error) {
	d, err := file.Open(c.Path)
	if err != nil {
		return nil, err // not d, which would be a robot.Drive that is not nil
	}
	return d, nil
}
