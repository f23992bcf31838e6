package agent

import (
	"context"
	"errors"
	"testing"
	"time"

	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot"
)

// fault waits until the last report says that drive 1 has a fault, or has none any more, for at most so long.
func (s *site) fault(want bool, atMost time.Duration) (probed int64) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), atMost)
	defer cancel()
	if !s.until(ctx, func() bool {
		if len(s.reports) == 0 {
			return false
		}
		d := s.reports[len(s.reports)-1].GetDrives()[0]
		probed = d.GetProbed()
		return (d.GetFault() != "") == want
	}) {
		s.Fatalf("in %v nobody was told that a fault is there: %v", atMost, want)
	}
	return probed
}

// broken loads a disc into drive 1 until the drive is left out.
func (s *site) broken() {
	s.Helper()
	s.watched(func() { s.world.loadError = robot.ErrDriveFault })
	for range mostFaults {
		s.failed(s.run(moveTask(slot(1), drive(1))), pb.Failure_FAILURE_DRIVE)
		s.watched(func() { s.world.slots[1], s.world.drives[1] = s.world.drives[1], nil })
	}
	s.fault(true, time.Minute)
}

// TestDriveReturns: a drive that was left out is tried again after a while, and later and later while it stays ill.
func TestDriveReturns(t *testing.T) {
	inBubble(t, 2, 1, func(s *site) {
		s.world.slots[1] = blank(9)
		p := s.start()
		defer p.end()
		s.broken()
		s.failed(s.run(moveTask(slot(1), drive(1))), pb.Failure_FAILURE_DRIVE)
		time.Sleep(3 * firstProbe) // tried at least once in vain
		s.fault(true, time.Second)
		began := time.Now()
		s.watched(func() { s.world.loadError = nil })
		s.fault(false, 4*firstProbe+time.Minute)
		s.ok(s.run(moveTask(slot(1), drive(1))))
		if d := time.Since(began); d < 10*time.Second {
			t.Errorf("it was tried after %v already", d)
		}
	})
}

// TestDriveAtAWord: an operator's word has a drive tried at once, once for each word, and the report says so also when it is still ill.
func TestDriveAtAWord(t *testing.T) {
	inBubble(t, 2, 1, func(s *site) {
		s.world.slots[1] = blank(9)
		p := s.start()
		defer p.end()
		s.broken()
		word := func(n int64) {
			s.seen(func() {
				s.probes = []*pb.DriveProbe{{Drive: 1, Number: n}, {Drive: 7, Number: n}}
				s.news()
			})
			ctx, cancel := context.WithTimeout(s.Context(), 10*time.Second)
			defer cancel()
			if !s.until(ctx, func() bool { return s.reports[len(s.reports)-1].GetDrives()[0].GetProbed() == n }) {
				t.Fatalf("word %d was not obeyed", n)
			}
		}
		word(1)
		if s.fault(true, time.Second) != 1 {
			t.Error("an ill drive came back")
		}
		s.watched(func() { s.world.loadError = nil })
		word(2)
		s.fault(false, time.Second)
		s.ok(s.run(moveTask(slot(1), drive(1))))
	})
}

// TestReopen: a device that can't be opened, or that was replaced, is another one after it was tried; a sick one is closed first.
func TestReopen(t *testing.T) {
	gone := errors.New("no such device")
	var opened int
	var failure error
	old := &closing{}
	b := newBay(1, old, "", nil)
	b.reopen = func(context.Context) (robot.Drive, error) {
		if !old.closed {
			t.Error("it was opened a second time")
		}
		opened++
		return &sick{handDrive: handDrive{hand{newWorld(1, 1), func(string) bool { return true }}, 1}}, failure
	}
	failure = gone
	if err := b.probe(t.Context()); !errors.Is(err, gone) || b.trouble() != gone.Error() || !b.missing() {
		t.Errorf("%v, %q", err, b.trouble())
	}
	if _, err := b.grip(t.Context()); err == nil {
		t.Error("a drive that is not there can be used")
	}
	failure = nil
	if err := b.probe(t.Context()); err != nil || b.trouble() != "" || b.drive.Name() != "mem1" || opened != 2 {
		t.Errorf("%v, %q, %q, opened %d times", err, b.trouble(), b.drive.Name(), opened)
	}
}

type closing struct {
	absent
	closed bool
}

func (*closing) Name() string { return "old" }
func (c *closing) Close() error {
	c.closed = true
	return nil
}

// TestFullTray: where the robot doesn't see what lies in a drive, the agent looks before a disc is laid on top, and leaves a drive out in
// which one is left when its disc was taken.
func TestFullTray(t *testing.T) {
	inBubble(t, 3, 1, func(s *site) {
		s.world.props.HostOpensTray = true
		s.world.slots[1], s.world.slots[2] = blank(9), blank(9)
		s.world.drives[1], s.world.home[1] = blank(9), 3 // and nobody knows
		p := s.start()
		defer p.end()
		r := s.run(moveTask(slot(1), drive(1)))
		s.failed(r, pb.Failure_FAILURE_ROBOT)
		if r.GetMove() != pb.MoveOutcome_MOVE_OUTCOME_DESTINATION_FULL {
			t.Errorf("%v", r.GetMove())
		}
		s.watched(func() {
			if len(s.world.moves) != 0 {
				t.Errorf("moves %v", s.world.moves)
			}
			s.world.drives[1] = nil
		})
		s.ok(s.run(moveTask(slot(1), drive(1))))
		s.watched(func() { s.world.under = blank(9) })
		s.ok(s.run(moveTask(drive(1), slot(1))))
		s.fault(true, time.Minute)
		s.failed(s.run(moveTask(slot(2), drive(1))), pb.Failure_FAILURE_DRIVE)
	})
}
