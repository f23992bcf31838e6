package survey

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"pgregory.net/rapid"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
)

var made = time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)

const vaultID = "00000000-0000-0000-0000-00000000aaaa"

func uuid(n int) string { return fmt.Sprintf("00000000-0000-0000-0000-%012d", n) }

// file is one of an archive, and which part of it is on which disc: part i has the bytes from 2048*i on.
type file struct {
	path  string
	size  int64
	discs []int
}

func (f *file) content() archive.Content {
	return archive.Content{Hash: sha256.Sum256([]byte(f.path)), Size: f.size}
}

func manifest(t interface{ Fatal(...any) }, files []file) ([]byte, archive.Hash) {
	var b bytes.Buffer
	m := catalogue.NewManifestWriter(&b)
	for _, f := range files {
		if err := m.WriteEntry(&archive.Entry{Path: f.path, Kind: archive.File, Mode: 0o644, ModTime: made, Content: f.content()}); err != nil {
			t.Fatal(err)
		}
	}
	h, _, err := m.Close()
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), h
}

// disc makes what disc n says of an archive of files.
func disc(t interface{ Fatal(...any) }, n int, files []file) fstest.MapFS {
	text, root := manifest(t, files)
	d := catalogue.NewDisc(uuid(n), int64(n), "v", uuid(1000), "lib", "BD-R", made)
	d.Policy = &catalogue.Policy{VaultID: vaultID, Created: made, Copies: 1}
	d.Archives = []catalogue.Archive{{ID: uuid(500), Name: "a", Description: "what it is", Directory: "a", RootHash: root, Sealed: made}}
	info, err := catalogue.Info(&d)
	if err != nil {
		t.Fatal(err)
	}
	var list, sums bytes.Buffer
	w := catalogue.NewWriter(&d, &list, &sums)
	for _, f := range files {
		for i, on := range f.discs {
			if on != n {
				continue
			}
			named := catalogue.File{Path: "a/" + f.path, Content: f.content(), Length: f.size, ModTime: made}
			if len(f.discs) > 1 {
				named.Offset = int64(i) * archive.SectorSize
				named.Length = min(archive.SectorSize, f.size-named.Offset)
				named.Part, named.Parts = i+1, len(f.discs)
			}
			if err := w.Write([]catalogue.File{named}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return fstest.MapFS{
		catalogue.InfoName:                {Data: info},
		catalogue.CatalogName:             {Data: list.Bytes()},
		catalogue.ManifestPath(uuid(500)): {Data: text},
	}
}

func report(t interface{ Fatal(...any) }, s *Survey) (all []Archive) {
	if err := s.Report(func(a Archive) error { all = append(all, a); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestAnySubsetInAnyOrder: exactly the bytes of the discs that are missing are absent, in whatever order the others come.
func TestAnySubsetInAnyOrder(t *testing.T) {
	const discs = 4
	rapid.Check(t, func(t *rapid.T) {
		var files []file
		for i := range rapid.IntRange(1, 8).Draw(t, "files") {
			f := file{path: fmt.Sprintf("f%d", i)}
			order := rapid.Permutation([]int{0, 1, 2, 3}).Draw(t, "discs")
			f.discs = order[:rapid.IntRange(1, discs).Draw(t, "parts")]
			f.size = int64(len(f.discs)-1)*archive.SectorSize + rapid.Int64Range(1, archive.SectorSize).Draw(t, "last")
			files = append(files, f)
		}
		order := rapid.Permutation([]int{0, 1, 2, 3}).Draw(t, "order")
		here := order[:rapid.IntRange(1, discs).Draw(t, "here")]
		var s, back Survey
		for _, n := range here {
			if err := errors.Join(s.Add("disc", disc(t, n, files)), s.Add("again", disc(t, n, files))); err != nil {
				t.Fatal(err)
			}
		}
		for _, n := range slices.Backward(here) {
			if err := back.Add("disc", disc(t, n, files)); err != nil {
				t.Fatal(err)
			}
		}
		got := report(t, &s)
		if len(got) != 1 || !got[0].Listed || got[0].Entries != int64(len(files)) || got[0].Description != "what it is" || len(s.Doubts) > 0 {
			t.Fatalf("%+v, doubts %v", got, s.Doubts)
		}
		if other := report(t, &back); !reflect.DeepEqual(got, other) {
			t.Fatalf("the order of discs shows:\n%+v\n%+v", got, other)
		}
		var want int64
		for _, f := range files {
			for i, on := range f.discs {
				if !slices.Contains(here, on) {
					want += min(archive.SectorSize, f.size-int64(i)*archive.SectorSize)
				}
			}
		}
		var absent int64
		for _, a := range got[0].Absent {
			for _, g := range a.Gaps {
				absent += g.Length
			}
		}
		if absent != want || got[0].Whole() != (want == 0) {
			t.Fatalf("%d bytes are absent by the report, %d are", absent, want)
		}
	})
}

// TestHashesDecide: of two discs that claim different things of one archive each is believed as far as its manifest's hash goes, and a
// manifest that is not what its disc says is not believed at all.
func TestHashesDecide(t *testing.T) {
	one, two := []file{{"a", 5, []int{0}}}, []file{{"b", 5, []int{1}}}
	var s Survey
	if err := errors.Join(s.Add("zero", disc(t, 0, one)), s.Add("one", disc(t, 1, two))); err != nil {
		t.Fatal(err)
	}
	got := report(t, &s)
	if len(got) != 2 || !got[0].Whole() || !got[1].Whole() || got[0].RootHash == got[1].RootHash || !got[0].Contested || !got[1].Contested {
		t.Errorf("%+v", got)
	}
	forged := disc(t, 2, one)
	forged[catalogue.ManifestPath(uuid(500))].Data, _ = manifest(t, two)
	var f Survey
	if err := f.Add("forged", forged); err != nil {
		t.Fatal(err)
	}
	if got := report(t, &f); len(got) != 1 || got[0].Listed || got[0].Whole() || len(f.Doubts) != 1 || !strings.Contains(f.Doubts[0].Error(), "hash") {
		t.Errorf("%+v, %v", got, f.Doubts)
	}
	// A good disc makes up for it.
	if err := f.Add("good", disc(t, 0, one)); err != nil {
		t.Fatal(err)
	}
	if got := report(t, &f); len(got) != 1 || !got[0].Whole() {
		t.Errorf("%+v", got)
	}
}

func TestDamage(t *testing.T) {
	files := []file{{"a", 5, []int{0}}}
	var s Survey
	broken := disc(t, 0, files)
	broken[catalogue.CatalogName].Data = broken[catalogue.CatalogName].Data[:40]
	if err := s.Add("broken", broken); err != nil {
		t.Fatal(err)
	}
	if got := report(t, &s); len(s.Doubts) != 1 || got[0].Whole() || got[0].Absent[0].Gaps[0] != (Gap{0, 5}) {
		t.Errorf("%+v, %v", got, s.Doubts)
	}
	delete(broken, catalogue.InfoName)
	if err := s.Add("nothing", broken); err == nil {
		t.Error("a disc that says nothing was taken")
	}
	d := catalogue.NewDisc(uuid(3), 3, "", "", "", "BD-R", made)
	info, err := catalogue.Info(&d)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Add("a set's", fstest.MapFS{catalogue.InfoName: {Data: info}}); !errors.Is(err, ErrNoVault) {
		t.Errorf("error is %v", err)
	}
}
