package agent

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot"
)

const imageA = "0a1b2c3d-0000-4000-8000-00000000000a"

// life is what happens to a disc: each step with the places of its moves.
func life(sum []byte, sectors int64) []*pb.Task {
	in, out := moveTask(slot(1), drive(1)), moveTask(drive(1), slot(1))
	return []*pb.Task{
		in,
		{Work: &pb.Task_Burn{Burn: &pb.Burn{ImageId: imageA, Drive: 1, Sectors: sectors, Sha256: sum}}},
		out,
		moveTask(slot(1), drive(1)),
		{Work: &pb.Task_Verify{Verify: &pb.Verify{ImageId: imageA, Drive: 1, Sectors: sectors, Sha256: sum}}},
		moveTask(drive(1), slot(1)),
	}
}

// TestDeathAtEveryStep lets the process die at its first step, its second, and so on: before and after each record of the
// journal, each act of the machine and each call. The next process goes on with the same disk and machine.
func TestDeathAtEveryStep(t *testing.T) {
	for _, senses := range []bool{false, true} {
		t.Run(fmt.Sprintf("senses slots %v", senses), func(t *testing.T) {
			t.Parallel()
			for step := int64(1); ; step++ {
				var died string
				inBubble(t, 2, 1, func(s *site) { died = dieAt(s, step, senses) })
				if died == "" {
					if step < 60 {
						t.Errorf("the whole life of a disc has only %d steps", step)
					}
					return
				}
				if t.Failed() {
					t.Fatalf("with death at step %d, %s", step, died)
				}
			}
		})
	}
}

// dieAt runs a disc's life with one death in it, and returns where that was; nothing when the life was shorter.
func dieAt(s *site, step int64, senses bool) (died string) {
	const sectors = 40
	image := inSectors(imageA, sectors)
	sum := sha256.Sum256(image)
	s.scratchFile(imageA, image, sum[:])
	s.world.props.SensesSlots = senses
	disc := blank(sectors)
	s.world.slots[1] = disc

	p := s.startDoomed(step)
	for tasks := life(sum[:], sectors); len(tasks) > 0; {
		task := tasks[0]
		before := len(s.told())
		id := s.lease(task)
		for s.waitOrDeath(p, id) {
			died = p.died
			<-p.done
			p = s.start()
		}
		r := s.result(id)
		if m := task.GetMove(); m != nil {
			s.checkMove(r, m, disc, before)
			if r.GetMove() == pb.MoveOutcome_MOVE_OUTCOME_NOT_MOVED {
				continue
			}
		}
		tasks = tasks[1:]
		if task.GetBurn() != nil && r.GetError() != "" && r.GetFailure() != pb.Failure_FAILURE_INTERRUPTED {
			s.Errorf("burn failed: %v: %s", r.GetFailure(), r.GetError())
		}
		s.watched(func() {
			if task.GetVerify() != nil && (r.GetError() == "") != (disc.state == robot.Complete) {
				s.Errorf("verify of a disc that is %v: %q", disc.state, r.GetError())
			}
		})
	}
	p.end()
	if p.gone.Load() && died == "" {
		died = p.died
	}
	s.watched(func() {
		if disc.burns > 1 {
			s.Errorf("the disc was burned %d times", disc.burns)
		}
	})
	for id := int64(1); id <= s.last; id++ {
		if n := s.times(id); n != 1 {
			s.Errorf("the result of task %d was recorded %d times", id, n)
		}
	}
	return died
}

// waitOrDeath waits for a task's result and says whether the process died over it.
func (s *site) waitOrDeath(p *process, id int64) (dead bool) {
	have := func() bool { return s.results[id] != nil }
	result := make(chan bool)
	ctx, cancel := context.WithTimeout(s.Context(), time.Hour)
	defer cancel()
	go func() { result <- s.until(ctx, func() bool { return have() || p.gone.Load() }) }()
	select {
	case <-result:
	case <-p.done:
		if !p.gone.Load() {
			s.Fatalf("the agent ended by itself: %v", p.err)
		}
		s.controller.mu.Lock()
		s.news()
		s.controller.mu.Unlock()
		<-result
	}
	if ctx.Err() != nil {
		s.Fatalf("task %d has no result after an hour", id)
	}
	s.controller.mu.Lock()
	defer s.controller.mu.Unlock()
	return !have()
}

// checkMove: the robot was told once at most, and the result says where the disc is.
func (s *site) checkMove(r *pb.TaskResult, m *pb.Move, d *disc, before int) {
	s.Helper()
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	from, to := addressOf(m.GetFrom()), addressOf(m.GetTo())
	if told := s.world.moves[before:]; len(told) > 1 {
		s.Errorf("the robot was told more than once: %s", strings.Join(told, "; "))
	}
	switch r.GetMove() {
	case pb.MoveOutcome_MOVE_OUTCOME_MOVED:
		if s.world.at(to) != d {
			s.Errorf("move %v to %v: said to be moved, and is not", from, to)
		}
		if to.Kind == robot.DriveBay && !slices.Contains([]pb.Identity_State{pb.Identity_STATE_BLANK, pb.Identity_STATE_OURS, pb.Identity_STATE_SPENT}, r.GetIdentity().GetState()) {
			s.Errorf("move %v to %v: the disc was not identified: %v", from, to, r.GetIdentity())
		}
	case pb.MoveOutcome_MOVE_OUTCOME_NOT_MOVED:
		if s.world.at(from) != d {
			s.Errorf("move %v to %v: said not to be moved, and is", from, to)
		}
	case pb.MoveOutcome_MOVE_OUTCOME_SOURCE_EMPTY:
		if s.world.at(from) != nil {
			s.Errorf("move %v to %v: said to be empty, and is not", from, to)
		}
	default:
		s.Errorf("move %v to %v: %v: %s", from, to, r.GetMove(), r.GetError())
	}
}
