package agent

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is a machine, a controller and an agent's disk.
type site struct {
	*testing.T
	*world
	*controller
	dir      string
	listener *bufconn.Listener

	scratchLimit int64
}

// inBubble runs a test with a clock of its own.
func inBubble(t *testing.T, slots, drives int, test func(*site)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := &site{T: t, world: newWorld(slots, drives), controller: newController(), dir: dir, listener: bufconn.Listen(1 << 20)}
		server := grpc.NewServer()
		pb.RegisterAgentServiceServer(server, s.controller)
		var serving sync.WaitGroup
		serving.Go(func() { _ = server.Serve(s.listener) })
		defer serving.Wait()
		defer server.Stop()
		test(s)
	})
}

// process is one run of the agent.
type process struct {
	*site
	stop  context.CancelFunc
	abort func()
	done  chan struct{}
	err   error
	gone  atomic.Bool // it is dead, and whatever it still does has no effect
	steps atomic.Int64
	dieAt int64 // the step at which it dies; 0 is never
	died  string
}

// step counts the points at which the process may die, and says whether it lives.
func (p *process) step(act string) bool {
	if n := p.steps.Add(1); n == p.dieAt && p.dieAt > 0 {
		p.died = act
		p.gone.Store(true)
	}
	return !p.gone.Load()
}

func (s *site) start() *process { return s.startDoomed(0) }

// startDoomed starts an agent that dies at a step.
func (s *site) startDoomed(dieAt int64) *process {
	s.Helper()
	p := &process{site: s, done: make(chan struct{}), dieAt: dieAt}
	conn, err := grpc.NewClient("passthrough:///controller", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return s.listener.DialContext(ctx) }),
		grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			if !p.step("before a call") {
				return status.Error(codes.Unavailable, errDead.Error())
			}
			err := invoke(ctx, method, req, reply, cc, opts...)
			if !p.step("after a call") {
				return status.Error(codes.Unavailable, errDead.Error())
			}
			return err
		}))
	if err != nil {
		s.Fatal(err)
	}
	aborted := make(chan struct{})
	p.abort = sync.OnceFunc(func() { close(aborted) })
	h := hand{world: s.world, step: p.step}
	m := Main{
		Config:  Config{Name: "a1", Library: "north", Data: s.dir, Scratch: ScratchConfig{Limit: s.scratchLimit}},
		Log:     slog.New(slog.NewTextHandler(testWriter{s.T}, nil)),
		Changer: handChanger{h}, Drives: map[int]robot.Drive{},
		Connection: conn, identify: firstBytes, Abort: aborted,
		hook: func(written bool) error {
			act := "before the journal is written"
			if written {
				act = "after the journal was written"
			}
			if !p.step(act) {
				return errDead
			}
			return nil
		},
	}
	for n := range s.world.drives {
		m.Drives[n] = handDrive{h, n}
	}
	ctx, stop := context.WithCancel(s.Context())
	p.stop = stop
	go func() {
		defer close(p.done)
		defer conn.Close()
		p.err = m.Run(ctx)
	}()
	if dieAt > 0 {
		// Nobody tells a process that it is dead: here its goroutines have to end.
		go func() {
			for !p.gone.Load() {
				select {
				case <-p.done:
					return
				case <-time.After(50 * time.Millisecond):
				}
			}
			p.abort()
		}()
	}
	return p
}

// end stops the process and waits for it.
func (p *process) end() {
	p.Helper()
	p.stop()
	<-p.done
	if p.err != nil && !p.gone.Load() {
		p.Errorf("the agent ended with: %v", p.err)
	}
}

// result waits for a task's result.
func (s *site) result(id int64) *pb.TaskResult {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), time.Hour)
	defer cancel()
	if !s.until(ctx, func() bool { return s.results[id] != nil }) {
		s.Fatalf("task %d has no result", id)
	}
	s.controller.mu.Lock()
	defer s.controller.mu.Unlock()
	return s.results[id]
}

// told is what the robot was told to carry.
func (s *site) told() (moves []string) {
	s.watched(func() { moves = slices.Clone(s.moves) })
	return moves
}

// times is how often a task's result was recorded.
func (s *site) times(id int64) (n int) {
	s.seen(func() { n = s.recorded[id] })
	return n
}

// run leases a task and waits for its result.
func (s *site) run(t *pb.Task) *pb.TaskResult {
	s.Helper()
	return s.result(s.lease(t))
}

// started waits until the agent says that a task runs.
func (s *site) started(id int64) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), time.Hour)
	defer cancel()
	if !s.until(ctx, func() bool { return s.running[id] != nil }) {
		s.Fatalf("task %d does not run", id)
	}
}

// scratchFile writes a built image.
func (s *site) scratchFile(id string, data, sum []byte) {
	s.Helper()
	dir := filepath.Join(s.dir, "scratch")
	sc, err := openScratch(dir, 0)
	if err != nil {
		s.Fatal(err)
	}
	defer sc.root.Close()
	if err := os.WriteFile(filepath.Join(dir, id+part), data, 0o600); err != nil {
		s.Fatal(err)
	}
	if err := sc.keep(id, sum); err != nil {
		s.Fatal(err)
	}
}

func (s *site) ok(r *pb.TaskResult) {
	s.Helper()
	if r.GetError() != "" || r.GetFailure() != pb.Failure_FAILURE_NONE {
		s.Fatalf("task %d failed: %v: %s", r.GetRef().GetId(), r.GetFailure(), r.GetError())
	}
}

func (s *site) failed(r *pb.TaskResult, want pb.Failure) {
	s.Helper()
	if r.GetError() == "" || r.GetFailure() != want {
		s.Errorf("task %d: %v, error %q; want %v", r.GetRef().GetId(), r.GetFailure(), r.GetError(), want)
	}
}

// testWriter sends log lines to the test's log.
type testWriter struct{ *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.Logf("%s", p[:len(p)-1])
	return len(p), nil
}

func moveTask(from, to robot.Address) *pb.Task {
	return &pb.Task{Work: &pb.Task_Move{Move: &pb.Move{From: message(from), To: message(to)}}}
}
