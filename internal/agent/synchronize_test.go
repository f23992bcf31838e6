package agent

import (
	"crypto/sha256"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot"
)

// TestControllerAway: the burn that was begun goes on and its result is told when somebody listens again. Until then the
// controller is called with growing pauses, and nothing new is begun.
func TestControllerAway(t *testing.T) {
	inBubble(t, 2, 1, func(s *site) {
		image := inSectors(imageA, 700)
		sum := sha256.Sum256(image)
		s.scratchFile(imageA, image, sum[:])
		s.world.drives[1], s.world.burnTime = blank(800), 10*time.Minute
		p := s.start()
		defer p.end()
		id := s.lease(burnTask(imageA, 700, sum[:]))
		s.started(id)
		s.setAway(true)
		next := s.lease(moveTask(drive(1), slot(1)))
		var calls []time.Time
		left := 0
		s.seen(func() { left = len(s.calls) })
		time.Sleep(30 * time.Minute)
		s.watched(func() {
			if d := s.world.drives[1]; d == nil || d.state != robot.Complete {
				t.Fatalf("the disc in the drive is %+v", d)
			}
		})
		s.seen(func() { calls = slices.Clone(s.calls[left:]) })
		if n := len(calls); n < 150 || n > 400 {
			t.Errorf("%d calls in half an hour", n)
		}
		for i := 2; i < len(calls); i++ {
			if d := calls[i].Sub(calls[i-1]); d < shortestWait || d > longestWait+time.Second {
				t.Errorf("call %d came %v after the one before", i, d)
			}
		}
		s.setAway(false)
		s.ok(s.result(id))
		s.result(next)
		if s.times(id) != 1 {
			t.Errorf("the burn's result was recorded %d times", s.times(id))
		}
	})
}

// TestSlowController: an agent that has progress to tell each second gets its answers from a controller that takes longer.
func TestSlowController(t *testing.T) {
	inBubble(t, 2, 2, func(s *site) {
		image := inSectors(imageA, 700)
		sum := sha256.Sum256(image)
		s.scratchFile(imageA, image, sum[:])
		s.world.drives[1], s.world.slots[2], s.world.burnTime = blank(800), blank(800), time.Hour
		s.slow = 3 * time.Second
		p := s.start()
		defer p.end()
		burn := s.lease(burnTask(imageA, 700, sum[:]))
		s.started(burn)
		began := time.Now()
		s.ok(s.run(moveTask(slot(2), drive(2))))
		if d := time.Since(began); d > 20*time.Second {
			t.Errorf("a move beside a burn took %v", d)
		}
	})
}

func TestIdleAgentIsQuiet(t *testing.T) {
	inBubble(t, 2, 1, func(s *site) {
		p := s.start()
		defer p.end()
		time.Sleep(10 * time.Minute)
		s.seen(func() {
			if n := len(s.calls); n > 40 {
				t.Errorf("%d calls in 10 minutes", n)
			}
		})
		s.watched(func() {
			if s.asked > 2 {
				t.Errorf("the robot was asked %d times", s.asked)
			}
		})
	})
}

// TestCancel: what can be done again is broken off, has no result, and leaves the drive free.
func TestCancel(t *testing.T) {
	inBubble(t, 2, 1, func(s *site) {
		image := inSectors(imageA, 1<<14)
		sum := sha256.Sum256(image)
		s.world.drives[1] = recorded(image)
		s.world.readTime = 10 * time.Second
		p := s.start()
		defer p.end()
		id := s.lease(verifyTask(imageA, 1<<14, sum[:]))
		s.started(id)
		s.cancel(id)
		began := time.Now()
		s.ok(s.run(verifyTask(imageA, 512, sumOf(image[:512*2048]))))
		// One read for each region is the second one's own.
		if d := time.Since(began) - robot.Regions*s.world.readTime; d > time.Minute {
			t.Errorf("the drive was free after %v", d)
		}
		s.seen(func() {
			if s.stale != 0 || s.results[id] != nil {
				t.Errorf("a cancelled task has a result: %v", s.results[id])
			}
		})
	})
}

func sumOf(p []byte) []byte {
	sum := sha256.Sum256(p)
	return sum[:]
}

// TestStopInterrupts: a verify that runs when the agent is stopped is broken off and said to be; nothing new is taken.
func TestStopInterrupts(t *testing.T) {
	inBubble(t, 2, 1, func(s *site) {
		image := inSectors(imageA, 1<<14)
		s.world.drives[1], s.world.readTime = recorded(image), 10*time.Second
		p := s.start()
		id := s.lease(verifyTask(imageA, 1<<14, sumOf(image)))
		s.started(id)
		began := time.Now()
		p.end()
		if d := time.Since(began); d > 30*time.Second {
			t.Errorf("stopping took %v", d)
		}
		s.seen(func() {
			s.failed(s.results[id], pb.Failure_FAILURE_INTERRUPTED)
			if !s.draining {
				t.Error("the controller was not told")
			}
		})
	})
}

// TestStopWithoutController: an agent that is stopped while the controller is away ends, and its results stay.
func TestStopWithoutController(t *testing.T) {
	inBubble(t, 2, 1, func(s *site) {
		s.world.slots[1], s.world.moveTime = blank(9), 20*time.Second
		p := s.start()
		id := s.lease(moveTask(slot(1), drive(1)))
		s.started(id)
		time.Sleep(time.Second) // the robot moves
		s.setAway(true)
		began := time.Now()
		p.end()
		if d := time.Since(began); d > time.Minute {
			t.Errorf("stopping took %v", d)
		}
		s.setAway(false)
		p = s.start()
		defer p.end()
		s.ok(s.result(id))
	})
}

// TestTrouble: a robot that can't be asked is said to be in trouble, is asked again, and is well when it answers.
func TestTrouble(t *testing.T) {
	inBubble(t, 2, 1, func(s *site) {
		s.world.deaf = robot.ErrDoor
		p := s.start()
		defer p.end()
		time.Sleep(time.Minute)
		var reports []*pb.LibraryReport
		s.seen(func() { reports = slices.Clone(s.reports) })
		if n := len(reports); n < 10 || n > 16 {
			t.Errorf("%d reports in a minute of trouble", n)
		}
		if last := reports[len(reports)-1]; !strings.Contains(last.GetTrouble(), robot.ErrDoor.Error()) || last.GetModel() != "memory" || len(last.GetDrives()) != 1 {
			t.Errorf("report %v", last)
		}
		s.watched(func() { s.world.deaf = nil })
		time.Sleep(time.Minute)
		s.seen(func() {
			last := s.reports[len(s.reports)-1]
			if last.GetTrouble() != "" || len(last.GetElements()) != 3 || !last.GetHomeOnly() || s.wantReport {
				t.Errorf("report %v", last)
			}
		})
	})
}

// TestReportFollowsMove: each move is followed by a report of what the robot holds then.
func TestReportFollowsMove(t *testing.T) {
	inBubble(t, 2, 2, func(s *site) {
		s.world.slots[2] = recorded(inSectors(imageA, 4))
		p := s.start()
		defer p.end()
		s.ok(s.run(moveTask(slot(2), drive(2))))
		synctest.Wait()
		found := false
		var last *pb.LibraryReport
		s.seen(func() { last = s.reports[len(s.reports)-1] })
		for _, e := range last.GetElements() {
			if e.GetAddress().GetKind() != pb.ElementKind_ELEMENT_KIND_DRIVE || e.GetAddress().GetNumber() != 2 {
				continue
			}
			found = true
			if e.GetFill() != pb.Fill_FILL_FULL || e.GetHome().GetNumber() != 2 || e.GetIdentity().GetImageId() != imageA {
				t.Errorf("drive 2 is reported as %v", e)
			}
		}
		if !found {
			t.Error("drive 2 is not reported")
		}
	})
}

// TestReportIsNotOlderThanResult: what the robot said before a move ended is not told after the move's result, which it would
// contradict.
func TestReportIsNotOlderThanResult(t *testing.T) {
	inBubble(t, 2, 1, func(s *site) {
		s.world.slots[1], s.world.askTime = blank(9), time.Minute
		p := s.start()
		defer p.end()
		time.Sleep(10 * time.Second) // the first inventory is under way
		s.ok(s.run(moveTask(slot(1), drive(1))))
		time.Sleep(10 * time.Minute)
		s.seen(func() {
			if len(s.late) == 0 {
				t.Error("no report after the move")
			}
			for _, r := range s.late {
				if e := r.GetElements()[0]; e.GetFill() != pb.Fill_FILL_FULL {
					t.Errorf("reported after the move into it: %v", e)
				}
			}
		})
	})
}

// TestNewerLease: a task that is leased anew while it runs goes on, and its result goes out under the newer lease.
func TestNewerLease(t *testing.T) {
	inBubble(t, 2, 1, func(s *site) {
		s.world.slots[1], s.world.moveTime = blank(9), time.Minute
		p := s.start()
		defer p.end()
		id := s.lease(moveTask(slot(1), drive(1)))
		s.started(id)
		want := int64(0)
		s.seen(func() {
			s.tasks[id].Ref.Epoch += 7
			want = s.tasks[id].GetRef().GetEpoch()
			s.news()
		})
		r := s.result(id)
		s.ok(r)
		if r.GetRef().GetEpoch() != want || len(s.told()) != 1 {
			t.Errorf("result under epoch %d, want %d; moves %q", r.GetRef().GetEpoch(), want, s.told())
		}
	})
}

// TestOldResultNewLease: what was moved under a lease that was lost is not moved again under the next.
func TestOldResultNewLease(t *testing.T) {
	inBubble(t, 2, 1, func(s *site) {
		s.world.slots[1], s.world.moveTime = blank(9), time.Minute
		p := s.start()
		id := s.lease(moveTask(slot(1), drive(1)))
		s.started(id)
		s.setAway(true)
		time.Sleep(5 * time.Minute) // it has ended, and nobody knows
		s.seen(func() { s.tasks[id].Ref.Epoch += 3 })
		s.setAway(false)
		r := s.result(id)
		p.end()
		s.ok(r)
		if len(s.told()) != 1 || s.times(id) != 1 {
			t.Errorf("moves %q, recorded %d times", s.told(), s.times(id))
		}
	})
}

func TestOneAgentPerFolder(t *testing.T) {
	inBubble(t, 2, 1, func(s *site) {
		p := s.start()
		time.Sleep(time.Second)
		second := s.start()
		<-second.done
		if second.err == nil || !strings.Contains(second.err.Error(), "another agent") {
			t.Errorf("a second agent in the same folder: %v", second.err)
		}
		p.end()
	})
}
