package scsi

import (
	"context"
	"fmt"
	"time"
)

// Patience is how long a command is repeated whose failure says that it was not carried out yet.
type Patience struct {
	Fast      time.Duration // for FastRetry, all together
	FastPause time.Duration // between two tries
	Slow      time.Duration // for SlowRetry, all together
	SlowPause time.Duration
}

// DefaultPatience repeats for a minute, and ten minutes where a long operation is in progress.
func DefaultPatience() Patience {
	return Patience{Fast: time.Minute, FastPause: time.Second, Slow: 10 * time.Minute, SlowPause: 10 * time.Second}
}

// Do runs a command and repeats it as ActionOf says, until the patience or ctx ends. A unit attention is repeated at once:
// the device has put it away by telling it. It repeats nothing whose outcome nobody knows.
func (p Patience) Do(ctx context.Context, t Transport, c Command) (n int, err error) {
	start := time.Now()
	for attentions := 0; ; {
		if err := ctx.Err(); err != nil {
			return 0, fmt.Errorf("%s: %w", OpName(c.CDB[0]), context.Cause(ctx))
		}
		if n, err = t.Do(c); Done(err) {
			return n, err
		}
		limit, pause := time.Duration(0), time.Duration(0)
		switch ActionOf(err) {
		case FastRetry:
			limit, pause = p.Fast, p.FastPause
		case SlowRetry:
			limit, pause = p.Slow, p.SlowPause
		default:
			return n, err
		}
		if s, ok := SenseOf(err); ok && s.Key == UnitAttention && attentions < mostAttentions {
			attentions++
			continue
		}
		if time.Since(start)+pause > limit {
			return n, err
		}
		if wait(ctx, pause) != nil {
			return n, fmt.Errorf("%w (%w)", context.Cause(ctx), err)
		}
	}
}

// mostAttentions is how many unit attentions a device may have stacked up; mtx allows ten.
const mostAttentions = 10

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
