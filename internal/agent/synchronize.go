package agent

import (
	"context"
	"errors"
	"sync"
	"time"

	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

const (
	// callLimit is how long the controller may take to answer. It waits up to 20 s for something to happen.
	callLimit = time.Minute
	// lastLimit is the same for the last call of an agent that is being stopped.
	lastLimit = 5 * time.Second
	// progressEvery is how often it learns how far the tasks are.
	progressEvery = time.Second
	// leastPause lies between calls that the controller answers at once and with nothing new.
	leastPause = time.Second
)

// errNews cuts a call that waits in the controller, because there is something to tell.
var errNews = errors.New("there is news")

// synchronizer calls the controller again and again. One call is under way at a time, so that an answer never
// speaks of a state that a later one has replaced.
type synchronizer struct {
	*agent
	seen int64
	// due says that the next call must be answered at once: there has been none, or the last one was cut.
	due bool
	patience
	outage outage
}

// synchronize runs until stop has ended, the last task has, and the controller has been told.
func (a *agent) synchronize(stop context.Context) {
	s := &synchronizer{agent: a, due: true, outage: outage{log: a.log, controller: a.controller}}
	for a.hard.Err() == nil {
		last := stop.Err() != nil && a.idle()
		err := s.call(stop, last)
		if last {
			return
		}
		if err == nil {
			continue
		}
		wait := s.wait()
		stopped := stop.Done()
		if stop.Err() != nil {
			wait, stopped = min(wait, time.Second), nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-stopped:
		case <-a.hard.Done():
		}
		timer.Stop()
	}
}

// call makes one call and does what the answer says. That it was cut is no error.
func (s *synchronizer) call(stop context.Context, last bool) error {
	request, sent := s.request(stop.Err() != nil)
	waits := !s.due && !last && sent == nil && len(request.GetResults()) == 0
	limit := callLimit
	if waits {
		request.Seen = s.seen
	}
	if last {
		limit = lastLimit
	}
	ctx, cancel := context.WithTimeout(s.hard, limit)
	defer cancel()
	began := time.Now()
	response, err := s.ask(ctx, request, waits)
	if errors.Is(err, errNews) {
		s.due = true
		return nil
	}
	if err != nil {
		s.due = true
		s.mu.Lock()
		running := len(s.running)
		s.mu.Unlock()
		s.outage.failed(err, running, len(s.journal.Results()))
		return err
	}
	s.due = false
	s.reset()
	s.outage.answered(len(request.GetResults()))
	s.delivered(sent)
	s.obey(stop, response)
	if waits && response.GetVersion() == s.seen {
		s.rest(began.Add(leastPause))
	}
	s.seen = response.GetVersion()
	return nil
}

// ask makes a call. One that waits in the controller is cut when something happens here, and in time for the next word
// about progress. Every other call gets its answer: a slow controller must not be cut for ever.
func (s *synchronizer) ask(ctx context.Context, request *pb.SynchronizeRequest, waits bool) (*pb.SynchronizeResponse, error) {
	if !waits {
		return s.client.Synchronize(ctx, request)
	}
	ctx, cut := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	watch.Go(func() {
		var progress <-chan time.Time
		if len(request.GetRunning()) > 0 {
			timer := time.NewTimer(progressEvery)
			defer timer.Stop()
			progress = timer.C
		}
		select {
		case <-s.woken:
			cut(errNews)
		case <-progress:
			cut(errNews)
		case <-ctx.Done():
		}
	})
	response, err := s.client.Synchronize(ctx, request)
	cut(nil)
	watch.Wait()
	if err != nil && errors.Is(context.Cause(ctx), errNews) {
		return nil, errNews
	}
	return response, err
}

// rest waits until a time, or until there is news.
func (s *synchronizer) rest(until time.Time) {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.woken:
	case <-s.hard.Done():
	}
}
