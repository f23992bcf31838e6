package catalogue

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/odarchive/odarchive/archive"
)

var made = time.Date(2026, 11, 28, 1, 2, 3, 0, time.UTC)

// scanned is what Scan gives.
func scanned(b []byte) (all []Carried, err error) {
	for c, err := range Scan(bytes.NewReader(b)) {
		if err != nil {
			return all, err
		}
		all = append(all, c)
	}
	return all, nil
}

// listOf is a disc's catalogue of groups of files.
func listOf(t interface{ Fatal(...any) }, groups [][]File) []byte {
	d := NewDisc("00000000-0000-0000-0000-000000000001", 1, "v", "", "", "BD-R", made)
	var list bytes.Buffer
	w := NewWriter(&d, &list, io.Discard)
	for _, g := range groups {
		if err := w.Write(g); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return list.Bytes()
}

// agrees says how what Scan gives differs from what Read does.
func agrees(list []byte, got []Carried) error {
	c, err := Read(bytes.NewReader(list))
	if err != nil {
		return fmt.Errorf("Scan takes what Read refuses: %w", err)
	}
	if len(c.Entries) != len(got) {
		return fmt.Errorf("%d entries, Read has %d", len(got), len(c.Entries))
	}
	for i, e := range c.Entries {
		want := Carried{Length: e.Size}
		want.Content.Hash, _ = e.Digest.Hash()
		want.Content.Size = e.Size
		if p := e.Part; p != nil {
			want.Offset, want.Length, want.Part, want.Parts = p.Offset, p.Length, p.Part, p.Parts
		}
		want.Name = got[i].Name
		if want != got[i] || want.Name != "" && want.Name != e.Names[0] {
			return fmt.Errorf("entry %d is %+v, Read has %+v", i, got[i], e)
		}
	}
	return nil
}

// TestScan: what a Writer writes is read alike by Scan and Read, whatever the names are.
func TestScan(t *testing.T) {
	name := rapid.OneOf(rapid.StringMatching(`[a-z]{1,8}`), rapid.Just(`a}, "size": 7, "mtime": "x`), rapid.Just("q\"\\\n"), rapid.Just("raw\xff"),
		rapid.Just(strings.Repeat("long/", 700)+"x"))
	rapid.Check(t, func(t *rapid.T) {
		var groups [][]File
		for i := range rapid.IntRange(0, 6).Draw(t, "contents") {
			f := File{
				Content: archive.Content{Hash: sha256.Sum256([]byte{byte(i)}), Size: rapid.Int64Range(0, 1<<40).Draw(t, "size")},
				ModTime: made.Add(1),
			}
			f.Length = f.Content.Size
			if rapid.Bool().Draw(t, "part") {
				f.Offset = rapid.Int64Range(0, f.Content.Size).Draw(t, "offset")
				f.Length = f.Content.Size - f.Offset
				f.Part, f.Parts = 2, 3
			}
			var g []File
			for n := range rapid.IntRange(1, 30).Draw(t, "names") {
				f.Path = fmt.Sprint(i, "/", n, rapid.SampledFrom([]string{"", "/"}).Draw(t, "deeper"), name.Draw(t, "name"))
				g = append(g, f)
			}
			groups = append(groups, g)
		}
		list := listOf(t, groups)
		got, err := scanned(list)
		if err != nil {
			t.Fatal(err)
		}
		if err := agrees(list, got); err != nil {
			t.Fatal(err)
		}
		for i, g := range groups {
			if n := got[i].Name; n != g[0].Path && !strings.Contains(g[0].Path, "\xff") && len(g[0].Path) < scanHead/2 {
				t.Errorf("the name of %q is %q", g[0].Path, n)
			}
		}
		// Whatever is cut off is noticed.
		if cut := rapid.IntRange(0, len(list)-1).Draw(t, "cut"); true {
			if _, err := scanned(list[:cut]); err == nil {
				t.Errorf("a catalogue of %d of %d bytes was taken for whole", cut, len(list))
			}
		}
	})
}

// TestScanRefuses: what is not a disc's own catalogue is left to Read, and what comes from the future to nobody.
func TestScanRefuses(t *testing.T) {
	list := string(listOf(t, [][]File{{{Path: "a", Content: archive.Content{Size: 1}, Length: 1, ModTime: made}}}))
	for _, c := range []struct {
		name, old, new string
		is             error
	}{
		{"another format", catalogueFormat, "something", ErrForm},
		{"an older version", `"version": 3`, `"version": 2`, ErrForm},
		{"a set's", `"disc": "00000000-0000-0000-0000-000000000001",` + "\n", "", ErrForm},
		{"another root", `"/Data"`, `"/DATA"`, ErrForm},
		{"a name that leads out", `"/Data/a"`, `"/Data/../a"`, nil},
		{"a part beyond the end", `Z"}`, `Z", "offset": 1, "length": 1, "part": 1, "parts": 1}`, nil},
		{"a negative size", `"size": 1`, `"size": -1`, nil},
		{"a comma too many", "Z\"}\n", "Z\"},\n", nil},
		{"something behind it", "\n}\n}\n", "\n}\n}\nx", nil},
	} {
		changed := strings.Replace(list, c.old, c.new, 1)
		_, err := scanned([]byte(changed))
		if changed == list || err == nil || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	_, err := scanned([]byte(strings.Replace(list, `"version": 3`, `"version": 4`, 1)))
	if _, ok := errors.AsType[*VersionError](err); !ok {
		t.Errorf("a newer version: %v", err)
	}
}

// FuzzScan: what Scan takes, Read takes as the same.
func FuzzScan(f *testing.F) {
	f.Add(listOf(f, nil))
	f.Add(listOf(f, [][]File{{{Path: "a", Content: archive.Content{Size: 1}, Length: 1, ModTime: made}, {Path: "b\"", ModTime: made}}}))
	f.Add(listOf(f, [][]File{{{Path: "a", Content: archive.Content{Size: 9}, Offset: 3, Length: 6, Part: 2, Parts: 2, ModTime: made}}}))
	f.Fuzz(func(t *testing.T, list []byte) {
		got, err := scanned(list)
		if err != nil || slices.ContainsFunc(got, func(c Carried) bool { return c.Name == "" }) {
			return
		}
		seen := map[archive.Hash]bool{}
		for _, c := range got {
			if seen[c.Content.Hash] { // Read keeps count, Scan's caller does
				return
			}
			seen[c.Content.Hash] = true
		}
		if c, err := Read(bytes.NewReader(list)); err == nil && len(c.Entries) != len(got) {
			t.Errorf("%d entries, Read has %d", len(got), len(c.Entries))
		}
	})
}
