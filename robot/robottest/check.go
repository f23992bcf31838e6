// Package robottest holds changers and drives to the contracts in package robot. The checks run as Go tests
// and, by Check.Do, in a program that an owner runs against his own machine. It knows no model, and
// what it can't find out from a machine its rig says.
package robottest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/odarchive/odarchive/robot"
)

// T is what a check needs of its runner. Every testing.TB is one.
type T interface {
	Helper()
	Context() context.Context
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any) // ends the check
	Skipf(format string, args ...any)  // ends the check
}

var _ T = testing.TB(nil)

// Check is one check of a suite. Checks don't depend on each other, and run one at a time.
type Check struct {
	Name string // "empty source"
	Run  func(T)
}

// Result is what became of a check.
type Result struct {
	Name     string
	Failures []string // none: the check passed, or was skipped
	Skipped  string   // why, when it was
	Log      []string
}

// Passed says that the machine was held to the check and did what it should.
func (r Result) Passed() bool { return len(r.Failures) == 0 && r.Skipped == "" }

func (r Result) String() string {
	switch {
	case len(r.Failures) > 0:
		return fmt.Sprintf("FAIL %s: %s", r.Name, strings.Join(r.Failures, "; "))
	case r.Skipped != "":
		return fmt.Sprintf("skip %s: %s", r.Name, r.Skipped)
	}
	return "ok   " + r.Name
}

// Do runs the check outside of `go test` and waits for it; ctx ends the machine's work as far as that can be ended.
func (c Check) Do(ctx context.Context) Result {
	r := &recorder{ctx: ctx, result: Result{Name: c.Name}}
	done := make(chan struct{})
	go func() { // of its own, because Fatalf and Skipf end it
		defer close(done)
		c.Run(r)
	}()
	<-done
	return r.result
}

// recorder is the T of Do. Checks report from their own goroutine only.
type recorder struct {
	ctx    context.Context
	result Result
}

func (r *recorder) Helper()                  {}
func (r *recorder) Context() context.Context { return r.ctx }
func (r *recorder) Logf(format string, args ...any) {
	r.result.Log = append(r.result.Log, fmt.Sprintf(format, args...))
}

func (r *recorder) Errorf(format string, args ...any) {
	r.result.Failures = append(r.result.Failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Skipf(format string, args ...any) {
	r.result.Skipped = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func runAll(t *testing.T, checks []Check) {
	t.Helper()
	for _, c := range checks {
		t.Run(c.Name, func(t *testing.T) { c.Run(t) })
	}
}

// kinds are all kinds of failure.
var kinds = []error{
	robot.ErrEmpty, robot.ErrFull, robot.ErrUnreachable, robot.ErrDoor, robot.ErrInventory, robot.ErrJam, robot.ErrDriveFault,
	robot.ErrComm, robot.ErrBusy, robot.ErrNotBlank, robot.ErrTooLarge, robot.ErrMedium, robot.ErrWrite, robot.ErrNoDisc,
}

// wantKind checks that err is a *robot.Error of a kind and says what was being done. It returns nil when it
// is not even that.
func wantKind(t T, doing string, err, kind error) *robot.Error {
	t.Helper()
	e, ok := errors.AsType[*robot.Error](err)
	switch {
	case err == nil:
		t.Errorf("%s: no error, want %q", doing, kind)
	case !ok:
		t.Errorf("%s: %q is no *robot.Error; want kind %q", doing, err, kind)
	case e.Kind != kind:
		t.Errorf("%s: error %q is of kind %q, want %q", doing, err, e.Kind, kind)
	case e.Op == "":
		t.Errorf("%s: error %q doesn't say what was being done", doing, err)
	default:
		for _, other := range kinds {
			if other != kind && errors.Is(err, other) {
				t.Errorf("%s: error %q is %q and %q at once", doing, err, kind, other)
			}
		}
	}
	return e
}
