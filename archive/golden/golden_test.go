package golden

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/discset"
	"github.com/odarchive/odarchive/archive/ecc"
	"github.com/odarchive/odarchive/archive/image"
	"github.com/odarchive/odarchive/archive/snapshot"
	"github.com/odarchive/odarchive/archive/survey"
)

const (
	folder       = "testdata"
	expectedName = "expected.json"
	// variable says for which version TestWriteGolden writes discs: make golden VERSION=….
	variable = "GOLDEN_VERSION"
)

// expected is what programs that we did not write have found on a version's discs when it was released.
type expected struct {
	Discs map[string]disc `json:"discs"`
}

type disc struct {
	SHA256 archive.Hash `json:"sha256"` // of the image
	// Files by their paths on the UDF side, and how often each hash is on the ISO 9660 side, as 7-Zip found them.
	UDF map[string]archive.Hash `json:"udf"`
	ISO map[string]int          `json:"iso9660"`
}

// versions are those that there are discs of, the newest last.
func versions(t *testing.T) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	noerr(t, err)
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		t.Fatal("there are no golden discs")
	}
	slices.SortFunc(names, compareVersions)
	return names
}

// compareVersions orders 0.9 before 0.10.
func compareVersions(a, b string) int {
	return slices.CompareFunc(strings.Split(a, "."), strings.Split(b, "."), func(x, y string) int {
		if len(x) != len(y) {
			return len(x) - len(y)
		}
		return strings.Compare(x, y)
	})
}

func load(t *testing.T, version string) (map[string][]byte, expected) {
	t.Helper()
	var want expected
	text, err := os.ReadFile(filepath.Join(folder, version, expectedName))
	noerr(t, err)
	noerr(t, json.Unmarshal(text, &want))
	z, err := zstd.NewReader(nil)
	noerr(t, err)
	defer z.Close()
	discs := map[string][]byte{}
	for name, d := range want.Discs {
		packed, err := os.ReadFile(filepath.Join(folder, version, name+".zst"))
		noerr(t, err)
		discs[name], err = z.DecodeAll(packed, nil)
		noerr(t, err)
		if sha256.Sum256(discs[name]) != d.SHA256 {
			t.Fatalf("%s of version %s is not what it was", name, version)
		}
	}
	return discs, want
}

func sides(t *testing.T, b []byte) *image.Sides {
	t.Helper()
	s, err := image.Open(bytes.NewReader(b), int64(len(b))/archive.SectorSize)
	noerr(t, err)
	if s.UDF == nil || s.ISO == nil {
		t.Fatalf("a side can't be read: %v, %v", s.UDFErr, s.ISOErr)
	}
	return s
}

// hashes are those of every file of a side, by path.
func hashes(t *testing.T, fsys fs.FS) map[string]archive.Hash {
	t.Helper()
	found := map[string]archive.Hash{}
	noerr(t, fs.WalkDir(fsys, ".", func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := fs.ReadFile(fsys, p)
		found[p] = sha256.Sum256(b)
		return err
	}))
	return found
}

// TestEveryVersionIsRead: what was released is read by the present program, bit by bit as other programs read it then.
func TestEveryVersionIsRead(t *testing.T) {
	for _, version := range versions(t) {
		t.Run(version, func(t *testing.T) {
			discs, want := load(t, version)
			if len(discs) != 3 {
				t.Fatalf("%d discs", len(discs))
			}
			for name, d := range want.Discs {
				s := sides(t, discs[name])
				if got := hashes(t, s.UDF); !reflect.DeepEqual(got, d.UDF) {
					t.Errorf("%s: the UDF side has\n%v, want\n%v", name, got, d.UDF)
				}
				iso := map[string]int{}
				for _, h := range hashes(t, s.ISO) {
					iso[h.String()]++
				}
				if !reflect.DeepEqual(iso, d.ISO) {
					t.Errorf("%s: the ISO 9660 side has\n%v, want\n%v", name, iso, d.ISO)
				}
			}
			t.Run("archive", func(t *testing.T) { readArchive(t, discs) })
			t.Run("error correction", func(t *testing.T) { repair(t, discs[dataDisc]) })
			t.Run("set", func(t *testing.T) { rebuild(t, discs) })
			t.Run("snapshot", func(t *testing.T) { readSnapshot(t, discs[parityDisc]) })
		})
	}
}

// readArchive reads what the discs say of themselves, and the archive that lies on two of them.
func readArchive(t *testing.T, discs map[string][]byte) {
	var s survey.Survey
	for n, name := range []string{dataDisc, secondDisc, parityDisc} {
		fsys := sides(t, discs[name]).FS()
		noerr(t, s.Add(name, fsys))
		text, err := fs.ReadFile(fsys, catalogue.InfoName)
		noerr(t, err)
		d, err := catalogue.ReadInfo(text)
		noerr(t, err)
		id := imageID(n)
		if n == 2 {
			id = imageID(3)
		}
		if d.ImageID != id || d.Vault != "golden" || d.Policy == nil || d.Policy.VaultID != vaultID || d.Policy.Copies != 2 || d.LibraryID != libraryID || d.Capacity != capacity ||
			!d.Created.Equal(made) || d.Parity == nil || d.Parity.Set != setID || d.OfParity() != (name == parityDisc) {
			t.Errorf("%s says of itself %+v", name, d)
		}
	}
	if len(s.Doubts) > 0 {
		t.Error(s.Doubts)
	}
	archives := 0
	noerr(t, s.Report(func(a survey.Archive) error {
		archives++
		if a.ID != archiveID || !a.Whole() || a.Description != "the golden archive" || !a.Sealed.Equal(made) {
			t.Errorf("%+v", a)
		}
		return nil
	}))
	m, err := s.Missing()
	noerr(t, err)
	if archives != 1 || len(m.Discs) != 1 || m.Discs[0].Image != imageID(9) || len(m.Gaps) != 1 || len(m.Archives) != 0 {
		t.Errorf("%d archives, missing are %+v", archives, m)
	}
	f, err := sides(t, discs[secondDisc]).FS().Open(catalogue.ManifestPath(archiveID))
	noerr(t, err)
	defer f.Close()
	var got []archive.Entry
	r := catalogue.NewManifestReader(f)
	for e, err := range r.Entries() {
		noerr(t, err)
		got = append(got, e)
	}
	if want, _ := tree(); !reflect.DeepEqual(got, want) {
		t.Errorf("the manifest has\n%+v, want\n%+v", got, want)
	}
}

// repair damages as much of a disc as its error correction bears, and has it back bit by bit.
func repair(t *testing.T, whole []byte) {
	damaged := bytes.Clone(whole)
	source := ecc.Source{ReaderAt: bytes.NewReader(damaged)}
	h, err := ecc.Find(t.Context(), source, int64(len(whole))/archive.SectorSize)
	noerr(t, err)
	if report, err := ecc.Test(t.Context(), source, h, ecc.Options{}); err != nil || !report.Whole() || report.Bad() != 0 || h.Roots() < roots {
		t.Fatalf("%+v %v", report, err)
	}
	most := int64(h.Roots()) * h.Layer
	for i := range most {
		sector := (300 + i) * archive.SectorSize
		copy(damaged[sector:], noise(9, archive.SectorSize))
	}
	out := &memory{bytes.Clone(damaged)}
	report, err := ecc.Repair(t.Context(), source, out, h, ecc.Options{})
	if err != nil || report.Lost != 0 || report.Repairable != most || !bytes.Equal(out.b, whole) {
		t.Errorf("%+v %v", report, err)
	}
}

type memory struct{ b []byte }

func (m *memory) WriteAt(p []byte, off int64) (int, error) { return copy(m.b[off:], p), nil }

// rebuild makes each data disc anew from the other and the parity.
func rebuild(t *testing.T, discs map[string][]byte) {
	parity := discs[parityDisc]
	text, err := fs.ReadFile(sides(t, parity).FS(), discset.SetName)
	noerr(t, err)
	set, err := discset.ReadSet(text)
	noerr(t, err)
	for n, name := range []string{dataDisc, secondDisc} {
		p, checks, err := discset.OpenDisc(bytes.NewReader(parity), int64(len(parity))/archive.SectorSize)
		noerr(t, err)
		rec := &discset.Recovery{Set: set, Images: make([]io.ReaderAt, 4)}
		rec.Checks, err = discset.OpenChecks(set, checks)
		noerr(t, err)
		rec.Images[1-n] = bytes.NewReader(discs[[]string{dataDisc, secondDisc}[1-n]])
		rec.Images[3] = p
		var b bytes.Buffer
		_, err = rec.Rebuild(t.Context(), map[int]io.Writer{n: &b}, nil)
		noerr(t, err)
		if whole := discs[name]; !bytes.Equal(b.Bytes(), whole[:set.Members[n].Sectors*archive.SectorSize]) || set.Members[n].ImageID != imageID(n) {
			t.Errorf("%s is rebuilt as another", name)
		}
	}
	if got, err := fs.ReadFile(sides(t, parity).FS(), discset.DecoderName); err != nil || len(got) < 1000 {
		t.Errorf("the decoder has %d bytes, %v", len(got), err)
	}
}

func readSnapshot(t *testing.T, parity []byte) {
	b, err := fs.ReadFile(sides(t, parity).FS(), snapshot.Name)
	noerr(t, err)
	var got, want []snapshot.Record
	sum, err := snapshot.Read(bytes.NewReader(b), func(r snapshot.Record) error { got = append(got, r); return nil })
	noerr(t, err)
	now, err := snapshot.Read(bytes.NewReader(photograph(t)), func(r snapshot.Record) error { want = append(want, r); return nil })
	noerr(t, err)
	if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(sum.Header, now.Header) || !reflect.DeepEqual(sum.Records, now.Records) {
		t.Errorf("it says %+v\n%+v", sum, got)
	}
}

// TestAncestor: the catalogue of odarchive 0.1 is read as its discs have it.
func TestAncestor(t *testing.T) {
	f, err := os.Open(filepath.Join(folder, "ancestor-catalogue.json"))
	noerr(t, err)
	defer f.Close()
	c, err := catalogue.Read(f)
	noerr(t, err)
	var names []string
	for _, e := range c.Entries {
		names = append(names, e.Names...)
	}
	if c.Version != 2 || len(c.Discs) != 2 || !slices.Equal(names, []string{"letters/é a.txt", "letters/copy.txt", "empty"}) {
		t.Errorf("%d %d %q", c.Version, len(c.Discs), names)
	}
}

// TestNewestIsWritten: the program writes the discs of the newest version as they are. When this fails the disc format has changed.
func TestNewestIsWritten(t *testing.T) {
	all := versions(t)
	newest := all[len(all)-1]
	want, _ := load(t, newest)
	packed, err := fs.ReadFile(sides(t, want[parityDisc]).FS(), snapshot.Name)
	noerr(t, err)
	for name, b := range write(t, packed) {
		if !bytes.Equal(b, want[name]) {
			t.Errorf("%s is written otherwise than in version %s: see \"Changing the disc format\" in CONTRIBUTING.md", name, newest)
		}
	}
}

// TestWriteGolden writes the discs of a new version.
func TestWriteGolden(t *testing.T) {
	version := os.Getenv(variable)
	if version == "" {
		t.Skip("make golden VERSION=… does this")
	}
	dir := filepath.Join(folder, version)
	if strings.ContainsFunc(version, func(r rune) bool { return r != '.' && (r < '0' || r > '9') }) {
		t.Fatalf("%q is no version", version)
	}
	noerr(t, os.Mkdir(dir, 0o755)) // never over one that is there
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression))
	noerr(t, err)
	want := expected{Discs: map[string]disc{}}
	for name, b := range write(t, photograph(t)) {
		want.Discs[name] = found(t, b)
		noerr(t, os.WriteFile(filepath.Join(dir, name+".zst"), z.EncodeAll(b, nil), 0o644))
	}
	text, err := json.MarshalIndent(want, "", "  ")
	noerr(t, err)
	noerr(t, os.WriteFile(filepath.Join(dir, expectedName), append(text, '\n'), 0o644))
}

// found is what 7-Zip finds on a disc.
func found(t *testing.T, b []byte) disc {
	t.Helper()
	name := filepath.Join(t.TempDir(), "disc.iso")
	noerr(t, os.WriteFile(name, b, 0o600))
	d := disc{SHA256: sha256.Sum256(b), UDF: map[string]archive.Hash{}, ISO: map[string]int{}}
	for _, side := range []string{"udf", "iso"} {
		out := t.TempDir()
		if text, err := exec.Command("7z", "x", "-t"+side, "-o"+out, name).CombinedOutput(); err != nil {
			t.Fatalf("7z: %v\n%s", err, text)
		}
		noerr(t, filepath.WalkDir(out, func(p string, e fs.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			b, err := os.ReadFile(p)
			h := archive.Hash(sha256.Sum256(b))
			if side == "iso" {
				d.ISO[h.String()]++
			} else if p, err = filepath.Rel(out, p); err == nil {
				d.UDF[p] = h
			}
			return err
		}))
	}
	if len(d.UDF) == 0 || len(d.ISO) == 0 {
		t.Fatal(errors.New("7z finds nothing"))
	}
	return d
}
