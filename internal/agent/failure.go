package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot"
)

// Why a task is broken off.
var (
	errStopping = errors.New("the agent is being stopped")
	errAborted  = errors.New("the agent was told to stop at once")
	errUnwanted = errors.New("the controller doesn't want it any more")
)

// fault is an error whose meaning for the controller is known where it happened.
type fault struct {
	kind pb.Failure
	err  error
}

func (f *fault) Error() string { return f.err.Error() }
func (f *fault) Unwrap() error { return f.err }

func discFault(format string, args ...any) error {
	return &fault{pb.Failure_FAILURE_DISC, fmt.Errorf(format, args...)}
}

func retry(format string, args ...any) error {
	return &fault{pb.Failure_FAILURE_RETRY, fmt.Errorf(format, args...)}
}

func defect(format string, args ...any) error {
	return &fault{pb.Failure_FAILURE_INTERNAL, fmt.Errorf(format, args...)}
}

// failureOf says what an error of a task means for what happens next.
func failureOf(err error) pb.Failure {
	if f, ok := errors.AsType[*fault](err); ok {
		return f.kind
	}
	if _, full := errors.AsType[*spaceError](err); full {
		return pb.Failure_FAILURE_RETRY
	}
	for _, known := range []struct {
		kind error
		is   pb.Failure
	}{
		{errStopping, pb.Failure_FAILURE_INTERRUPTED},
		{errAborted, pb.Failure_FAILURE_INTERRUPTED},
		{robot.ErrMedium, pb.Failure_FAILURE_DISC},
		{robot.ErrWrite, pb.Failure_FAILURE_DISC},
		{robot.ErrNotBlank, pb.Failure_FAILURE_DISC},
		{robot.ErrTooLarge, pb.Failure_FAILURE_DISC},
		{robot.ErrNoDisc, pb.Failure_FAILURE_ROBOT},
		{robot.ErrDriveFault, pb.Failure_FAILURE_DRIVE},
		{robot.ErrComm, pb.Failure_FAILURE_DRIVE},
		{robot.ErrBusy, pb.Failure_FAILURE_DRIVE},
		{robot.ErrJam, pb.Failure_FAILURE_DRIVE},
	} {
		if errors.Is(err, known.kind) {
			return known.is
		}
	}
	switch status.Code(unwrapped(err)) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Aborted, codes.ResourceExhausted:
		return pb.Failure_FAILURE_RETRY
	case codes.DataLoss:
		return pb.Failure_FAILURE_DISC
	}
	return pb.Failure_FAILURE_INTERNAL
}

// unwrapped returns the gRPC status in err's chain, or err.
func unwrapped(err error) error {
	if s, ok := errors.AsType[interface {
		error
		GRPCStatus() *status.Status
	}](err); ok {
		return s
	}
	return err
}

// cause returns why ctx ended when that is the reason for err, and otherwise err.
func cause(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	why := context.Cause(ctx)
	if errors.Is(err, why) {
		return err
	}
	return fmt.Errorf("%w (%w)", why, err)
}

// text is an error as a message carries it: UTF-8 whatever a machine has said.
func text(err error) string {
	return strings.ToValidUTF8(err.Error(), "\uFFFD")
}
