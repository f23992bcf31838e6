package rebuild_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/discset"
	"github.com/odarchive/odarchive/archive/ecc"
	"github.com/odarchive/odarchive/archive/pack"
)

var made = time.Date(2026, 11, 28, 1, 2, 3, 0, time.UTC)

const (
	vaultID   = "00000000-0000-4000-8000-00000000aaaa"
	libraryID = "00000000-0000-4000-8000-00000000bbbb"
	setID     = "00000000-0000-4000-8000-00000000cccc"
)

func uuid(kind, n int) string { return fmt.Sprintf("%08d-0000-4000-8000-%012d", kind, n) }

// forge makes the discs of a library in a folder, as controller and agents make them.
type forge struct {
	testing.TB
	dir      string
	capacity int64 // sectors of a blank
	roots    int
	set      discset.Geometry
	archives []pack.Archive
	entries  map[string][]archive.Entry // by archive
	images   []string                   // files of the data images, in their order
	planned  []*pack.Image
	parity   []string // of the parity discs
	numbers  int      // of images made before
	first    int      // of archives made before
}

// bytesOf are the bytes of a content: its hash says which.
func bytesOf(seed uint64, size int64) []byte {
	b := make([]byte, size)
	var s [32]byte
	binary.LittleEndian.PutUint64(s[:], seed)
	rand.NewChaCha8(s).Read(b)
	return b
}

// archive adds an archive with so many files of size(i) bytes.
func (f *forge) archive(files int, size func(i int) int64) {
	n := f.first + len(f.archives)
	a := pack.Archive{Archive: catalogue.Archive{ID: uuid(5, n), Name: fmt.Sprintf("archive %d", n), Description: "made for a test", Sealed: made.Add(time.Duration(n) * time.Hour)}}
	entries := []archive.Entry{{Path: ".", Kind: archive.Dir, Mode: 0o755, ModTime: made}}
	for i := range files {
		p := fmt.Sprintf("d%02d/f%06d", i/1000, i)
		if i%1000 == 0 {
			entries = append(entries, archive.Entry{Path: fmt.Sprintf("d%02d", i/1000), Kind: archive.Dir, Mode: 0o755, ModTime: made})
		}
		var c archive.Content
		c.Size = size(i)
		f.content(&c, uint64(n)<<32|uint64(i))
		entries = append(entries, archive.Entry{Path: p, Kind: archive.File, Mode: 0o644, ModTime: made, Content: c})
		a.Files = append(a.Files, pack.File{Path: p, Content: c, Mode: 0o644, ModTime: made})
	}
	text, root := f.manifest(entries)
	a.RootHash, a.ManifestSize = root, int64(len(text))
	f.archives = append(f.archives, a)
	if f.entries == nil {
		f.entries = map[string][]archive.Entry{}
	}
	f.entries[a.ID] = entries
}

// content gives a content its hash.
func (f *forge) content(c *archive.Content, seed uint64) {
	c.Hash = sha256.Sum256(bytesOf(seed, c.Size))
	seeds[c.Hash] = seed
}

// seeds say which bytes a hash stands for.
var seeds = map[archive.Hash]uint64{}

func (f *forge) manifest(entries []archive.Entry) ([]byte, archive.Hash) {
	var b bytes.Buffer
	m := catalogue.NewManifestWriter(&b)
	for i := range entries {
		if err := m.WriteEntry(&entries[i]); err != nil {
			f.Fatal(err)
		}
	}
	h, _, err := m.Close()
	if err != nil {
		f.Fatal(err)
	}
	return b.Bytes(), h
}

// burn plans the archives and makes the images of all discs.
func (f *forge) burn() {
	f.Helper()
	room := pack.Room(f.capacity, f.roots)
	if f.set.Data > 0 {
		largest, err := discset.LargestImage(room, f.set)
		if err != nil {
			f.Fatal(err)
		}
		room = min(room, largest)
	}
	var err error
	if f.planned, err = pack.Plan(room, f.archives, f.disc); err != nil {
		f.Fatal(err)
	}
	for _, img := range f.planned {
		f.images = append(f.images, f.write(img))
	}
	for first := 0; f.set.Data > 0 && first < len(f.images); first += f.set.Data {
		f.seal(first, min(first+f.set.Data, len(f.images)))
	}
}

func (f *forge) disc() (catalogue.Disc, error) {
	n := f.numbers
	f.numbers++
	d := catalogue.NewDisc(uuid(1, n), int64(n), "films", libraryID, "site", "BD-R", made)
	d.Policy = &catalogue.Policy{VaultID: vaultID, Created: made, Copies: 1, Roots: f.roots}
	d.Protected, d.Capacity = f.roots > 0, f.capacity
	if f.set.Data > 0 {
		d.Parity = &catalogue.Parity{Set: f.setID(n), Index: n % f.set.Data, Data: f.set.Data, Images: f.set.Parity}
	}
	return d, nil
}

func (f *forge) setID(image int) string { return uuid(3, image/f.set.Data) }

func (f *forge) write(img *pack.Image) string {
	c, err := img.Compose()
	if err != nil {
		f.Fatal(err)
	}
	name := filepath.Join(f.dir, img.Disc.Label+".iso")
	file, err := os.Create(name)
	if err != nil {
		f.Fatal(err)
	}
	defer file.Close()
	err = c.Write(file, pack.Sources{
		Manifest: func(id string) (io.ReadCloser, error) {
			text, _ := f.manifest(f.entries[id])
			return io.NopCloser(bytes.NewReader(text)), nil
		},
		Run: func(r pack.Run) (io.ReadCloser, error) {
			all := bytesOf(seeds[r.Hash], r.Offset+r.Length)
			return io.NopCloser(bytes.NewReader(all[r.Offset:])), nil
		},
	})
	if err != nil {
		f.Fatal(err)
	}
	if f.roots > 0 {
		g, _, err := pack.Protect(f.capacity, f.roots, c.Layout.Sectors())
		if err == nil {
			err = ecc.Augment(context.Background(), file, file, ecc.Plan{Geometry: g}, ecc.Options{})
		}
		if err == nil {
			_, err = file.WriteAt(c.Layout.Tail(g.Sectors()), g.Sectors()*archive.SectorSize)
		}
		if err != nil {
			f.Fatal(err)
		}
	}
	return name
}

// seal makes the parity discs of images first to end.
func (f *forge) seal(first, end int) {
	acc, err := discset.Open(filepath.Join(f.dir, "set"), f.setID(first), f.set)
	if err != nil {
		f.Fatal(err)
	}
	defer func() {
		if err := acc.Close(); err != nil {
			f.Fatal(err)
		}
		if err := os.RemoveAll(filepath.Join(f.dir, "set")); err != nil {
			f.Fatal(err)
		}
	}()
	for i := first; i < end; i++ {
		file, err := os.Open(f.images[i])
		if err != nil {
			f.Fatal(err)
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			f.Fatal(err)
		}
		d := &f.planned[i].Disc
		c, err := f.planned[i].Compose()
		if err != nil {
			f.Fatal(err)
		}
		m := discset.Member{Index: i - first, ImageID: d.ImageID, Label: d.Label, Sectors: c.Layout.Sectors()}
		if whole := info.Size() / archive.SectorSize; whole > m.Sectors {
			m.DiscSectors = whole
		}
		if err := acc.Add(f.Context(), []discset.Source{{Member: m, Image: file}}, nil); err != nil {
			f.Fatal(err)
		}
	}
	var parities []discset.Parity
	for range f.set.Parity {
		n := f.numbers
		f.numbers++
		parities = append(parities, discset.Parity{ImageID: uuid(1, n), Label: catalogue.LabelOf(int64(n))})
	}
	set, err := acc.Seal(parities, made)
	if err != nil {
		f.Fatal(err)
	}
	for i := range parities {
		disc, err := set.Compose(i, discset.Extras{})
		if err != nil {
			f.Fatal(err)
		}
		name := filepath.Join(f.dir, parities[i].Label+".iso")
		file, err := os.Create(name)
		if err != nil {
			f.Fatal(err)
		}
		defer file.Close()
		if err := disc.Write(file, func(name string) (io.ReadCloser, error) {
			if name == discset.ChecksName {
				return acc.OpenChecks()
			}
			return acc.OpenParity(i)
		}); err != nil {
			f.Fatal(err)
		}
		f.parity = append(f.parity, name)
	}
}

// carried is how many bytes of contents the image has, and missing how many of the archives' bytes none of the given images has.
func (f *forge) missing(here []string) (n int64) {
	for i, img := range f.planned {
		if slices.Contains(here, f.images[i]) {
			continue
		}
		seen := map[archive.Hash]bool{}
		for _, x := range img.Files {
			if !seen[x.Content.Hash] {
				seen[x.Content.Hash] = true
				n += x.Length
			}
		}
	}
	return n
}
