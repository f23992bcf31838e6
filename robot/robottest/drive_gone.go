package robottest

import (
	"errors"
	"io"
	"math/rand/v2"

	"github.com/odarchive/odarchive/robot"
)

// checkGone: a device that disappears in mid-burn is to blame itself, and not the disc or the image. Until it is back nothing is said of
// discs, least of all that there is none; then the disc is spent.
func checkGone(y *tray) {
	if y.rig.Vanish == nil {
		y.Skipf("the rig can't make its device disappear")
	}
	y.put(Fresh)
	y.load(robot.Blank)
	size := y.rig.BurnSize
	var back func() error
	input := &counted{Reader: io.NewSectionReader(image{rand.Uint64()}, 0, size), half: size / 2, then: func() {
		var err error
		if back, err = y.rig.Vanish(); err != nil {
			y.Errorf("make the device disappear: %v", err)
		}
	}}
	err := y.Burn(y.Context(), input, size, nil)
	y.blamesDevice("burn while the device disappears", err)
	if back == nil {
		y.Fatalf("the burn took less than half of its image: %v", err)
	}
	m, err := y.Load(y.Context())
	y.blamesDevice("load while the device is gone", err)
	if err != nil && m.State == robot.Blank {
		y.Errorf("a disc in a device that is gone is %v", m.State)
	}
	if _, err := y.ReadAt(make([]byte, sector), 0); err == nil {
		y.Errorf("a sector was read while the device is gone")
	}
	if err := back(); err != nil {
		y.Fatalf("bring the device back: %v", err)
	}
	if m := y.reload(); m.State == robot.Blank || m.State == robot.NoDisc {
		y.Errorf("the disc that the device was burning when it disappeared is %v", m.State)
	}
	wantKind(y, "burn the disc that was spent", y.burn(16*sector), robot.ErrNotBlank)
}

// blamesDevice checks that an error is of a kind that blames the device or the way to it.
func (y *tray) blamesDevice(doing string, err error) {
	y.Helper()
	kind := robot.ErrDriveFault
	if errors.Is(err, robot.ErrComm) {
		kind = robot.ErrComm
	}
	wantKind(y, doing, err, kind)
}
