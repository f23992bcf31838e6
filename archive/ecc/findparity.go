package ecc

import (
	"context"

	"github.com/klauspost/reedsolomon"
)

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
				p.weigh(erased)
				for roots := MinRoots; roots <= MaxRoots; roots++ {
					if ctx.Err() != nil {
						return false, context.Cause(ctx)
					}
					crc := layers - roots - 1
					if !p.solve(crc, roots) {
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

// prober solves one row for its CRC block, whichever layer that is.
//
// A row's sectors c of layers with the locators X fulfil, for each root i, the check Σ c·X^(112+i) = 0. The sum of the checks whose
// coefficients are those of the polynomial Q whose zeros are the locators of erased layers has none of these in it, and is
// Σ c·X^112·Q(X) = 0: one equation for one unknown sector, the same for all numbers of roots that are enough.
type prober struct {
	shards      [][]byte // in the kernel's names
	dead, empty set

	erased  set
	weights [layers]byte // X^112·Q(X), 0 of an erased layer
	sum     [sectorSize]byte
	block   [sectorSize]byte
	low     reedsolomon.LowLevel
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

// weigh prepares for an erased set.
func (p *prober) weigh(erased set) {
	p.erased = erased
	for j := range p.weights {
		p.weights[j] = p.weight(j, erased)
	}
	clear(p.sum[:])
	for j, w := range p.weights {
		p.add(w, p.shards[j], p.sum[:])
	}
}

// weight returns X^112·Q(X) of a layer, where Q has the zeros of erased.
func (p *prober) weight(layer int, erased set) byte {
	x := locator(layer)
	w := power(logTable[x] * firstRoot)
	for k := range erased.all() {
		w = mul(w, x^locator(k))
	}
	return w
}

// add adds a sector, multiplied by what is a factor in RS03's own field.
func (p *prober) add(by byte, sector, to []byte) {
	if by != 0 {
		p.low.GalMulSliceXor(toKernel.table[by], sector, to)
	}
}

// solve makes what would be the sector of a layer if there were so many roots.
func (p *prober) solve(layer, roots int) bool {
	others := p.erased
	others.remove(layer)
	if others.len() >= roots {
		return false
	}
	clear(p.block[:])
	if !p.erased.has(layer) {
		copy(p.block[:], p.shards[layer])
		p.add(div(1, p.weights[layer]), p.sum[:], p.block[:])
	} else {
		x, one := locator(layer), p.weight(layer, others)
		for j, w := range p.weights {
			if w != 0 {
				p.add(div(w, mul(one, locator(j)^x)), p.shards[j], p.block[:])
			}
		}
	}
	fromKernel.rename(p.block[:], p.block[:])
	return true
}
