package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/ecc"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// prove holds sectors that were read well, from first on, against the checksums of the error correction, and sets right in p what was read as
// something else than was burned. It returns the sectors that are wrong and stay so. Without error correction nothing is proven, and
// ok is false.
func (m *mender) prove(ctx context.Context, p []byte, first int64) (left *damage, ok bool, err error) {
	return m.proveUntil(ctx, p, first, int64(len(p))/archive.SectorSize)
}

// proveUntil is prove that ends with so many sectors that are wrong and stay so: those behind the last of them are not proven.
func (m *mender) proveUntil(ctx context.Context, p []byte, first, most int64) (left *damage, ok bool, err error) {
	if ok, err := m.open(ctx); !ok || err != nil {
		return nil, false, m.failed("prove", first, err)
	}
	wrong, unknown, err := m.reader.Check(p, first)
	if err != nil {
		return nil, false, m.failed("prove", first, err)
	}
	left = &damage{}
	is := make([]byte, archive.SectorSize)
	for _, at := range merged(wrong, unknown) {
		was := p[at*archive.SectorSize:][:archive.SectorSize]
		_, err := m.reader.ReadCheckedAt(is, (first+at)*archive.SectorSize)
		switch {
		case errors.Is(err, ecc.ErrLost):
			m.wrong++
			if left.add(first + at); left.sectors == most {
				return left, true, nil
			}
		case err != nil:
			return nil, false, m.failed("prove", first+at, err)
		case !bytes.Equal(is, was):
			m.wrong++
			m.repaired++
			copy(was, is)
		}
	}
	return left, true, nil
}

func (m *mender) failed(what string, sector int64, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s sector %d in %s: %w", what, sector, m.drive.Name(), err)
}

// merged merges two ascending lists.
func merged(a, b []int64) (all []int64) {
	for len(a) > 0 || len(b) > 0 {
		if len(b) == 0 || len(a) > 0 && a[0] < b[0] {
			all, a = append(all, a[0]), a[1:]
		} else {
			all, b = append(all, b[0]), b[1:]
		}
	}
	return all
}

// prove has sectors of the window proven, and says whether all of them are as they were burned. Where nothing can prove them, that is only
// held against them when somebody has said that something is wrong with them.
func (p *pass) prove(ctx context.Context, sector, count int64) (ok bool, err error) {
	left, proven, err := p.mender.prove(ctx, p.window[(sector-p.first)*archive.SectorSize:][:count*archive.SectorSize], sector)
	if err != nil {
		return false, err
	}
	if !proven {
		return !p.doubted, nil
	}
	return left.sectors == 0, nil
}

// again reads the contents once more that the controller has refused because of their hash: every sector is held against its checksum now,
// and what is wrong is repaired. What is refused again is lost.
func (r *reading) again(ctx context.Context) error {
	refused := r.refused
	r.store.lost = r.lost
	if len(refused.list) == 0 {
		return nil
	}
	if !r.pass.mender.layers {
		for _, hash := range refused.list {
			r.lost.add(hash)
		}
		return nil
	}
	r.refused = newHashes()
	var extents []*pb.ReadExtent
	for _, x := range r.extents {
		if refused.has(x.GetHash()) {
			extents = append(extents, x)
			r.work.total.Add(x.GetLength())
		}
	}
	r.pass = newPass(r.pass.drive, extents, &r.bad, r.pass.mender)
	r.pass.doubted, r.pass.mender.counted = true, true
	for _, x := range extents {
		if err := r.extent(ctx, x); err != nil {
			return err
		}
	}
	return r.store.commit()
}
