package ecc

import (
	"bytes"
	"slices"
)

// alike returns the row before which rows may be like row r: run of them at most, with the erasures of r or some of them.
func (w *window) alike(r int) int {
	end := r + 1
	for end < min(r+1+w.run, w.n) && w.erased[end].within(w.erased[r]) && w.verdicts[end] == pending {
		end++
	}
	return end
}

// attempt takes all of these layers for erased in rows lo to before hi, which have only some of them erased so far, and returns the row
// before which that proves to be right. The rows behind are as they were. Damage goes through many rows in the same layers:
// together they are solved at the speed of the kernel, where a search takes one row at a time.
func (w *window) attempt(lo, hi int, erased set) (next int, err error) {
	if erased.len() > w.codec.roots {
		return lo, nil
	}
	w.keep(lo, hi, erased)
	if err := w.decode(erased, lo, hi); err != nil {
		return lo, err
	}
	w.decoder.take(w.shards, w.calc, lo, hi)
	if err := w.encode(lo, hi); err != nil {
		return lo, err
	}
	r := lo
	for ; r < hi; r++ {
		was := w.erased[r]
		if !was.within(erased) {
			break
		}
		w.erased[r] = erased
		w.recheck(r, erased)
		w.judge(r)
		located := w.located(lo, hi, r, was)
		// Without CRCs it is the nearest word that is believed, or one whose CRC block was solved for and is right.
		sure := w.known[r] || was.len()+2*located.len() <= w.codec.roots || w.vouched(r)
		if w.verdicts[r] != proven || !sure {
			w.erased[r], w.verdicts[r] = was, pending
			break
		}
		w.stale[r], w.found[r].located = false, located
		if r+1 < w.n {
			w.teach(r)
		}
	}
	if r == hi {
		w.run = min(2*w.run+1, mostRows)
		return r, nil
	}
	w.run = 0
	w.restore(lo, hi, r, erased)
	return r, w.encode(r, hi)
}

// vouched says whether a CRC block was solved for, and is one of this image.
func (w *window) vouched(r int) bool {
	crc := w.h.crcLayer()
	return w.erased[r].has(crc) && w.h.ours(w.plain(crc, r))
}

// keep copies the inputs of rows that are going to be solved for.
func (w *window) keep(lo, hi int, erased set) {
	solved := erased.below(w.codec.inputs)
	w.kept = slices.Grow(w.kept[:0], len(solved)*(hi-lo)*sectorSize)
	for _, j := range solved {
		w.kept = append(w.kept, w.shards[j][lo*sectorSize:hi*sectorSize]...)
	}
}

// restore brings back what was kept, from row r on.
func (w *window) restore(lo, hi, r int, erased set) {
	size := (hi - lo) * sectorSize
	for i, j := range erased.below(w.codec.inputs) {
		copy(w.shards[j][r*sectorSize:hi*sectorSize], w.kept[i*size+(r-lo)*sectorSize:])
	}
	w.recheck(r, erased)
}

// located returns the layers of a row that were not erased before and are not what was read.
func (w *window) located(lo, hi, r int, was set) (s set) {
	erased, size := w.erased[r], (hi-lo)*sectorSize
	for i, j := range erased.below(w.codec.inputs) {
		if !was.has(j) && !bytes.Equal(row(w.shards[j], r), row(w.kept[i*size:], r-lo)) {
			s.add(j)
		}
	}
	for k, calc := range w.calc {
		if j := w.codec.inputs + k; erased.has(j) && !was.has(j) && !bytes.Equal(row(calc, r), row(w.shards[j], r)) {
			s.add(j)
		}
	}
	return s
}
