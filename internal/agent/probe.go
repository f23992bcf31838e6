package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/odarchive/odarchive/archive"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot"
)

// A drive that is left out is tried again after a while, and each time after twice as long: one that is out of order half of the time
// spoils discs in the other half.
const (
	firstProbe = time.Minute
	lastProbe  = 4 * time.Hour
	probeTick  = 30 * time.Second
)

// opener opens a drive's device anew.
type opener func(context.Context) (robot.Drive, error)

// absent stands for a drive that can't be opened.
type absent struct{}

var errAbsent = &robot.Error{Op: "use a drive", Kind: robot.ErrDriveFault, Detail: "it can't be opened"}

func (absent) Name() string                                              { return "" }
func (absent) Load(context.Context) (robot.Medium, error)                { return robot.Medium{}, errAbsent }
func (absent) Eject(context.Context) error                               { return errAbsent }
func (absent) ReadAt([]byte, int64) (int, error)                         { return 0, errAbsent }
func (absent) Burn(context.Context, io.Reader, int64, func(int64)) error { return errAbsent }
func (absent) Close() error                                              { return nil }

// convalescence is when a drive that is left out is tried again.
type convalescence struct {
	at   time.Time
	wait time.Duration
}

// probes tries drives that are left out, each when its turn comes or at an operator's word, until ctx ends.
func (a *agent) probes(ctx context.Context) {
	left := map[int32]*convalescence{}
	tick := time.NewTicker(probeTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-a.probeWanted:
		}
		for _, n := range a.driveNumbers() {
			if left[n] == nil {
				left[n] = &convalescence{}
			}
			a.convalesce(ctx, a.bays[n], left[n])
		}
	}
}

// convalesce tries one drive if it is time.
func (a *agent) convalesce(ctx context.Context, b *bay, c *convalescence) {
	wanted := b.wanted.Load()
	asked := wanted > b.probed.Load()
	ill := b.trouble() != ""
	switch {
	case !ill && !asked:
		if c.at = (time.Time{}); b.worked.Load() {
			c.wait = 0 // it has done what it is for since it returned
		}
		return
	case c.at.IsZero():
		c.wait = min(max(2*c.wait, firstProbe), lastProbe)
		c.at = time.Now().Add(c.wait)
	}
	// A tray is not closed while a disc may hang over it, unless somebody has looked.
	if !asked && (time.Now().Before(c.at) || b.hanging.Load() || a.inTrouble()) {
		return
	}
	c.at = time.Time{}
	if ill {
		if err := b.probe(ctx); err != nil {
			if ctx.Err() != nil {
				return
			}
			a.log.Warn("drive is still left out", "drive", b.number, "error", err)
		} else {
			a.log.Info("drive is well again", "drive", b.number, "name", b.drive.Name())
		}
	}
	b.probed.Store(max(wanted, b.probed.Load()))
	if asked || b.trouble() == "" {
		a.askReport()
	}
}

func (a *agent) inTrouble() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.trouble != ""
}

// wantProbes takes an operator's words.
func (a *agent) wantProbes(words []*pb.DriveProbe) {
	for _, w := range words {
		if b := a.bays[w.GetDrive()]; b != nil && w.GetNumber() > b.wanted.Load() {
			b.wanted.Store(w.GetNumber())
			select {
			case a.probeWanted <- struct{}{}:
			default:
			}
		}
	}
}

// probe opens the drive anew, where that can be done, and has it show that it works: it looks at what lies in it, and reads from a
// recorded disc. On success it is in use again.
func (b *bay) probe(ctx context.Context) error {
	select {
	case b.held <- struct{}{}:
		defer func() { <-b.held }()
	case <-ctx.Done():
		return ctx.Err()
	}
	b.identity.Store(nil)
	g := b.drive.(*guarded)
	if b.reopen != nil {
		if err := g.Drive.Close(); err != nil {
			g.swap(absent{})
			return b.leaveOut(fmt.Errorf("close it: %w", err))
		}
		drive, err := b.reopen(ctx)
		if err != nil {
			g.swap(absent{})
			return b.leaveOut(err)
		}
		g.swap(drive)
	}
	limited, cancel := context.WithTimeout(ctx, loadLimit)
	defer cancel()
	m, err := g.Drive.Load(limited)
	if err == nil && m.State == robot.Complete && m.Recorded > 0 {
		_, err = g.Drive.ReadAt(make([]byte, archive.SectorSize), 0)
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case limited.Err() != nil, errors.Is(err, robot.ErrDriveFault), errors.Is(err, robot.ErrComm), errors.Is(err, robot.ErrBusy):
		return b.leaveOut(errors.Join(err, limited.Err()))
	}
	g.reset()
	b.worked.Store(false)
	b.hanging.Store(false)
	b.down.Store(nil)
	return nil
}

// leaveOut says why the drive stays out of use.
func (b *bay) leaveOut(err error) error {
	why := text(err)
	b.down.Store(&why)
	return err
}
