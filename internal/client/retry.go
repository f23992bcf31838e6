package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// patience is how long something is tried again while a controller that has answered before can't be reached or has no time: it
	// may be starting again. firstPatience is for one that has never answered: then somebody should look at the address.
	patience      = 2 * time.Minute
	firstPatience = 2 * time.Second
	// Waits between tries double from firstWait to lastWait.
	firstWait = 200 * time.Millisecond
	lastWait  = 10 * time.Second
)

// transient says whether err may pass by itself.
func transient(err error) bool {
	switch status.Code(err) {
	case codes.Unavailable, codes.Aborted:
		return true
	default:
		return false
	}
}

// Unreachable says whether err is one of the connection, and not an answer of the controller.
func Unreachable(err error) bool {
	s, ok := status.FromError(err)
	return ok && s.Code() == codes.Unavailable && (strings.Contains(s.Message(), "connection error") || strings.Contains(s.Message(), "name resolver"))
}

// retry calls f until it succeeds, fails for good, or has failed for too long without made having grown.
func (c *Client) retry(ctx context.Context, made func() int64, f func() error) error {
	wait, before := firstWait, int64(0)
	var until time.Time // zero until it has failed since made grew
	for {
		err := f()
		n := made()
		if !Unreachable(err) || n > 0 {
			c.met.Store(true)
		}
		if err == nil || !transient(err) || ctx.Err() != nil {
			return errors.Join(err, context.Cause(ctx))
		}
		now := time.Now()
		if n > before || until.IsZero() {
			before, wait = n, firstWait
			if until = now.Add(patience); !c.met.Load() {
				until = now.Add(firstPatience)
			}
		}
		pause := wait/2 + rand.N(wait)
		if now.Add(pause).After(until) {
			return err
		}
		if c.Retrying != nil {
			c.Retrying(err, until)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		wait = min(2*wait, lastWait)
	}
}

// always is for retry when nothing counts as having got further.
func always() int64 { return 0 }
