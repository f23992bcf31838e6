package agent

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// work is a task that runs.
type work struct {
	task *pb.Task // nobody changes it
	kind string
	// epoch is the task's newest lease, under which its result goes out.
	epoch  atomic.Int64
	cancel context.CancelCauseFunc
	// hard ends only when the agent must stop at once; a task that has become irrevocable goes by it.
	hard context.Context
	// firm says that the task must not be cancelled any more: a disc is being moved or burned.
	firm atomic.Bool
	// carried says that a move has left its disc in a drive and needs the picker no more.
	carried atomic.Bool

	done, total atomic.Int64 // bytes
	skipped     atomic.Int64 // of done, those that an earlier task had done
	// verified is how far a verify is. Nobody changes what it points to.
	verified atomic.Pointer[verified]
}

func (w *work) ref() *pb.TaskRef {
	return &pb.TaskRef{Id: w.task.GetRef().GetId(), Epoch: w.epoch.Load()}
}

func (w *work) progress() *pb.TaskProgress {
	p := &pb.TaskProgress{Ref: w.ref(), BytesDone: w.done.Load(), Bytes: w.total.Load(), Carried: w.carried.Load()}
	if v := w.verified.Load(); v != nil {
		p.Checkpoint, p.Regions = v.checkpoint, v.regions
	}
	return p
}

// begun is the task as it goes into the journal, under its newest lease.
func (w *work) begun() *pb.Task {
	t := proto.CloneOf(w.task)
	t.Ref = w.ref()
	return t
}

// irrevocable says that from now on the task ends by itself only, or with the agent.
func (w *work) irrevocable() { w.firm.Store(true) }

// kindOf names a task's work as logs and operators do.
func kindOf(t *pb.Task) string {
	switch t.GetWork().(type) {
	case *pb.Task_Move:
		return "move"
	case *pb.Task_Build:
		return "build"
	case *pb.Task_Burn:
		return "burn"
	case *pb.Task_Verify:
		return "verify"
	case *pb.Task_Read:
		return "read"
	case *pb.Task_Release:
		return "release"
	case *pb.Task_Gather:
		return "gather"
	case *pb.Task_Seal:
		return "seal"
	case *pb.Task_Rebuild:
		return "rebuild"
	case *pb.Task_Copy:
		return "copy"
	case *pb.Task_CopyRows:
		return "rows"
	case *pb.Task_Serve:
		return "serve"
	default:
		return "unknown"
	}
}

// attrs are what a log line says of a task.
func attrs(t *pb.Task) []any {
	at := []any{"task", t.GetRef().GetId(), "kind", kindOf(t)}
	if m := t.GetMove(); m != nil {
		return append(at, "from", addressOf(m.GetFrom()).String(), "to", addressOf(m.GetTo()).String())
	}
	switch x := t.GetWork().(type) {
	case *pb.Task_Build:
		return append(at, "image", x.Build.GetImageId())
	case *pb.Task_Burn:
		return append(at, "image", x.Burn.GetImageId(), "drive", x.Burn.GetDrive())
	case *pb.Task_Verify:
		return append(at, "image", x.Verify.GetImageId(), "drive", x.Verify.GetDrive())
	case *pb.Task_Read:
		return append(at, "image", x.Read.GetImageId(), "drive", x.Read.GetDrive(), "extents", len(x.Read.GetExtents()))
	case *pb.Task_Release:
		return append(at, "image", x.Release.GetImageId())
	case *pb.Task_Gather:
		return append(at, "image", x.Gather.GetImageId(), "set", x.Gather.GetSet().GetId(), "index", x.Gather.GetIndex())
	case *pb.Task_Seal:
		return append(at, "set", x.Seal.GetSet().GetId())
	case *pb.Task_Rebuild:
		return append(at, "image", x.Rebuild.GetImageId(), "set", x.Rebuild.GetSet().GetId(), "index", x.Rebuild.GetIndex())
	case *pb.Task_Copy:
		return append(at, "image", x.Copy.GetImageId(), "drive", x.Copy.GetDrive())
	case *pb.Task_CopyRows:
		return append(at, "image", x.CopyRows.GetImageId(), "drive", x.CopyRows.GetDrive(), "torn", x.CopyRows.GetTornId(), "rows", len(x.CopyRows.GetRows()))
	case *pb.Task_Serve:
		return append(at, "image", x.Serve.GetImageId(), "extents", len(x.Serve.GetExtents()))
	default:
		return at
	}
}

// start runs a task in a goroutine of its own, which the agent waits for. The caller holds a.mu.
func (a *agent) start(t *pb.Task) {
	ctx, cancel := context.WithCancelCause(a.hard)
	w := &work{task: t, kind: kindOf(t), cancel: cancel, hard: a.hard}
	w.epoch.Store(t.GetRef().GetEpoch())
	a.running[t.GetRef().GetId()] = w
	a.tasks.Go(func() {
		defer cancel(nil)
		a.log.Info("task started", append(attrs(t), "epoch", w.epoch.Load())...)
		began := time.Now()
		r := &pb.TaskResult{Ref: w.ref()}
		err := a.do(ctx, w, r)
		if !w.firm.Load() {
			err = cause(ctx, err)
		}
		r.Seconds = time.Since(began).Seconds()
		r.Bytes = w.done.Load() - w.skipped.Load()
		a.finish(w, r, err)
	})
}

// do runs a task and fills in what its result says besides the error.
func (a *agent) do(ctx context.Context, w *work, r *pb.TaskResult) error {
	switch x := w.task.GetWork().(type) {
	case *pb.Task_Move:
		return a.move(ctx, w, x.Move, r)
	case *pb.Task_Build:
		return a.build(ctx, w, x.Build, r)
	case *pb.Task_Burn:
		return a.burn(ctx, w, x.Burn, r)
	case *pb.Task_Verify:
		return a.verify(ctx, w, x.Verify, r)
	case *pb.Task_Read:
		return a.read(ctx, w, x.Read, r)
	case *pb.Task_Release:
		return a.release(x.Release)
	case *pb.Task_Gather:
		return a.gather(ctx, w, x.Gather, r)
	case *pb.Task_Seal:
		return a.seal(x.Seal, r)
	case *pb.Task_Rebuild:
		return a.rebuild(ctx, w, x.Rebuild, r)
	case *pb.Task_Copy:
		return a.copy(ctx, w, x.Copy, r)
	case *pb.Task_CopyRows:
		return a.copyRows(ctx, w, x.CopyRows, r)
	case *pb.Task_Serve:
		return a.serve(ctx, w, x.Serve, r)
	default:
		return defect("a task of a kind that this agent does not know")
	}
}

// again is a result under a newer lease.
func again(r *pb.TaskResult, epoch int64) *pb.TaskResult {
	r = proto.CloneOf(r)
	r.Ref.Epoch = epoch
	return r
}

// finish makes a task's result durable and wakes whoever sends it. A task that the controller has cancelled has none.
func (a *agent) finish(w *work, r *pb.TaskResult, err error) {
	r.Finished = timestamppb.Now()
	if err != nil {
		r.Error = text(err)
		r.Failure = failureOf(err)
		if r.GetFailure() == pb.Failure_FAILURE_INTERRUPTED && !w.firm.Load() && (w.kind == "burn" || w.kind == "move") {
			r.Failure = pb.Failure_FAILURE_RETRY // the disc is as it was
		}
	}
	log := append(attrs(w.task), "seconds", r.GetSeconds(), "bytes", r.GetBytes())
	if m := w.task.GetMove(); m != nil {
		log = append(log, "outcome", r.GetMove().String())
		if m.GetTo().GetKind() == pb.ElementKind_ELEMENT_KIND_DRIVE {
			log = append(log, "identity", describe(r.GetIdentity()))
		}
	}
	if err != nil {
		log = append(log, "failure", r.GetFailure().String(), "error", err)
	}
	a.log.Info("task finished", log...)

	a.mu.Lock()
	defer a.mu.Unlock()
	r.Ref = w.ref()
	delete(a.running, w.task.GetRef().GetId())
	a.wake()
	if r.GetFailure() == pb.Failure_FAILURE_DRIVE {
		a.askReport() // it may be left out from now on
	}
	if w.kind == "move" {
		a.moves++
		a.askReport()
	}
	lost := w.firm.Load() && w.kind == "move" && errors.Is(err, errAborted)
	if lost || errors.Is(err, errUnwanted) {
		return
	}
	if err := a.journal.Finish(r); err != nil {
		a.broken(err)
	}
}
