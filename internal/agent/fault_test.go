package agent

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/odarchive/odarchive/internal/agent/journal"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/robottest"
	"github.com/odarchive/odarchive/robot/robottest/simrig"
)

// TestJournalOfFaults runs every driver through every fault of its machine in the agent's hands: what the journal says afterwards, as another
// process reads it, is so, or says that nobody knows. A move that was begun and has no end there is looked for by that process, and what it
// finds is so too.
func TestJournalOfFaults(t *testing.T) {
	limit, pause := settleLimit, settlePause
	settleLimit, settlePause = 100*time.Millisecond, 10*time.Millisecond
	t.Cleanup(func() { settleLimit, settlePause = limit, pause })
	for _, r := range simrig.Some() {
		t.Run(r.Name, func(t *testing.T) {
			t.Parallel()
			rig := r.New(t)
			m := &journaled{t: t}
			rig.Move = m.move
			robottest.Faults(t, rig)
		})
	}
}

// journaled makes moves as an agent does.
type journaled struct {
	t    testing.TB
	last int64
}

func (m *journaled) move(ctx context.Context, c robot.Changer, from, to robot.Address) (robottest.Outcome, error) {
	m.t.Helper()
	m.last++
	root, err := os.OpenRoot(m.t.TempDir())
	if err != nil {
		m.t.Fatal(err)
	}
	defer root.Close()
	kept := &remembering{Changer: c}
	a := m.agent(root, kept)
	task := moveTask(from, to)
	task.Ref = &pb.TaskRef{Id: m.last, Epoch: 1}
	w := &work{task: task, kind: "move", hard: ctx}
	w.epoch.Store(1)
	result := &pb.TaskResult{Ref: task.GetRef()}
	moveErr := a.move(ctx, w, task.GetMove(), result)
	// Half of the agents die before they write down how it ended.
	if m.last%2 == 0 || !w.firm.Load() {
		if moveErr != nil {
			result.Error, result.Failure = text(moveErr), failureOf(moveErr)
		}
		if err := a.journal.Finish(proto.CloneOf(result)); err != nil {
			m.t.Fatal(err)
		}
	}
	if err := a.journal.Close(); err != nil {
		m.t.Fatal(err)
	}
	again := m.agent(root, kept)
	defer again.journal.Close()
	if err := again.recover(ctx); err != nil {
		m.t.Fatal(err)
	}
	e := again.journal.Entry(m.last)
	if w.firm.Load() && e.Begun == nil {
		m.t.Error("a move that was made is not in the journal")
	}
	return map[pb.MoveOutcome]robottest.Outcome{
		pb.MoveOutcome_MOVE_OUTCOME_MOVED:     robottest.Moved,
		pb.MoveOutcome_MOVE_OUTCOME_NOT_MOVED: robottest.NotMoved,
		pb.MoveOutcome_MOVE_OUTCOME_UNKNOWN:   robottest.Unsure,
	}[e.Result.GetMove()], kept.err
}

func (m *journaled) agent(root *os.Root, c robot.Changer) *agent {
	m.t.Helper()
	j, _, err := journal.Open(root)
	if err != nil {
		m.t.Fatal(err)
	}
	a := &agent{log: slog.New(slog.DiscardHandler), changer: c, journal: j, bays: map[int32]*bay{}, woken: make(chan struct{}, 1)}
	for n := range 4 {
		a.bays[int32(n+1)] = newBay(n+1, &emptyDrive{}, "", firstBytes)
	}
	return a
}

// remembering keeps the error of a move.
type remembering struct {
	robot.Changer
	err error
}

func (r *remembering) Move(ctx context.Context, from, to robot.Address) error {
	r.err = r.Changer.Move(ctx, from, to)
	return r.err
}

// emptyDrive is a drive in which there never is a disc.
type emptyDrive struct {
	absent
}

func (*emptyDrive) Name() string { return "empty" }
func (d *emptyDrive) Load(context.Context) (robot.Medium, error) {
	return robot.Medium{State: robot.NoDisc}, nil
}
func (*emptyDrive) Eject(context.Context) error { return nil }
