package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"google.golang.org/grpc"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/port"
)

// Main is the agent as a program starts it. What is nil is opened as Config says, and closed in the end; what is set
// is the caller's.
type Main struct {
	Config Config
	Log    *slog.Logger // nil means slog.Default

	Changer    robot.Changer
	Drives     map[int]robot.Drive // by number
	Connection grpc.ClientConnInterface

	// Console is a terminal at which a person who serves as the robot is asked, besides those who come with "person"; nil for none. Run
	// closes it.
	Console io.ReadWriteCloser

	// Abort, when closed, ends Run at once: a burn that runs is broken off, and its disc is spent.
	Abort <-chan struct{}

	// For the tests of this package: the journal's hook, and what finds out which image a disc carries.
	hook     func(written bool) error
	identify identify

	record port.Recorder // of the robot's line; nil for none
}

// Run runs the agent until ctx ends. Then it takes no more work, breaks off what can be done again, waits for moves
// and burns, and tells the controller. It returns nil when that was all; an error means that it could not start, or
// that its journal can't be written.
func (m *Main) Run(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("agent %s: %w", m.Config.Name, err)
		}
	}()
	r := &resources{}
	defer func() { err = errors.Join(err, r.close()) }()
	a, err := m.open(ctx, r)
	if err != nil {
		return err
	}
	hard, end := untilAborted(ctx, m.Abort)
	defer end()
	a.hard = hard
	return a.run(ctx)
}

// untilAborted returns a context that outlives ctx, and is cancelled when abort is closed. end must be called, and waits.
func untilAborted(ctx context.Context, abort <-chan struct{}) (hard context.Context, end func()) {
	hard, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		select {
		case <-abort:
			cancel(errAborted)
		case <-ended:
		}
	})
	return hard, func() {
		close(ended)
		watch.Wait()
		cancel(nil)
	}
}

// run recovers, works, and drains.
func (a *agent) run(ctx context.Context) error {
	stop, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	a.fail = fail
	if err := a.recover(a.hard); err != nil {
		return err
	}
	defer context.AfterFunc(stop, a.drain)()

	reporting, enough := context.WithCancel(a.hard)
	var reports sync.WaitGroup
	reports.Go(func() { a.reports(reporting) })
	reports.Go(func() { a.probes(reporting) })
	a.log.Info("agent started", "instance", a.instance, "library", a.library, "robot", a.changer.Properties().Model, "drives", len(a.bays))
	a.synchronize(stop)
	a.tasks.Wait()
	enough()
	reports.Wait()
	if n := len(a.journal.Results()); n > 0 {
		a.log.Warn("agent stopped; the controller does not know of everything yet: results are kept in the data folder for the next start", "results", n)
	} else {
		a.log.Info("agent stopped")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failure
}

// drain breaks off what can be done again.
func (a *agent) drain() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.log.Info("agent is being stopped", "running", len(a.running))
	for _, w := range a.running {
		if !w.firm.Load() {
			w.cancel(errStopping)
		}
	}
	a.wake()
}
