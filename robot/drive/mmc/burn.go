package mmc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/scsi"
)

// Image is what is to be recorded.
type Image struct {
	io.Reader
	Size int64  // bytes, a multiple of 2,048
	Type string // of the disc, as in robot.Medium
	// SpareAreas has the disc formatted with them first.
	SpareAreas bool
}

// UseSpareAreas implements robot.Formatter.
func (d *Drive) UseSpareAreas(use bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.spare = use
}

// Burn follows robot.Drive. That the Burner is content is necessary and not sufficient: the drive must say that the disc is
// complete, and only the next Load and a full read tell what is on it.
func (d *Drive) Burn(ctx context.Context, image io.Reader, size int64, progress func(written int64)) error {
	const op = "burn"
	if size <= 0 || size%sectorSize != 0 {
		return fmt.Errorf("burn %d bytes in %s: want whole sectors of %d bytes", size, d.cfg.Name, sectorSize)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	refused := func(kind error, detail string) error {
		return &robot.Error{Op: op + " in " + d.cfg.Name, Kind: kind, Detail: detail, Untouched: kind != robot.ErrWrite}
	}
	switch {
	case d.cfg.Burner == nil:
		return refused(robot.ErrDriveFault, "it is not configured to burn")
	case !d.loaded:
		return refused(robot.ErrNoDisc, "nothing was loaded")
	case d.burned:
		return refused(robot.ErrNotBlank, "it was burned a moment ago")
	}
	m, err := d.recognise(ctx)
	switch {
	case err != nil:
		err = d.failure(op, 0, err)
		if e, ok := errors.AsType[*robot.Error](err); ok {
			e.Untouched = true
		}
		return err
	case m.State != robot.Blank:
		return refused(robot.ErrNotBlank, m.State.String())
	case m.Capacity == 0:
		return refused(robot.ErrWrite, "the drive doesn't say how much the disc takes")
	case size > m.Capacity*sectorSize:
		return refused(robot.ErrTooLarge, fmt.Sprintf("%d sectors on a disc of %d", size/sectorSize, m.Capacity))
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("burn in %s: %w", d.cfg.Name, err)
	}
	if progress == nil {
		progress = func(int64) {}
	}
	// The Burner has the device to itself.
	d.release()
	d.burned = true
	spare := d.spare
	d.spare = false
	if err := d.cfg.Burner.Burn(ctx, Image{image, size, m.Type, spare}, progress); err != nil {
		return fmt.Errorf("burn in %s: %w", d.cfg.Name, err)
	}
	if err := d.complete(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	progress(size)
	return nil
}

// complete asks whether the disc is closed. It may still be at work.
func (d *Drive) complete(ctx context.Context) error {
	const op = "burn"
	err := d.open()
	if err != nil {
		return d.failure(op, 0, err)
	}
	var info scsi.DiscInformation
	b := make([]byte, 34)
	for end := time.Now().Add(d.cfg.Timing.Close); ; {
		if _, err = d.device.Do(scsi.Command{CDB: scsi.TestUnitReady(), Timeout: d.cfg.Timing.Command}); scsi.Done(err) || noMedium(err) {
			break
		}
		if a := scsi.ActionOf(err); (a != scsi.FastRetry && a != scsi.SlowRetry) || !time.Now().Before(end) {
			return d.failure(op, 0, err)
		}
		if err := pause(ctx, d.cfg.Timing.Poll); err != nil {
			return err
		}
	}
	n, err := d.ask(ctx, scsi.ReadDiscInformation(34), b)
	if err == nil {
		info, err = scsi.ParseDiscInformation(b[:n])
	}
	switch {
	case is(err, scsi.IllegalRequest, 0x30), is(err, scsi.IllegalRequest, 0x20):
		return nil // it reads as a pressed disc now
	case err != nil:
		return d.failure(op, 0, err)
	case info.Status != scsi.DiscComplete:
		return &robot.Error{
			Op: op + " in " + d.cfg.Name, Kind: robot.ErrWrite,
			Detail: fmt.Sprintf("the burner said it was done, but the disc is not closed (status %d, last session %d)", info.Status, info.LastSession),
		}
	}
	return nil
}
