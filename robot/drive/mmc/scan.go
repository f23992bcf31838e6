package mmc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/bits"
	"strings"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/scsi"
)

var _ robot.Scanner = (*Drive)(nil)

// Of READ CD with C2 error bits: a sector as it is on the disc, and a bit for each of its bytes (MMC-6 §6.19, table 351).
const (
	rawSector = 2352
	c2Bits    = rawSector / 8
	c2Piece   = 24 // sectors at a time; 27 are more than 64 KiB
)

// Scan follows robot.Scanner. What the standard has is C2 errors of CDs: bytes that the drive's first two stages of correction
// gave up. By a maker's commands, where the drive is known to have them, it is C1, PI8 or RSER. For other discs, and drives that don't tell, it fails with errors.ErrUnsupported.
func (d *Drive) Scan(ctx context.Context, each func(robot.Measure)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case !d.loaded:
		return &robot.Error{Op: "scan in " + d.cfg.Name, Kind: robot.ErrNoDisc, Detail: "nothing was loaded"}
	case d.cfg.Scan == MediaTek:
		return d.scanMediaTek(ctx, each)
	case !strings.HasPrefix(d.medium.Type, "CD"):
		return fmt.Errorf("scan a %s in %s: %w", d.medium.Type, d.cfg.Name, errors.ErrUnsupported)
	}
	buf := make([]byte, c2Piece*(rawSector+c2Bits))
	for sector := int64(0); sector < d.medium.Recorded; {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("scan in %s: %w", d.cfg.Name, err)
		}
		count := min(c2Piece, d.medium.Recorded-sector)
		p := buf[:count*(rawSector+c2Bits)]
		n, err := d.device.Do(scsi.Command{CDB: scsi.ReadCDWithC2(uint32(sector), uint32(count)), In: p, Timeout: d.cfg.Timing.Read})
		m := robot.Measure{Metric: "C2", First: sector, Sectors: count}
		switch {
		case is(err, scsi.IllegalRequest, 0x20), is(err, scsi.IllegalRequest, 0x24):
			return fmt.Errorf("scan in %s: the drive does not tell of C2 errors: %w", d.cfg.Name, errors.ErrUnsupported)
		case err != nil && kindOf(err) == robot.ErrMedium:
			m.Unreadable = true
		case !scsi.Done(err):
			return d.failure("scan", sector, err)
		case n != len(p):
			return d.failure("scan", sector, &scsi.PathError{Op: 0xBE, Kind: scsi.ErrPath, Detail: fmt.Sprintf("%d bytes of %d", n, len(p))})
		default:
			for s := p; len(s) > 0; s = s[rawSector+c2Bits:] {
				for _, b := range s[rawSector : rawSector+c2Bits] {
					m.Errors += int64(bits.OnesCount8(b))
				}
			}
		}
		m.Rate = float64(m.Errors)
		each(m)
		sector += count
	}
	return nil
}

// Doubt reads sectors twice from the medium, past the drive's memory, and returns how many were not the same: a disc whose
// correction gives one answer now and another one then is near its end. Sectors that can't be read don't count.
func (d *Drive) Doubt(ctx context.Context, first, count int64) (differ int64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.loaded || d.burned {
		return 0, &robot.Error{Op: "read twice in " + d.cfg.Name, Kind: robot.ErrNoDisc, Detail: "nothing was loaded"}
	}
	if first < 0 || count < 0 || first+count > d.medium.Recorded {
		return 0, fmt.Errorf("read %d sectors at %d twice in %s: the disc has %d", count, first, d.cfg.Name, d.medium.Recorded)
	}
	var twice [2][piece * sectorSize]byte
	for end := first + count; first < end; {
		if err := ctx.Err(); err != nil {
			return differ, fmt.Errorf("read twice in %s: %w", d.cfg.Name, err)
		}
		n := min(end-first, piece-first%piece)
		readable := true
		for i := range twice {
			_, err := d.device.Do(scsi.Command{CDB: scsi.Read10(uint32(first), uint16(n), true), In: twice[i][:n*sectorSize], Timeout: d.cfg.Timing.Read})
			if scsi.Done(err) {
				continue
			}
			if err := d.fatal(first, err); err != nil {
				return differ, err
			}
			readable = false
		}
		for i := int64(0); i < n && readable; i++ {
			if !bytes.Equal(twice[0][i*sectorSize:][:sectorSize], twice[1][i*sectorSize:][:sectorSize]) {
				d.signs.at(first+i).Disagreed++
				differ++
			}
		}
		first += n
	}
	return differ, nil
}
