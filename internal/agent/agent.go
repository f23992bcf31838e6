// Package agent is the agent of a burner host: it runs the tasks that the controller leases to it with one robot and
// some drives, and remembers on its own disk what it has begun. It calls the controller and is called by nobody. It knows
// the controller only by its protocol, and nothing of vaults, policies or databases.
package agent

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/odarchive/odarchive/internal/agent/journal"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot"
)

// agent is a running Main.
type agent struct {
	name, instance, library string

	log        *slog.Logger
	controller string // its address

	client  pb.AgentServiceClient
	files   *files
	changer robot.Changer
	desk    *desk // of a person as the robot; nil for others
	bays    map[int32]*bay
	scratch *scratch
	sets    sync.Mutex // one set's parity is worked at a time
	journal *journal.Journal

	// hard ends when the agent must stop at once; a burn goes by it.
	hard context.Context
	// fail ends the agent with an error, as softly as a signal does.
	fail  context.CancelCauseFunc
	tasks sync.WaitGroup

	woken        chan struct{} // holds a token when there is something to tell the controller
	reportWanted chan struct{}
	probeWanted  chan struct{} // holds a token when an operator wants a drive tried

	mu      sync.Mutex
	running map[int64]*work
	moves   int64   // that have ended since the start
	survey  *survey // not delivered yet
	looking bool    // a survey is being made
	trouble string  // of the last survey
	failure error   // why the agent can't go on
}

// wake says that there is something to tell. It never waits.
func (a *agent) wake() {
	select {
	case a.woken <- struct{}{}:
	default:
	}
}

// idle says that no task runs.
func (a *agent) idle() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.running) == 0
}

// broken ends the agent because its journal can't be written any more. The caller holds a.mu.
func (a *agent) broken(err error) {
	if a.failure == nil {
		a.failure = err
	}
	a.fail(err)
}

// request is what there is to tell now. Sent is the survey in it, nil when there is none.
func (a *agent) request(draining bool) (request *pb.SynchronizeRequest, sent *survey) {
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case <-a.woken: // what it was about is in this request
	default:
	}
	request = &pb.SynchronizeRequest{
		Agent: a.name, Instance: a.instance, Library: a.library, Draining: draining, Results: a.journal.Results(),
	}
	for _, w := range a.running {
		request.Running = append(request.Running, w.progress())
	}
	slices.SortFunc(request.Running, func(p, q *pb.TaskProgress) int { return cmp.Compare(p.GetRef().GetId(), q.GetRef().GetId()) })
	// A survey from before a move has ended would speak against the move's result.
	if a.survey != nil && a.survey.moves == a.moves {
		sent = a.survey
		request.Report = sent.report
	}
	return request, sent
}

// delivered forgets a survey that has arrived.
func (a *agent) delivered(sent *survey) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if sent != nil && a.survey == sent {
		a.survey = nil
	}
}

// obey does what the controller wants: it starts what isn't running, cancels what is and shouldn't, and forgets results
// that have arrived.
func (a *agent) obey(stop context.Context, r *pb.SynchronizeResponse) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wantProbes(r.GetProbes())
	wanted := map[int64]bool{}
	for _, t := range r.GetTasks() {
		wanted[t.GetRef().GetId()] = true
		a.want(t, stop.Err() != nil)
	}
	for id, w := range a.running {
		if !wanted[id] && !w.firm.Load() {
			w.cancel(errUnwanted)
		}
	}
	for _, ref := range r.GetAcknowledged() {
		if err := a.journal.Acknowledge(ref); err != nil {
			a.broken(err)
		}
	}
	// A robot in trouble is asked again and again anyway.
	if r.GetWantReport() && a.survey == nil && !a.looking && a.trouble == "" {
		a.askReport()
	}
}

// want sees to it that a task runs, unless it has run: what was moved or burned under an older lease is not moved or
// burned again, its result goes out under the new one.
func (a *agent) want(t *pb.Task, stopping bool) {
	id, epoch := t.GetRef().GetId(), t.GetRef().GetEpoch()
	if w := a.running[id]; w != nil {
		w.epoch.Store(max(epoch, w.epoch.Load()))
		return
	}
	e := a.journal.Entry(id)
	known := e.Result.GetRef().GetEpoch()
	switch {
	case e.Result != nil && epoch <= known, e.Result == nil && e.Begun != nil:
		return
	case e.Result != nil && (e.Begun != nil || e.Result.GetError() == ""):
		if err := a.journal.Finish(again(e.Result, epoch)); err != nil {
			a.broken(err)
		}
		a.wake()
		return
	}
	if !stopping && t.GetWork() != nil {
		a.start(t)
	}
}

func (a *agent) driveNumbers() []int32 { return slices.Sorted(maps.Keys(a.bays)) }
