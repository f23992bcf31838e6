package catalogue

import (
	"bytes"
	"crypto/sha512"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/odarchive/odarchive/archive"
)

const (
	idA = "0e3e3bb6-5a5c-4b92-9c9f-1c4e4c8a9f11"
	idB = "3b8a86b4-7a5b-4a38-8a50-cc2f65d0f0a2"
)

// set is a catalogue with everything that one can hold.
func set() *Catalogue {
	at := time.Date(2026, 3, 4, 5, 6, 7, 890, time.UTC)
	one := entries()[1].Content.Hash
	return &Catalogue{
		Version: catalogueVersion, Saved: at, GUID: idA, SetID: idB, JobID: idA, JobName: "photos & <more>", Root: "/Data", Source: "/srv/\xff", Medium: "bd", Segment: 25025314816,
		Discs: []SetDisc{
			{Number: 0, ID: idA, Label: "A_0000", Sectors: 320, Created: at, State: Burned, Plan: idB, Archives: []string{idB}, SHA256: one.String()},
			{Number: 1, ID: idB, SetID: idA, Set: 7, State: Planned},
		},
		Archives: []SetArchive{{ID: idB, Name: "srv", Directory: "srv", Source: "/srv/\xff", Sealed: at, RootHash: one, ManifestSize: 300}},
		Entries: []Entry{
			{Digest: SHA256(one), Size: 1, ModTime: at, Names: []string{"srv/a", "srv/\xff\"\\\n"}, Runs: []DiscRun{{0, 0, 1}}},
			{Digest: SHA512(sha512.Sum512([]byte("big"))), Size: 30, ModTime: at, Names: []string{"srv/big"}, Runs: []DiscRun{{0, 0, 10}, {1, 10, 20}}},
			{Digest: SHA256(archive.Hash{1}), Names: []string{"srv/new"}, ModTime: at},
		},
	}
}

func write(t testing.TB, c *Catalogue) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := c.Write(&b); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Size(); err != nil || n != int64(b.Len()) {
		t.Fatalf("size %d, %v; it has %d bytes", n, err, b.Len())
	}
	return b.Bytes()
}

func TestSetComesBack(t *testing.T) {
	want := set()
	got, err := Read(bytes.NewReader(write(t, want)))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

// TestGolden: a catalogue of version 3 is for ever what it was.
func TestGolden(t *testing.T) {
	const name = "testdata/catalogue-3.json"
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(name, write(t, set()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	old, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(write(t, set()), old) {
		t.Errorf("%s is written in another way", name)
	}
	if got, err := Read(bytes.NewReader(old)); err != nil || !reflect.DeepEqual(got, set()) {
		t.Errorf("%s: %+v, %v", name, got, err)
	}
}

// TestBounds: what a planner reserves for discs and runs is more than they take.
func TestBounds(t *testing.T) {
	c := set()
	before := int64(len(write(t, c)))
	long := DiscRun{maxDiscs, 1 << 50, 1 << 50}
	c.Entries[2].Size = 2 << 50
	c.Entries[2].Runs = []DiscRun{long, long}
	if n := int64(len(write(t, c))) - before; n > 2*RunSize {
		t.Errorf("two runs take %d bytes", n)
	}
	before = int64(len(write(t, c)))
	c.Discs = append(c.Discs, SetDisc{Number: maxDiscs, ID: idA, Label: strings.Repeat("X", 15), SetID: idB, Set: maxDiscs, Sectors: 1 << 40, Created: c.Saved, Plan: idA})
	if n := int64(len(write(t, c))) - before; n > DiscSize {
		t.Errorf("a disc takes %d bytes", n)
	}
}

func TestAncestor(t *testing.T) {
	f, err := os.Open("testdata/odarchive-0.1-catalogue.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c, err := Read(f)
	if err != nil {
		t.Fatal(err)
	}
	if c.Version != 2 || c.GUID != idA || c.JobID != idB || c.Segment != 23000000000 || c.Source != "/media/usb" || len(c.Entries) != 2 || len(c.Discs) != 2 {
		t.Errorf("%+v", c)
	}
	a := c.Entries[0]
	if a.Digest != SHA512(sha512.Sum512([]byte("a"))) && len(a.Digest) != len(sha512Label)+128 || a.Names[0] != "letters/é a.txt" || a.Runs[0] != (DiscRun{0, 0, 1}) {
		t.Errorf("%+v", a)
	}
	if e := c.Entries[1]; e.Digest != SHA512(sha512.Sum512(nil)) || !e.ModTime.Equal(time.Date(2018, 5, 26, 11, 6, 0, 0, time.UTC)) {
		t.Errorf("%+v", e)
	}
	if d := c.Discs[1]; d.Number != 1 || d.State != Burned || d.SetID != c.GUID {
		t.Errorf("%+v", d)
	}
	// What it said is not lost when it is written anew.
	again, err := Read(bytes.NewReader(write(t, c)))
	if err != nil || !reflect.DeepEqual(again.Entries, c.Entries) {
		t.Errorf("%v, %+v", err, again)
	}
}

// TestAncestorUnsegmented: version 1 had no root, no job and, before it was segmented, no discs.
func TestAncestorUnsegmented(t *testing.T) {
	text := `{"date": "2018-11-01T22:15:20.685169", "files": {"` + strings.Repeat("0d", 64) + `": {"filenames": {"/DATA/x": null}, "mtime": "2018-05-26T11:06:00", "size": 33}}, "guid": "` + idA + `", "version": 1}`
	c, err := Read(strings.NewReader(text))
	if err != nil || len(c.Discs) != 1 || c.Entries[0].Runs[0] != (DiscRun{0, 0, 33}) {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestRefuses(t *testing.T) {
	good := string(write(t, set()))
	change := func(old, with string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%q is not in the catalogue", old)
		}
		return strings.Replace(good, old, with, 1)
	}
	one := entries()[1].Content.Hash.String()
	for name, text := range map[string]string{
		"empty":               "",
		"not JSON":            "PK\x03\x04",
		"an array":            "[]",
		"cut off":             good[:len(good)/2],
		"more after it":       good + "{}",
		"no version":          change(`"version": 3,`, ``),
		"no files":            `{"version": 3}`,
		"files twice":         change(`"guid"`, `"files": {}, "guid"`),
		"a name that climbs":  change(`"/Data/srv/a"`, `"/Data/../etc/passwd"`),
		"another root":        change(`"/Data/srv/a"`, `"/etc/passwd"`),
		"no name":             change(`{"/Data/srv/new": null}`, `{}`),
		"a hash twice":        change("sha256:01"+strings.Repeat("00", 31), "sha256:"+one),
		"a short hash":        change("sha256:"+one, "sha256:"+one[2:]),
		"an unknown function": change("sha256:"+one, "md5:"+one[:32]),
		"a negative size":     change(`"size": 30`, `"size": -30`),
		"a size that overflows": change(`"size": 30`,
			`"size": 99999999999999999999`),
		"runs with a hole":     change(`"offset": 10`, `"offset": 11`),
		"runs beyond its size": change(`"length": 20`, `"length": 21`),
		"runs that overflow":   change(`"length": 20`, `"length": 9223372036854775807`),
		"an unknown disc":      change(`, "disc_num": 0`, `, "disc_num": 5`),
		"a disc twice":         change("\"disc_num\": 1,\n", "\"disc_num\": 0,\n"),
		"an unknown archive":   change("\"archives\": [\n    \""+idB, "\"archives\": [\n    \""+idA),
		"a state":              change(`"burned"`, `"lost"`),
		"a plan that climbs":   change(`"plan": "`+idB, `"plan": "../../../../../../../../../../etc/x`),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), CatalogName) {
				t.Errorf("error is %v", err)
			}
		})
	}
}

// TestNewer: the version decides, wherever it stands and however little the rest is understood.
func TestNewer(t *testing.T) {
	for _, text := range []string{
		strings.Replace(string(write(t, set())), `"version": 3`, `"version": 4`, 1),
		`{"files": {"blake9:00": {"names": [1]}}, "version": 4}`,
		`{"version": 4, "files": []}`,
	} {
		_, err := Read(strings.NewReader(text))
		if v, ok := errors.AsType[*VersionError](err); !ok || v.Version != 4 {
			t.Errorf("error is %v", err)
		}
	}
	_, err := ReadInfo([]byte(`{"version": 2, "archives": "none"}`))
	if v, ok := errors.AsType[*VersionError](err); !ok || v.Version != 2 {
		t.Errorf("error is %v", err)
	}
}

// FuzzCatalogue: whatever is read without an error is read again just so after it was written.
func FuzzCatalogue(f *testing.F) {
	f.Add(write(f, set()))
	old, err := os.ReadFile("testdata/odarchive-0.1-catalogue.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(old)
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Read(bytes.NewReader(text))
		if err != nil {
			return
		}
		for _, e := range c.Entries {
			for _, n := range e.Names {
				if archive.ValidPath(n) != nil {
					t.Fatalf("name %q", n)
				}
			}
		}
		if y := c.Saved.Year(); y < 0 || y > 9999 {
			return
		}
		var b bytes.Buffer
		if err := c.Write(&b); err != nil {
			t.Skip(err) // years that no RFC 3339 time holds
		}
		again, err := Read(bytes.NewReader(b.Bytes()))
		if err != nil {
			t.Fatalf("%v\n%s", err, b.Bytes())
		}
		if !reflect.DeepEqual(again.Entries, c.Entries) {
			t.Fatalf("read %+v, then %+v", c.Entries, again.Entries)
		}
	})
}
