package robottest

import (
	"errors"

	"github.com/odarchive/odarchive/robot"
)

// checkSlowly: a drive that can read slowly reads the same then, as often as that is said, and the next disc is none the worse.
func checkSlowly(y *tray) {
	s, ok := y.Drive.(robot.Slower)
	if !ok {
		y.Skipf("the drive has one speed")
	}
	y.put(None)
	y.load(robot.NoDisc)
	wantKind(y, "read slowly without a disc", s.ReadSlowly(y.Context(), true), robot.ErrNoDisc)
	y.put(Recorded)
	y.load(robot.Complete)
	if err := s.ReadSlowly(y.Context(), false); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		y.Errorf("read fast, as it does: %v", err)
	}
	for range 2 {
		for _, slow := range []bool{true, true, false} {
			if err := s.ReadSlowly(y.Context(), slow); errors.Is(err, errors.ErrUnsupported) {
				y.compare(y.rig.Content, y.rig.Size)
				y.Skipf("%v", err)
			} else if err != nil {
				y.Errorf("read slowly: %v, said again or anew: %v", slow, err)
			}
			y.compare(y.rig.Content, y.rig.Size)
		}
	}
	if err := s.ReadSlowly(y.Context(), true); err != nil {
		y.Errorf("read slowly: %v", err)
	}
	m := y.reload()
	if m.State != robot.Complete {
		y.Fatalf("loaded again, a disc that was read slowly is %v", m.State)
	}
	y.compare(y.rig.Content, y.rig.Size)
	if err := s.ReadSlowly(y.Context(), true); err != nil {
		y.Errorf("read slowly after another load: %v", err)
	}
}
