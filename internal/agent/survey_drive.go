package agent

import (
	"context"
	"errors"
	"time"

	"github.com/odarchive/odarchive/internal/found"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot"
)

// examination is what is done with the disc of a slot that is in a drive, and what comes of it. An error is about the drive, or the end
// of ctx: nothing is known of the disc then.
type examination func(ctx context.Context, b *bay, slot int, id *pb.Identity) (SurveyedSlot, error)

// drive works with one drive until there is nothing more to do for it.
func (s *surveying) drive(b *bay, q *queue, do examination) {
	if !s.clear(b, q, do) {
		return
	}
	for failed := 0; failed < 2 && s.stop.Err() == nil; {
		slot, second, ok := q.next(b.number)
		if !ok {
			return
		}
		switch well, goOn := s.one(b, q, slot, second, do); {
		case !goOn:
			return
		case well:
			failed = 0
		default:
			failed++
		}
	}
	if s.stop.Err() == nil {
		s.trouble("drive %d is left out: it could not deal with two discs in a row", b.number)
	}
}

// one brings the disc of a slot to the drive and back. Well says that the drive has worked; goOn that it may go on.
func (s *surveying) one(b *bay, q *queue, slot int, second bool, do examination) (well, goOn bool) {
	from, to := robot.Address{Kind: robot.Slot, Number: slot}, robot.Address{Kind: robot.DriveBay, Number: int(b.number)}
	r, err := s.carry(s.stop, from, to)
	if r.GetMove() != pb.MoveOutcome_MOVE_OUTCOME_MOVED {
		return true, s.notLoaded(b, q, slot, second, r, err)
	}
	var x SurveyedSlot
	if err == nil {
		x, err = s.examined(b, slot, r.GetIdentity(), do)
	}
	if err == nil {
		err = s.note(&x, second)
	}
	if err != nil && s.stop.Err() == nil {
		s.trouble("slot %d, drive %d: %v", slot, b.number, err)
	}
	home := s.home(b, q, slot, r.GetIdentity().GetState() == pb.Identity_STATE_NO_DISC)
	s.pass(b, q, slot, home, &x, err)
	return err == nil, home && b.trouble() == ""
}

// pass passes a slot on, after its disc was looked at: another drive may try what this one could not.
func (s *surveying) pass(b *bay, q *queue, slot int, home bool, x *SurveyedSlot, err error) {
	switch {
	case err == nil && (!home || x.State != found.Unreadable && len(x.Doubts) == 0):
		q.done(slot)
	case !home:
		q.stick(slot)
	default:
		q.retry(slot, b.number, err == nil)
	}
}

// notLoaded deals with a disc that did not arrive, and says whether the drive may go on.
func (s *surveying) notLoaded(b *bay, q *queue, slot int, second bool, r *pb.TaskResult, err error) bool {
	switch outcome := r.GetMove(); {
	case outcome == pb.MoveOutcome_MOVE_OUTCOME_SOURCE_EMPTY:
		x := SurveyedSlot{Slot: s.empty(slot)}
		if err := s.note(&x, second); err != nil {
			s.trouble("%v", err)
			q.back(slot)
			return false
		}
		q.done(slot)
		return true
	case s.stop.Err() != nil:
		q.back(slot)
		return false
	case outcome == pb.MoveOutcome_MOVE_OUTCOME_NOT_MOVED && r.GetFailure() != pb.Failure_FAILURE_ROBOT, outcome == pb.MoveOutcome_MOVE_OUTCOME_DESTINATION_FULL:
		s.trouble("drive %d is left out: %v", b.number, err)
		q.back(slot)
		return false
	default:
		s.trouble("unit %d stands still: %v: look, put the disc back where it belongs, and start the survey again", s.slots[slot].Unit, err)
		q.back(slot)
		q.halt()
		return false
	}
}

func (s *surveying) empty(slot int) found.Slot {
	return found.Slot{Slot: slot, Unit: s.slots[slot].Unit, State: found.Empty, At: time.Now().UTC()}
}

// home puts the disc of a slot back. Gone says that the drive found none, whatever the robot had said.
func (s *surveying) home(b *bay, q *queue, slot int, gone bool) (home bool) {
	from, to := robot.Address{Kind: robot.DriveBay, Number: int(b.number)}, robot.Address{Kind: robot.Slot, Number: slot}
	r, err := s.carry(s.hard, from, to)
	switch {
	case err == nil, gone && r.GetMove() == pb.MoveOutcome_MOVE_OUTCOME_SOURCE_EMPTY:
		return true
	case s.hard.Err() != nil:
		return false
	case r.GetMove() == pb.MoveOutcome_MOVE_OUTCOME_NOT_MOVED:
		s.trouble("drive %d is left out: the disc of slot %d is still in it: %v", b.number, slot, err)
		return false
	}
	s.trouble("unit %d stands still: %v: look, put the disc back where it belongs, and start the survey again", s.slots[slot].Unit, err)
	q.halt()
	return false
}

// examined does with a disc what is to be done, while nobody else uses the drive.
func (s *surveying) examined(b *bay, slot int, id *pb.Identity, do examination) (SurveyedSlot, error) {
	release, err := b.hold(s.stop)
	if err != nil {
		return SurveyedSlot{}, err
	}
	defer release()
	return do(s.stop, b, slot, id)
}

// clear empties a drive that may hold a disc: what an agent had loaded when it was stopped, or an earlier survey. False means that the drive
// can't be used.
func (s *surveying) clear(b *bay, q *queue, do examination) bool {
	e := s.bays[int(b.number)]
	if e.Fill == robot.Empty && !s.changer().HostOpensTray {
		return true
	}
	release, err := b.hold(s.stop)
	var id *pb.Identity
	if err == nil {
		id, err = b.load(s.stop)
		release()
	}
	switch {
	case s.stop.Err() != nil:
		return false
	case err != nil:
		s.trouble("drive %d is left out: %v", b.number, err)
		return false
	case id.GetState() == pb.Identity_STATE_NO_DISC && e.Fill == robot.Full:
		s.trouble("drive %d is left out: the robot has a disc in it, and the drive finds none: look", b.number)
		return false
	case id.GetState() == pb.Identity_STATE_NO_DISC:
		return true
	}
	slot, known := s.homes[int(b.number)]
	if !known {
		if slot, known = s.freeSlot(e.Unit); known {
			q.stick(slot) // what lies there from now on is to be known
		}
	}
	if !known {
		s.trouble("drive %d is left out: it holds %s, and nobody knows to which slot that belongs: have it put into an empty one", b.number, describe(id))
		return false
	}
	wanted := q.take(slot)
	var x SurveyedSlot
	if wanted {
		x, err = s.examined(b, slot, id, do)
		if err == nil {
			err = s.note(&x, false)
		}
		if err != nil && s.stop.Err() == nil {
			s.trouble("slot %d, drive %d: %v", slot, b.number, err)
		}
	}
	home := s.home(b, q, slot, false)
	if wanted {
		s.pass(b, q, slot, home, &x, err)
	}
	return home
}

// freeSlot returns a slot of a unit of which the robot sees that it is empty.
func (s *surveying) freeSlot(unit int) (slot int, ok bool) {
	s.guard.Lock()
	defer s.guard.Unlock()
	for n, e := range s.slots {
		if e.Unit == unit && e.Fill == robot.Empty && (!ok || n < slot) {
			slot, ok = n, true
		}
	}
	if ok {
		e := s.slots[slot]
		e.Fill = robot.Full
		s.slots[slot] = e
	}
	return slot, ok
}

func (s *surveying) changer() robot.Properties { return s.agent.changer.Properties() }

// mostCarries is how often a move is begun that did not take place, when nothing says that it can't.
const mostCarries = 3

// carry moves a disc, journaled as an agent's moves are. It waits for a door that is open and a robot that is busy. A move that certainly did not
// take place is begun again, because a person is far, and any other is not.
func (s *surveying) carry(ctx context.Context, from, to robot.Address) (*pb.TaskResult, error) {
	for tries := 0; ; {
		w := s.task(from, to)
		r := &pb.TaskResult{Ref: w.ref()}
		err := s.move(ctx, w, w.task.GetMove(), r)
		if !w.firm.Load() {
			err = cause(ctx, err)
		}
		s.hands.settled(from, to, r.GetMove() == pb.MoveOutcome_MOVE_OUTCOME_UNKNOWN)
		s.finish(w, r, err)
		s.settled(r, from, to)
		if err == nil || r.GetMove() != pb.MoveOutcome_MOVE_OUTCOME_NOT_MOVED || s.stop.Err() != nil || s.hard.Err() != nil {
			return r, err
		}
		switch {
		case errors.Is(err, robot.ErrDoor), r.GetFailure() == pb.Failure_FAILURE_RETRY:
		case errors.Is(err, robot.ErrInventory), errors.Is(err, robot.ErrComm):
			if tries++; tries == mostCarries {
				return r, err
			}
			if errors.Is(err, robot.ErrInventory) { // it has been asked, and says so once
				continue
			}
		default:
			return r, err
		}
		s.log.Warn("the robot can't move now, and is asked again", "error", err)
		if pause(s.stop, troublePause) != nil {
			return r, err
		}
	}
}

// task is a move under a number of its own.
func (s *surveying) task(from, to robot.Address) *work {
	s.guard.Lock()
	s.last++
	id := s.last
	s.guard.Unlock()
	t := &pb.Task{Ref: &pb.TaskRef{Id: id, Epoch: 1}, Work: &pb.Task_Move{Move: &pb.Move{From: message(from), To: message(to)}}}
	w := &work{task: t, kind: kindOf(t), cancel: func(error) {}, hard: s.hard}
	w.epoch.Store(1)
	return w
}

// settled forgets a move when where its disc belongs need not be known any more.
func (s *surveying) settled(r *pb.TaskResult, from, to robot.Address) {
	s.guard.Lock()
	defer s.guard.Unlock()
	forget := []*pb.TaskRef{r.GetRef()}
	outcome := r.GetMove()
	switch {
	case to.Kind == robot.DriveBay && (outcome == pb.MoveOutcome_MOVE_OUTCOME_MOVED || outcome == pb.MoveOutcome_MOVE_OUTCOME_UNKNOWN):
		forget = nil
		if old := s.loaded[to.Number]; old != nil {
			forget = append(forget, old)
		}
		s.loaded[to.Number] = r.GetRef()
	case from.Kind == robot.DriveBay && outcome == pb.MoveOutcome_MOVE_OUTCOME_MOVED && s.loaded[from.Number] != nil:
		forget = append(forget, s.loaded[from.Number])
		delete(s.loaded, from.Number)
	}
	for _, ref := range forget {
		if err := s.journal.Acknowledge(ref); err != nil {
			s.mu.Lock()
			s.broken(err)
			s.mu.Unlock()
		}
	}
}

// note keeps what was found in a slot, and tells of it. Second says that it was told of before.
func (s *surveying) note(x *SurveyedSlot, second bool) error {
	if err := s.folder.Save(x.Slot); err != nil {
		return err
	}
	s.guard.Lock()
	defer s.guard.Unlock()
	if !second {
		s.done++
	}
	x.Done, x.Total = s.done, max(s.total, s.done)
	if s.done > 0 {
		x.Left = time.Duration(float64(time.Since(s.begun)) / float64(s.done) * float64(x.Total-x.Done)).Round(time.Second)
	}
	if s.Told != nil {
		s.Told(*x)
	}
	return nil
}
