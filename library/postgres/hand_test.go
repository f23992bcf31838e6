package postgres

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/odarchive/odarchive/library"
)

// A robot is stuck with a disc in its hand: nothing more is tried, until it is known where that disc is; by the robot's own word, or by somebody's who has looked. Then
// everything goes on, but for the places that are in doubt still.
func TestDiscInHand(t *testing.T) {
	full := func(b *bench, n int) ReportedElement {
		return ReportedElement{Place: Place{Slot, n}, Unit: 1, Fill: Full}
	}
	for _, c := range []struct {
		how     string
		settles func(b *bench, label string, slot int) []ReportedElement
		say     func(b *bench, label string, slot int) error
	}{
		{how: "the robot says that the hand is empty", settles: func(b *bench, _ string, _ int) []ReportedElement {
			return []ReportedElement{{Place: Place{Picker, 1}, Unit: 1, Fill: Empty}}
		}},
		{how: "the robot says that the disc is in its slot", settles: func(b *bench, _ string, slot int) []ReportedElement { return []ReportedElement{full(b, slot)} }},
		{how: "somebody has taken it out", say: func(b *bench, label string, slot int) error {
			_, err := b.s.SetElement(b.Context(), "lib", Place{Slot, slot}, Full, label)
			return err
		}},
		{how: "somebody says that the hand is empty", say: func(b *bench, _ string, _ int) error {
			if _, err := b.s.SetElement(b.Context(), "lib", Place{Picker, 1}, Full, ""); library.FaultOf(err) != library.Invalid {
				b.Errorf("the hand was said to be full: %v", err)
			}
			_, err := b.s.SetElement(b.Context(), "lib", Place{Picker, 1}, Empty, "")
			return err
		}},
	} {
		t.Run(c.how, func(t *testing.T) {
			b := newBench(t, 4, 4)
			b.exec(`insert into element (library_id, kind, number, unit) values ($1, 'picker', 1, 1)`, b.lib)
			b.verify = well
			var stuck Task
			moves := 0
			b.move = func(task Task) Result {
				if moves++; moves == 1 {
					stuck = task
				}
				return Result{Error: "the mechanism is stuck", Failure: RobotFailure, Outcome: OutcomeUnknown}
			}
			if _, err := b.s.StartScrub(t.Context(), uuid.NewString(), []string{"lib-1", "lib-2", "lib-3", "lib-4"}, false); err != nil {
				t.Fatal(err)
			}
			b.settle()
			// The robot is asked, and says nothing that settles it: neither does that let it move.
			report := func(more ...ReportedElement) {
				t.Helper()
				r := &Report{Model: "test", Elements: append([]ReportedElement{{Place: Place{Picker, 1}, Unit: 1}}, more...)}
				if _, err := b.s.Called(t.Context(), Call{Agent: "lib", Instance: "1", Library: "lib", Report: r}); err != nil {
					t.Fatal(err)
				}
				b.settle()
			}
			report()
			if moves != 1 {
				t.Errorf("%d moves were tried", moves)
			}
			if n := b.count(`select count(*) from element where flag <> ''`); n != 3 {
				t.Errorf("%d places are in doubt", n)
			}
			label := ""
			if err := b.s.pool.QueryRow(t.Context(), `select label from disc where id = $1`, stuck.DiscID).Scan(&label); err != nil {
				t.Fatal(err)
			}
			told := false
			alerts, err := b.s.Alerts(t.Context())
			for _, a := range alerts {
				told = told || strings.HasPrefix(a.Text, "picker 1: disc "+label+" may be in its hand, and it carries nothing until that is known: a move from slot") &&
					strings.Contains(a.Next, "set-element picker 1 empty")
			}
			if err != nil || !told {
				t.Errorf("%v %v", alerts, err)
			}

			jobs, err := b.s.Jobs(t.Context(), true, 10, "")
			if err != nil || len(jobs) != 1 || !strings.Contains(jobs[0].WaitingFor, "may have a disc in its hand") {
				t.Errorf("%+v %v", jobs, err)
			}
			b.move = nil
			if c.say != nil {
				if err := c.say(b, label, stuck.From.Number); err != nil {
					t.Fatal(err)
				}
				b.settle()
			} else {
				report(c.settles(b, label, stuck.From.Number)...)
			}
			if n := b.count(`select count(*) from element where kind = 'picker' and flag <> ''`); n != 0 {
				t.Error("the hand is in doubt still")
			}
			if n := b.count(`select count(*) from task where kind = 'verify' and state = 'done'`); n < 3 {
				t.Errorf("%d discs were read", n)
			}
		})
	}
}
