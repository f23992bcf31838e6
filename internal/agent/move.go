package agent

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot"
)

// move carries a disc. From the journal's word on, it is not interrupted: a robot can't be.
func (a *agent) move(ctx context.Context, w *work, m *pb.Move, r *pb.TaskResult) error {
	from, to := addressOf(m.GetFrom()), addressOf(m.GetTo())
	r.Move = pb.MoveOutcome_MOVE_OUTCOME_NOT_MOVED
	bays, err := a.baysOf(from, to)
	if err != nil {
		return err
	}
	for _, b := range bays {
		hold := b.hold
		if from.Kind == robot.DriveBay && from.Number == int(b.number) {
			hold = b.grip
		}
		release, err := hold(ctx)
		if err != nil {
			return err
		}
		defer release()
	}
	if err := a.lookInto(ctx, bays, to, r); err != nil {
		return err
	}
	for _, b := range bays {
		leaves := int(b.number) == from.Number && from.Kind == robot.DriveBay
		if leaves || a.changer.Properties().HostOpensTray {
			if err := b.eject(ctx); err != nil {
				return err
			}
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := a.journal.Begin(w.begun()); err != nil {
		return err
	}
	w.irrevocable()
	ctx = context.WithoutCancel(ctx)
	for _, b := range bays {
		if err := b.unlock(ctx); err != nil {
			a.log.Warn("drive can't be unlocked: the robot may not get its disc", "drive", b.drive.Name(), "error", err)
		}
	}
	moveErr := a.changer.Move(ctx, from, to)
	r.Move, r.Failure = a.outcomeOf(ctx, from, to, moveErr)
	a.closeTrays(ctx, bays, to, r.GetMove())
	if r.GetMove() != pb.MoveOutcome_MOVE_OUTCOME_MOVED {
		return &fault{r.GetFailure(), moveErr}
	}
	if to.Kind == robot.DriveBay {
		w.carried.Store(true)
		a.wake()
	}
	return a.arrived(w.hard, to, r)
}

// lookInto makes sure that the drive to which a disc is to be brought is empty, where the robot doesn't see what lies on a tray and nobody
// has looked since the last disc left.
func (a *agent) lookInto(ctx context.Context, bays []*bay, to robot.Address, r *pb.TaskResult) error {
	if to.Kind != robot.DriveBay || !a.changer.Properties().HostOpensTray {
		return nil
	}
	for _, b := range bays {
		if int(b.number) != to.Number || b.identity.Load().GetState() == pb.Identity_STATE_NO_DISC {
			continue
		}
		id, err := b.load(ctx)
		if err != nil {
			return err
		}
		if id.GetState() != pb.Identity_STATE_NO_DISC {
			r.Move = pb.MoveOutcome_MOVE_OUTCOME_DESTINATION_FULL
			return &fault{pb.Failure_FAILURE_ROBOT, fmt.Errorf("%v holds %s, and should be empty: look, and say what it holds", to, describe(id))}
		}
	}
	return nil
}

// closeTrays closes the trays that were opened for a move and in which no disc arrived: some robots crush a second one that stands
// open. One of a move whose end is unknown stays open, because a disc may hang over it. A tray that can't be closed
// shows when the drive is used next.
func (a *agent) closeTrays(ctx context.Context, bays []*bay, to robot.Address, outcome pb.MoveOutcome) {
	for _, b := range bays {
		b.hanging.Store(outcome == pb.MoveOutcome_MOVE_OUTCOME_UNKNOWN)
	}
	if !a.changer.Properties().HostOpensTray || outcome == pb.MoveOutcome_MOVE_OUTCOME_UNKNOWN {
		return
	}
	for _, b := range bays {
		arrived := outcome == pb.MoveOutcome_MOVE_OUTCOME_MOVED && to.Kind == robot.DriveBay && to.Number == int(b.number)
		if arrived {
			continue // and is identified next
		}
		id, err := b.load(ctx)
		left := outcome == pb.MoveOutcome_MOVE_OUTCOME_MOVED && id.GetState() != pb.Identity_STATE_NO_DISC
		if err != nil || left {
			a.log.Warn("drive is not empty after its disc was taken", "drive", b.number, "holds", describe(id), "error", err)
		}
		if left && err == nil {
			// Two stuck together, and the robot thinks that it is empty: the next disc would be crushed.
			why := "a disc is still in it after its disc was taken: look, and take it out"
			b.down.Store(&why)
		}
	}
}

// arrived finishes a move that ended where it should. The disc of one that ended in a drive, which the caller holds, is
// identified; that takes time, and where the disc is must not be forgotten over it.
func (a *agent) arrived(ctx context.Context, to robot.Address, r *pb.TaskResult) error {
	if to.Kind != robot.DriveBay {
		return nil
	}
	if err := a.journal.Note(proto.CloneOf(r)); err != nil {
		return err
	}
	id, err := a.bays[int32(to.Number)].load(ctx)
	if err != nil {
		r.Identity = &pb.Identity{State: pb.Identity_STATE_UNREADABLE}
		return cause(ctx, err)
	}
	r.Identity = id
	a.desk.tell(fmt.Sprintf("%v holds %s", to, describe(id))) // a person sees at once that it was the wrong one, or missed the tray
	return nil
}

// baysOf returns the drives of a move in the order in which they are to be held.
func (a *agent) baysOf(from, to robot.Address) ([]*bay, error) {
	var bays []*bay
	for _, place := range []robot.Address{from, to} {
		switch b := a.bays[int32(place.Number)]; {
		case place.Kind == "":
			return nil, defect("a move between elements of no known kind")
		case place.Kind != robot.DriveBay:
		case b == nil:
			return nil, defect("%v is not configured", place)
		default:
			bays = append(bays, b)
		}
	}
	if from == to {
		return nil, defect("a move from %v to itself", from)
	}
	slices.SortFunc(bays, func(b, c *bay) int { return int(b.number - c.number) })
	return bays, nil
}

// bay returns a configured drive.
func (a *agent) bay(number int32) (*bay, error) {
	if b := a.bays[number]; b != nil {
		return b, nil
	}
	return nil, defect("drive %d is not configured", number)
}
