package disc

import (
	"context"
	"errors"
	"io"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/ecc"
)

// source reads the sectors of an image, and repairs what can't be read from the error correction behind them. That is looked for
// when it is needed first.
type source struct {
	ctx     context.Context
	from    io.ReaderAt
	sectors int64
	// careful: every sector is held against its checksum.
	careful  bool
	looked   bool
	ecc      *ecc.Reader // nil where there is none
	data     int64       // bytes that it knows of, from sector 0 on
	repaired int64
}

func newSource(ctx context.Context, from io.ReaderAt, sectors int64) *source {
	return &source{ctx: ctx, from: from, sectors: sectors}
}

// correction returns what repairs, or nil.
func (s *source) correction() *ecc.Reader {
	if s.looked {
		return s.ecc
	}
	s.looked = true
	from := ecc.Source{ReaderAt: s.from}
	h, err := ecc.Find(s.ctx, from, s.sectors)
	if err != nil {
		return nil
	}
	if r, err := ecc.NewReader(from, h); err == nil {
		s.ecc, s.data = r, h.Data*archive.SectorSize
	}
	return s.ecc
}

// doubt has all further reading be careful, and says whether it can be.
func (s *source) doubt() bool {
	if s.correction() == nil {
		return false
	}
	s.careful = true
	return true
}

// ReadAt implements io.ReaderAt.
func (s *source) ReadAt(p []byte, off int64) (int, error) {
	if s.ctx.Err() != nil {
		return 0, context.Cause(s.ctx)
	}
	if s.careful && off < s.data {
		before := s.ecc.Caught()
		n, err := s.ecc.ReadCheckedAt(p[:min(int64(len(p)), s.data-off)], off)
		s.repaired += s.ecc.Caught() - before
		return s.rest(p, n, off, err)
	}
	n, err := s.from.ReadAt(p, off)
	// A marker may as well be what was archived, where nothing says otherwise.
	if at := dead(p[:n], off); at < n && s.correction() != nil && off+int64(at) < s.data {
		n, err = at, errDead
	}
	if n == len(p) || errors.Is(err, io.EOF) && off+int64(n) >= s.sectors*archive.SectorSize {
		return n, err
	}
	if s.correction() == nil || off+int64(n) >= s.data {
		return n, err
	}
	end := min(int64(len(p)), s.data-off)
	k, mended := s.ecc.ReadAt(p[n:end], off+int64(n))
	s.repaired += archive.Sectors(int64(k)) // some of them perhaps could be read
	n += k
	return s.rest(p, n, off, mended)
}

// errDead is of a sector that a copying program could not read and wrote a marker in place of.
var errDead = errors.New("a dead sector marker")

// rest goes on behind what is protected, after n bytes came through the error correction.
func (s *source) rest(p []byte, n int, off int64, err error) (int, error) {
	if err != nil && !errors.Is(err, io.EOF) || n == len(p) {
		return n, err
	}
	k, err := s.from.ReadAt(p[n:], off+int64(n))
	if k < len(p)-n && err == nil {
		err = io.ErrUnexpectedEOF
	}
	return n + k, err
}

// dead returns where the first dead sector marker begins in p, which was read from byte off on; len(p) when there is none. Only whole
// sectors are looked at.
func dead(p []byte, off int64) int {
	for at := int((archive.SectorSize - off%archive.SectorSize) % archive.SectorSize); at+archive.SectorSize <= len(p); at += archive.SectorSize {
		if ecc.IsDead(p[at : at+archive.SectorSize]) {
			return at
		}
	}
	return len(p)
}
