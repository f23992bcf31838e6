package agent

import (
	"testing"

	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot"
)

// TestTrays: of a robot that wants trays opened, the agent closes each that it has opened, unless a disc may hang over it.
func TestTrays(t *testing.T) {
	for _, c := range []struct {
		name     string
		err      error // of the first move
		deaf     error
		stays    bool // open
		fromSlot bool
	}{
		{name: "loaded", fromSlot: true},
		{name: "taken out"},
		{name: "door", err: robot.ErrDoor, fromSlot: true},
		{name: "busy", err: robot.ErrBusy},
		{name: "nobody knows", err: robot.ErrJam, deaf: robot.ErrJam, stays: true, fromSlot: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, 2, 2, func(s *site) {
				s.world.props.HostOpensTray = true
				s.world.slots[1] = blank(9)
				from, to := slot(1), drive(2)
				p := s.start()
				defer p.end()
				if !c.fromSlot {
					s.ok(s.run(moveTask(from, to)))
					from, to = to, from
				}
				s.world.watched(func() {
					if c.err != nil {
						s.world.moveError = []error{c.err}
					}
					s.world.deaf = c.deaf
				})
				r := s.run(moveTask(from, to))
				if (r.GetMove() == pb.MoveOutcome_MOVE_OUTCOME_MOVED) != (c.err == nil) {
					t.Errorf("%v, %s", r.GetMove(), r.GetError())
				}
				s.world.watched(func() {
					if s.world.open[2] != c.stays || s.world.open[1] {
						t.Errorf("trays open: %v", s.world.open)
					}
				})
			})
		})
	}
}
