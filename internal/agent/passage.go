package agent

import (
	"context"
	"crypto/sha256"
	"encoding"
	"errors"
	"hash"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/odarchive/odarchive/archive"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot"
)

// verified is how far a verify is, and what it found on the way.
type verified struct {
	checkpoint *pb.VerifyCheckpoint
	regions    []*pb.Region
}

// passage is one verify's way over its disc, region after region. After each it can be broken off and gone on with by another
// task, in another process and another drive: the hash travels as SHA-256's own state in the middle. So the image needs no further
// hashes than the one it has since it was built; that a region is wrong shows in the end only, and where it is, the error
// correction says by the sector.
type passage struct {
	work       *work
	drive      *attentive
	sectors    int64
	at         int64 // sector that comes next
	sum        hash.Hash
	unreadable int64 // sectors, those that an earlier task had found included
	bad        damage
	regions    []*pb.Region
}

func newPassage(w *work, drive robot.Drive, t *pb.Verify) *passage {
	p := &passage{work: w, drive: &attentive{Drive: drive}, sectors: t.GetSectors(), sum: sha256.New()}
	// What makes no sense is begun anew: that costs time and nothing else.
	if from := t.GetFrom(); from.GetSector() > 0 && from.GetSector() <= p.sectors &&
		p.sum.(encoding.BinaryUnmarshaler).UnmarshalBinary(from.GetHashState()) == nil {
		p.at, p.unreadable = from.GetSector(), from.GetUnreadable()
		w.skipped.Store(p.at * archive.SectorSize)
		w.done.Store(p.at * archive.SectorSize)
	} else {
		p.sum.Reset()
	}
	return p
}

// read goes to the end of the disc.
func (p *passage) read(ctx context.Context) error {
	defer p.drive.restore(ctx)
	buffer := make([]byte, min(transfer, (p.sectors-p.at)*archive.SectorSize))
	if p.at < p.sectors {
		// A disc that has come to rest takes seconds to turn again, which are not the first region's. What comes of it is seen when it is
		// read in its turn.
		_, _ = p.drive.Drive.ReadAt(buffer[:archive.SectorSize], p.at*archive.SectorSize)
	}
	for p.at < p.sectors && !p.bad.full() {
		if err := p.region(ctx, buffer); err != nil {
			return err
		}
	}
	return nil
}

// region reads to the end of the region that the next sector is in, and keeps what it told.
func (p *passage) region(ctx context.Context, buffer []byte) error {
	number := p.at * robot.Regions / p.sectors
	_, end := p.bounds(number)
	r := &pb.Region{Number: int32(number), First: p.at, Sectors: end - p.at}
	before, unreadable := p.drive.count(), p.bad.sectors
	for p.at < end {
		b := buffer[:min(int64(len(buffer)), (end-p.at)*archive.SectorSize)]
		if _, err := readSectors(ctx, p.drive, b, p.at, &p.bad); err != nil {
			return err
		}
		p.sum.Write(b)
		p.at += int64(len(b)) / archive.SectorSize
		p.work.done.Add(int64(len(b)))
	}
	if err := p.doubt(ctx, r, before); err != nil {
		return err
	}
	r.Unreadable = p.bad.sectors - unreadable
	p.unreadable += r.GetUnreadable()
	after := p.drive.count()
	r.Seconds = (after.Time - before.Time).Seconds()
	r.Retries = max(after.Retries-before.Retries, 0)
	r.Recovered = max(after.Recovered-before.Recovered, 0)
	r.Disagreed = max(after.Disagreed-before.Disagreed, 0)
	if r.GetRetries() > 0 {
		r.Sense = p.drive.said
	}
	state, err := p.sum.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		return err
	}
	p.regions = append(p.regions, r)
	p.work.verified.Store(&verified{
		checkpoint: &pb.VerifyCheckpoint{Sector: p.at, HashState: state, Unreadable: p.unreadable},
		regions:    p.regions[:len(p.regions):len(p.regions)],
	})
	return nil
}

// doubter is a drive that can read sectors twice, past its own memory.
type doubter interface {
	Doubt(ctx context.Context, first, count int64) (differ int64, err error)
}

// doubted is how many sectors at most are read twice where a drive had trouble.
const doubted = 256

// doubt has the drive read the last place of a region where it had trouble twice: a disc that gives one answer now and another one then
// is near its end. The drive keeps account of what differs.
func (p *passage) doubt(ctx context.Context, r *pb.Region, before robot.Region) error {
	g, _ := p.drive.Drive.(*guarded)
	if g == nil {
		return nil
	}
	d, ok := g.Drive.(doubter)
	if now := p.drive.count(); !ok || now.Retries == before.Retries && now.Recovered == before.Recovered {
		return nil
	}
	end := r.GetFirst() + r.GetSectors()
	first := max(r.GetFirst(), min(p.drive.asked-doubted/2, end-doubted))
	_, err := d.Doubt(ctx, first, min(doubted, end-first))
	return g.judge(err)
}

// bounds returns the first sector of a region, and the one behind its last.
func (p *passage) bounds(number int64) (first, end int64) {
	return (number*p.sectors + robot.Regions - 1) / robot.Regions, ((number+1)*p.sectors + robot.Regions - 1) / robot.Regions
}

// add adds to regions, by their number, what became known of them in the end. Those that an earlier task has read are told of again, with that
// alone.
func (p *passage) add(found map[int64]int64, to func(r *pb.Region, n int64)) {
	for number, n := range found {
		i := slices.IndexFunc(p.regions, func(r *pb.Region) bool { return int64(r.GetNumber()) == number })
		if i < 0 {
			first, end := p.bounds(number)
			i = len(p.regions)
			p.regions = append(p.regions, &pb.Region{Number: int32(number), First: first, Sectors: end - first})
		}
		p.regions[i] = proto.CloneOf(p.regions[i]) // the one that was may be on its way
		to(p.regions[i], n)
	}
	v := &verified{regions: slices.Clone(p.regions)}
	if before := p.work.verified.Load(); before != nil {
		v.checkpoint = before.checkpoint
	}
	p.work.verified.Store(v)
}

// attentive is a drive that is watched while one task reads.
type attentive struct {
	robot.Drive
	time    time.Duration
	retries int64
	asked   int64 // the sector at which the drive gave up last; it is asked for again, which counts once
	said    string

	slow     bool  // it was made to read slowly
	onespeed bool  // it can't be
	since    int64 // sectors that came without trouble since
	slowly   int64 // sectors for which it was, and which came then
}

// ReadAt follows robot.Drive, for one goroutine.
func (a *attentive) ReadAt(p []byte, off int64) (int, error) {
	began := time.Now()
	n, err := a.Drive.ReadAt(p, off)
	a.time += time.Since(began)
	if errors.Is(err, robot.ErrMedium) {
		if sector := (off + int64(n)) / archive.SectorSize; sector != a.asked || a.retries == 0 {
			a.asked = sector
			a.retries++
		}
		if e, ok := errors.AsType[*robot.Error](err); ok {
			a.said = e.Detail
		}
	}
	return n, err
}

// count is what was noticed until now: here, and by the drive itself where it keeps account. The drive's own retries are of sectors that
// nobody here was told of.
func (a *attentive) count() robot.Region {
	c := robot.Region{Time: a.time, Retries: a.retries}
	g, _ := a.Drive.(*guarded)
	if g == nil {
		return c
	}
	if m, ok := g.Drive.(robot.Monitor); ok {
		for _, r := range m.Signs().Regions {
			c.Recovered += r.Recovered
			c.Disagreed += r.Disagreed
			c.Retries += r.Retries
		}
	}
	return c
}
