package agent

import (
	"context"
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
		release, err := b.hold(ctx)
		if err != nil {
			return err
		}
		defer release()
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
	moveErr := a.changer.Move(ctx, from, to)
	r.Move, r.Failure = a.outcomeOf(ctx, from, to, moveErr)
	if r.GetMove() != pb.MoveOutcome_MOVE_OUTCOME_MOVED {
		return &fault{r.GetFailure(), moveErr}
	}
	if to.Kind == robot.DriveBay {
		w.carried.Store(true)
		a.wake()
	}
	return a.arrived(w.hard, to, r)
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
