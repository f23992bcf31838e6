package ecc

// samples is how many columns of a row are decoded to find out which of its sectors are wrong: a sector that is wrong is
// mostly wrong in most of them.
const samples = 8

// search looks for silent errors in a row which erasures alone could not set right, and comes to a verdict on it.
func (w *window) search(r int) error {
	w.verdicts[r] = lost
	erased := w.erased[r]
	if erased.len() <= w.codec.roots {
		if done, err := w.bySector(r, erased); done || err != nil {
			return err
		}
	}
	if hard := w.found[r].hard(); hard.len() <= w.codec.roots {
		return w.byColumn(r)
	}
	return nil
}

// bySector takes sectors in which samples of the row's columns have errors for erased.
func (w *window) bySector(r int, erased set) (done bool, err error) {
	residual := w.residual(r)
	c := newColumn(w.codec.roots, erased)
	var located set
	for _, at := range spread(residual) {
		errata, ok := c.decode(residual[at])
		if !ok {
			return false, nil
		}
		for _, e := range errata {
			if !erased.has(e.layer) {
				located.add(e.layer)
			}
		}
	}
	n := located.len()
	if n == 0 || erased.len()+n > w.codec.roots || !w.known[r] && erased.len()+2*n > w.codec.roots {
		return false, nil
	}
	all := erased
	for i := range all {
		all[i] |= located[i]
	}
	// What is solved for is lost to the decoding by columns; keep it.
	kept := w.keep(r)
	w.erased[r] = all
	if _, err := w.solve(r, r+1); err != nil {
		return false, err
	}
	if err := w.encode(r, r+1); err != nil {
		return false, err
	}
	if w.judge(r); w.verdicts[r] == proven {
		w.found[r].located = located
		return true, nil
	}
	w.erased[r], w.verdicts[r] = erased, lost
	w.restore(r, kept)
	return false, w.encode(r, r+1)
}

// byColumn decodes each column for itself, with only what could not be read erased. It reaches damage that is small in
// many sectors. A word that decodes proves nothing: it believes itself where the CRCs agree, or so few sectors were wrong that
// no other word is as near.
func (w *window) byColumn(r int) error {
	hard := w.found[r].hard()
	if w.erased[r].len() <= w.codec.roots {
		// They are solved already, and what had been read is gone.
		hard = w.erased[r]
	}
	c := newColumn(w.codec.roots, hard)
	var changed set
	for at, column := range w.residual(r) {
		errata, ok := c.decode(column)
		if !ok {
			return nil
		}
		for _, e := range errata {
			if e.layer < w.codec.inputs {
				row(w.shards[e.layer], r)[at] ^= toKernel.table[e.value]
			}
			if e.value != 0 && !hard.has(e.layer) {
				changed.add(e.layer)
			}
		}
	}
	inputs := w.h.dataLayers()
	for j := range inputs {
		w.have[r*inputs+j] = checksum(w.plain(j, r))
	}
	if err := w.encode(r, r+1); err != nil {
		return err
	}
	for i := range changed {
		w.erased[r][i] |= hard[i] | changed[i]
	}
	if w.checked(r) || !w.known[r] && hard.len()+2*changed.len() <= w.codec.roots {
		w.found[r].located, w.found[r].parity = changed, w.differing(r)
		w.verdicts[r] = proven
	}
	return nil
}

// residual returns, of each column of a row in which it is not zero, the parity as read plus that made anew, in RS03's field.
func (w *window) residual(r int) map[int][]byte {
	all := map[int][]byte{}
	diff := make([]byte, sectorSize)
	for k, calc := range w.calc {
		j := w.codec.inputs + k
		for at, v := range row(calc, r) {
			diff[at] = v ^ row(w.shards[j], r)[at]
		}
		fromKernel.rename(diff, diff)
		for at, v := range diff {
			if v == 0 {
				continue
			}
			if all[at] == nil {
				all[at] = make([]byte, w.codec.roots)
			}
			all[at][k] = v
		}
	}
	return all
}

// spread picks samples of columns from one end of a sector to the other.
func spread(residual map[int][]byte) []int {
	var picked []int
	for i := range samples {
		for at := i * sectorSize / samples; at < (i+1)*sectorSize/samples; at++ {
			if residual[at] != nil {
				picked = append(picked, at)
				break
			}
		}
	}
	return picked
}

// keep copies a row's inputs, and restore brings them back.
func (w *window) keep(r int) []byte {
	b := make([]byte, 0, w.codec.inputs*sectorSize)
	for _, s := range w.shards[:w.codec.inputs] {
		b = append(b, row(s, r)...)
	}
	return b
}

func (w *window) restore(r int, kept []byte) {
	for j, s := range w.shards[:w.codec.inputs] {
		copy(row(s, r), row(kept, j))
	}
}
