package mmc

import (
	"context"
	"fmt"
	"time"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/scsi"
)

// Load follows robot.Drive. A disc that was burned since the last load goes out and in again, so that the drive reads it as
// any other would and not out of its memory.
func (d *Drive) Load(ctx context.Context) (robot.Medium, error) {
	const op = "load disc"
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return robot.Medium{}, d.failure(op, 0, err)
	}
	burned := d.burned
	d.release()
	if err := d.open(); err != nil {
		return robot.Medium{}, d.failure(op, 0, err)
	}
	if burned {
		if err := d.out(ctx); err != nil {
			return robot.Medium{}, d.failure(op, 0, err)
		}
		d.burned = false
	}
	there, err := d.spinUp(ctx)
	if err != nil {
		return robot.Medium{}, d.failure(op, 0, err)
	}
	if !there {
		return robot.Medium{State: robot.NoDisc}, nil
	}
	m, err := d.recognise(ctx)
	switch {
	case err != nil && noMedium(err):
		return robot.Medium{State: robot.NoDisc}, nil
	case err != nil && kindOf(err) == robot.ErrMedium:
		return robot.Medium{State: robot.NotReady, Type: m.Type}, nil
	case err != nil:
		return robot.Medium{}, d.failure(op, 0, err)
	}
	m.ID = d.maker(ctx, m.Type)
	d.medium, d.loaded = m, true
	if d.slow {
		// Most drives forget it with the disc. One that doesn't take it is as fast as it is.
		_ = d.setSpeed(ctx, false)
		d.slow = false
	}
	d.signs = account{sectors: m.Recorded}
	return m, nil
}

// spinUp closes the tray where it is open and waits until the drive knows what it has.
func (d *Drive) spinUp(ctx context.Context) (there bool, err error) {
	closed := false
	for end := time.Now().Add(d.cfg.Timing.Spin); ; {
		_, err = d.device.Do(scsi.Command{CDB: scsi.TestUnitReady(), Timeout: d.cfg.Timing.Command})
		s, said := scsi.SenseOf(err)
		switch {
		case scsi.Done(err):
			return true, nil
		case noMedium(err) && (closed || s.ASCQ == 1):
			return false, nil
		case noMedium(err):
			// The tray may be open: there are drives that don't tell.
			closed = true
			_, err := d.device.Do(scsi.Command{CDB: scsi.StartStop(scsi.Load), Timeout: d.cfg.Timing.Spin})
			if _, said := scsi.SenseOf(err); err != nil && !said {
				return false, err
			}
			continue
		case said && s.Key == scsi.UnitAttention && time.Now().Before(end) && ctx.Err() == nil:
			continue
		}
		if a := scsi.ActionOf(err); a != scsi.FastRetry && a != scsi.SlowRetry || !time.Now().Before(end) {
			return false, err
		}
		if err := pause(ctx, d.cfg.Timing.Poll); err != nil {
			return false, err
		}
	}
}

// recognise says what the disc is.
func (d *Drive) recognise(ctx context.Context) (m robot.Medium, err error) {
	b := make([]byte, 256)
	n, err := d.ask(ctx, scsi.GetConfiguration(0, 8), b[:8])
	if err != nil {
		return m, err
	}
	profile, err := scsi.ParseProfile(b[:n])
	if err != nil {
		return m, err
	}
	m.Type = profile.String()
	n, err = d.ask(ctx, scsi.ReadDiscInformation(34), b[:34])
	if is(err, scsi.IllegalRequest, 0x30) || is(err, scsi.IllegalRequest, 0x20) {
		// A drive that only reads has nothing to say of recording (MMC-6 §6.21): what it takes is complete.
		m.State = robot.Complete
		m.Recorded, err = d.recorded(ctx)
		return m, err
	} else if err != nil {
		return m, err
	}
	info, err := scsi.ParseDiscInformation(b[:n])
	if err != nil {
		return m, err
	}
	switch info.Status {
	case scsi.DiscEmpty:
		m.State = robot.Blank
	case scsi.DiscAppendable:
		m.State = robot.Open
		if blank, err := d.formatted(ctx, profile, info); err != nil {
			return m, err
		} else if blank {
			m.State = robot.Blank
		}
	case scsi.DiscComplete:
		m.State = robot.Complete
	default: // rewritable discs: there is nothing write-once about them
		return m, fmt.Errorf("a %v is rewritable: %w", profile, errRewritable)
	}
	switch m.State {
	case robot.Blank:
		m.Capacity, err = d.capacity(ctx)
	case robot.Complete:
		m.Recorded, err = d.recorded(ctx)
	}
	return m, err
}

var errRewritable = &scsi.CheckCondition{Sense: scsi.Sense{Code: scsi.Code{Key: scsi.MediumError, ASC: 0x30}}}

// formatted says whether a BD-R was only formatted so far: it is appendable then, with nothing recorded.
func (d *Drive) formatted(ctx context.Context, p scsi.Profile, info scsi.DiscInformation) (bool, error) {
	if p != scsi.BDRSequential || info.LastSession != 0 || info.Sessions > 1 {
		return false, nil
	}
	recorded, err := d.recorded(ctx)
	return recorded == 0, err
}

// recorded is how many sectors can be read.
func (d *Drive) recorded(ctx context.Context) (int64, error) {
	b := make([]byte, 8)
	n, err := d.ask(ctx, scsi.ReadCapacity(), b)
	if err != nil {
		return 0, err
	}
	blocks, size, err := scsi.ParseCapacity(b[:n])
	if err == nil && blocks > 0 && size != sectorSize {
		return 0, fmt.Errorf("blocks of %d bytes", size)
	}
	return blocks, err
}

// capacity is how many sectors a blank disc takes: the lesser of what the drive says in its two ways, or 0 when it says
// neither.
func (d *Drive) capacity(ctx context.Context) (int64, error) {
	free := int64(0)
	b := make([]byte, 252)
	n, err := d.ask(ctx, scsi.ReadTrackInformation(1, 36), b[:36])
	if err == nil {
		if t, err := scsi.ParseTrackInformation(b[:n]); err == nil {
			free = t.Free
		}
	} else if _, said := scsi.SenseOf(err); !said {
		return 0, err
	}
	n, err = d.ask(ctx, scsi.ReadFormatCapacities(252), b)
	if err == nil {
		current, _, err := scsi.ParseFormatCapacities(b[:n])
		if err == nil && current.Type == 1 && current.Blocks > 0 && (free == 0 || current.Blocks < free) {
			free = current.Blocks
		}
	} else if _, said := scsi.SenseOf(err); !said {
		return 0, err
	}
	return free, nil
}

// Eject follows robot.Drive.
func (d *Drive) Eject(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.release()
	err := d.open()
	if err == nil {
		err = d.out(ctx)
	}
	d.burned = d.burned && err != nil
	d.release()
	if err != nil {
		return d.failure("eject", 0, err)
	}
	return nil
}

// out unlocks and opens the tray. What locks the door again and again is udev: it does so at every change.
func (d *Drive) out(ctx context.Context) error {
	for end := time.Now().Add(d.cfg.Timing.Tray); ; {
		if err := d.unlock(ctx); err != nil {
			return err
		}
		_, err := d.device.Do(scsi.Command{CDB: scsi.StartStop(scsi.Eject), Timeout: d.cfg.Timing.Tray})
		if scsi.Done(err) || noMedium(err) {
			break
		}
		again := is(err, scsi.IllegalRequest, 0x53) || scsi.ActionOf(err) == scsi.FastRetry || scsi.ActionOf(err) == scsi.SlowRetry
		if !again || !time.Now().Before(end) {
			return err
		}
		if err := pause(ctx, d.cfg.Timing.Poll); err != nil {
			return err
		}
	}
	return d.unlock(ctx)
}

func (d *Drive) unlock(ctx context.Context) error {
	_, err := d.ask(ctx, scsi.PreventRemoval(false), nil)
	if noMedium(err) {
		return nil
	}
	return err
}

// Unlock lets a robot take or bring a disc. It is for the moment before a changer moves: udev locks empty drives too.
func (d *Drive) Unlock(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.open(); err != nil {
		return d.failure("unlock", 0, err)
	}
	if err := d.unlock(ctx); err != nil {
		return d.failure("unlock", 0, err)
	}
	return nil
}

// pause waits, or returns why ctx ended.
func pause(ctx context.Context, t time.Duration) error {
	timer := time.NewTimer(t)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Present says whether a disc is in the drive. It moves no tray, and waits while the drive makes up its mind.
func (d *Drive) Present(ctx context.Context) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.open(); err != nil {
		return false, d.failure("look for a disc", 0, err)
	}
	_, err := d.ask(ctx, scsi.TestUnitReady(), nil)
	if noMedium(err) {
		return false, nil
	} else if err != nil {
		return false, d.failure("look for a disc", 0, err)
	}
	return true, nil
}
