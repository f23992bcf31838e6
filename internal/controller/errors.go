package controller

import (
	"context"
	"errors"
	"log/slog"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/odarchive/odarchive/internal/staging"
	"github.com/odarchive/odarchive/library"
)

var faultCodes = map[library.Fault]codes.Code{
	library.NotFound:     codes.NotFound,
	library.Exists:       codes.AlreadyExists,
	library.Invalid:      codes.InvalidArgument,
	library.Precondition: codes.FailedPrecondition,
	library.Exhausted:    codes.ResourceExhausted,
	library.DataLoss:     codes.DataLoss,
	library.Stale:        codes.Aborted,
}

// faults is the one place where errors become gRPC statuses. What is our own fault is logged in full and told in short.
type faults struct{ log *slog.Logger }

func (f faults) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	resp, err := handler(ctx, req)
	return resp, f.status(ctx, info.FullMethod, err)
}

func (f faults) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	return f.status(stream.Context(), info.FullMethod, handler(srv, stream))
}

func (f faults) status(ctx context.Context, method string, err error) error {
	if err == nil {
		return nil
	}
	if s, ok := status.FromError(err); ok {
		return s.Err()
	}
	switch {
	case ctx.Err() != nil:
		return status.FromContextError(ctx.Err()).Err()
	case errors.Is(err, staging.ErrFull):
		f.log.Warn("staging is full", "method", method, "error", err)
		return status.Error(codes.ResourceExhausted, "the controller's staging disk is full: nothing was lost; try again when discs have been burned")
	}
	if code, ok := faultCodes[library.FaultOf(err)]; ok {
		e, _ := errors.AsType[*library.Error](err)
		return status.Error(code, e.Text)
	}
	f.log.Error("request failed", "method", method, "error", err)
	return status.Error(codes.Unavailable, "the controller can't do this now: its log says why; try again")
}
