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
	lanes  [][]byte
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

// solve makes the erased inputs of rows lo to before hi of shards, which are the same in each of them, and puts them into calc, in the
// order of inputs.
func (d *decoder) solve(c *codec, shards, calc [][]byte, erased set, lo, hi int) error {
	d.prepare(c, erased)
	if len(d.inputs) == 0 {
		return nil
	}
	for lo, hi := range spans(lo, hi) {
		d.lanes = span(span(d.lanes[:0], shards[:c.inputs], lo, hi), calc[:len(d.inputs)], lo, hi)
		for i, j := range d.inputs {
			d.lanes[j] = shards[c.inputs+d.spare[i]][lo*sectorSize : hi*sectorSize]
		}
		if err := d.multiply(c.inputs); err != nil {
			return err
		}
	}
	return nil
}

// multiply makes the lanes behind the inputs.
func (d *decoder) multiply(inputs int) (err error) {
	in, out := d.lanes[:inputs], d.lanes[inputs:]
	if len(out[0]) > fewRows*sectorSize {
		if d.kernel == nil {
			if d.kernel, err = kernel(d.plain); err != nil {
				return err
			}
		}
		return d.kernel.Encode(d.lanes)
	}
	for i, coefficients := range d.matrix {
		d.low.GalMulSlice(coefficients[0], in[0], out[i])
		for j := 1; j < len(in); j++ {
			d.low.GalMulSliceXor(coefficients[j], in[j], out[i])
		}
	}
	return nil
}

// take puts what was solved into rows lo to before hi of shards.
func (d *decoder) take(shards, calc [][]byte, lo, hi int) {
	for i, j := range d.inputs {
		copy(shards[j][lo*sectorSize:hi*sectorSize], calc[i][lo*sectorSize:hi*sectorSize])
	}
}
