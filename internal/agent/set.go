package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/discset"
	"github.com/odarchive/odarchive/archive/ecc"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// setFolder is where a set's parity accumulates, below the scratch folder.
func (a *agent) setFolder(id string) string { return filepath.Join(a.scratch.root.Name(), "set-"+id) }

// openSet opens what has been gathered of a set. The caller holds a.sets.
func (a *agent) openSet(s *pb.SetRef) (*discset.Accumulator, error) {
	if !validImage(s.GetId()) {
		return nil, defect("%q is no set id", s.GetId())
	}
	return discset.Open(a.setFolder(s.GetId()), s.GetId(), discset.Geometry{Data: int(s.GetData()), Parity: int(s.GetParity())})
}

// forgetSet deletes what has been gathered of a set. What isn't there has been deleted.
func (a *agent) forgetSet(id string) error {
	if !validImage(id) {
		return defect("%q is no set id", id)
	}
	a.sets.Lock()
	defer a.sets.Unlock()
	return os.RemoveAll(a.setFolder(id))
}

// gather adds a built image to its set's parity. What it finds there damaged is given up: all that was gathered is gathered again.
func (a *agent) gather(ctx context.Context, w *work, t *pb.Gather, r *pb.TaskResult) (err error) {
	size, err := bytesOf(t.GetSectors())
	if err != nil {
		return err
	}
	protected, err := bytesOf(t.GetDataSectors())
	if err != nil {
		return err
	}
	image, err := a.scratch.open(t.GetImageId(), size, t.GetSha256())
	if err != nil {
		r.Missing = true
		return err
	}
	defer image.Close()
	a.sets.Lock()
	defer a.sets.Unlock()
	if err := a.parityRoom(t.GetSet(), protected); err != nil {
		return err
	}
	set, err := a.openSet(t.GetSet())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	w.total.Store(2 * size)
	// The set keeps a hash of what it protects of the image; that this is the image as it was built, only its own hash can say.
	sum, err := sumFile(ctx, image, size)
	if err != nil {
		return err
	}
	if !slices.Equal(sum, t.GetSha256()) {
		r.Missing = true
		return errors.Join(retry("gather image %s: the scratch copy has changed: it is deleted", t.GetImageId()), a.scratch.discard(t.GetImageId()))
	}
	w.done.Store(size)
	m := discset.Member{Index: int(t.GetIndex()), ImageID: t.GetImageId(), Label: t.GetLabel(), Sectors: t.GetDataSectors()}
	if t.GetSectors() > t.GetDataSectors() {
		m.DiscSectors = t.GetSectors()
	}
	err = set.Add(ctx, []discset.Source{{Member: m, Image: image}}, func(n int64) { w.done.Store(size + n) })
	if errors.Is(err, discset.ErrDamaged) {
		for i := range t.GetSet().GetData() {
			r.Absent = append(r.Absent, i)
		}
		return errors.Join(err, os.RemoveAll(a.setFolder(t.GetSet().GetId())))
	}
	w.done.Store(2 * size)
	return err
}

// parityRoom makes sure that the scratch disk has room for the parity of a set twice: an addition writes new parity beside the old.
func (a *agent) parityRoom(s *pb.SetRef, protected int64) error {
	missing, err := a.scratch.missing(2 * int64(s.GetParity()) * protected)
	if err != nil {
		return retry("space for the parity of set %s: %w", s.GetId(), err)
	}
	if missing > 0 {
		return retry("the parity of set %s needs %d bytes more than the scratch disk has", s.GetId(), missing)
	}
	return nil
}

// absentError says that the scratch disk lacks some of a set's parity.
type absentError struct {
	set     string
	members []int32
}

func (e *absentError) Error() string {
	return fmt.Sprintf("the parity of set %s on the scratch disk lacks %d images: they are gathered again", e.set, len(e.members))
}

// lacking returns which of the members of a set are not in what was gathered, as an absentError; nil when all are.
func lacking(set *discset.Accumulator, id string, members []*pb.SetImage) error {
	there := map[string]int{}
	for _, m := range set.Members() {
		there[m.ImageID] = m.Index
	}
	e := &absentError{set: id}
	for _, m := range members {
		if index, ok := there[m.GetImageId()]; !ok || index != int(m.GetIndex()) {
			e.members = append(e.members, m.GetIndex())
		}
	}
	if e.members == nil {
		return nil
	}
	return e
}

// seal makes a set's parity final.
func (a *agent) seal(t *pb.Seal, r *pb.TaskResult) (err error) {
	a.sets.Lock()
	defer a.sets.Unlock()
	id := t.GetSet().GetId()
	set, err := a.openSet(t.GetSet())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	if err := lacking(set, id, t.GetMembers()); err != nil {
		r.Absent = err.(*absentError).members
		return &fault{pb.Failure_FAILURE_RETRY, err}
	}
	var parities []discset.Parity
	for _, p := range t.GetParities() {
		parities = append(parities, discset.Parity{ImageID: p.GetImageId(), Label: p.GetLabel()})
	}
	s, err := set.Seal(parities, t.GetCreated().AsTime())
	if err != nil {
		return err
	}
	r.Description, err = s.JSON()
	return err
}

// writeParity writes a parity image: what was gathered, what says how to use it, and what protects the disc itself.
func (a *agent) writeParity(ctx context.Context, t *pb.Build, file *os.File, out *counted) (err error) {
	p := t.GetParity()
	carried, err := a.snapshot(ctx, t.GetImageId(), p.GetSnapshot())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, carried.Close()) }()
	a.sets.Lock()
	defer a.sets.Unlock()
	set, err := a.openSet(p.GetSet())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	s, err := set.Sealed()
	if err != nil {
		e := &absentError{set: p.GetSet().GetId()}
		for i := range p.GetSet().GetData() {
			e.members = append(e.members, i)
		}
		return &fault{pb.Failure_FAILURE_RETRY, errors.Join(e, err)}
	}
	disc, err := s.Compose(int(p.GetNumber()), discset.Extras{Info: p.GetInfo(), Snapshot: carried.blob})
	if err != nil {
		return err
	}
	l := disc.Layout
	var g ecc.Geometry
	if t.GetLayerSectors() != 0 {
		if g, err = protection(l, t.GetLayerSectors(), t.GetSectors()); err != nil {
			return err
		}
	} else if l.Sectors() != t.GetSectors() {
		return defect("it comes to %d sectors, %d were planned", l.Sectors(), t.GetSectors())
	}
	out.left = l.Sectors() * archive.SectorSize
	if err := disc.Write(out, func(name string) (io.ReadCloser, error) {
		switch name {
		case discset.ChecksName:
			return set.OpenChecks()
		case discset.SnapshotName:
			return carried.open(), nil
		}
		return set.OpenParity(int(p.GetNumber()))
	}); err != nil {
		return err
	}
	if out.left != 0 {
		return defect("%d bytes of its layout are missing at the end", out.left)
	}
	if t.GetLayerSectors() != 0 {
		return protect(ctx, out.w, file, l, g)
	}
	return nil
}
