package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/odarchive/odarchive/robot"
)

// mostFaults is how many times in a row a drive may say that its hardware has failed, or nothing, as one that was unplugged, before it is left out.
const mostFaults = 3

// guarded is a drive that is watched: what its failures say of it, and not of the disc.
type guarded struct {
	robot.Drive // who holds the bay may use and replace it
	name        atomic.Pointer[string]
	// forget is called when what was known of the disc is in doubt.
	forget func()
	// down is called when the drive is not to be used any more.
	down func(why string)
	// works is called when it has done something.
	works func()

	mu     sync.Mutex
	faults int // in a row
}

func newGuarded(d robot.Drive, b *bay) *guarded {
	g := &guarded{
		forget: func() { b.identity.Store(nil) },
		down:   func(why string) { b.down.Store(&why) },
		works:  func() { b.worked.Store(true) },
	}
	g.swap(d)
	return g
}

// swap puts another drive in this one's place.
func (g *guarded) swap(d robot.Drive) {
	name := d.Name()
	g.Drive = d
	g.name.Store(&name)
}

// reset forgets the faults.
func (g *guarded) reset() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.faults = 0
}

// Name follows robot.Drive. It may be called by anybody at any time; a drive that can't be opened has none.
func (g *guarded) Name() string { return *g.name.Load() }

// judge looks at how a call ended, and returns its error.
func (g *guarded) judge(err error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case err == nil || errors.Is(err, io.EOF):
		g.faults = 0
		g.works()
	case errors.Is(err, robot.ErrDriveFault), errors.Is(err, robot.ErrComm):
		g.faults++
		if g.faults == mostFaults {
			g.down(fmt.Sprintf("it failed %d times in a row, and is left out until it is well again: %s", g.faults, text(err)))
		}
		g.forget()
	case errors.Is(err, robot.ErrNoDisc), errors.Is(err, robot.ErrBusy):
		g.forget() // swapped or reset: the next user loads it anew
	}
	return err
}

// Load follows robot.Drive.
func (g *guarded) Load(ctx context.Context) (robot.Medium, error) {
	m, err := g.Drive.Load(ctx)
	if err == nil {
		return m, nil // a drive with a broken laser still says what profile it has
	}
	return m, g.judge(err)
}

// ReadAt follows robot.Drive.
func (g *guarded) ReadAt(p []byte, off int64) (int, error) {
	n, err := g.Drive.ReadAt(p, off)
	return n, g.judge(err)
}

// Burn follows robot.Drive.
func (g *guarded) Burn(ctx context.Context, image io.Reader, size int64, progress func(int64)) error {
	return g.judge(g.Drive.Burn(ctx, image, size, progress))
}

// unlocker is a drive that can hold a disc so that no robot gets it.
type unlocker interface {
	Unlock(ctx context.Context) error
}

// unlock lets the robot take or bring a disc. Udev locks drives behind our back; so this comes right before the move.
func (b *bay) unlock(ctx context.Context) error {
	if u, ok := b.drive.(*guarded).Drive.(unlocker); ok {
		return u.Unlock(ctx)
	}
	return nil
}
