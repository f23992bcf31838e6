package ecc

import "crypto/subtle"

// samples is how many columns of a row are decoded to find out which of its sectors are wrong: a sector that is wrong is
// mostly wrong in most of them.
const samples = 8

// search looks for silent errors in a row which erasures alone could not set right, and comes to a verdict on it.
func (w *window) search(r int) error {
	w.verdicts[r] = lost
	erased := w.erased[r]
	if erased.len() <= w.codec.roots {
		if done, err := w.byZeros(r, erased); done || err != nil {
			return err
		}
		if done, err := w.bySector(r, erased); done || err != nil {
			return err
		}
	}
	if hard := w.found[r].hard(); hard.len() <= w.codec.roots {
		return w.byColumn(r)
	}
	return nil
}

// byZeros takes sectors without anything in them for erased: some programs leave such in place of what they can't read. Those that
// are as they were written do no harm.
func (w *window) byZeros(r int, erased set) (done bool, err error) {
	all := erased
	for j, shard := range w.shards {
		if !erased.has(j) && [sectorSize]byte(row(shard, r)) == [sectorSize]byte{} {
			all.add(j)
		}
	}
	if all == erased || all.len() > w.codec.roots {
		return false, nil
	}
	next, err := w.attempt(r, r+1, all)
	if next > r {
		w.hinted, w.hint = true, w.found[r].located
		return true, err
	}
	w.verdicts[r] = lost
	return false, err
}

// bySector takes sectors in which samples of the row's columns have errors for erased.
func (w *window) bySector(r int, erased set) (done bool, err error) {
	w.residual.take(w, r)
	c := newColumn(w.codec.roots, erased)
	var located set
	for _, at := range w.residual.spread() {
		errata, ok := c.decode(w.residual.column(at))
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
	w.hinted, w.hint = located == w.hint, located
	next, err := w.attempt(r, r+1, erased.with(located))
	if next > r || err != nil {
		return next > r, err
	}
	w.verdicts[r] = lost
	return false, nil
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
	w.residual.take(w, r)
	for at, v := range w.residual.nonzero {
		if v == 0 {
			continue
		}
		errata, ok := c.decode(w.residual.column(at))
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
	crc := w.h.crcLayer()
	if w.checked(r) || !w.known[r] && hard.len()+2*changed.len() <= w.codec.roots && (!w.erased[r].has(crc) || w.vouched(r)) {
		w.found[r].located, w.found[r].parity = changed, w.differing(r)
		w.verdicts[r] = proven
	}
	return nil
}

// residual is what the parity of a row as read differs in from that made anew, in RS03's field.
type residual struct {
	all     []byte // of one root after another
	nonzero [sectorSize]byte
	cut     []byte
}

func (x *residual) take(w *window, r int) {
	if x.all == nil {
		x.all, x.cut = make([]byte, w.codec.roots*sectorSize), make([]byte, w.codec.roots)
	}
	clear(x.nonzero[:])
	for k, calc := range w.calc {
		diff := row(x.all, k)
		subtle.XORBytes(diff, row(calc, r), row(w.shards[w.codec.inputs+k], r))
		fromKernel.rename(diff, diff)
		for at, v := range diff {
			x.nonzero[at] |= v
		}
	}
}

// column returns one of the columns, until the next call.
func (x *residual) column(at int) []byte {
	for k := range x.cut {
		x.cut[k] = x.all[k*sectorSize+at]
	}
	return x.cut
}

// spread picks samples of the columns that are not zero from one end of a sector to the other.
func (x *residual) spread() (picked []int) {
	for i := range samples {
		for at := i * sectorSize / samples; at < (i+1)*sectorSize/samples; at++ {
			if x.nonzero[at] != 0 {
				picked = append(picked, at)
				break
			}
		}
	}
	return picked
}
