package agent

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/discset"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot"
)

// readOn is over how many sectors that nobody wants a drive reads on rather than seek: 2 MiB, which a BD drive at 4 times the single speed (18 MB/s)
// reads in 0.12 s. A seek takes about as long.
const readOn = 1024

// errSector is of a sector that a disc doesn't give.
var errSector = errors.New("the sector can't be read")

// copyRows brings the rows that a torn copy lacks, or those in which lies what is wanted early, from another disc of its set to the scratch disk. What the
// disc doesn't give is named in the result, and the rest is kept. Rows that are there already are not read again.
func (a *agent) copyRows(ctx context.Context, w *work, t *pb.CopyRows, r *pb.TaskResult) (err error) {
	wanted, err := setRuns(t.GetRows(), farthest)
	if err != nil {
		return err
	}
	if !validImage(t.GetTornId()) {
		return defect("%q is no image id", t.GetTornId())
	}
	parity := t.GetIndex() >= t.GetSet().GetData()
	if !parity {
		wanted = below(wanted, t.GetProtectedSectors())
	}
	ending := rows
	if t.GetEarly() {
		ending = early
	}
	name, size := nameRows(t.GetTornId(), t.GetIndex(), ending), sectorsOf(wanted)*archive.SectorSize
	w.total.Store(size)
	if there, done, err := a.brought(name, wanted, r); there || err != nil {
		w.done.Store(done)
		w.skipped.Store(done)
		return err
	}
	b, err := a.bay(t.GetDrive())
	if err != nil {
		return err
	}
	release, err := b.hold(ctx)
	if err != nil {
		return err
	}
	defer release()
	if r.Identity, err = b.holds(ctx, t.GetImageId(), t.GetSectors()); err != nil {
		return err
	}
	file, err := a.scratch.take(t.GetTornId(), name+part, size)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err != nil {
			err = fmt.Errorf("copy rows of image %s in %s: %w", t.GetImageId(), b.drive.Name(), err)
			a.scratch.root.Remove(name + part)
		}
	}()
	own := t.GetImageId() == t.GetTornId()
	d := &mended{
		ctx: ctx, drive: &attentive{Drive: b.drive}, sectors: t.GetSectors(),
		mender: &mender{drive: b.drive, sectors: t.GetSectors(), layers: t.GetLayerSectors() != 0 && !own},
	}
	defer func() {
		d.drive.restore(ctx)
		r.Unreadable, r.Retries, r.Slowly = d.bad.named(), d.drive.retries, d.drive.slowly
		r.Repaired, r.WorstRow, r.Roots, r.Wrong = d.mender.repaired, d.mender.worst(), d.mender.roots(), d.mender.wrong
	}()
	var image io.ReaderAt = d
	if parity {
		if image, _, err = discset.OpenDisc(d, t.GetSectors()); err != nil {
			if d.failed != nil {
				err = d.failed
			}
			return discFault("parity image %d of set %s: %w", t.GetIndex()-t.GetSet().GetData(), t.GetSet().GetId(), err)
		}
	}
	d.proven = true
	var lacking damage
	if own {
		lacking, err = copyReadable(d, wanted, io.NewOffsetWriter(file, 0), w)
	} else {
		lacking, err = copyRuns(d, image, wanted, io.NewOffsetWriter(file, 0), w)
	}
	if err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	n := tornNote{Rows: wanted}
	for _, run := range lacking.runs {
		n.Lacking = append(n.Lacking, discset.Run{First: run.GetFirst(), Count: run.GetCount()})
	}
	r.Lacking, r.LackingSectors = lacking.named(), lacking.sectors
	return a.scratch.keepNoted(name, n)
}

// brought says whether the rows are on the scratch disk already, and how many bytes those are.
func (a *agent) brought(name string, wanted []discset.Run, r *pb.TaskResult) (there bool, done int64, err error) {
	_, file, n, err := a.scratch.openRows(name)
	if file == nil {
		return false, 0, err
	}
	if len(n.Rows) != len(wanted) {
		return false, 0, file.Close()
	}
	for i := range wanted {
		if n.Rows[i] != wanted[i] {
			return false, 0, file.Close()
		}
	}
	r.Lacking, r.LackingSectors = wireRuns(n.Lacking[:min(len(n.Lacking), mostRuns)]), sectorsOf(n.Lacking)
	return true, sectorsOf(n.Rows) * archive.SectorSize, file.Close()
}

// copyRuns writes runs of an image that lies on a disc one behind the other, with zeros for the sectors that the disc doesn't give.
func copyRuns(d *mended, image io.ReaderAt, runs []discset.Run, out io.Writer, w *work) (lacking damage, err error) {
	buffer := make([]byte, transfer)
	for _, run := range runs {
		for first, end := run.First, run.First+run.Count; first < end; {
			p := buffer[:min(int64(len(buffer)), (end-first)*archive.SectorSize)]
			n, err := image.ReadAt(p, first*archive.SectorSize)
			if d.failed != nil {
				return lacking, d.failed
			}
			n -= n % archive.SectorSize
			if n < len(p) {
				if err == nil || !errors.Is(err, errSector) {
					return lacking, discFault("read sector %d of what its set has of it: %w", first+int64(n)/archive.SectorSize, err)
				}
				clear(p[n:][:archive.SectorSize])
				lacking.add(first + int64(n)/archive.SectorSize)
				n += archive.SectorSize
			}
			if _, err := out.Write(p[:n]); err != nil {
				return lacking, fmt.Errorf("write to the scratch disk: %w", err)
			}
			w.done.Add(int64(n))
			first += int64(n) / archive.SectorSize
		}
	}
	return lacking, nil
}

// mended is a disc as it reads with its error correction. A sector that not even that gives is errSector, and what lies before it is read.
// Where it is to be proven, so is one that reads as something else than was burned, and stays so.
type mended struct {
	ctx     context.Context
	drive   *attentive
	mender  *mender
	sectors int64  // of the disc
	proven  bool   // what is read from now on is held against the checksums of its error correction, where it has some
	bad     damage // as the drive reads it
	failed  error  // what was wrong besides bad sectors
}

// ReadAt follows io.ReaderAt.
func (m *mended) ReadAt(p []byte, off int64) (n int, err error) {
	first := off / archive.SectorSize
	end := min((off+int64(len(p))+archive.SectorSize-1)/archive.SectorSize, m.sectors)
	if off < 0 || first >= end {
		return 0, io.EOF
	}
	buffer := make([]byte, (end-first)*archive.SectorSize)
	good, err := m.read(buffer, first)
	if m.proven && m.failed == nil {
		good, err = m.prove(buffer[:good], first, err)
	}
	if skip := off - first*archive.SectorSize; int64(good) > skip {
		n = copy(p, buffer[skip:good])
	}
	if n == len(p) {
		return n, nil
	}
	if err == nil {
		err = io.EOF
	}
	return n, err
}

// read reads whole sectors, until one that can't be read, and returns the bytes that are good.
func (m *mended) read(p []byte, first int64) (good int, err error) {
	for good < len(p) {
		if m.ctx.Err() != nil {
			m.failed = context.Cause(m.ctx)
			return good, m.failed
		}
		n, err := m.drive.ReadAt(p[good:], first*archive.SectorSize+int64(good))
		n -= n % archive.SectorSize
		m.drive.ease(m.ctx, int64(n)/archive.SectorSize)
		good += n
		if err == nil || good == len(p) {
			continue
		}
		if !errors.Is(err, robot.ErrMedium) {
			m.failed = fmt.Errorf("read sector %d in %s: %w", first+int64(good)/archive.SectorSize, m.drive.Name(), err)
			return good, m.failed
		}
		sector := first + int64(good)/archive.SectorSize
		one := p[good:][:archive.SectorSize]
		var here damage
		left := &here
		ok, err := readSectors(m.ctx, m.drive, one, sector, &here)
		if err == nil && !ok {
			m.bad.add(sector)
			left, err = m.mender.mend(m.ctx, one, sector, &here)
		}
		if err != nil {
			m.failed = err
			return good, err
		}
		if left.sectors > 0 {
			return good, errSector
		}
		good += len(one)
	}
	return good, nil
}

// prove returns how many bytes of p, whole sectors from first on, are as they were burned, and why they aren't more: err when all of p are. What error
// correction doesn't protect isn't held against anything.
func (m *mended) prove(p []byte, first int64, err error) (good int, why error) {
	ok, failed := m.mender.open(m.ctx)
	if failed == nil && ok {
		var left *damage
		protected := m.mender.reader.Report().Data
		n := min(int64(len(p)), (protected-first)*archive.SectorSize)
		if n <= 0 {
			return len(p), err
		}
		if left, _, failed = m.mender.proveUntil(m.ctx, p[:n], first, 1); failed == nil && left.sectors > 0 {
			return int(left.runs[0].GetFirst()-first) * archive.SectorSize, errSector
		}
	}
	if failed != nil {
		m.failed = fmt.Errorf("prove sector %d in %s: %w", first, m.drive.Name(), failed)
		return 0, m.failed
	}
	return len(p), err
}
