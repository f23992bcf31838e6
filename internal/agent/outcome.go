package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot"
)

// Variables for the tests, in which robots take no time.
var (
	// settleLimit is how long a robot may take to come to rest: the longest move of any known model takes 150 s.
	settleLimit = 3 * time.Minute
	settlePause = 2 * time.Second
)

// outcomeOf says where a disc is after Move has returned err, and what that means for what happens next.
func (a *agent) outcomeOf(ctx context.Context, from, to robot.Address, err error) (pb.MoveOutcome, pb.Failure) {
	switch {
	case err == nil:
		return pb.MoveOutcome_MOVE_OUTCOME_MOVED, pb.Failure_FAILURE_NONE
	case errors.Is(err, robot.ErrEmpty):
		return pb.MoveOutcome_MOVE_OUTCOME_SOURCE_EMPTY, pb.Failure_FAILURE_DISC
	case errors.Is(err, robot.ErrFull):
		return pb.MoveOutcome_MOVE_OUTCOME_DESTINATION_FULL, pb.Failure_FAILURE_ROBOT
	case errors.Is(err, robot.ErrUnreachable):
		return pb.MoveOutcome_MOVE_OUTCOME_NOT_MOVED, pb.Failure_FAILURE_INTERNAL
	case errors.Is(err, robot.ErrBusy):
		return pb.MoveOutcome_MOVE_OUTCOME_NOT_MOVED, pb.Failure_FAILURE_RETRY
	}
	outcome := a.settle(ctx, from, to, errors.Is(err, robot.ErrJam))
	if outcome == pb.MoveOutcome_MOVE_OUTCOME_UNKNOWN && errors.Is(err, robot.ErrDoor) {
		outcome = pb.MoveOutcome_MOVE_OUTCOME_NOT_MOVED
	}
	switch {
	case outcome == pb.MoveOutcome_MOVE_OUTCOME_MOVED:
		a.log.Warn("move has succeeded all the same", "from", from, "to", to, "error", err)
		return outcome, pb.Failure_FAILURE_NONE
	case errors.Is(err, robot.ErrDriveFault):
		return outcome, pb.Failure_FAILURE_DRIVE
	}
	return outcome, pb.Failure_FAILURE_ROBOT
}

// settle asks the robot until it rests and says where the disc of a move is that may or may not have been made. The
// move is not made again, whatever the answer.
func (a *agent) settle(ctx context.Context, from, to robot.Address, jam bool) pb.MoveOutcome {
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	for {
		elements, err := a.inventory(ctx)
		if err == nil && atRest(elements, from, to) {
			return derive(elements, from, to, a.changer.Properties(), jam)
		}
		if errors.Is(err, robot.ErrDoor) || errors.Is(err, robot.ErrJam) || pause(ctx, settlePause) != nil {
			return pb.MoveOutcome_MOVE_OUTCOME_UNKNOWN
		}
	}
}

// inventory asks the robot for all elements. One that has started anew says so once and is asked again.
func (a *agent) inventory(ctx context.Context) ([]robot.Element, error) {
	elements, err := a.changer.Inventory(ctx)
	if errors.Is(err, robot.ErrInventory) {
		a.log.Warn("robot started anew", "error", err)
		elements, err = a.changer.Inventory(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("inventory: %w", err)
	}
	return elements, nil
}

// atRest says that the drives of a move are not in the middle of something.
func atRest(elements []robot.Element, places ...robot.Address) bool {
	for _, e := range elements {
		for _, p := range places {
			if e.Address == p && p.Kind == robot.DriveBay && e.Fill == robot.Unknown {
				return false
			}
		}
	}
	return true
}

// derive says where the disc of a move is, from what a robot at rest senses. After a jam it may be in the picker; a
// picker that nobody senses is only believed to be empty without one.
func derive(elements []robot.Element, from, to robot.Address, p robot.Properties, jam bool) pb.MoveOutcome {
	var source, destination robot.Element
	for _, e := range elements {
		switch {
		case e.Address == from:
			source = e
		case e.Address == to:
			destination = e
		case e.Address.Kind == robot.Picker && e.Fill == robot.Full:
			return pb.MoveOutcome_MOVE_OUTCOME_UNKNOWN
		case e.Address.Kind == robot.Picker && e.Fill == robot.Unknown && e.Trouble != "":
			jam = true // of this move or an older one: who was killed in the middle has no other word for it
		}
	}
	sensed := source.Fill != robot.Unknown && destination.Fill != robot.Unknown
	moved, unmoved := false, false
	switch {
	case from.Kind == robot.DriveBay && source.Fill == robot.Full:
		unmoved = true
	case from.Kind == robot.DriveBay && source.Fill == robot.Empty && to.Kind == robot.Slot:
		moved = destination.Fill == robot.Full || p.HomeOnly && !jam && destination.Fill == robot.Unknown
	case to.Kind == robot.DriveBay && destination.Fill == robot.Full:
		moved = destination.Home == from || destination.Home == (robot.Address{}) && source.Fill == robot.Empty
	case to.Kind == robot.DriveBay && destination.Fill == robot.Empty:
		unmoved = source.Fill == robot.Full || p.HomeOnly && !jam && source.Fill == robot.Unknown
	case sensed:
		moved = source.Fill == robot.Empty && destination.Fill == robot.Full
		unmoved = source.Fill == robot.Full && destination.Fill == robot.Empty
	}
	switch {
	case moved:
		return pb.MoveOutcome_MOVE_OUTCOME_MOVED
	case unmoved:
		return pb.MoveOutcome_MOVE_OUTCOME_NOT_MOVED
	default:
		return pb.MoveOutcome_MOVE_OUTCOME_UNKNOWN
	}
}

// pause waits, or returns why ctx ended.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		// The runtime of Go 1.26 may crash over a timer that has ended when it is waited for, in a bubble of testing/synctest with the race detector.
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
