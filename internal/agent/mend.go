package agent

import (
	"context"
	"errors"
	"fmt"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/ecc"
	"github.com/odarchive/odarchive/robot"
)

// mender repairs sectors of a disc that its drive can't read, or reads as something else than was burned, from the others and the error
// correction on it. Its zero value repairs nothing.
type mender struct {
	drive   robot.Drive
	sectors int64 // of the disc
	layers  bool  // it has error correction

	reader   *ecc.Reader // once there was something to repair or to prove
	repaired int64       // sectors
	counted  bool        // what can't be read is read for the second time
	wrong    int64       // sectors that read without an error, and held other bytes than were burned
}

// source reads the disc until ctx ends.
type source struct {
	ctx   context.Context
	drive robot.Drive
}

func (s source) ReadAt(p []byte, off int64) (int, error) {
	if s.ctx.Err() != nil {
		return 0, context.Cause(s.ctx)
	}
	return s.drive.ReadAt(p, off)
}

// open finds the error correction, and says whether there is any.
func (m *mender) open(ctx context.Context) (there bool, err error) {
	if !m.layers || m.reader != nil {
		return m.layers, nil
	}
	s := ecc.Source{ReaderAt: source{ctx, m.drive}, Unreadable: func(err error) bool { return errors.Is(err, robot.ErrMedium) }}
	h, err := ecc.Find(ctx, s, m.sectors)
	if errors.Is(err, ecc.ErrNotFound) {
		m.layers = false
		return false, nil
	}
	if err == nil {
		m.reader, err = ecc.NewReader(s, h)
	}
	return err == nil, err
}

// mend fills in the bad sectors of p, which begins with the sector first, and returns those that stay bad. An error is anything
// other than bad sectors.
func (m *mender) mend(ctx context.Context, p []byte, first int64, bad *damage) (*damage, error) {
	if there, err := m.open(ctx); err != nil {
		return nil, fmt.Errorf("repair sectors in %s: %w", m.drive.Name(), err)
	} else if !there {
		return bad, nil
	}
	left := &damage{}
	for _, r := range bad.runs {
		for sector, end := r.GetFirst(), r.GetFirst()+r.GetCount(); sector < end; {
			n, err := m.reader.ReadAt(p[(sector-first)*archive.SectorSize:(end-first)*archive.SectorSize], sector*archive.SectorSize)
			done := int64(n) / archive.SectorSize
			if !m.counted {
				m.repaired += done
			}
			sector += done
			if err == nil {
				continue
			}
			if !errors.Is(err, ecc.ErrLost) {
				return nil, fmt.Errorf("repair sector %d in %s: %w", sector, m.drive.Name(), err)
			}
			clear(p[(sector-first)*archive.SectorSize:][:archive.SectorSize])
			left.add(sector)
			sector++
		}
	}
	return left, nil
}

// worst returns how many bad sectors the worst row had that was repaired.
func (m *mender) worst() int32 {
	if m.reader == nil {
		return 0
	}
	r := m.reader.Report()
	return int32(r.Worst)
}

// roots returns how many bad sectors a row bears, once there was something to repair.
func (m *mender) roots() int32 {
	if m.reader == nil {
		return 0
	}
	r := m.reader.Report()
	return int32(r.Roots())
}
