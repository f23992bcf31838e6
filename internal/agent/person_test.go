package agent

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/odarchive/odarchive/internal/agent/journal"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/changer/manual"
)

// clumsy is a person who says that all is done, and has put in what he likes.
type clumsy struct {
	*world
	puts *disc
	told []string
}

func (c *clumsy) Do(_ context.Context, request string) (manual.Answer, error) {
	c.told = append(c.told, request)
	c.watched(func() {
		if strings.HasPrefix(request, "put") {
			c.drives[1] = c.puts
		} else {
			c.drives[1] = nil
		}
	})
	return manual.Done, nil
}

// TestPersonConfirmsTheWrongDisc: what he says is kept as what he says, and what the drive reads is reported beside it; he is shown that at once.
// Nothing is burned onto a disc that isn't the blank which was asked for.
func TestPersonConfirmsTheWrongDisc(t *testing.T) {
	for _, c := range []struct {
		name  string
		puts  *disc
		state pb.Identity_State
		image string
		shown string
	}{
		{"the right one", recorded(inSectors(imageA, 4)), pb.Identity_STATE_OURS, imageA, imageA},
		{"another", recorded(inSectors(imageB, 4)), pb.Identity_STATE_OURS, imageB, imageB},
		{"a stranger's", recorded(make([]byte, 4*2048)), pb.Identity_STATE_FOREIGN, "", "drive 1 holds"},
		{"none", nil, pb.Identity_STATE_NO_DISC, "", "drive 1 holds"},
	} {
		t.Run(c.name, func(t *testing.T) {
			root, err := os.OpenRoot(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			w := newWorld(2, 1)
			person := &clumsy{world: w, puts: c.puts}
			changer, err := manual.Open(person, root, manual.Config{Slots: 2, Drives: 1, Label: "QK-%04d"})
			if err != nil {
				t.Fatal(err)
			}
			j, _, err := journal.Open(root)
			if err != nil {
				t.Fatal(err)
			}
			defer j.Close()
			h := hand{world: w, step: func(string) bool { return true }}
			a := &agent{log: slog.New(slog.DiscardHandler), changer: changer, journal: j, woken: make(chan struct{}, 1), desk: &desk{}}
			a.bays = map[int32]*bay{1: newBay(1, handDrive{h, 1}, "", firstBytes)}
			a.desk.asked = make(chan struct{})
			do := func(task *pb.Task, kind string) *pb.TaskResult {
				t.Helper()
				task.Ref = &pb.TaskRef{Id: 1, Epoch: 1}
				work := &work{task: task, kind: kind, hard: t.Context()}
				work.epoch.Store(1)
				r := &pb.TaskResult{Ref: task.GetRef()}
				if err := a.do(t.Context(), work, r); err != nil {
					r.Error, r.Failure = err.Error(), failureOf(err)
				}
				return r
			}
			r := do(moveTask(slot(1), drive(1)), "move")
			if r.GetError() != "" || r.GetMove() != pb.MoveOutcome_MOVE_OUTCOME_MOVED || r.GetIdentity().GetState() != c.state || r.GetIdentity().GetImageId() != c.image {
				t.Errorf("%v", r)
			}
			if len(person.told) != 1 || !strings.Contains(person.told[0], "QK-0001") || !strings.Contains(a.desk.notice, c.shown) {
				t.Errorf("he was asked %q and shown %q", person.told, a.desk.notice)
			}
			if noted := j.Entry(1).Outcome.GetMove(); noted != pb.MoveOutcome_MOVE_OUTCOME_MOVED {
				t.Errorf("on record as %v", noted)
			}
			if c.puts == nil {
				return
			}
			// It is found out before a burn, too, and goes back where it came from.
			sum := sha256.Sum256(inSectors(imageA, 3))
			if a.scratch, err = openScratch(t.TempDir(), 0); err != nil {
				t.Fatal(err)
			}
			defer a.scratch.root.Close()
			if err := errors.Join(a.scratch.write(imageA+part, inSectors(imageA, 3)), a.scratch.keep(imageA, sum[:])); err != nil {
				t.Fatal(err)
			}
			before := c.puts.burns
			if r := do(burnTask(imageA, 3, sum[:]), "burn"); r.GetFailure() != pb.Failure_FAILURE_DISC || !r.GetUntouched() || !strings.Contains(r.GetError(), "want a blank disc") {
				t.Errorf("%v", r)
			}
			if err := a.changer.Move(t.Context(), drive(1), slot(2)); err == nil {
				t.Error("it goes to another slot than it came from")
			}
			if r := do(moveTask(drive(1), slot(1)), "move"); r.GetMove() != pb.MoveOutcome_MOVE_OUTCOME_MOVED {
				t.Errorf("%v", r)
			}
			if c.puts.burns != before {
				t.Error("it was burned")
			}
			if e := elementsOf(t, a.changer); e[drive(1)] != robot.Empty {
				t.Errorf("%v", e)
			}
		})
	}
}

func elementsOf(t *testing.T, c robot.Changer) map[robot.Address]robot.Fill {
	t.Helper()
	all, err := c.Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fills := map[robot.Address]robot.Fill{}
	for _, e := range all {
		fills[e.Address] = e.Fill
	}
	return fills
}
