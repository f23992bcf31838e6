package agent

import (
	"context"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/robot"
)

// calm is how many sectors in a row must have come without trouble until a drive that was made slow is made fast again: changing
// the speed of a disc takes seconds.
const calm = 4 << 20 / archive.SectorSize

// brake makes the drive read slowly, where it can: it has trouble with the disc.
func (a *attentive) brake(ctx context.Context) {
	a.since = 0
	if a.slow || a.onespeed {
		return
	}
	a.slow = a.speed(ctx, true)
	a.onespeed = !a.slow
}

// ease makes the drive fast again when sectors have come without trouble for long enough.
func (a *attentive) ease(ctx context.Context, sectors int64) {
	if a.since += sectors; a.slow && a.since >= calm {
		a.restore(ctx)
	}
}

// restore makes the drive as fast as it was. Whoever has read with it calls it in the end.
func (a *attentive) restore(ctx context.Context) {
	if a.slow {
		a.speed(context.WithoutCancel(ctx), false)
		a.slow = false
	}
}

// speed sets the speed, and says whether that was done. The speed is a help and nothing more: what else is wrong with a drive shows when it
// reads.
func (a *attentive) speed(ctx context.Context, slow bool) bool {
	g, _ := a.Drive.(*guarded)
	if g == nil {
		return false
	}
	s, ok := g.Drive.(robot.Slower)
	return ok && s.ReadSlowly(ctx, slow) == nil
}
