package ecc

import (
	"context"
	"sync"
)

// matrices are the parity matrices by number of roots, each made when it is first asked for: a search goes through all of them for every row
// that it tries, and an image without error correction may be searched for each file that is doubted.
var matrices = func() (all [MaxRoots + 1]func() [][]byte) {
	for roots := range all {
		all[roots] = sync.OnceValue(func() [][]byte { return parityMatrix(roots) })
	}
	return all
}()

// mostEmpty is up to how many of a row's 255 sectors zeros, and what can't be read, are taken for damage. Trying all numbers of roots takes time
// by the third power of that, and where more are zero the image mostly is.
const mostEmpty = 40

// byParity finds error correction of which neither the header nor any CRC block is left: they lie side by side, in less than a
// hundredth of the disc. With the right number of roots, the parity of a row gives back its CRC block, which says everything.
func (f *finder) byParity(ctx context.Context) (bool, error) {
	sizes := []int64{f.sectors / layers}
	for _, m := range Media {
		if n := m.Capacity / layers; m.Capacity >= f.sectors && n != sizes[0] {
			sizes = append(sizes, n)
			break
		}
	}
	p := prober{shards: slab(layers, sectorSize)}
	for _, n := range sizes {
		if n == 0 {
			continue
		}
		for _, r := range []int64{0, n / 3, 2 * n / 3} {
			if err := p.load(f, n, r); err != nil {
				return false, err
			}
			// Some programs leave zeros where a sector couldn't be read.
			for _, erased := range []set{p.dead, p.dead.with(p.empty)} {
				if erased != p.dead && erased.len() > mostEmpty {
					continue
				}
				for roots := MinRoots; roots <= MaxRoots; roots++ {
					if ctx.Err() != nil {
						return false, context.Cause(ctx)
					}
					crc := layers - roots - 1
					if !p.solve(roots, erased) {
						continue
					}
					if found, err := f.block(p.block[:], int64(crc)*n+r); found || err != nil {
						return found, err
					}
				}
				if p.empty.within(p.dead) {
					break
				}
			}
		}
	}
	return false, nil
}

// prober solves one row for its CRC block.
type prober struct {
	shards      [][]byte // in the kernel's names
	dead, empty set
	decoder     decoder
	block       [sectorSize]byte
}

// load reads row r of layers of n sectors.
func (p *prober) load(f *finder, n, r int64) error {
	p.dead, p.empty = set{}, set{}
	var zero [sectorSize]byte
	for j, b := range p.shards {
		ok, err := f.read(b, int64(j)*n+r)
		switch {
		case err != nil:
			return err
		case !ok || IsDead(b):
			p.dead.add(j)
		case [sectorSize]byte(b) == zero:
			p.empty.add(j)
		}
		toKernel.rename(b, b)
	}
	return nil
}

// solve makes what would be the CRC block if there were so many roots.
func (p *prober) solve(roots int, erased set) bool {
	c := &codec{inputs: layers - roots, roots: roots, parity: matrices[roots]()}
	erased.add(c.inputs - 1)
	if erased.len() > roots {
		return false
	}
	d := &p.decoder
	d.matrix = nil
	d.prepare(c, erased)
	last := len(d.inputs) - 1
	in := append([][]byte(nil), p.shards[:c.inputs]...)
	for i, j := range d.inputs {
		in[j] = p.shards[c.inputs+d.spare[i]]
	}
	clear(p.block[:])
	for j, by := range d.matrix[last] {
		d.low.GalMulSliceXor(by, in[j], p.block[:])
	}
	fromKernel.rename(p.block[:], p.block[:])
	return true
}
