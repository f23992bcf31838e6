package agent

import (
	"context"
	"crypto/sha256"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// controller does what the real one does with leases, epochs and results, in memory.
type controller struct {
	pb.UnimplementedAgentServiceServer

	mu         sync.Mutex
	changed    chan struct{} // closed and replaced when version grows
	version    int64
	away       bool
	instance   string
	last       int64
	tasks      map[int64]*pb.Task // leased
	results    map[int64]*pb.TaskResult
	recorded   map[int64]int // how often a result was believed
	stale      int
	running    map[int64]*pb.TaskProgress // of the last call
	progress   map[int64][]int64
	calls      []time.Time
	reports    []*pb.LibraryReport
	late       []*pb.LibraryReport // those that came after a result, or with it
	wantReport bool
	probes     []*pb.DriveProbe
	draining   bool

	images  map[string]*imageOfController
	stored  map[string][]byte
	refuse  map[string]bool
	inParts map[string]int // contents of which a disc has a part only: how often that is refused before it is taken
	partial int            // contents of which a stream that was ended rightly had a piece only
	slow    time.Duration  // how long each call takes at least
}

type imageOfController struct {
	description []*pb.ImageDescription
	pieces      []*pb.Pieces
}

func newController() *controller {
	return &controller{
		changed: make(chan struct{}), tasks: map[int64]*pb.Task{}, results: map[int64]*pb.TaskResult{}, recorded: map[int64]int{},
		progress: map[int64][]int64{}, images: map[string]*imageOfController{}, stored: map[string][]byte{}, refuse: map[string]bool{}, inParts: map[string]int{},
	}
}

// news wakes those who wait. The caller holds c.mu.
func (c *controller) news() {
	c.version++
	close(c.changed)
	c.changed = make(chan struct{})
}

// lease gives the agent a task.
func (c *controller) lease(t *pb.Task) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	t.Ref = &pb.TaskRef{Id: c.last, Epoch: 1}
	c.tasks[c.last] = t
	c.news()
	return c.last
}

// seen calls look while nothing changes.
func (c *controller) seen(look func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	look()
}

// cancel takes a task away.
func (c *controller) cancel(id int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.tasks, id)
	c.news()
}

// until waits for a condition, which is looked at under c.mu.
func (c *controller) until(ctx context.Context, holds func() bool) bool {
	for {
		c.mu.Lock()
		ok, changed := holds(), c.changed
		c.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

func (c *controller) isAway() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, time.Now())
	if c.away {
		return status.Error(codes.Unavailable, "the controller is away")
	}
	return nil
}

func (c *controller) setAway(away bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away = away
	c.news()
}

func (c *controller) Synchronize(ctx context.Context, r *pb.SynchronizeRequest) (*pb.SynchronizeResponse, error) {
	if err := c.isAway(); err != nil {
		return nil, err
	}
	if err := pause(ctx, c.slow); err != nil {
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	c.mu.Lock()
	acknowledged := c.record(r)
	c.mu.Unlock()

	timer := time.NewTimer(20 * time.Second)
	defer timer.Stop()
	for waiting := true; waiting; {
		c.mu.Lock()
		changed := c.changed
		waiting = c.version <= r.GetSeen()
		c.mu.Unlock()
		if !waiting {
			break
		}
		select {
		case <-changed:
		case <-timer.C:
			waiting = false
		case <-ctx.Done():
			return nil, status.FromContextError(ctx.Err()).Err()
		}
	}

	c.mu.Lock()
	defer c.mu.Unlock()
	if c.away {
		return nil, status.Error(codes.Unavailable, "the controller is away")
	}
	answer := &pb.SynchronizeResponse{Acknowledged: acknowledged, WantReport: c.wantReport, Version: c.version, Probes: c.probes}
	running := map[int64]int64{}
	for _, p := range r.GetRunning() {
		running[p.GetRef().GetId()] = p.GetRef().GetEpoch()
	}
	for _, id := range slices.Sorted(maps.Keys(c.tasks)) {
		t := proto.CloneOf(c.tasks[id])
		if running[id] == t.GetRef().GetEpoch() {
			t.Work = nil
		}
		answer.Tasks = append(answer.Tasks, t)
	}
	return answer, nil
}

// record does what library/postgres does with a call, in its order.
func (c *controller) record(r *pb.SynchronizeRequest) (acknowledged []*pb.TaskRef) {
	changed := false
	fresh := r.GetInstance() != c.instance
	c.instance, c.draining = r.GetInstance(), r.GetDraining()
	for _, result := range r.GetResults() {
		id := result.GetRef().GetId()
		if t := c.tasks[id]; t != nil && t.GetRef().GetEpoch() == result.GetRef().GetEpoch() {
			delete(c.tasks, id)
			c.results[id] = result
			c.recorded[id]++
		} else {
			c.stale++
		}
		acknowledged = append(acknowledged, result.GetRef())
		changed = true
	}
	if fresh {
		c.wantReport = true
		for _, t := range c.tasks {
			t.Ref.Epoch++
		}
		changed = true
	}
	if report := r.GetReport(); report != nil {
		c.reports = append(c.reports, report)
		if len(c.results) > 0 {
			c.late = append(c.late, report)
		}
		c.wantReport = report.GetTrouble() != ""
		changed = true
	}
	c.running = map[int64]*pb.TaskProgress{}
	for _, p := range r.GetRunning() {
		c.running[p.GetRef().GetId()] = p
		c.progress[p.GetRef().GetId()] = append(c.progress[p.GetRef().GetId()], p.GetBytesDone())
	}
	if changed {
		c.news()
	} else {
		close(c.changed) // only for the tests that wait
		c.changed = make(chan struct{})
	}
	return acknowledged
}

func (c *controller) DescribeImage(r *pb.DescribeImageRequest, s pb.AgentService_DescribeImageServer) error {
	if err := c.isAway(); err != nil {
		return err
	}
	image := c.images[r.GetImageId()]
	if image == nil {
		return status.Error(codes.NotFound, "no such image")
	}
	for _, m := range image.description {
		if err := s.Send(m); err != nil {
			return err
		}
	}
	return nil
}

func (c *controller) ReadImageContents(r *pb.ReadImageContentsRequest, s pb.AgentService_ReadImageContentsServer) error {
	if err := c.isAway(); err != nil {
		return err
	}
	for _, m := range c.images[r.GetImageId()].pieces {
		if err := s.Send(m); err != nil {
			return err
		}
	}
	return nil
}

func (c *controller) StoreContents(s pb.AgentService_StoreContentsServer) error {
	if err := c.isAway(); err != nil {
		return err
	}
	var got map[string][]byte
	size := map[string]int64{}
	for {
		m, err := s.Recv()
		if err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		if got == nil {
			got = map[string][]byte{}
			c.mu.Lock()
			t := c.tasks[m.GetRef().GetId()]
			c.mu.Unlock()
			if t.GetRef().GetEpoch() != m.GetRef().GetEpoch() {
				return status.Error(codes.Aborted, "an old lease")
			}
		}
		bytes := 0
		for _, p := range m.GetPieces() {
			bytes += len(p.GetData())
			size[string(p.GetHash())] = p.GetSize()
			got[string(p.GetHash())] = append(got[string(p.GetHash())], p.GetData()...)
		}
		if bytes > 1<<20 {
			return status.Error(codes.InvalidArgument, "a message of more than 1 MiB")
		}
	}
	answer := &pb.StoreContentsResponse{}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, hash := range slices.Sorted(maps.Keys(got)) {
		if n, ok := c.inParts[hash]; ok {
			if c.inParts[hash]--; n > 0 {
				answer.Refused = append(answer.Refused, []byte(hash))
			} else {
				c.stored[hash] = got[hash]
			}
			continue
		}
		if int64(len(got[hash])) != size[hash] {
			c.partial++
		}
		if sum := sha256.Sum256(got[hash]); string(sum[:]) != hash || c.refuse[hash] {
			answer.Refused = append(answer.Refused, []byte(hash))
			continue
		}
		c.stored[hash] = got[hash]
	}
	return s.SendAndClose(answer)
}
