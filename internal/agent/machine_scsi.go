package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/changer/smc"
	"github.com/odarchive/odarchive/robot/drive/libburn"
	"github.com/odarchive/odarchive/robot/drive/mmc"
	"github.com/odarchive/odarchive/robot/scsi"
)

// openSCSI opens a media changer behind a device node.
func openSCSI(ctx context.Context, c RobotConfig, _ robotHost) (robot.Changer, error) {
	if c.Device == "" {
		return nil, errors.New(`robot.device is missing: want the changer's node, as "/dev/sg3"`)
	}
	device, err := scsi.OpenDevice(c.Device)
	if err != nil {
		return nil, err
	}
	changer, err := smc.Open(ctx, device, smc.Config{HostOpensTray: c.HostOpensTray})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", c.Device, err), device.Close())
	}
	return changer, nil
}

// openLinux opens a burner of this computer. Without the program that burns it is refused at once, not with a disc in it.
func openLinux(ctx context.Context, c DriveConfig) (robot.Drive, error) {
	var burner mmc.Burner
	if !c.ReadOnly {
		if _, err := libburn.Probe(ctx, c.Burner); err != nil {
			return nil, fmt.Errorf("%w; read_only = true uses the drive without it", err)
		}
		burner = &libburn.Burner{Program: c.Burner, Device: c.Path, Speed: c.Speed}
	}
	d, err := mmc.New(mmc.Config{
		Name:   filepath.Base(c.Path),
		Burner: burner,
		Open:   nodeOpener(c.Path),
		Scan:   c.Scan,
	})
	if err != nil {
		return nil, err
	}
	id, err := d.Identify()
	if err == nil && id.Type != scsi.TypeMMC {
		err = fmt.Errorf("%v is no disc drive but a device of type %02Xh", id, id.Type)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", c.Path, err), d.Close())
	}
	return d, nil
}

// resolved is the node that a path leads to.
func resolved(path string) string {
	if p, err := filepath.EvalSymlinks(path); err == nil {
		return p
	}
	return filepath.Clean(path)
}

// deviceOf is the device that a path leads to. A drive has two nodes where the kernel has both drivers, and goes by that of sg then. sys is where
// sysfs is.
func deviceOf(sys, path string) string {
	device := resolved(path)
	if name := filepath.Base(device); strings.HasPrefix(name, "sr") {
		if twins, err := os.ReadDir(filepath.Join(sys, "class/block", name, "device/scsi_generic")); err == nil && len(twins) == 1 {
			return filepath.Join(filepath.Dir(device), twins[0].Name())
		}
	}
	return device
}
