package survey

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"pgregory.net/rapid"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/discset"
	"github.com/odarchive/odarchive/archive/snapshot"
)

const setID = "00000000-0000-0000-0000-00000000bbbb"

// parityDisc makes what parity disc n says of itself, with a snapshot of records.
func parityDisc(t interface{ Fatal(...any) }, n int, h snapshot.Header, records ...snapshot.Record) (fstest.MapFS, snapshot.Link) {
	d := catalogue.NewDisc(uuid(n), int64(n), "v", uuid(1000), "lib", "BD-R", made)
	d.Policy = &catalogue.Policy{VaultID: vaultID, Created: made, Copies: 1}
	d.Parity = &catalogue.Parity{Set: setID, Index: 4, Data: 4, Images: 1}
	info, err := catalogue.Info(&d)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w, err := snapshot.NewWriter(&b, h, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	sum, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	return fstest.MapFS{catalogue.InfoName: {Data: info}, snapshot.Name: {Data: b.Bytes()}}, snapshot.Link{ID: h.ID, SHA256: sum.SHA256}
}

func head(n int) snapshot.Header {
	return snapshot.Header{ID: uuid(2000 + n), Taken: made.Add(time.Duration(n) * time.Hour), Library: uuid(1000), Set: setID}
}

// imageAndDisc is an image and its disc, as a snapshot tells of them.
func imageAndDisc(n int, state string) []snapshot.Record {
	i := &snapshot.Image{
		ID: uuid(n), Number: int64(n), Vault: vaultID, Library: uuid(1000), Medium: "BD-R", Sectors: 1000, Created: made, Copies: 1, SHA256: &archive.Hash{1}, Set: setID, Index: &n,
	}
	return []snapshot.Record{i, &snapshot.Disc{Label: fmt.Sprintf("%04d", n), Library: uuid(1000), Medium: "BD-R", Capacity: 1000, State: state, Image: uuid(n)}}
}

// TestMissing: whichever discs are given together with a parity disc, exactly the others are named.
func TestMissing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		files := []file{{"a", 5, []int{0}}}
		records := []snapshot.Record{
			&snapshot.Vault{ID: vaultID, Name: "v", Created: made, Copies: 1},
			&snapshot.Set{
				ID: setID, Vault: vaultID, Library: uuid(1000), Medium: "BD-R", Capacity: 1000, Data: 4, Parity: 2, State: "sealed", Created: made,
				Parities: []snapshot.Numbered{{ID: uuid(20), Number: 20}, {ID: uuid(21), Number: 21}},
			},
			&snapshot.Archive{ID: uuid(500), Vault: vaultID, Name: "a", Sealed: made, State: "safe"},
			&snapshot.Archive{ID: uuid(501), Vault: vaultID, Name: "b", Sealed: made, State: "safe"},
			&snapshot.Archive{ID: uuid(502), Vault: vaultID, Name: "c", Sealed: made, State: "deleted"},
		}
		for n := range 4 {
			records = append(records, imageAndDisc(n, "good")...)
		}
		records = append(records, imageAndDisc(9, "retired")...)
		fsys, _ := parityDisc(t, 20, head(0), records...)
		here := rapid.SliceOfDistinct(rapid.IntRange(0, 3), func(n int) int { return n }).Draw(t, "here")
		var s Survey
		for _, n := range here {
			if err := s.Add("disc", disc(t, n, files)); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			if err := s.Add("parity", fsys); err != nil {
				t.Fatal(err)
			}
		}
		m, err := s.Missing()
		if err != nil || len(s.Doubts) > 0 {
			t.Fatalf("%v %v", err, s.Doubts)
		}
		var want, got []string
		for n := range 4 {
			if !slices.Contains(here, n) {
				want = append(want, fmt.Sprintf("OD_%06d [%04d] %d", n, n, n))
			}
		}
		want = append(want, "OD_000021 [] 5")
		for _, d := range m.Discs {
			got = append(got, fmt.Sprintf("%s %v %d", d.Label, d.Discs, d.Index))
			if d.Vault != "v" || d.Set != setID || d.Medium != "BD-R" {
				t.Errorf("%+v", d)
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("missing are %v, want %v", got, want)
		}
		archives := []MissingArchive{{uuid(501), "v", "b", "safe"}}
		if len(here) == 0 {
			archives = append([]MissingArchive{{uuid(500), "v", "a", "safe"}}, archives...)
		}
		if !slices.Equal(m.Archives, archives) || m.Snapshots != 1 || len(m.Gaps) != 0 {
			t.Fatalf("%+v", m)
		}
	})
}

// TestNewestHolds: what a later snapshot says holds, a gap between them is named, and a damaged one is doubted.
func TestNewestHolds(t *testing.T) {
	full, link := parityDisc(t, 20, head(0), append(imageAndDisc(0, "good"), imageAndDisc(1, "good")...)...)
	h := head(2)
	h.Number, h.Follows = 1, &link
	then, link2 := parityDisc(t, 21, h, imageAndDisc(0, "retired")...)
	h = head(3)
	h.Number, h.Follows = 2, &link2
	last, _ := parityDisc(t, 22, h, imageAndDisc(2, "good")...)
	missing := func(discs ...fstest.MapFS) (names []string, gaps, doubts int) {
		t.Helper()
		var s Survey
		for _, d := range discs {
			if err := s.Add("parity", d); err != nil {
				t.Fatal(err)
			}
		}
		m, err := s.Missing()
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range m.Discs {
			names = append(names, d.Label)
		}
		return names, len(m.Gaps), len(s.Doubts)
	}
	if names, gaps, doubts := missing(last, full, then); fmt.Sprint(names, gaps, doubts) != "[OD_000001 OD_000002] 0 0" {
		t.Error(names, gaps, doubts)
	}
	if names, gaps, doubts := missing(last, full); fmt.Sprint(names, gaps, doubts) != "[OD_000000 OD_000001 OD_000002] 1 0" {
		t.Error(names, gaps, doubts)
	}
	then[snapshot.Name].Data[30] ^= 1
	if names, gaps, doubts := missing(last, full, then); fmt.Sprint(names, gaps, doubts) != "[OD_000000 OD_000001 OD_000002] 1 1" {
		t.Error(names, gaps, doubts)
	}
	delete(then, snapshot.Name)
	if names, gaps, doubts := missing(then); len(names)+gaps+doubts != 0 {
		t.Error(names, gaps, doubts)
	}
}

// TestUnnamed: a parity disc without disc_info.json is known by set.json and the hash of its parity file, whatever it lacks besides; without
// what says which one it is it is refused, and so is what no library made.
func TestUnnamed(t *testing.T) {
	set := &discset.Set{
		ID: setID, Geometry: discset.Geometry{Data: 2, Parity: 2}, Created: made,
		Members:  []discset.Member{{Index: 0, ImageID: uuid(0), Label: "OD_000000", Sectors: 400}, {Index: 1, ImageID: uuid(1), Label: "OD_000001", Sectors: 400}},
		Parities: []discset.Parity{{ImageID: uuid(20), Label: "OD_000020", SHA256: archive.Hash{20}}, {ImageID: uuid(21), Label: "OD_000021", SHA256: archive.Hash{21}}},
	}
	js, err := set.JSON()
	if err != nil {
		t.Fatal(err)
	}
	records := append(imageAndDisc(0, "good"), &snapshot.Set{
		ID: setID, Vault: vaultID, Library: uuid(1000), Medium: "BD-R", Capacity: 1000, Data: 2, Parity: 2, State: "sealed", Created: made,
		Parities: []snapshot.Numbered{{ID: uuid(20), Number: 20}, {ID: uuid(21), Number: 21}},
	})
	named, _ := parityDisc(t, 20, head(0), records...)
	unnamed := func(sum archive.Hash) fstest.MapFS {
		return fstest.MapFS{
			discset.SetName: {Data: js}, snapshot.Name: named[snapshot.Name],
			catalogue.SumsName: {Data: fmt.Appendf(nil, "%v  %s\n%v  %s\n", archive.Hash{1}, discset.SetName, sum, discset.ParityFile)},
		}
	}
	var s Survey
	if err := s.Add("parity", unnamed(archive.Hash{21})); err != nil {
		t.Fatal(err)
	}
	if d := s.Discs(); len(d) != 1 || d[0].ImageID != uuid(21) || d[0].Label != "OD_000021" || d[0].Number != 21 || d[0].Parity.Index != 3 {
		t.Errorf("%+v", d)
	}
	m, err := s.Missing()
	if err != nil || m.Snapshots != 1 || len(m.Discs) != 2 || m.Discs[0].Image != uuid(0) || m.Discs[1].Image != uuid(20) {
		t.Errorf("%+v %v", m, err)
	}
	without := unnamed(archive.Hash{20})
	delete(without, snapshot.Name)
	if err := s.Add("parity", without); err != nil || len(s.Doubts) > 0 || len(s.Discs()) != 2 {
		t.Errorf("without a snapshot: %v %v", err, s.Doubts)
	}
	if err := s.Add("other", unnamed(archive.Hash{9})); err == nil {
		t.Error("a disc with another parity file was taken for one of the set")
	}
	delete(without, catalogue.SumsName)
	if err := s.Add("no sums", without); err == nil {
		t.Error("a disc that doesn't say which one it is was taken in")
	}
	if err := s.Add("none of ours", fstest.MapFS{"a": {}}); !errors.Is(err, ErrNoVault) {
		t.Error(err)
	}
}
