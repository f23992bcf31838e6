package discset

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func runsOf(bad map[int64]bool) []Run {
	var r Runs
	var all []int64
	for s := range bad {
		all = append(all, s)
	}
	slices.Sort(all)
	for _, s := range all {
		r.add(s, 1)
	}
	return r.Named
}

// metered counts what is read of an image.
type metered struct {
	io.ReaderAt
	bytes int64
}

func (m *metered) ReadAt(p []byte, off int64) (int, error) {
	n, err := m.ReaderAt.ReadAt(p, off)
	m.bytes += int64(n)
	return n, err
}

// TestFill damages a disc in some regions, and its set's other discs too, brings only the rows of those regions of the others, and has the image
// whole again bit by bit where no row has more bad sectors than there is parity. Where one has, that is said of exactly those sectors.
func TestFill(t *testing.T) {
	whole, lacking := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		g := geometries(t)
		m := build(t, g)
		_, discs := m.recovery(t, false)
		members := len(m.set.Members)
		index := m.set.Members[rapid.IntRange(0, members-1).Draw(t, "member")].Index
		sectors := m.set.sectors(index)
		victim := &store{disc{b: slices.Clone(m.images[index]), bad: map[int64]bool{}}}
		damage := func(bad map[int64]bool, sectors int64) {
			first := rapid.Int64Range(0, sectors-1).Draw(t, "first")
			for s := first; s < min(first+rapid.Int64Range(1, 40).Draw(t, "count"), sectors); s++ {
				bad[s] = true
			}
		}
		for range rapid.IntRange(1, 5).Draw(t, "wounds") {
			damage(victim.bad, sectors)
		}
		bad := runsOf(victim.bad)
		rows := Join(bad, rapid.Int64Range(0, 20).Draw(t, "gap"), rapid.IntRange(1, 4).Draw(t, "most"))

		// Some others are not brought, of some not all that is wanted can be read.
		r := &Recovery{Set: m.set, Images: make([]io.ReaderAt, len(discs))}
		r.Images[index] = Without(victim, bad)
		absent := rapid.IntRange(0, g.Parity).Draw(t, "absent")
		wounded := rapid.IntRange(0, 2).Draw(t, "wounded")
		var there []int
		var brought []*metered
		for _, i := range rapid.Permutation(indexes(len(discs))).Draw(t, "order") {
			switch {
			case discs[i] == nil || i == index:
				continue
			case absent > 0:
				absent--
				continue
			case wounded > 0:
				wounded--
				damage(discs[i].bad, m.set.sectors(i))
			}
			there = append(there, i)
			var packed []byte
			var had, lacks []Run
			for _, row := range rows {
				if row.Count = min(row.Count, m.set.sectors(i)-row.First); row.Count > 0 {
					had = append(had, row)
					packed = append(packed, discs[i].b[row.First*sectorSize:(row.First+row.Count)*sectorSize]...)
				}
			}
			lacks = runsOf(discs[i].bad)
			brought = append(brought, &metered{ReaderAt: bytes.NewReader(packed)})
			r.Images[i] = Without(Packed(brought[len(brought)-1], had), lacks)
		}
		// Beyond is a row that more is bad of than the good parity sectors of it.
		beyond := map[int64]bool{}
		for s := range victim.bad {
			data, parity := 0, 0
			for i := range discs {
				good := slices.Contains(there, i) && !discs[i].bad[s]
				if s >= m.set.sectors(i) {
					good = good || i < g.Data
				}
				switch {
				case i < g.Data && m.set.member(i) != nil && !good:
					data++
				case i >= g.Data && good:
					parity++
				}
			}
			if data > parity {
				beyond[s] = true
			}
		}
		_, err := r.Fill(t.Context(), index, victim, bad, nil)
		lost, isLost := errors.AsType[*LostError](err)
		switch {
		case len(beyond) == 0 && err != nil:
			t.Fatal(err)
		case len(beyond) > 0 && (!isLost || !slices.Equal(lost.Named, runsOf(beyond))):
			t.Fatalf("%v, want lost %v", err, runsOf(beyond))
		}
		for s := range sectors {
			if got := victim.b[s*sectorSize : (s+1)*sectorSize]; !beyond[s] && !bytes.Equal(got, m.images[index][s*sectorSize:(s+1)*sectorSize]) || beyond[s] && !bytes.Equal(got, make([]byte, sectorSize)) {
				t.Fatalf("sector %d is wrong", s)
			}
		}
		if len(beyond) == 0 {
			whole++
		} else {
			lacking++
		}
	})
	if whole == 0 || lacking == 0 {
		t.Errorf("%d came back whole, of %d something was lost: it has to be both", whole, lacking)
	}
}

// TestFillReadsLittle counts what is read of the others for a small wound of a large image.
func TestFillReadsLittle(t *testing.T) {
	g := Geometry{4, 1}
	a, err := Open(t.TempDir(), setID, g)
	must(t, a, err)
	defer a.Close()
	data := map[int][]byte{}
	for i := range g.Data {
		data[i] = noise(i, 3000)
		if err := a.Add(t.Context(), []Source{sourceOf(i, data[i])}, nil); err != nil {
			t.Fatal(err)
		}
	}
	m := seal(t, a, g, data)
	r, _ := m.recovery(t, false)
	bad := []Run{{1000, 3}, {2000, 37}}
	victim := &store{disc{b: slices.Clone(m.images[2]), bad: map[int64]bool{1000: true}}}
	for _, run := range bad {
		clear(victim.b[run.First*sectorSize : (run.First+run.Count)*sectorSize])
	}
	total := int64(0)
	var meters []*metered
	for i, x := range r.Images {
		meters = append(meters, &metered{ReaderAt: x})
		r.Images[i] = meters[i]
	}
	r.Images[2] = Without(victim, bad)
	if _, err := r.Fill(t.Context(), 2, victim, bad, nil); err != nil || !bytes.Equal(victim.b, m.images[2]) {
		t.Fatalf("it doesn't come back: %v", err)
	}
	for _, x := range meters {
		total += x.bytes
	}
	// Whole blocks: one for the first run, two or three for the second, of four others.
	if blocks := total / blockSize; blocks > 4*4 {
		t.Errorf("%d blocks were read of the others for 40 bad sectors", blocks)
	}
}

func TestJoin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bad := map[int64]bool{}
		for range rapid.IntRange(1, 30).Draw(t, "bad") {
			bad[rapid.Int64Range(0, 200).Draw(t, "sector")] = true
		}
		runs := runsOf(bad)
		gap, most := rapid.Int64Range(0, 10).Draw(t, "gap"), rapid.IntRange(1, 10).Draw(t, "most")
		joined := Join(runs, gap, most)
		if len(joined) > most || joined[0].First != runs[0].First {
			t.Fatalf("%v", joined)
		}
		for i, r := range joined {
			if i > 0 && r.First-joined[i-1].First-joined[i-1].Count <= gap || !bad[r.First] || !bad[r.First+r.Count-1] {
				t.Fatalf("%v of %v", joined, runs)
			}
			for s := r.First; s < r.First+r.Count; s++ {
				delete(bad, s)
			}
		}
		if len(bad) > 0 {
			t.Fatalf("%v lacks %v", joined, bad)
		}
		if len(runs) <= most && gap == 0 && !slices.Equal(joined, runs) {
			t.Fatalf("%v was %v", joined, runs)
		}
	})
}
