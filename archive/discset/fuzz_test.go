package discset

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"testing"

	"github.com/odarchive/odarchive/archive"
)

// fuzzSet is a set of 3+2 in memory, with images of several lengths.
func fuzzSet(t testing.TB) *made {
	t.Helper()
	g := Geometry{3, 2}
	a, err := Open(t.TempDir(), setID, g)
	must(t, a, err)
	defer a.Close()
	data := map[int][]byte{}
	for i, sectors := range []int{70, 33, 96} {
		data[i] = noise(i, sectors)
		if err := a.Add(t.Context(), []Source{sourceOf(i, data[i])}, nil); err != nil {
			t.Fatal(err)
		}
	}
	return seal(t, a, g, data)
}

// Kinds of damage that FuzzDamage reads from its input, four bytes each: kind and image, place (2), bits.
const (
	flipByte = iota
	noSector // can't be read
	noImage
	noChecks
	swapSectors // every sector is right, and in another's place
	likeAnother // the sector of another image in the same row
	cutShort
	kindsOfDamage
)

// FuzzDamage does anything to the members of a set. What is rebuilt is what was there, bit by bit, or it is said that it is not; a
// verification sees that something is wrong; and where at most as many images as there is parity were touched everything comes back.
func FuzzDamage(f *testing.F) {
	m := fuzzSet(f)
	f.Add([]byte{0, 0, 5, 1})
	f.Add([]byte{1, 0, 5, 1, 9, 0, 6, 1})
	f.Add([]byte{2, 0, 0, 0, 10, 0, 0, 0})
	f.Add([]byte{0, 1, 5, 7, 8, 1, 5, 7, 16, 1, 5, 7, 3, 0, 0, 0})
	f.Add([]byte{4, 1, 5, 7, 13, 1, 5, 7, 22, 0, 9, 1})
	f.Fuzz(func(t *testing.T, wounds []byte) {
		r, discs := m.recovery(t, true)
		touched := map[int]bool{}
		for ; len(wounds) >= 4 && len(touched) < 64; wounds = wounds[4:] {
			i := int(wounds[0]>>3) % len(discs)
			d := discs[i]
			at := int(wounds[1])<<8 | int(wounds[2])
			switch int(wounds[0]&7) % kindsOfDamage {
			case flipByte:
				d.b[(at*7+int(wounds[3]))%len(d.b)] ^= wounds[3] | 1
			case noSector:
				d.bad[int64(at*sectorSize%len(d.b)/sectorSize)] = true
			case noImage:
				r.Images[i] = nil
			case noChecks:
				r.Checks = nil
				continue
			case swapSectors:
				n := len(d.b) / sectorSize
				x, y := at%n, int(wounds[3])%n
				a, b := slices.Clone(d.b[x*sectorSize:][:sectorSize]), d.b[y*sectorSize:][:sectorSize]
				copy(d.b[x*sectorSize:], b)
				copy(d.b[y*sectorSize:], a)
			case likeAnother:
				from := discs[int(wounds[3])%len(discs)].b
				if s := at % (len(d.b) / sectorSize) * sectorSize; s < len(from) {
					copy(d.b[s:], from[s:s+sectorSize])
				}
			case cutShort:
				d.b = d.b[:at%(len(d.b)/sectorSize)*sectorSize]
				if len(d.b) == 0 {
					r.Images[i] = nil
					d.b = make([]byte, sectorSize)
				}
			}
			touched[i] = true
		}
		for target := range m.images {
			var out bytes.Buffer
			found, err := r.Rebuild(t.Context(), map[int]io.Writer{target: &out}, nil)
			same := bytes.Equal(out.Bytes(), m.images[target])
			if err == nil && !same {
				t.Fatalf("image %d: wrong bytes came back in silence", target)
			}
			if err != nil && len(touched) <= m.set.Geometry.Parity && r.Checks != nil {
				t.Fatalf("image %d: %v, with %d images touched", target, err, len(touched))
			}
			if found == nil {
				t.Fatal("nothing is said of what was found")
			}
		}
		report, err := r.Verify(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range report.Images {
			d := discs[x.Index]
			if whole := r.Images[x.Index] != nil && len(d.bad) == 0 && bytes.Equal(d.b, m.images[x.Index]); whole != x.Good {
				t.Fatalf("image %d is whole: %v, reported as %+v", x.Index, whole, x)
			}
		}
	})
}

// FuzzReadSet: a set.json that is taken makes a set that can be written again and is the same; its sizes are those of a set.
func FuzzReadSet(f *testing.F) {
	for _, s := range []*Set{
		{ID: setID, Geometry: Geometry{2, 1}, Members: []Member{{ImageID: uuidOf(1), Sectors: 32, SHA256: archive.Hash{1}}}, Parities: []Parity{{ImageID: uuidOf(2)}}},
		fuzzSet(f).set,
	} {
		b, err := s.JSON()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ReadSet(b)
		if err != nil {
			return
		}
		again, err := s.JSON()
		if err != nil {
			t.Skip(err) // years that no RFC 3339 time holds
		}
		back, err := ReadSet(again)
		if err != nil {
			t.Fatal(err)
		}
		if third, err := back.JSON(); err != nil || !bytes.Equal(again, third) {
			t.Fatalf("%v: written as\n%s\nthen as\n%s", err, again, third)
		}
		if n := s.ChecksSize(); n <= 0 || s.Sectors() < 1 {
			t.Fatalf("%d bytes of checksums, %d sectors", n, s.Sectors())
		}
		for i := range s.Parities {
			if d, err := s.Compose(i, Extras{}); err == nil && d.Layout.Sectors() < s.Sectors() {
				t.Fatalf("a disc of %d sectors for %d of parity", d.Layout.Sectors(), s.Sectors())
			}
		}
	})
}

// FuzzSetFields changes one number or text of a good set.json, which random bytes hardly ever do without breaking its form.
func FuzzSetFields(f *testing.F) {
	good, err := fuzzSet(f).set.JSON()
	if err != nil {
		f.Fatal(err)
	}
	f.Add("data", int64(2), "", uint8(0))
	f.Add("sectors", int64(1)<<40, "", uint8(1))
	f.Add("image", int64(0), "../../etc/passwd", uint8(2))
	f.Add("index", int64(-1), "", uint8(3))
	f.Fuzz(func(t *testing.T, key string, number int64, text string, where uint8) {
		var j map[string]any
		if err := json.Unmarshal(good, &j); err != nil {
			t.Fatal(err)
		}
		to := j
		if all, ok := j[[]string{"", "members", "parities", ""}[where&3]].([]any); ok {
			to = all[int(where>>2)%len(all)].(map[string]any)
		}
		old, ok := to[key]
		if !ok {
			return
		}
		switch old.(type) {
		case float64:
			to[key] = number
		case string:
			to[key] = text
		}
		b, err := json.Marshal(j)
		if err != nil {
			t.Fatal(err)
		}
		s, err := ReadSet(b)
		if err != nil {
			return
		}
		if s.Geometry.Validate() != nil || len(s.Parities) != s.Geometry.Parity || s.Sectors() > mostSectors || s.ChecksSize() <= 0 {
			t.Fatalf("accepted %+v", s)
		}
		for _, m := range s.Members {
			if m.Index < 0 || m.Index >= s.Geometry.Data || !validUUID(m.ImageID) || m.Sectors < 1 {
				t.Fatalf("accepted member %+v", m)
			}
		}
		if _, err := s.JSON(); err != nil && !bytes.Contains(b, []byte("created")) {
			t.Fatal(err)
		}
	})
}
