package mmc

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/scsi"
)

// Speeds in kB/s of 1,000 bytes at which a disc is read that a drive has trouble with: 4 times a CD's own speed, twice a DVD's or a BD's.
// A drive takes the next one that it has.
const (
	slowCD  = 4 * 176
	slowDVD = 2 * 1385
	slowBD  = 2 * 4496
	fastest = 0xFFFF // as fast as it goes (MMC-6 §6.37)
)

var _ robot.Slower = (*Drive)(nil)

// ReadSlowly follows robot.Slower.
func (d *Drive) ReadSlowly(ctx context.Context, slow bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.loaded || d.burned {
		return &robot.Error{Op: "set the speed of " + d.cfg.Name, Kind: robot.ErrNoDisc, Detail: "nothing was loaded"}
	}
	if slow == d.slow {
		return nil
	}
	return d.setSpeed(ctx, slow)
}

// setSpeed asks in the way that is meant for the medium, and in the older one where that isn't taken: many drives take that for all media.
func (d *Drive) setSpeed(ctx context.Context, slow bool) error {
	speed := uint16(slowBD)
	switch {
	case strings.HasPrefix(d.medium.Type, "CD"):
		speed = slowCD
	case strings.HasPrefix(d.medium.Type, "DVD"):
		speed = slowDVD
	}
	ways := []scsi.Command{{CDB: scsi.SetStreaming(), Out: scsi.Performance(uint32(max(d.medium.Recorded-1, 0)), uint32(speed))}, {CDB: scsi.SetCDSpeed(speed, fastest)}}
	if !slow {
		ways[0].Out, ways[1].CDB = scsi.Performance(uint32(max(d.medium.Recorded-1, 0)), 0), scsi.SetCDSpeed(fastest, fastest)
	}
	if speed == slowCD {
		ways = ways[1:]
	}
	for _, c := range ways {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("set the speed of %s: %w", d.cfg.Name, err)
		}
		c.Timeout = d.cfg.Timing.Command
		_, err := d.device.Do(c)
		if scsi.Done(err) {
			d.slow = slow
			return nil
		}
		if s, said := scsi.SenseOf(err); !said || s.Key != scsi.IllegalRequest {
			return d.failure("set the speed", 0, err)
		}
	}
	return fmt.Errorf("%s has one speed for a %s: %w", d.cfg.Name, d.medium.Type, errors.ErrUnsupported)
}
