package agent

import (
	"log/slog"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// outage says in the log that the controller can't be reached, or refuses what it is told, and what that means for the agent; and when that is
// over. The same is said once.
type outage struct {
	log        *slog.Logger
	controller string // its address
	since      time.Time
	why        string // that was said last; empty while all is well
}

// failed takes note of a call that failed.
func (o *outage) failed(err error, running, results int) {
	s := status.Convert(err)
	if o.why == "" {
		o.since = time.Now()
	}
	why := plainly(s.Message())
	if why == o.why {
		return
	}
	o.why = why
	text := "the controller can't be reached: what was begun goes on, nothing else is begun until it can be"
	switch s.Code() {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
	case codes.Unauthenticated, codes.PermissionDenied:
		text = "the controller doesn't let this agent in: what was begun goes on, nothing else is begun until it does"
	default:
		text = "the controller refuses what this agent tells it: what was begun goes on, nothing else is begun until it doesn't"
	}
	o.log.Warn(text+"; it is called again and again", "controller", o.controller, "running", running, "results", results, "error", why)
}

// answered takes note of a call that was answered.
func (o *outage) answered(results int) {
	if o.why == "" {
		return
	}
	o.why = ""
	o.log.Info("the controller answers again", "controller", o.controller, "after", time.Since(o.since).Round(time.Second), "results", results)
}

// plainly is what gRPC says of a connection that fails, without the names of its parts.
func plainly(why string) string {
	const before = `connection error: desc = "`
	if i := strings.LastIndex(why, before); i >= 0 {
		why, _, _ = strings.Cut(why[i+len(before):], `"`) // what has come before is of no interest
	}
	for _, part := range []string{"transport: Error while dialing: ", "transport: ", "error reading server preface: "} {
		why = strings.TrimPrefix(why, part)
	}
	if why == "error reading from server: EOF" {
		return "it has ended the connection"
	}
	return why
}
