package catalogue

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/odarchive/odarchive/archive"
)

func disc() Disc {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	return Disc{
		ImageID: idA, Label: "OD_0001", Number: 1, Discs: 3, SetID: idB, JobID: idB, GUID: idA, Medium: "bd", Created: at,
		Policy:   &Policy{VaultID: idB, Created: at.Add(123 * time.Microsecond), Copies: 2, MaxWait: time.Hour, Roots: 32},
		Parity:   &Parity{Set: idB, Index: 3, Data: 12, Images: 2},
		Archives: []Archive{{ID: idB, Name: "srv", Description: "<what> \"it\" is", Directory: "srv/x", RootHash: entries()[1].Content.Hash, Sealed: at}, {ID: idA, Name: "/", Directory: ".", Sealed: at}},
	}
}

func TestInfoComesBack(t *testing.T) {
	want := disc()
	b, err := Info(&want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadInfo(b)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", *got, want)
	}
	for name, text := range map[string]string{
		"empty":          "",
		"another format": strings.Replace(string(b), infoFormat, "x", 1),
		"no UUID":        strings.Replace(string(b), `"`+idA, `"x`, 1),
		"a manifest":     strings.Replace(string(b), "archives/", "../", 1),
		"a directory":    strings.Replace(string(b), "Data/srv/x", "Data/../x", 1),
		"outside Data":   strings.Replace(string(b), "Data/srv/x", "etc", 1),
		"no vault":       strings.Replace(string(b), `"id": "`+idB, `"id": "`, 1),
		"no copies":      strings.Replace(string(b), `"copies": 2`, `"copies": 0`, 1),
		"a wait":         strings.Replace(string(b), `"max_wait_seconds": 3600`, `"max_wait_seconds": 9999999999999`, 1),
		"roots":          strings.Replace(string(b), `"roots": 32`, `"roots": 171`, 1),
		"a number":       strings.Replace(string(b), `"disc_num": 1`, `"disc_num": -1`, 1),
	} {
		if _, err := ReadInfo([]byte(text)); err == nil {
			t.Errorf("%s: it was taken", name)
		}
	}
}

// TestAncestorInfo: odarchive 0.1 wrote its numbers as strings, and None for a disc that is alone.
func TestAncestorInfo(t *testing.T) {
	d, err := ReadInfo([]byte(`{"date": "2018-11-02T08:10:07.125000", "disc_num": "2", "num_discs": "5"}`))
	if err != nil || d.Number != 2 || d.Discs != 5 || d.ImageID != "" || d.Created.Year() != 2018 {
		t.Errorf("%+v, %v", d, err)
	}
	if d, err := ReadInfo([]byte(`{"date": "2018-11-02T08:10:07", "disc_num": "None", "num_discs": "1"}`)); err != nil || d.Number != 0 {
		t.Errorf("%+v, %v", d, err)
	}
}

// TestDiscCatalogue: the catalogue of one disc is read as that of a set is, and its size is known before.
func TestDiscCatalogue(t *testing.T) {
	d := disc()
	c := entries()[1].Content
	files := [][]File{
		{{Path: "srv/x/a", Content: c, Length: 1}, {Path: "srv/x/\xff", Content: c, Length: 1}},
		{{Path: "big", Content: entries()[2].Content, Offset: 0, Length: 1, Part: 1, Parts: 2}},
	}
	files[1][0].Content.Hash[0] ^= 1
	files[1][0].Content.Size = 9
	var list, sums bytes.Buffer
	w := NewWriter(&d, &list, &sums)
	size := NewSize(&d)
	for _, group := range files {
		if err := w.Write(group); err != nil {
			t.Fatal(err)
		}
		size.Add(group[:1])
		for i := range group[1:] {
			size.AddName(&group[1+i])
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if size.Catalogue != int64(list.Len()) || size.Sums != int64(sums.Len()) {
		t.Errorf("counted %d and %d bytes, written %d and %d", size.Catalogue, size.Sums, list.Len(), sums.Len())
	}
	got, err := Read(&list)
	if err != nil {
		t.Fatal(err)
	}
	if got.Disc != idA || len(got.Entries) != 2 || got.Entries[0].Names[1] != "srv/x/\xff" || len(got.Entries[1].Runs) != 0 ||
		got.Entries[1].Part == nil || *got.Entries[1].Part != (EntryPart{0, 1, 1, 2}) {
		t.Errorf("%+v", got)
	}
	if n := strings.Count(sums.String(), "\n"); n != 4 {
		t.Errorf("%d lines of sums:\n%s", n, sums.String())
	}
}

func TestReadme(t *testing.T) {
	d := disc()
	for line := range strings.Lines(string(Readme(&d))) {
		if len(line) > 81 {
			t.Errorf("a line of %d bytes: %s", len(line), line)
		}
	}
	if text := string(Readme(&d)); !strings.Contains(text, "number 1 of a set of 3 discs, which are counted from 0 to 2") || !strings.Contains(text, "cat NAME.part*-of-0003") {
		t.Error(text)
	}
}

// FuzzInfo: whatever is read comes back after it was written.
func FuzzInfo(f *testing.F) {
	d := disc()
	b, _ := Info(&d)
	f.Add(b)
	f.Add([]byte(`{"date": "2018-11-02T08:10:07", "disc_num": "None", "num_discs": "1"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := ReadInfo(text)
		if err != nil || d.ImageID == "" {
			return
		}
		b, err := Info(d)
		if err != nil {
			return // a year that no RFC 3339 time holds
		}
		if again, err := ReadInfo(b); err != nil || !reflect.DeepEqual(again, d) {
			t.Errorf("read %+v, then %+v, %v", d, again, err)
		}
	})
}

// FuzzMappings: reading never fails otherwise than with an error.
func FuzzMappings(f *testing.F) {
	f.Add([]byte(NamesHead + string(AppendMapping(nil, "a\xff", "a_", "a\xff"))))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := ReadMappings(bytes.NewReader(text))
		if err != nil {
			return
		}
		var b []byte
		for _, m := range all {
			b = AppendMapping(b, m.Original, m.UDF, m.ISO)
		}
		if again, err := ReadMappings(bytes.NewReader(b)); err != nil || !reflect.DeepEqual(again, all) {
			t.Errorf("read %q, then %q, %v", all, again, err)
		}
	})
}

// TestSizeCounts: sizes are counted as lists are written, whatever files are called and whenever they changed.
func TestSizeCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := disc()
		var list, sums bytes.Buffer
		w, size := NewWriter(&d, &list, &sums), NewSize(&d)
		for range rapid.IntRange(0, 5).Draw(t, "contents") {
			first := File{
				Content: archive.Content{Size: rapid.Int64Min(0).Draw(t, "size")},
				ModTime: time.Unix(rapid.Int64Range(-1e11, 1e12).Draw(t, "seconds"), rapid.SampledFrom([]int64{0, 1, 500_000_000, 123_456_000}).Draw(t, "nanoseconds")),
			}
			if rapid.Bool().Draw(t, "split") {
				first.Offset, first.Length, first.Part, first.Parts = 5, first.Content.Size, 1, 12
			}
			files := make([]File, rapid.IntRange(1, 3).Draw(t, "names"))
			for i := range files {
				files[i] = first
				files[i].Path = rapid.OneOf(rapid.String(), rapid.StringMatching(`[ -~]{1,20}`), rapid.Just("\xff\\\n")).Draw(t, "path")
			}
			if err := w.Write(files); err != nil {
				t.Fatal(err)
			}
			size.Add(files)
		}
		if err := w.Close(); err != nil || size.Catalogue != int64(list.Len()) || size.Sums != int64(sums.Len()) {
			t.Fatalf("counted %d and %d bytes, written %d and %d, %v", size.Catalogue, size.Sums, list.Len(), sums.Len(), err)
		}
	})
}
