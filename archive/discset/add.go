package discset

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"runtime"
	"slices"

	"github.com/klauspost/reedsolomon"
	"golang.org/x/sync/errgroup"

	"github.com/odarchive/odarchive/archive"
)

// Source is an image to add.
type Source struct {
	Member // its hash may be zero: then it is what is read
	Image  io.ReaderAt
}

// Progress is told how many bytes of images have been read. It is called by one goroutine at a time.
type Progress func(bytes int64)

// Add adds images to the set: all of them, or none when it fails. One that is in the set already is passed over. An image's hash is
// checked (ErrHash) before anything becomes the set's. Images that are added together cost one pass over the parity.
func (a *Accumulator) Add(ctx context.Context, sources []Source, progress Progress) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.add(ctx, sources, progress); err != nil {
		return fmt.Errorf("add to set %s: %w", a.j.Set, err)
	}
	return nil
}

func (a *Accumulator) add(ctx context.Context, sources []Source, progress Progress) error {
	fresh, err := a.fresh(sources)
	if err != nil || len(fresh) == 0 {
		return err
	}
	sums, err := a.encode(ctx, fresh, progress)
	if err != nil {
		return errors.Join(err, a.tidy())
	}
	old := a.j.Generation
	j := a.j
	j.Generation++
	j.Members = slices.Clone(j.Members)
	for i, s := range fresh {
		j.Members = append(j.Members, memberJSON{s.Index, s.ImageID, s.Label, s.Sectors, sums[i], s.DiscSectors})
	}
	slices.SortFunc(j.Members, func(a, b memberJSON) int { return a.Index - b.Index })
	a.crash("parity written")
	if err := a.commit(j); err != nil {
		return errors.Join(err, a.tidy())
	}
	for i := range a.j.Parity {
		if old > 0 {
			a.crash("old parity")
			if err := errors.Join(a.root.Remove(parityName(old, i)), a.root.Remove(checksName(old, i))); err != nil {
				return err
			}
		}
	}
	return nil
}

// fresh returns those of sources that the set has not.
func (a *Accumulator) fresh(sources []Source) (fresh []Source, err error) {
	g := Geometry{a.j.Data, a.j.Parity}
	members := a.members()
	for _, s := range sources {
		if err := s.validate(g); err != nil {
			return nil, err
		}
		known := false
		for _, m := range members {
			if m.Index != s.Index && m.ImageID != s.ImageID {
				continue
			}
			same := m.Index == s.Index && m.ImageID == s.ImageID && m.Sectors == s.Sectors
			if !same || s.SHA256 != (archive.Hash{}) && m.SHA256 != (archive.Hash{}) && s.SHA256 != m.SHA256 {
				return nil, fmt.Errorf("image %s as number %d: number %d is image %s: %w", s.ImageID, s.Index, m.Index, m.ImageID, ErrConflict)
			}
			known = true
		}
		if !known {
			fresh = append(fresh, s)
			members = append(members, s.Member)
		}
	}
	if len(fresh) > 0 && a.j.Sealed != nil {
		return nil, ErrSealed
	}
	return fresh, nil
}

// budget is how many bytes of images are held in memory, and piece the most of one image.
const (
	budget = 96 << 20
	piece  = 1 << 20
)

// pieceOf returns how much of each of n images is held: whole blocks.
func pieceOf(n int) int { return min(piece, max(budget/n/blockSize, 1)*blockSize) }

// buffers returns n buffers whose addresses lie apart modulo the page size: buffers that lie alike share sets of the first cache,
// and coding them takes half as long again.
func buffers(n, size int) [][]byte {
	const apart = 192
	slab := reedsolomon.AllocAligned(1, n*(size+apart))[0]
	b := make([][]byte, n)
	for i := range b {
		b[i] = slab[i*(size+apart):][:size:size]
	}
	return b
}

// lane is one image, or one old parity file, on its way into the parity.
type lane struct {
	r       io.ReaderAt
	size    int64 // bytes; zero behind them
	name    string
	sum     hash.Hash // of an image
	checks  *os.File  // of an image: to be written; of a parity file: to be held against
	written bool
}

// load reads the piece at byte at.
func (l *lane) load(b []byte, at int64) error {
	n := int(max(min(int64(len(b)), l.size-at), 0))
	clear(b[n:])
	if n == 0 {
		return nil
	}
	if k, err := l.r.ReadAt(b[:n], at); k < n {
		return fmt.Errorf("read %s: byte %d: %w", l.name, at+int64(k), cmp.Or(err, io.ErrUnexpectedEOF))
	}
	checks := appendChecks(make([]byte, 0, blocks(int64(n))*checkSize), b[:n])
	place := at / blockSize * checkSize
	if l.written {
		known := make([]byte, len(checks))
		if _, err := l.checks.ReadAt(known, place); err != nil {
			return fmt.Errorf("read the checksums of %s: %w", l.name, err)
		}
		if !slices.Equal(known, checks) {
			return fmt.Errorf("%s near byte %d: %w", l.name, at, ErrDamaged)
		}
		return nil
	}
	l.sum.Write(b[:n])
	_, err := l.checks.WriteAt(checks, place)
	return err
}

// encoding is one addition while it is made.
type encoding struct {
	lanes   []*lane // images, then old parity
	images  int
	parity  []*os.File // new, and their checksums
	checks  []*os.File
	coder   reedsolomon.Encoder
	size    int64 // bytes of a parity file
	piece   int
	opened  []*os.File
	counted func(at int64)
}

// encode writes the next generation of parity with sources added, durably, and returns their hashes.
func (a *Accumulator) encode(ctx context.Context, sources []Source, progress Progress) (sums []archive.Hash, err error) {
	e := &encoding{images: len(sources)}
	defer func() {
		for _, f := range e.opened {
			err = errors.Join(err, f.Close())
		}
	}()
	if err := a.prepare(e, sources); err != nil {
		return nil, err
	}
	var total int64
	e.counted = func(at int64) {
		if progress == nil {
			return
		}
		for _, l := range e.lanes[:e.images] {
			total += max(min(int64(e.piece), l.size-at), 0)
		}
		progress(total)
	}
	a.crash("files made")
	if err := e.run(ctx); err != nil {
		return nil, err
	}
	for i, s := range sources {
		sum := archive.Hash(e.lanes[i].sum.Sum(nil))
		if s.SHA256 != (archive.Hash{}) && sum != s.SHA256 {
			return nil, fmt.Errorf("image %s reads as %v, want %v: %w", s.ImageID, sum, s.SHA256, ErrHash)
		}
		sums = append(sums, sum)
	}
	a.crash("parity complete")
	for _, f := range e.opened {
		if err := f.Sync(); err != nil {
			return nil, err
		}
	}
	return sums, a.syncFolder()
}

// prepare opens all files of an addition.
func (a *Accumulator) prepare(e *encoding, sources []Source) (err error) {
	file := func(open func(string) (*os.File, error), name string) *os.File {
		if err != nil {
			return nil
		}
		var f *os.File
		if f, err = open(name); err == nil {
			e.opened = append(e.opened, f)
		}
		return f
	}
	var js []int
	e.size = longest(a.members()) * sectorSize
	old := e.size
	for _, s := range sources {
		js = append(js, s.Index)
		e.size = max(e.size, s.Sectors*sectorSize)
		e.lanes = append(e.lanes, &lane{
			r: s.Image, size: s.Sectors * sectorSize, name: "image " + s.ImageID, sum: sha256.New(), checks: file(a.root.Create, memberName(s.Index)),
		})
	}
	for i := range a.j.Parity {
		if g := a.j.Generation; g > 0 {
			f := file(a.root.Open, parityName(g, i))
			e.lanes = append(e.lanes, &lane{r: f, size: old, name: parityName(g, i), checks: file(a.root.Open, checksName(g, i)), written: true})
		}
		e.parity = append(e.parity, file(a.root.Create, parityName(a.j.Generation+1, i)))
		e.checks = append(e.checks, file(a.root.Create, checksName(a.j.Generation+1, i)))
	}
	if err != nil {
		return err
	}
	e.piece = int(min(int64(pieceOf(2*(len(e.lanes)+a.j.Parity))), blocks(e.size/sectorSize)*blockSize))
	matrix := rows(a.j.Parity, js)
	if e.folds() {
		matrix = withOld(matrix)
	}
	e.coder, err = newCoder(matrix)
	return err
}

// mostShards is what the codec takes, inputs and outputs together.
const mostShards = 256

// folds says that the parity there is goes through the coder with the images, which spares a pass over memory. Only sets of some
// hundred images are too large for that.
func (e *encoding) folds() bool {
	return len(e.lanes) > e.images && len(e.lanes)+len(e.parity) <= mostShards
}

// withOld adds the columns for the parity that is there: each goes into its own as it is.
func withOld(matrix [][]byte) [][]byte {
	for i := range matrix {
		unit := make([]byte, len(matrix))
		unit[i] = 1
		matrix[i] = append(matrix[i], unit...)
	}
	return matrix
}

// run reads the images piece by piece while the pieces before are coded and written.
func (e *encoding) run(ctx context.Context) error {
	free, loaded := make(chan [][]byte, 2), make(chan [][]byte)
	for range cap(free) {
		free <- buffers(len(e.lanes)+len(e.parity), e.piece)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(loaded)
		for at := int64(0); at < e.size; at += int64(e.piece) {
			select {
			case b := <-free:
				if err := e.load(b, at); err != nil {
					return err
				}
				select {
				case loaded <- b:
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return nil
	})
	g.Go(func() error {
		at := int64(0)
		for b := range loaded {
			if err := e.store(b, at); err != nil {
				return err
			}
			e.counted(at)
			at += int64(e.piece)
			free <- b
		}
		return nil
	})
	return g.Wait()
}

func (e *encoding) load(b [][]byte, at int64) error {
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, l := range e.lanes {
		g.Go(func() error { return l.load(b[i], at) })
	}
	return g.Wait()
}

// store codes a piece and writes its parity.
func (e *encoding) store(b [][]byte, at int64) error {
	in, old, fresh := b[:e.images], b[e.images:len(e.lanes)], b[len(e.lanes):]
	if e.folds() {
		in, old = b[:len(e.lanes)], nil
	}
	if err := code(e.coder, in, fresh); err != nil {
		return err
	}
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, p := range fresh {
		g.Go(func() error {
			if len(old) > 0 {
				subtle.XORBytes(p, p, old[i])
			}
			p = p[:min(int64(len(p)), e.size-at)]
			_, err := e.parity[i].WriteAt(p, at)
			_, err2 := e.checks[i].WriteAt(appendChecks(nil, p), at/blockSize*checkSize)
			return errors.Join(err, err2)
		})
	}
	return g.Wait()
}

// code computes out from in.
func code(c reedsolomon.Encoder, in, out [][]byte) error { return c.Encode(slices.Concat(in, out)) }
