package golden

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/discset"
	"github.com/odarchive/odarchive/archive/ecc"
	"github.com/odarchive/odarchive/archive/pack"
	"github.com/odarchive/odarchive/archive/snapshot"
)

// Names of a version's discs. The first two are the data images of the set whose parity the third has; the first has error correction of its own.
const (
	dataDisc   = "data.iso"
	secondDisc = "second.iso"
	parityDisc = "parity.iso"
)

var (
	made   = time.Date(2026, 11, 28, 10, 0, 0, 0, time.UTC)
	ofFile = time.Date(1999, 12, 31, 23, 59, 59, 123456789, time.UTC)
)

const (
	vaultID   = "0da7c41e-0000-4000-8000-000000000001"
	libraryID = "0da7c41e-0000-4000-8000-000000000002"
	setID     = "0da7c41e-0000-4000-8000-000000000003"
	archiveID = "0da7c41e-0000-4000-8000-000000000004"
	roots     = 8
	capacity  = 11826176 // sectors
)

func imageID(n int) string { return fmt.Sprintf("0da7c41e-0000-4000-8000-0000000001%02d", n) }

// noise is bytes that don't compress, the same ones every time.
func noise(seed byte, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

func noerr(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// tree is the archive that lies on the two data discs: the kinds of entries that there are, names that file systems can't hold, a file that is split.
func tree() (entries []archive.Entry, contents map[archive.Hash][]byte) {
	contents = map[archive.Hash][]byte{}
	add := func(e archive.Entry, data []byte) {
		e.UID, e.GID, e.ModTime = 1000, 100, ofFile
		if e.Kind == archive.File {
			e.Content = archive.Content{Hash: sha256.Sum256(data), Size: int64(len(data))}
			contents[e.Content.Hash] = data
		}
		entries = append(entries, e)
	}
	text := []byte("What is written here was written in 2026.\n")
	add(archive.Entry{Path: ".", Kind: archive.Dir, Mode: 0o755}, nil)
	add(archive.Entry{Path: "bad\xffname", Kind: archive.File, Mode: 0o644}, []byte("its name is not UTF-8"))
	add(archive.Entry{Path: "deep", Kind: archive.Dir, Mode: 0o700}, nil)
	add(archive.Entry{Path: "deep/empty", Kind: archive.File, Mode: 0o600}, nil)
	add(archive.Entry{Path: "deep/" + strings.Repeat("long", 63), Kind: archive.File, Mode: 0o644}, []byte("its name has 252 characters"))
	add(archive.Entry{Path: "letter.txt", Kind: archive.File, Mode: 0o755, Xattrs: map[string][]byte{"user.note": {0, 1, 255}}}, text)
	add(archive.Entry{Path: "link", Kind: archive.Symlink, Mode: 0o777, Target: "deep/../letter.txt"}, nil)
	add(archive.Entry{Path: "same", Kind: archive.File, Mode: 0o755, HardLink: "letter.txt"}, text)
	add(archive.Entry{Path: "split", Kind: archive.File, Mode: 0o644}, noise(1, 5*archive.SectorSize+100))
	add(archive.Entry{Path: "Überseekiste 📀", Kind: archive.File, Mode: 0o644}, noise(2, 3000))
	// What compresses well here fills the disc, so that its error correction, which doesn't, is small.
	add(archive.Entry{Path: "zeros", Kind: archive.File, Mode: 0o644}, make([]byte, 160*archive.SectorSize))
	slices.SortFunc(entries, func(a, b archive.Entry) int { return strings.Compare(a.Path, b.Path) })
	return entries, contents
}

// onDisc are the files of disc n: the first has all but the end of the split one.
func onDisc(entries []archive.Entry, n int) (files []catalogue.File) {
	const first = 3 * archive.SectorSize
	for _, e := range entries {
		f := catalogue.File{Path: "a/" + e.Path, Content: e.Content, Length: e.Content.Size, Mode: e.Mode, ModTime: e.ModTime}
		switch {
		case e.Kind != archive.File:
			continue
		case e.Path == "split" && n == 0:
			f.Length, f.Part, f.Parts = first, 1, 2
		case e.Path == "split":
			f.Offset, f.Length, f.Part, f.Parts = first, e.Content.Size-first, 2, 2
		case n == 1:
			continue
		}
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b catalogue.File) int { return strings.Compare(a.DiscPath(), b.DiscPath()) })
	return files
}

// write makes the discs of the version that the program writes now, all but the snapshot, whose compression may change without its form.
func write(t *testing.T, snapshot []byte) map[string][]byte {
	t.Helper()
	entries, contents := tree()
	var manifest bytes.Buffer
	m := catalogue.NewManifestWriter(&manifest)
	for i := range entries {
		noerr(t, m.WriteEntry(&entries[i]))
	}
	root, size, err := m.Close()
	noerr(t, err)
	discs := map[string][]byte{}
	acc, err := discset.Open(t.TempDir(), setID, discset.Geometry{Data: 3, Parity: 1})
	noerr(t, err)
	defer acc.Close()
	for n, name := range []string{dataDisc, secondDisc} {
		d := catalogue.NewDisc(imageID(n), int64(n+1), "golden", libraryID, "north", "BD-R", made)
		d.Policy = &catalogue.Policy{VaultID: vaultID, Created: made, Copies: 2, MaxWait: time.Hour, Roots: (1 - n) * roots}
		d.Parity = &catalogue.Parity{Set: setID, Index: n, Data: 3, Images: 1}
		d.Protected, d.Capacity = n == 0, capacity
		d.Archives = []catalogue.Archive{{
			ID: archiveID, Name: "a", Description: "the golden archive", Directory: "a", RootHash: root, ManifestSize: size, Sealed: made,
		}}
		c, err := pack.Compose(&d, onDisc(entries, n))
		noerr(t, err)
		var b bytes.Buffer
		noerr(t, c.Write(&b, pack.Sources{
			Manifest: func(string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(manifest.Bytes())), nil },
			Run: func(r pack.Run) (io.ReadCloser, error) {
				return io.NopCloser(bytes.NewReader(contents[r.Hash][r.Offset : r.Offset+r.Length])), nil
			},
		}))
		data := c.Layout.Sectors()
		discs[name] = b.Bytes()
		if n == 0 {
			discs[name] = augmented(t, b.Bytes(), data, c.Layout.Tail)
		}
		member := discset.Member{Index: n, ImageID: d.ImageID, Label: d.Label, Sectors: data}
		if whole := int64(len(discs[name])) / archive.SectorSize; whole != data {
			member.DiscSectors = whole
		}
		noerr(t, acc.Add(t.Context(), []discset.Source{{Member: member, Image: bytes.NewReader(discs[name])}}, nil))
	}
	d := catalogue.NewDisc(imageID(3), 3, "golden", libraryID, "north", "BD-R", made)
	d.Policy = &catalogue.Policy{VaultID: vaultID, Created: made, Copies: 2, MaxWait: time.Hour, Roots: roots}
	d.Parity = &catalogue.Parity{Set: setID, Index: 3, Data: 3, Images: 1}
	d.Capacity = capacity
	info, err := catalogue.Info(&d)
	noerr(t, err)
	set, err := acc.Seal([]discset.Parity{{ImageID: d.ImageID, Label: d.Label}}, made)
	noerr(t, err)
	disc, err := set.Compose(0, discset.Extras{Info: info, Snapshot: discset.Blob{Size: int64(len(snapshot)), SHA256: sha256.Sum256(snapshot)}})
	noerr(t, err)
	var b bytes.Buffer
	noerr(t, disc.Write(&b, func(name string) (io.ReadCloser, error) {
		switch name {
		case discset.ChecksName:
			return acc.OpenChecks()
		case discset.ParityFile:
			return acc.OpenParity(0)
		}
		return io.NopCloser(bytes.NewReader(snapshot)), nil
	}))
	discs[parityDisc] = b.Bytes()
	return discs
}

// augmented adds error correction to an image of so many sectors, and what closes the disc.
func augmented(t *testing.T, b []byte, sectors int64, tail func(int64) []byte) []byte {
	t.Helper()
	g, err := ecc.Shrink(sectors, roots)
	noerr(t, err)
	f, err := os.CreateTemp(t.TempDir(), "")
	noerr(t, err)
	defer f.Close()
	_, err = f.Write(b)
	noerr(t, err)
	noerr(t, ecc.Augment(context.Background(), f, f, ecc.Plan{Geometry: g}, ecc.Options{}))
	_, err = f.WriteAt(tail(g.Sectors()), g.Sectors()*archive.SectorSize)
	noerr(t, err)
	whole, err := os.ReadFile(f.Name())
	noerr(t, err)
	return whole
}

// photograph makes a snapshot such as the parity disc carries.
func photograph(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := snapshot.NewWriter(&b, snapshot.Header{
		ID: imageID(50), Taken: made, Library: libraryID, Set: setID, Number: 1, Follows: &snapshot.Link{ID: imageID(51), SHA256: archive.Hash{1}},
	}, 0)
	noerr(t, err)
	at, zero, one, measured := made, 0, 1, 1.5
	for _, r := range []snapshot.Record{
		&snapshot.Vault{ID: vaultID, Name: "golden", Created: made, Copies: 2, MaxWait: 3600, Roots: roots, Scrub: 86400 * 365, SetData: 3, SetParity: 1, SetWait: 86400, HealAt: "migrate_now"},
		&snapshot.Library{ID: libraryID, Name: "north", Model: "CAC-V3000", EvacuationLimit: 86400},
		&snapshot.Set{
			ID: setID, Vault: vaultID, Library: libraryID, Medium: "BD-R", Capacity: capacity, Data: 3, Parity: 1, State: "sealed", Created: made, Closed: &at,
			Parities: []snapshot.Numbered{{ID: imageID(3), Number: 3}},
		},
		&snapshot.Image{ID: imageID(0), Number: 1, Vault: vaultID, Library: libraryID, Medium: "BD-R", Sectors: 1000, Created: made, Copies: 2, SHA256: &archive.Hash{1}, Set: setID, Index: &zero},
		&snapshot.Image{ID: imageID(1), Number: 2, Vault: vaultID, Library: libraryID, Medium: "BD-R", Sectors: 1000, Created: made, Copies: 2, SHA256: &archive.Hash{2}, Set: setID, Index: &one},
		&snapshot.Image{ID: imageID(9), Number: 9, Vault: vaultID, Library: libraryID, Medium: "BD-R", Sectors: 1000, Created: made, Copies: 2, SHA256: &archive.Hash{3}},
		&snapshot.Disc{Label: "0001", Library: libraryID, Medium: "BD-R", Capacity: capacity, State: "good", Image: imageID(0), Recorded: 1000, Burned: &at, Verified: &at, Lot: "2026/7", Grade: "healthy"},
		&snapshot.Archive{ID: archiveID, Vault: vaultID, Name: "a", Description: "the golden archive", Entries: 10, Bytes: 1, Sealed: made, State: "safe", Safe: &at},
		&snapshot.Step{Disc: "0001", At: made, Step: "retry", Drive: 2, Detail: "sector 7"},
		&snapshot.Reading{
			Disc: "0001", Library: libraryID, Drive: 2, What: "scrub", Begun: made, Finished: made, Good: true, Sectors: 1000, Done: 1000, Seconds: 1.5, Retries: 1,
			Metric: "BER", Measured: &measured, Regions: []snapshot.Region{{Number: 0, First: 0, Sectors: 16, Drive: 2, Seconds: 1, Retries: 1, Sense: "03/11/05"}},
		},
	} {
		noerr(t, w.Write(r))
	}
	_, err = w.Close()
	noerr(t, err)
	return b.Bytes()
}
