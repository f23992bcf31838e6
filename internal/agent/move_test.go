package agent

import (
	"testing"
	"time"

	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot"
)

// TestMoveOutcome: what the machine's errors mean, and what the robot is asked when they don't tell where the disc is.
func TestMoveOutcome(t *testing.T) {
	const (
		moved    = pb.MoveOutcome_MOVE_OUTCOME_MOVED
		notMoved = pb.MoveOutcome_MOVE_OUTCOME_NOT_MOVED
		unknown  = pb.MoveOutcome_MOVE_OUTCOME_UNKNOWN
	)
	full := func(w *world) { w.drives[1], w.home[1] = blank(9), 2 }
	refuses := func(errs ...error) func(*world) { return func(w *world) { w.moveError = errs } }
	for _, c := range []struct {
		name    string
		world   func(*world)
		senses  bool
		outcome pb.MoveOutcome
		failure pb.Failure
	}{
		{"moved", func(*world) {}, false, moved, pb.Failure_FAILURE_NONE},
		{"nothing there", func(w *world) { w.slots[1] = nil }, false, pb.MoveOutcome_MOVE_OUTCOME_SOURCE_EMPTY, pb.Failure_FAILURE_DISC},
		{"drive full", full, false, pb.MoveOutcome_MOVE_OUTCOME_DESTINATION_FULL, pb.Failure_FAILURE_ROBOT},
		{"unreachable", refuses(robot.ErrUnreachable), false, notMoved, pb.Failure_FAILURE_INTERNAL},
		{"busy", refuses(robot.ErrBusy), false, notMoved, pb.Failure_FAILURE_RETRY},
		{"door", refuses(robot.ErrDoor), false, notMoved, pb.Failure_FAILURE_ROBOT},
		{"door, and no answer", func(w *world) { w.moveError, w.deaf = []error{robot.ErrDoor}, robot.ErrDoor }, false, notMoved, pb.Failure_FAILURE_ROBOT},
		{"drive fault", refuses(robot.ErrDriveFault), false, notMoved, pb.Failure_FAILURE_DRIVE},
		{"no answer, not moved", refuses(robot.ErrComm), false, notMoved, pb.Failure_FAILURE_ROBOT},
		{"no answer, moved", func(w *world) { w.lateError = robot.ErrComm }, false, moved, pb.Failure_FAILURE_NONE},
		{"no answer, still moving", func(w *world) { w.lateError, w.restTime = robot.ErrComm, 100*time.Second }, false, moved, pb.Failure_FAILURE_NONE},
		{"no answer, moving for ever", func(w *world) { w.lateError, w.restTime = robot.ErrComm, time.Hour }, false, unknown, pb.Failure_FAILURE_ROBOT},
		{"no answer at all", func(w *world) { w.moveError, w.deaf = []error{robot.ErrComm}, robot.ErrComm }, false, unknown, pb.Failure_FAILURE_ROBOT},
		{"jam in between", refuses(robot.ErrJam), false, unknown, pb.Failure_FAILURE_ROBOT},
		{"jam, and it is still there", refuses(robot.ErrJam), true, notMoved, pb.Failure_FAILURE_ROBOT},
		{"jam, and it has arrived", func(w *world) { w.lateError = robot.ErrJam }, false, moved, pb.Failure_FAILURE_NONE},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, 2, 1, func(s *site) {
				s.world.slots[1] = blank(9)
				s.world.props.SensesSlots = c.senses
				c.world(s.world)
				p := s.start()
				defer p.end()
				r := s.run(moveTask(slot(1), drive(1)))
				if r.GetMove() != c.outcome || r.GetFailure() != c.failure || (r.GetError() == "") != (c.failure == pb.Failure_FAILURE_NONE) {
					t.Errorf("%v, %v, %q; want %v, %v", r.GetMove(), r.GetFailure(), r.GetError(), c.outcome, c.failure)
				}
				if told := s.told(); len(told) > 1 {
					t.Errorf("the robot was told %q", told)
				}
			})
		})
	}
}

// TestIdentity: what a loaded disc is said to be.
func TestIdentity(t *testing.T) {
	foreign := recorded(make([]byte, 4*2048))
	unreadable := recorded(inSectors(imageA, 4))
	unreadable.bad = map[int64]bool{0: true}
	for _, c := range []struct {
		name  string
		disc  *disc
		state pb.Identity_State
	}{
		{"blank", blank(77), pb.Identity_STATE_BLANK},
		{"ours", recorded(inSectors(imageA, 4)), pb.Identity_STATE_OURS},
		{"foreign", foreign, pb.Identity_STATE_FOREIGN},
		{"spent", &disc{state: robot.Open}, pb.Identity_STATE_SPENT},
		{"not recognised", &disc{state: robot.NotReady}, pb.Identity_STATE_UNREADABLE},
		{"unreadable", unreadable, pb.Identity_STATE_UNREADABLE},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, 2, 1, func(s *site) {
				s.world.slots[1] = c.disc
				p := s.start()
				defer p.end()
				r := s.run(moveTask(slot(1), drive(1)))
				s.ok(r)
				id := r.GetIdentity()
				if id.GetState() != c.state || (id.GetImageId() == imageA) != (c.state == pb.Identity_STATE_OURS) {
					t.Errorf("identity %v, want %v", id, c.state)
				}
				if c.name == "blank" && (id.GetCapacity() != 77 || id.GetMedium() != "BD-R") {
					t.Errorf("a blank of 77 sectors: %v", id)
				}
			})
		})
	}
	t.Run("drive fault", func(t *testing.T) {
		inBubble(t, 2, 1, func(s *site) {
			s.world.slots[1], s.world.loadError = blank(9), robot.ErrDriveFault
			p := s.start()
			defer p.end()
			r := s.run(moveTask(slot(1), drive(1)))
			s.failed(r, pb.Failure_FAILURE_DRIVE)
			if r.GetMove() != pb.MoveOutcome_MOVE_OUTCOME_MOVED || r.GetIdentity().GetState() != pb.Identity_STATE_UNREADABLE {
				t.Errorf("%v, %v: the disc is in the drive all the same", r.GetMove(), r.GetIdentity())
			}
		})
	})
}

// TestMoveIsNotInterrupted: a move under way ends by itself, and its result is told.
func TestMoveIsNotInterrupted(t *testing.T) {
	inBubble(t, 2, 1, func(s *site) {
		s.world.slots[1], s.world.moveTime = blank(9), 90*time.Second
		p := s.start()
		id := s.lease(moveTask(slot(1), drive(1)))
		s.started(id)
		time.Sleep(time.Second)
		p.stop()
		time.Sleep(time.Second)
		p.abort()
		p.end()
		if told := s.told(); s.world.drives[1] == nil || len(told) != 1 {
			t.Fatalf("the robot was told %q", told)
		}
		p = s.start()
		defer p.end()
		if r := s.result(id); r.GetMove() != pb.MoveOutcome_MOVE_OUTCOME_MOVED || r.GetIdentity().GetState() != pb.Identity_STATE_BLANK {
			t.Errorf("%v: %v, %v", r.GetError(), r.GetMove(), r.GetIdentity())
		}
	})
}

func TestDerive(t *testing.T) {
	const (
		moved    = pb.MoveOutcome_MOVE_OUTCOME_MOVED
		notMoved = pb.MoveOutcome_MOVE_OUTCOME_NOT_MOVED
		unknown  = pb.MoveOutcome_MOVE_OUTCOME_UNKNOWN
	)
	none := robot.Address{}
	in, out := [2]robot.Address{slot(1), drive(1)}, [2]robot.Address{drive(1), slot(1)}
	for _, c := range []struct {
		name      string
		move      [2]robot.Address
		drive     robot.Fill
		home      robot.Address
		slot      robot.Fill
		homeOnly  bool
		jam       bool
		want      pb.MoveOutcome
		pickerToo bool
	}{
		{"in: from there", in, robot.Full, slot(1), robot.Unknown, true, false, moved, false},
		{"in: from elsewhere", in, robot.Full, slot(2), robot.Unknown, true, false, unknown, false},
		{"in: nobody knows from where", in, robot.Full, none, robot.Unknown, true, false, unknown, false},
		{"in: nobody knows from where, the slot is empty", in, robot.Full, none, robot.Empty, false, false, moved, false},
		{"in: empty", in, robot.Empty, none, robot.Unknown, true, false, notMoved, false},
		{"in: empty after a jam", in, robot.Empty, none, robot.Unknown, true, true, unknown, false},
		{"in: empty after a jam, the slot is full", in, robot.Empty, none, robot.Full, true, true, notMoved, false},
		{"in: empty, a robot that could have put it anywhere", in, robot.Empty, none, robot.Unknown, false, false, unknown, false},
		{"in: both empty", in, robot.Empty, none, robot.Empty, true, false, unknown, false},
		{"in: the picker has one", in, robot.Empty, none, robot.Unknown, true, false, unknown, true},
		{"out: still there", out, robot.Full, slot(1), robot.Unknown, true, true, notMoved, false},
		{"out: gone", out, robot.Empty, none, robot.Unknown, true, false, moved, false},
		{"out: gone after a jam", out, robot.Empty, none, robot.Unknown, true, true, unknown, false},
		{"out: gone, and the slot is full", out, robot.Empty, none, robot.Full, false, true, moved, false},
		{"out: gone, a robot that could have put it anywhere", out, robot.Empty, none, robot.Unknown, false, false, unknown, false},
		{"out: gone, and the slot is empty", out, robot.Empty, none, robot.Empty, true, false, unknown, false},
	} {
		elements := []robot.Element{{Address: drive(1), Fill: c.drive, Home: c.home}, {Address: slot(1), Fill: c.slot}}
		if c.pickerToo {
			elements = append(elements, robot.Element{Address: robot.Address{Kind: robot.Picker, Number: 1}, Fill: robot.Full})
		}
		if got := derive(elements, c.move[0], c.move[1], robot.Properties{HomeOnly: c.homeOnly}, c.jam); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
