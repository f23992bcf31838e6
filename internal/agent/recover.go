package agent

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot"
)

// errRestarted is why a task that was begun has no better result.
var errRestarted = errors.New("the agent was stopped in the middle")

// recover gives every task that an earlier process began a result, before the controller is called for the first time: a
// move is looked for, a burn has spent its disc. Nothing is done again.
func (a *agent) recover(ctx context.Context) error {
	for _, e := range a.journal.Unfinished() {
		r := &pb.TaskResult{}
		if e.Outcome != nil {
			r = proto.CloneOf(e.Outcome)
		}
		r.Ref = e.Begun.GetRef()
		err := a.conclude(ctx, e.Begun, r)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		r.Finished = timestamppb.Now()
		if err != nil {
			r.Error, r.Failure = text(err), failureOf(err)
		}
		a.log.Warn("task was broken off by a restart", append(attrs(e.Begun), "outcome", r.GetMove().String(), "error", err)...)
		if err := a.journal.Finish(r); err != nil {
			return err
		}
	}
	return nil
}

// conclude finds out what came of a task that was begun.
func (a *agent) conclude(ctx context.Context, t *pb.Task, r *pb.TaskResult) error {
	m := t.GetMove()
	if m == nil {
		return &fault{pb.Failure_FAILURE_INTERRUPTED, fmt.Errorf("%s of image %s: %w", kindOf(t), t.GetBurn().GetImageId(), errRestarted)}
	}
	from, to := addressOf(m.GetFrom()), addressOf(m.GetTo())
	if r.GetMove() == pb.MoveOutcome_MOVE_OUTCOME_UNSPECIFIED {
		r.Move = a.settle(ctx, from, to, false)
	}
	switch r.GetMove() {
	case pb.MoveOutcome_MOVE_OUTCOME_MOVED:
	case pb.MoveOutcome_MOVE_OUTCOME_NOT_MOVED:
		return &fault{pb.Failure_FAILURE_INTERRUPTED, fmt.Errorf("move %v to %v: %w", from, to, errRestarted)}
	default:
		return &fault{pb.Failure_FAILURE_ROBOT, fmt.Errorf("move %v to %v: %w", from, to, errRestarted)}
	}
	if to.Kind != robot.DriveBay {
		return nil
	}
	b, err := a.bay(int32(to.Number))
	if err != nil {
		return err
	}
	release, err := b.hold(ctx)
	if err != nil {
		return err
	}
	defer release()
	return a.arrived(ctx, to, r)
}
