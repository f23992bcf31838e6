package ecc

import "github.com/klauspost/reedsolomon"

// fewRows is how many rows are solved without preparing a kernel for their matrix.
const fewRows = 4

// decoder solves for erased inputs; it keeps what it prepared last, since damage mostly goes on in the same layers.
type decoder struct {
	erased set // for which matrix was made
	inputs []int
	spare  []int
	matrix [][]byte // in the kernel's names
	plain  [][]byte
	kernel reedsolomon.Encoder
	low    reedsolomon.LowLevel
}

// prepare makes the matrix for an erased set, which has at most as many layers as there are roots.
func (d *decoder) prepare(c *codec, erased set) {
	if d.matrix != nil && d.erased == erased {
		return
	}
	d.erased, d.kernel = erased, nil
	d.inputs, d.spare = erased.below(c.inputs), d.spare[:0]
	for k := 0; len(d.spare) < len(d.inputs); k++ {
		if !erased.has(c.inputs + k) {
			d.spare = append(d.spare, k)
		}
	}
	d.plain = solve(c.parity, d.inputs, d.spare)
	d.matrix = toKernel.matrix(d.plain)
}

// solve gives rows lo to before hi of shards their erased inputs, which are the same in each of them. calc is room for as
// many rows.
func (d *decoder) solve(c *codec, shards, calc [][]byte, erased set, lo, hi int) error {
	d.prepare(c, erased)
	if len(d.inputs) == 0 {
		return nil
	}
	in := span(shards[:c.inputs], lo, hi)
	out := span(calc[:len(d.inputs)], lo, hi)
	for i, j := range d.inputs {
		in[j] = shards[c.inputs+d.spare[i]][lo*sectorSize : hi*sectorSize]
	}
	if hi-lo > fewRows {
		if d.kernel == nil {
			var err error
			if d.kernel, err = kernel(d.plain); err != nil {
				return err
			}
		}
		if err := d.kernel.Encode(append(in, out...)); err != nil {
			return err
		}
	} else {
		for i, coefficients := range d.matrix {
			d.low.GalMulSlice(coefficients[0], in[0], out[i])
			for j := 1; j < len(in); j++ {
				d.low.GalMulSliceXor(coefficients[j], in[j], out[i])
			}
		}
	}
	for i, j := range d.inputs {
		copy(shards[j][lo*sectorSize:hi*sectorSize], out[i])
	}
	return nil
}
