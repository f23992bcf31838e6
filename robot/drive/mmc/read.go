package mmc

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/scsi"
)

// piece is how many sectors are read by one command: a cluster of a BD, two of a DVD. More than 64 KiB at a time some
// adapters don't take.
const piece = 32

// retries is how often a sector is asked for again, alone, before it is given up.
const retries = 2

// ReadAt follows robot.Drive. Where a read fails, its sectors are read one by one, and the one that can't be had after two
// more tries is named.
func (d *Drive) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off%sectorSize != 0 || len(p)%sectorSize != 0 {
		return 0, fmt.Errorf("read %d bytes at %d in %s: want whole sectors of %d bytes", len(p), off, d.cfg.Name, sectorSize)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case !d.loaded || d.burned:
		return 0, &robot.Error{Op: "read in " + d.cfg.Name, Kind: robot.ErrNoDisc, Detail: "nothing was loaded"}
	case off >= d.medium.Recorded*sectorSize:
		return 0, io.EOF
	}
	sector, n := off/sectorSize, 0
	end := min(sector+int64(len(p)/sectorSize), d.medium.Recorded)
	for sector < end {
		// Up to the next boundary of a cluster: correction works on whole ones.
		count := min(end-sector, piece-sector%piece)
		got, err := d.readPiece(p[n:n+int(count)*sectorSize], sector)
		n += int(got) * sectorSize
		if err != nil {
			return n, err
		}
		sector += count
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// readPiece reads the sectors of one command, or those before the first that can't be read.
func (d *Drive) readPiece(p []byte, sector int64) (got int64, err error) {
	count := int64(len(p) / sectorSize)
	if err := d.try(p, sector); err == nil {
		return count, nil
	} else if err := d.fatal(sector, err); err != nil {
		return 0, err
	}
	for got = range count {
		one := p[got*sectorSize:][:sectorSize]
		for tries := 0; ; tries++ {
			d.signs.at(sector+got).Retries++
			err := d.try(one, sector+got)
			if err == nil {
				break
			}
			if fatal := d.fatal(sector+got, err); fatal != nil {
				return got, fatal
			}
			if tries >= retries {
				d.signs.at(sector+got).Unreadable++
				return got, d.failure("read", sector+got, err)
			}
		}
	}
	return count, nil
}

// try reads once.
func (d *Drive) try(p []byte, sector int64) error {
	start := time.Now()
	n, err := d.device.Do(scsi.Command{CDB: scsi.Read10(uint32(sector), uint16(len(p)/sectorSize), false), In: p, Timeout: d.cfg.Timing.Read})
	r := d.signs.at(sector)
	if err != nil && scsi.Done(err) {
		r.Recovered++
		err = nil
	}
	if err == nil && n != len(p) {
		err = &scsi.PathError{Op: 0x28, Kind: scsi.ErrPath, Detail: fmt.Sprintf("%d bytes of %d", n, len(p))}
	}
	if err == nil {
		r.Read += int64(len(p) / sectorSize)
		r.Time += time.Since(start)
	}
	return err
}

// fatal returns what a read failed with unless the disc is at fault. What is no longer as it was when it was loaded has to
// be loaded again.
func (d *Drive) fatal(sector int64, err error) error {
	kind := kindOf(err)
	if kind == robot.ErrMedium {
		return nil
	}
	s, said := scsi.SenseOf(err)
	if said && (s.Key == scsi.UnitAttention || s.Key == scsi.IllegalRequest) || kind == robot.ErrNoDisc || errors.Is(err, scsi.ErrGone) {
		d.loaded = false
	}
	return d.failure("read", sector, err)
}
