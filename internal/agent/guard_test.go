package agent

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot"
)

// sick fails to read as it is told.
type sick struct {
	handDrive
	err error
}

func (s *sick) ReadAt([]byte, int64) (int, error) { return 0, s.err }

func TestDriveGoesDown(t *testing.T) {
	hardware := &robot.Error{Op: "read", Kind: robot.ErrDriveFault, Detail: "4/09/02"}
	s := &sick{}
	b := newBay(1, s, "", nil)
	read := func(err error, times int) {
		s.err = err
		for range times {
			b.identity.Store(&pb.Identity{})
			b.drive.ReadAt(nil, 0)
		}
	}
	read(hardware, mostFaults-1)
	read(io.EOF, 1)
	read(hardware, mostFaults-1)
	read(&robot.Error{Op: "read", Kind: robot.ErrMedium}, 100)
	if b.identity.Load() == nil {
		t.Error("a bad disc was forgotten")
	}
	if release, err := b.hold(t.Context()); err != nil {
		t.Errorf("left out after fewer faults than it takes: %v", err)
	} else {
		release()
	}
	read(hardware, 1)
	_, err := b.hold(t.Context())
	if err == nil || failureOf(err) != pb.Failure_FAILURE_DRIVE || !strings.Contains(err.Error(), "4/09/02") {
		t.Errorf("a drive that failed %d times: %v", mostFaults, err)
	}
	if b.trouble() == "" {
		t.Error("nobody is told")
	}
	for _, kind := range []error{robot.ErrComm, robot.ErrNoDisc} {
		b.identity.Store(&pb.Identity{})
		s.err = &robot.Error{Op: "read", Kind: kind}
		b.drive.ReadAt(nil, 0)
		if b.identity.Load() != nil {
			t.Errorf("after %v the disc is still believed to be the same", kind)
		}
	}
}

func TestUnlock(t *testing.T) {
	if err := newBay(1, &sick{}, "", nil).unlock(t.Context()); err != nil {
		t.Error(err)
	}
	if err := newBay(1, locked{}, "", nil).unlock(t.Context()); !errors.Is(err, robot.ErrBusy) {
		t.Error(err)
	}
}

type locked struct{ handDrive }

func (locked) Unlock(context.Context) error { return robot.ErrBusy }
