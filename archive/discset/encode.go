package discset

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/odarchive/odarchive/archive"
)

// encoding is one addition while it is made.
type encoding struct {
	images  []*lane
	parity  []*lane // the new files; they are read from the old ones where there are such
	coder   *adder
	size    int64 // bytes of a parity file
	piece   int
	opened  []*os.File
	written []*os.File // those that have to be on the disk in the end
	counted func(at int64)
}

// encode writes the next generation of parity with sources added, durably, and returns their hashes.
func (a *Accumulator) encode(ctx context.Context, sources []Source, progress Progress) (sums []archive.Hash, err error) {
	e := &encoding{}
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
		for _, l := range e.images {
			total += l.inside(e.piece, at)
		}
		progress(total)
	}
	a.crash("files made")
	if err := e.run(ctx); err != nil {
		return nil, err
	}
	for i, s := range sources {
		sum := archive.Hash(e.images[i].sum.Sum(nil))
		if s.SHA256 != (archive.Hash{}) && sum != s.SHA256 {
			return nil, fmt.Errorf("image %s reads as %v, want %v: %w", s.ImageID, sum, s.SHA256, ErrHash)
		}
		sums = append(sums, sum)
	}
	a.crash("parity complete")
	for _, f := range e.written {
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
	create := func(name string) *os.File {
		f := file(a.root.Create, name)
		e.written = append(e.written, f)
		return f
	}
	var js []int
	old := longest(a.members()) * sectorSize
	e.size = old
	for _, s := range sources {
		js = append(js, s.Index)
		e.size = max(e.size, s.Sectors*sectorSize)
		e.images = append(e.images, &lane{
			r: s.Image, size: s.Sectors * sectorSize, name: "image " + s.ImageID, sum: sha256.New(), newChecks: create(memberName(s.Index)),
		})
	}
	for i := range a.j.Parity {
		l := &lane{size: old, name: parityName(a.j.Generation, i)}
		if g := a.j.Generation; g > 0 {
			l.r, l.oldChecks = file(a.root.Open, parityName(g, i)), file(a.root.Open, checksName(g, i))
		}
		l.out, l.newChecks = create(parityName(a.j.Generation+1, i)), create(checksName(a.j.Generation+1, i))
		e.parity = append(e.parity, l)
	}
	if err != nil {
		return err
	}
	e.piece = int(min(int64(pieceOf(2*(len(e.images)+len(e.parity)))), blocks(e.size/sectorSize)*blockSize))
	e.coder, err = newAdder(a.j.Parity, js, a.j.Generation == 0)
	return err
}

// run reads the images piece by piece while the pieces before are coded and written.
func (e *encoding) run(ctx context.Context) error {
	free, loaded := make(chan *pieces, 2), make(chan *pieces)
	for range cap(free) {
		free <- e.pieces()
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(loaded)
		for at := int64(0); at < e.size; at += int64(e.piece) {
			select {
			case p := <-free:
				if err := e.load(p, at); err != nil {
					return err
				}
				select {
				case loaded <- p:
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
		for p := range loaded {
			if err := e.store(p); err != nil {
				return err
			}
			e.counted(p.at)
			free <- p
		}
		return nil
	})
	return g.Wait()
}

// pieces are a piece of every image and of every parity file in memory, with the checksums of their blocks.
type pieces struct {
	at             int64
	images, parity [][]byte
	imageChecks    [][]byte
	oldChecks      [][]byte // of the parity as it was
	newChecks      [][]byte
}

func (e *encoding) pieces() *pieces {
	n := len(e.images)
	data := buffers(n+len(e.parity), e.piece)
	checks := make([][]byte, n+2*len(e.parity))
	for i := range checks {
		checks[i] = make([]byte, e.piece/blockSize*checkSize)
	}
	return &pieces{
		images: data[:n], parity: data[n:],
		imageChecks: checks[:n], oldChecks: checks[n:][:len(e.parity)], newChecks: checks[n+len(e.parity):],
	}
}

func (e *encoding) load(p *pieces, at int64) error {
	p.at = at
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, l := range e.images {
		g.Go(func() error { return l.load(p.images[i], at) })
	}
	for i, l := range e.parity {
		if l.r != nil {
			g.Go(func() error { return errors.Join(l.load(p.parity[i], at), l.known(p.oldChecks[i], at)) })
		}
	}
	return g.Wait()
}

// store codes pieces and writes their parity and all checksums.
func (e *encoding) store(p *pieces) error {
	workers := runtime.GOMAXPROCS(0)
	var coding errgroup.Group
	for w := range workers {
		coding.Go(func() error {
			n := e.piece / blockSize
			for k := w * n / workers; k < (w+1)*n/workers; k++ {
				if err := e.block(p, k); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := coding.Wait(); err != nil {
		return err
	}
	var writing errgroup.Group
	writing.SetLimit(workers)
	for i, l := range e.images {
		writing.Go(func() error { return l.write(nil, p.imageChecks[i], l.inside(e.piece, p.at), p.at) })
	}
	for i, l := range e.parity {
		writing.Go(func() error { return l.write(p.parity[i], p.newChecks[i], inside(e.size, e.piece, p.at), p.at) })
	}
	return writing.Wait()
}

// block codes one block of the pieces. Its checksums are made right before and behind that: a block of all lanes fits the second
// cache, so that the bytes come from memory once for all three.
func (e *encoding) block(p *pieces, k int) error {
	at := p.at + int64(k)*blockSize
	cut := func(all [][]byte) (b [][]byte) {
		for _, x := range all {
			b = append(b, x[k*blockSize:(k+1)*blockSize])
		}
		return b
	}
	images, parity := cut(p.images), cut(p.parity)
	for i, l := range e.images {
		putCheck(p.imageChecks[i], k, images[i][:l.inside(blockSize, at)])
	}
	for i, l := range e.parity {
		if b := parity[i][:l.inside(blockSize, at)]; l.r != nil && len(b) > 0 && !matches(p.oldChecks[i], k, b) {
			return fmt.Errorf("%s near byte %d: %w", l.name, at, ErrDamaged)
		}
	}
	if err := e.coder.add(images, parity, func(i int) bool { return e.images[i].inside(blockSize, at) == 0 }); err != nil {
		return err
	}
	for i := range e.parity {
		putCheck(p.newChecks[i], k, parity[i][:inside(e.size, blockSize, at)])
	}
	return nil
}
