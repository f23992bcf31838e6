package mmc

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/scsi"
)

// MediaTek is the name of the commands by which drives on MediaTek chips - LITE-ON's, PLDS's, and those that are sold under other names -
// count what their correction mends.
const MediaTek = "mediatek"

// slice is what such a drive has counted since it was asked last.
type slice struct {
	sector      int64 // up to which it has read
	outer, deep int64 // errors of the first stage and of the second: C1 and E22, PIE and PIF, LDC and BIS
}

// counter is what a kind of disc is judged by: errors of the first stage in a window of so many sectors, as a rate.
type counter struct {
	metric string
	window int64
	rate   func(errors, sectors float64) float64
	dvd    bool
	cd     bool
}

// A cluster of a BD, 32 sectors, has 304 LDC code words of 248 symbols; 10,000 code words, over which JIS Z 6017 wants the random symbol error rate,
// are 33 clusters. Bursts are not taken out, as it asks: the rate is rather too high than too low.
var counters = map[string]counter{
	"CD":  {metric: "C1", window: 75, rate: func(e, n float64) float64 { return e * 75 / n }, cd: true},
	"DVD": {metric: "PI8", window: 8 * 16, rate: func(e, n float64) float64 { return e * 8 * 16 / n }, dvd: true},
	"BD":  {metric: "RSER", window: 33 * 32, rate: func(e, n float64) float64 { return e / (n / 32 * 304 * 248) }},
}

// stalls is how often in a row a drive may be asked without having read on.
const stalls = 20

// scanMediaTek scans by the maker's commands. No manual of them is public: what they are is taken from what those say who have scanned
// with them (QPxTool, and others after it). The drive reads by itself, from where it was sent, and each answer to F3h 0Eh tells how far it
// is and what it has counted since the one before. Nothing ends a scan but another command.
func (d *Drive) scanMediaTek(ctx context.Context, each func(robot.Measure)) error {
	family, _, _ := strings.Cut(d.medium.Type, "-")
	family, _, _ = strings.Cut(family, "+")
	c, ok := counters[family]
	if !ok {
		return fmt.Errorf("scan a %s in %s: %w", d.medium.Type, d.cfg.Name, errors.ErrUnsupported)
	}
	if _, err := d.device.Do(scsi.Command{CDB: scsi.Seek10(0), Timeout: d.cfg.Timing.Read}); !scsi.Done(err) {
		return d.failure("scan", 0, err)
	}
	last, err := d.slice(c) // what it counted on the way is nobody's
	if is(err, scsi.IllegalRequest, 0x20) || is(err, scsi.IllegalRequest, 0x24) {
		return fmt.Errorf("scan in %s: the drive does not know the commands of %s drives: %w", d.cfg.Name, MediaTek, errors.ErrUnsupported)
	} else if err != nil {
		return d.failure("scan", 0, err)
	}
	m := robot.Measure{Metric: c.metric, First: last.sector}
	flush := func(to int64) {
		if m.Sectors = to - m.First; m.Sectors > 0 {
			m.Rate = c.rate(float64(m.Errors), float64(m.Sectors))
			each(m)
		}
		m = robot.Measure{Metric: c.metric, First: to}
	}
	for waited := 0; last.sector < d.medium.Recorded; {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("scan in %s: %w", d.cfg.Name, err)
		}
		s, err := d.slice(c)
		switch {
		case err != nil:
			return d.failure("scan", last.sector, err)
		case s.sector < last.sector: // it has come to the end and begins again
			if last.sector < d.medium.Recorded-2*c.window {
				return fmt.Errorf("scan in %s: the drive went from sector %d back to %d of %d", d.cfg.Name, last.sector, s.sector, d.medium.Recorded)
			}
			flush(last.sector)
			return nil
		case s.sector == last.sector:
			if waited++; waited > stalls {
				if last.sector < d.medium.Recorded-2*c.window {
					return fmt.Errorf("scan in %s: the drive reads no further than sector %d of %d", d.cfg.Name, last.sector, d.medium.Recorded)
				}
				flush(last.sector)
				return nil
			}
			if err := pause(ctx, d.cfg.Timing.Poll); err != nil {
				return fmt.Errorf("scan in %s: %w", d.cfg.Name, err)
			}
			continue
		}
		waited = 0
		if last = s; s.nonsense(c) {
			continue
		}
		m.Errors += s.outer
		if s.sector-m.First >= c.window {
			flush(s.sector)
		}
	}
	flush(last.sector)
	return nil
}

// nonsense says whether a drive told of more than can be mended, as some do of a disc's last cluster: its 304 code words of LDC and 24 of BIS have 32
// symbols of parity each.
func (s slice) nonsense(c counter) bool {
	return c.metric == "RSER" && (s.outer > 304*32 || s.deep >= 24*32)
}

func (d *Drive) slice(c counter) (s slice, err error) {
	b := make([]byte, 16)
	n, err := d.device.Do(scsi.Command{CDB: scsi.MediaTekErrors(c.dvd), In: b, Timeout: d.cfg.Timing.Read})
	switch {
	case !scsi.Done(err):
		return s, err
	case n < 8:
		return s, &scsi.PathError{Op: 0xF3, Kind: scsi.ErrPath, Detail: fmt.Sprintf("%d bytes of 16", n)}
	}
	s = slice{sector: int64(binary.BigEndian.Uint32(b)), outer: int64(binary.BigEndian.Uint16(b[4:])), deep: int64(binary.BigEndian.Uint16(b[6:]))}
	if c.cd { // minute, second and frame; the disc's first sector is at 00:02:00
		if b[2] >= 60 || b[3] >= 75 {
			return s, &scsi.PathError{Op: 0xF3, Kind: scsi.ErrPath, Detail: fmt.Sprintf("a position of %d:%d:%d", b[1], b[2], b[3])}
		}
		s.sector = max(0, (int64(b[1])*60+int64(b[2]))*75+int64(b[3])-150)
	}
	return s, nil
}
