package ecc

import "bytes"

// mend sets right what is wrong with the rows of a window and comes to a verdict on each. Repaired parity is in calc.
func (w *window) mend() error {
	for r := 0; r < w.n; {
		// Rows with the same erasures are solved together, in ascending order: a CRC block that is repaired may show
		// more wrong sectors in the next row.
		end := r + 1
		for end < w.n && w.erased[end] == w.erased[r] {
			end++
		}
		next, err := w.solve(r, end)
		if err != nil {
			return err
		}
		r = next
	}
	if err := w.encode(0, w.n); err != nil {
		return err
	}
	for r := 0; r < w.n; {
		next, err := w.conclude(r)
		if err != nil {
			return err
		}
		r = next
	}
	return nil
}

// conclude comes to the verdict on a row, on rows behind it too when they are like it, and returns the row to go on with.
func (w *window) conclude(r int) (next int, err error) {
	if w.stale[r] {
		if next, err := w.attempt(r, w.alike(r), w.erased[r]); next > r || err != nil {
			return next, err
		}
		if _, err := w.solve(r, r+1); err != nil {
			return 0, err
		}
		if err := w.encode(r, r+1); err != nil {
			return 0, err
		}
	}
	w.judge(r)
	if w.verdicts[r] == pending && w.hinted {
		if next, err := w.attempt(r, w.alike(r), w.erased[r].with(w.hint)); next > r || err != nil {
			return next, err
		}
		w.hinted = false
	}
	if w.verdicts[r] == pending {
		if err := w.search(r); err != nil {
			return 0, err
		}
	}
	if w.verdicts[r] == proven && r+1 < w.n {
		w.teach(r)
	}
	return r + 1, nil
}

// solve solves rows with the same erasures and returns the row to go on with.
func (w *window) solve(r, end int) (next int, err error) {
	erased := w.erased[r]
	n := erased.len()
	if n == 0 || n > w.codec.roots {
		clear(w.stale[r:end])
		return end, nil
	}
	// Where it is the blocks of CRCs that are repaired, each shows what else is wrong with the next row only; that is mostly the same as
	// in this one, so that some rows are solved for it before it is known.
	guessed := end
	for erased.has(w.h.crcLayer()) && guessed < min(end+w.run, w.n) && !w.known[guessed] && w.erased[guessed].within(erased) {
		guessed++
	}
	if err := w.decode(erased, r, guessed); err != nil {
		return 0, err
	}
	for ; r < guessed; r++ {
		if w.erased[r] != erased {
			w.run = 0
			return r, nil
		}
		w.stale[r] = false
		w.decoder.take(w.shards, w.calc, r, r+1)
		w.recheck(r, erased)
		if r+1 < w.n {
			w.teach(r)
		}
	}
	if erased.has(w.h.crcLayer()) {
		w.run = min(2*w.run+1, mostRows)
	}
	return guessed, nil
}

// decode makes the erased inputs of rows; w.decoder.take puts them in their place.
func (w *window) decode(erased set, lo, hi int) error {
	if w.decoder.erased != erased {
		w.decoder, w.before = w.before, w.decoder
	}
	return w.decoder.solve(w.codec, w.shards, w.calc, erased, lo, hi)
}

// recheck calculates the CRCs of a row's solved sectors.
func (w *window) recheck(r int, solved set) {
	for j := range solved.all() {
		if j < w.h.crcLayer() {
			w.have[r*w.h.dataLayers()+j] = checksum(w.plain(j, r))
		}
	}
}

// teach learns from a row's repaired CRC block what the next row should be. Where that shows more wrong sectors, what was
// solved of the next row is stale.
func (w *window) teach(r int) {
	crc := w.h.crcLayer()
	if w.known[r+1] || !w.erased[r].has(crc) {
		return
	}
	block := w.plain(crc, r)
	if !w.h.ours(block) {
		return
	}
	w.learn(r+1, block)
	for j := range crc {
		if i := (r+1)*crc + j; !w.erased[r+1].has(j) && w.have[i] != w.want[i] {
			w.found[r+1].wrong.add(j)
			w.erased[r+1].add(j)
			w.stale[r+1] = true
		}
	}
}

// encode makes the parity of rows anew.
func (w *window) encode(lo, hi int) error {
	for lo, hi := range spans(lo, hi) {
		w.lanes = span(span(w.lanes[:0], w.shards[:w.codec.inputs], lo, hi), w.calc, lo, hi)
		if err := w.codec.encoder.Encode(w.lanes); err != nil {
			return err
		}
	}
	return nil
}

// differing returns the parity layers of a row that are not erased and not what they should be.
func (w *window) differing(r int) (s set) {
	for k, calc := range w.calc {
		if j := w.codec.inputs + k; !w.erased[r].has(j) && !bytes.Equal(row(calc, r), row(w.shards[j], r)) {
			s.add(j)
		}
	}
	return s
}

// checked says whether the CRCs prove the data and the CRC block of a row.
func (w *window) checked(r int) bool {
	if !w.known[r] {
		return false
	}
	n := w.h.dataLayers()
	for i := r * n; i < (r+1)*n; i++ {
		if w.have[i] != w.want[i] {
			return false
		}
	}
	return !w.erased[r].has(n) || w.h.ours(w.plain(n, r))
}

// judge comes to the verdict on a row whose parity was made anew, or leaves it pending when silent errors must be searched for.
func (w *window) judge(r int) {
	erased := w.erased[r].len()
	if erased > w.codec.roots {
		return
	}
	differing := w.differing(r)
	switch {
	case w.checked(r):
		// Where the data are proven, it is the parity that is wrong, however much of it.
		w.found[r].parity = differing
		w.verdicts[r] = proven
	case w.known[r] || differing != set{}:
	case w.erased[r].has(w.h.crcLayer()):
		// Every wrong sector would have made all that was solved wrong, the CRC block too. Sectors that are zero by mistake make a
		// word of the code where most are so that should be, but none with a CRC block.
		if w.vouched(r) {
			w.verdicts[r] = proven
		}
	case erased < w.codec.roots:
		w.verdicts[r] = proven
	default:
		w.verdicts[r] = unproven
	}
}
