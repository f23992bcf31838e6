package discset

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/reedsolomon"

	"github.com/odarchive/odarchive/archive"
)

// Recovery reads the images of a set and makes good what can't be read, or is wrong, of one from the others. It reads other images
// only where that is needed, and no more of them than are needed. One goroutine uses it at a time.
type Recovery struct {
	Set *Set
	// Checks find changed bytes and prove what was rebuilt. Without them only unreadable sectors count as bad, and only the hash of
	// a whole image tells whether it is right.
	Checks *Checks
	// Images are by index: data images from 0, parity file i at Geometry.Data+i; nil for one that is lost. An error of ReadAt means
	// that some sector of what was asked for can't be read; the rest is asked for again sector by sector.
	Images []io.ReaderAt

	coders map[string]healer
	bufs   [][]byte
	small  [][]byte
}

// healer computes some images from others where a certain set of images is bad.
type healer struct {
	reedsolomon.Encoder
	inputs  []int
	outputs []int
}

// LostError says which sectors of an image can't be had: their rows have more bad sectors than the set has parity.
type LostError struct {
	Index int
	Runs
	// Unproven are sectors that were had, and can't be held against their block's checksum because others of it are lost.
	Unproven Runs
}

func (e *LostError) Error() string {
	return fmt.Sprintf("%d sectors of image %d can't be rebuilt, the first is %d", e.Sectors, e.Index, e.Named[0].First)
}

// judge counts sector s of a window.
func (e *LostError) judge(w *window, index, s int) {
	if !w.good[index][s] {
		e.add(w.first+int64(s), 1)
	} else if w.unproven(index, s) {
		e.Unproven.add(w.first+int64(s), 1)
	}
}

// Found is what a recovery found and did.
type Found struct {
	Unreadable map[int]*Runs // by index: sectors that can't be read
	Wrong      map[int]*Runs // by index: blocks, in sectors, that are not what they were
	Rebuilt    int64         // sectors
	Worst      int           // bad sectors in the worst row; the set heals as many as it has parity images
}

func (r *Recovery) found() *Found {
	return &Found{Unreadable: map[int]*Runs{}, Wrong: map[int]*Runs{}}
}

func note(m map[int]*Runs, index int, first, count int64) {
	if m[index] == nil {
		m[index] = &Runs{}
	}
	m[index].add(first, count)
}

func (r *Recovery) check() error {
	if err := r.Set.validate(); err != nil {
		return err
	}
	if n := r.Set.Geometry.images(); len(r.Images) != n {
		return fmt.Errorf("%d images are given for a set of %v", len(r.Images), r.Set.Geometry)
	}
	return nil
}

// window is a run of rows of which images are read: whole blocks, but at the end of the set.
type window struct {
	r      *Recovery
	first  int64 // sector
	n      int   // sectors
	data   [][]byte
	good   [][]bool // by index and sector; nil for an image that has not been read
	whole  [][]bool // by index and block: it was read whole and is right
	found  *Found
	strict bool // sectors of a block that can't be held against its checksum count as bad
}

// stripe is how many sectors of every image are held at a time.
func (r *Recovery) stripe() int {
	return int(min(int64(pieceOf(2*r.Set.Geometry.images())/sectorSize), blocks(r.Set.Sectors())*blockSectors))
}

func (r *Recovery) window(first int64, n int, f *Found) *window {
	if r.bufs == nil {
		r.bufs = buffers(r.Set.Geometry.images(), r.stripe()*sectorSize)
		r.coders = map[string]healer{}
	}
	return newWindow(r, first, n, r.bufs, f)
}

func newWindow(r *Recovery, first int64, n int, bufs [][]byte, f *Found) *window {
	w := &window{r: r, first: first, n: n, data: make([][]byte, len(bufs)), good: make([][]bool, len(bufs)), whole: make([][]bool, len(bufs)), found: f}
	for i := range w.data {
		w.data[i] = bufs[i][:n*sectorSize]
	}
	return w
}

// inside returns how many of the window's sectors image i has; the others are zero.
func (w *window) inside(i int) int {
	return int(max(min(int64(w.n), w.r.Set.sectors(i)-w.first), 0))
}

// load reads image i where that has not been done.
func (w *window) load(i int) error {
	if w.good[i] != nil {
		return nil
	}
	good := make([]bool, w.n)
	w.good[i], w.whole[i] = good, make([]bool, blocks(int64(w.n)))
	inside := w.inside(i)
	clear(w.data[i][inside*sectorSize:])
	for s := inside; s < w.n; s++ {
		good[s] = true
	}
	if inside == 0 || w.r.Images[i] == nil {
		return nil
	}
	w.read(i, good[:inside])
	for s := 0; s < inside; s++ {
		if !good[s] {
			note(w.found.Unreadable, i, w.first+int64(s), 1)
		}
	}
	if w.r.Checks == nil {
		return nil
	}
	checks, err := w.r.Checks.of(i, w.first/blockSectors, blocks(int64(inside)))
	if err != nil {
		return err
	}
	for b := 0; b*blockSectors < inside; b++ {
		from, to := b*blockSectors, min((b+1)*blockSectors, inside)
		if slices.Contains(good[from:to], false) {
			if w.strict {
				clear(good[from:to])
			}
			continue
		}
		if w.whole[i][b] = matches(checks, b, w.data[i][from*sectorSize:to*sectorSize]); !w.whole[i][b] {
			clear(good[from:to])
			note(w.found.Wrong, i, w.first+int64(from), int64(to-from))
		}
	}
	return nil
}

// read reads sectors of image i: all at once, then block by block, then one by one.
func (w *window) read(i int, good []bool) {
	for _, step := range []int{len(good), blockSectors, 1} {
		for s := 0; s < len(good); s += step {
			n := min(step, len(good)-s)
			if !slices.Contains(good[s:s+n], false) {
				continue
			}
			b := w.data[i][s*sectorSize : (s+n)*sectorSize]
			k, _ := w.r.Images[i].ReadAt(b, (w.first+int64(s))*sectorSize)
			for x := range k / sectorSize {
				good[s+x] = true
			}
		}
		if !slices.Contains(good, false) {
			return
		}
	}
	for s := range good {
		if !good[s] {
			clear(w.data[i][s*sectorSize : (s+1)*sectorSize])
		}
	}
}

// heal makes the wanted images good as far as that goes. What it can't stays bad.
func (w *window) heal(wanted []int) error {
	for _, i := range wanted {
		if err := w.load(i); err != nil {
			return err
		}
	}
	bad := false
	for _, i := range wanted {
		bad = bad || slices.Contains(w.good[i], false)
	}
	if !bad {
		return nil
	}
	// Only the rows with something bad are read of the others: one window from the first to the last, in whole blocks.
	from, to := w.n, 0
	for _, i := range wanted {
		for s, ok := range w.good[i] {
			if !ok {
				from, to = min(from, s), max(to, s+1)
			}
		}
	}
	from = from / blockSectors * blockSectors
	to = min((to+blockSectors-1)/blockSectors*blockSectors, w.n)
	part := &window{r: w.r, first: w.first + int64(from), n: to - from, found: w.found, strict: w.strict}
	for i := range w.data {
		part.data = append(part.data, w.data[i][from*sectorSize:to*sectorSize])
		part.good, part.whole = append(part.good, nil), append(part.whole, nil)
		if w.good[i] != nil {
			part.good[i], part.whole[i] = w.good[i][from:to], w.whole[i][from/blockSectors:blocks(int64(to))]
		}
	}
	return part.solve(wanted)
}

// solve reads as many of the other images as it takes and computes what is bad of the wanted ones.
func (w *window) solve(wanted []int) error {
	k := w.r.Set.Geometry.Data
	for i := range k {
		if err := w.load(i); err != nil {
			return err
		}
	}
	for p := k; p < w.r.Set.Geometry.images() && !w.enough(wanted); p++ {
		if err := w.load(p); err != nil {
			return err
		}
	}
	for s := 0; s < w.n; {
		pattern := w.pattern(s)
		n := 1
		for s+n < w.n && w.pattern(s+n) == pattern {
			n++
		}
		if err := w.rows(s, n, pattern, wanted); err != nil {
			return err
		}
		s += n
	}
	return w.prove(wanted)
}

// missing counts the bad data sectors of row s, and the good parity sectors.
func (w *window) missing(s int) (data, parity int) {
	for i, good := range w.good {
		switch {
		case i < w.r.Set.Geometry.Data && !good[s]:
			data++
		case i >= w.r.Set.Geometry.Data && good != nil && good[s]:
			parity++
		}
	}
	return data, parity
}

// enough says whether every row with something bad among the wanted can be solved.
func (w *window) enough(wanted []int) bool {
	for s := range w.n {
		for _, i := range wanted {
			if !w.good[i][s] {
				if data, parity := w.missing(s); data > parity {
					return false
				}
			}
		}
	}
	return true
}

// pattern says of each image whether row s is bad, good or not read.
func (w *window) pattern(s int) string {
	b := make([]byte, len(w.good))
	for i, good := range w.good {
		switch {
		case good == nil:
			b[i] = '?'
		case good[s]:
			b[i] = '.'
		default:
			b[i] = 'x'
		}
	}
	return string(b)
}

// rows computes n rows of the same pattern, if that can be done.
func (w *window) rows(s, n int, pattern string, wanted []int) error {
	bad := 0
	for i := range pattern {
		if pattern[i] == 'x' {
			bad++
		}
	}
	w.found.Worst = max(w.found.Worst, bad)
	var outputs []int
	for _, i := range wanted {
		if pattern[i] == 'x' {
			outputs = append(outputs, i)
		}
	}
	data, parity := w.missing(s)
	if len(outputs) == 0 || data > parity {
		return nil
	}
	d, err := w.r.healer(pattern, outputs)
	if err != nil {
		return err
	}
	span := func(images []int) (b [][]byte) {
		for _, i := range images {
			b = append(b, w.data[i][s*sectorSize:(s+n)*sectorSize])
		}
		return b
	}
	if err := code(d, span(d.inputs), span(outputs)); err != nil {
		return err
	}
	for _, i := range outputs {
		for x := s; x < s+n; x++ {
			w.good[i][x] = true
		}
	}
	w.found.Rebuilt += int64(n * len(outputs))
	return nil
}

// mostCoders is how many decoders are kept: a burst on a disc has a handful of patterns, scattered damage many.
const mostCoders = 256

func (r *Recovery) healer(pattern string, outputs []int) (healer, error) {
	key := fmt.Sprint(pattern, outputs)
	if d, ok := r.coders[key]; ok {
		return d, nil
	}
	k := r.Set.Geometry.Data
	var data, lost, parity []int
	for i := range k {
		switch {
		case r.Set.member(i) == nil:
		case pattern[i] == '.':
			data = append(data, i)
		default:
			lost = append(lost, i)
		}
	}
	for i := k; i < len(pattern) && len(parity) < len(lost); i++ {
		if pattern[i] == '.' {
			parity = append(parity, i)
		}
	}
	d := healer{inputs: slices.Concat(data, parity), outputs: outputs}
	var err error
	if d.Encoder, err = newCoder(solve(k, data, lost, parity, outputs)); err != nil {
		return d, err
	}
	if len(r.coders) >= mostCoders {
		clear(r.coders)
	}
	r.coders[key] = d
	return d, nil
}

// prove holds what was computed against its checksums. A block that is wrong came from readable sectors that were wrong, in blocks
// that are not whole: it counts as bad, and the caller may try again without such sectors.
func (w *window) prove(wanted []int) error {
	if w.r.Checks == nil {
		return nil
	}
	for _, i := range wanted {
		inside := w.inside(i)
		if inside == 0 {
			continue
		}
		checks, err := w.r.Checks.of(i, w.first/blockSectors, blocks(int64(inside)))
		if err != nil {
			return err
		}
		for b := 0; b*blockSectors < inside; b++ {
			from, to := b*blockSectors, min((b+1)*blockSectors, inside)
			if w.whole[i][b] || slices.Contains(w.good[i][from:to], false) {
				continue
			}
			if w.whole[i][b] = matches(checks, b, w.data[i][from*sectorSize:to*sectorSize]); !w.whole[i][b] {
				clear(w.good[i][from:to])
			}
		}
	}
	return nil
}

// recover makes the wanted images good in a window. Blocks in which that fails are tried again, trusting less.
func (r *Recovery) recover(first int64, n int, wanted []int, f *Found) (*window, error) {
	w := r.window(first, n, f)
	if err := w.heal(wanted); err != nil || r.Checks == nil {
		return w, err
	}
	for s := 0; s < n; s += blockSectors {
		to := min(s+blockSectors, n)
		if w.isGood(wanted, s, to) {
			continue
		}
		again := r.block(first+int64(s), to-s)
		if err := again.heal(wanted); err != nil {
			return nil, err
		}
		f.Rebuilt += again.found.Rebuilt
		if !again.isGood(wanted, 0, to-s) {
			continue
		}
		for _, i := range wanted {
			copy(w.data[i][s*sectorSize:], again.data[i])
			copy(w.good[i][s:], again.good[i])
			w.whole[i][s/blockSectors] = true
		}
	}
	return w, nil
}

// block returns a window of one block with buffers of its own, which trusts no sector that can't be proven.
func (r *Recovery) block(first int64, n int) *window {
	if r.small == nil {
		r.small = buffers(r.Set.Geometry.images(), blockSize)
	}
	w := newWindow(r, first, n, r.small, r.found())
	w.strict = true
	return w
}

// unproven says that sector s of the window can't be held against a checksum that there is.
func (w *window) unproven(i, s int) bool { return w.r.Checks != nil && !w.whole[i][s/blockSectors] }

func (w *window) isGood(wanted []int, from, to int) bool {
	for _, i := range wanted {
		if slices.Contains(w.good[i][from:to], false) {
			return false
		}
	}
	return true
}

// Rebuild writes images anew, each whole and in order: what is good of them as it is, the rest from the other images. Sectors that
// can't be had are written as zeros, and then it returns a LostError for each image; ErrHash when an image is whole and not the one
// of the set. Out is by index. Progress is told of bytes of each image.
func (r *Recovery) Rebuild(ctx context.Context, out map[int]io.Writer, progress Progress) (*Found, error) {
	f := r.found()
	if err := r.check(); err != nil {
		return f, err
	}
	t, err := r.targets(out)
	if err != nil {
		return f, fmt.Errorf("rebuild set %s: %w", r.Set.ID, err)
	}
	// Windows are whole blocks of every image, also of those that are longer.
	end := min(blocks(t.sectors)*blockSectors, r.Set.Sectors())
	for first := int64(0); first < end; first += int64(r.stripe()) {
		if ctx.Err() != nil {
			return f, context.Cause(ctx)
		}
		n := int(min(int64(r.stripe()), end-first))
		w, err := r.recover(first, n, t.indexes, f)
		if err == nil {
			err = t.write(w)
		}
		if err != nil {
			return f, fmt.Errorf("rebuild set %s: %w", r.Set.ID, err)
		}
		if progress != nil {
			progress((first + int64(n)) * sectorSize)
		}
	}
	return f, t.end()
}

// ReadSectors fills b with whole sectors of an image, from sector first on. It returns a LostError for those that can't be had.
func (r *Recovery) ReadSectors(ctx context.Context, index int, b []byte, first int64) (*Found, error) {
	f := r.found()
	if err := r.check(); err != nil {
		return f, err
	}
	n := archive.Sectors(int64(len(b)))
	if index < 0 || index >= len(r.Images) || len(b)%sectorSize != 0 || first < 0 || first+n > r.Set.sectors(index) {
		return f, fmt.Errorf("read sectors %d to %d of image %d of set %s: there are none such", first, first+n, index, r.Set.ID)
	}
	lost := &LostError{Index: index}
	for done := int64(0); done < n; {
		if ctx.Err() != nil {
			return f, context.Cause(ctx)
		}
		start := (first + done) / blockSectors * blockSectors
		length := min(int64(r.stripe()), (first+n-start+blockSectors-1)/blockSectors*blockSectors, r.Set.Sectors()-start)
		w, err := r.recover(start, int(length), []int{index}, f)
		if err != nil {
			return f, fmt.Errorf("read image %d of set %s: %w", index, r.Set.ID, err)
		}
		skip := first + done - start
		take := min(length-skip, n-done)
		copy(b[done*sectorSize:(done+take)*sectorSize], w.data[index][skip*sectorSize:])
		for s := range take {
			lost.judge(w, index, int(skip+s))
			if !w.good[index][skip+s] {
				clear(b[(done+s)*sectorSize : (done+s+1)*sectorSize])
			}
		}
		done += take
	}
	if lost.Sectors > 0 {
		return f, lost
	}
	return f, nil
}
