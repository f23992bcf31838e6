package rescue

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/discset"
	"github.com/odarchive/odarchive/archive/ecc"
	"github.com/odarchive/odarchive/archive/pack"
	"github.com/odarchive/odarchive/archive/tree"
)

const capacity = 2048 // sectors of the discs in tests: 4 MiB

var made = time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)

func uuid(n int) string { return fmt.Sprintf("00000000-0000-0000-0000-%012d", n) }

// vault is a vault whose discs are made as the controller and its agents make them: archives are packed, each content once in the
// vault, images are composed, protected, and share parity.
type vault struct {
	testing.TB
	dir    string // of everything
	roots  int
	placed map[archive.Hash]bool
	names  []string          // of archives, in their order
	source map[string]string // folders by id
	images []string          // files of data discs, in the order of their numbers
	layout []*pack.Composition
	data   []int64 // sectors of the images without what protects them
	ids    []string
	parity *catalogue.Parity
}

func newVault(t testing.TB, dir string, roots int) *vault {
	return &vault{TB: t, dir: dir, roots: roots, placed: map[archive.Hash]bool{}, source: map[string]string{}}
}

func (v *vault) must(err error) {
	v.Helper()
	if err != nil {
		v.Fatal(err)
	}
}

// fill makes a folder with what file systems offer, large files among it.
func (v *vault) fill(seed byte, large int) string {
	dir, err := os.MkdirTemp(v.dir, "source")
	v.must(err)
	random := rand.NewChaCha8([32]byte{seed})
	write := func(name string, size int) {
		p := filepath.Join(dir, name)
		b := make([]byte, size)
		random.Read(b)
		v.must(errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, b, 0o640), os.Chtimes(p, made, time.Unix(int64(random.Uint64()>>34), 123456789))))
	}
	for i := range 30 {
		write(fmt.Sprintf("many/d%d/file %02d", i/10, i), int(random.Uint64()%60_000))
	}
	write("large", large)
	write("empty", 0)
	write(strings.Repeat("é", 120), 100)
	write("not\xffutf8\\", 5000)
	write("new\nline", 100)
	at := func(name string) string { return filepath.Join(dir, name) }
	v.must(os.WriteFile(at("same in all"), bytes.Repeat([]byte("the same "), 10_000), 0o600))
	v.must(os.WriteFile(at("many/copy"), bytes.Repeat([]byte("the same "), 10_000), 0o4755))
	v.must(errors.Join(os.Link(at("large"), at("hard link")), os.Symlink("../\xffnowhere", at("symlink")), os.Mkdir(at("nothing"), 0o711), os.Chmod(at("nothing"), 0o1711)))
	if err := unix.Setxattr(at("empty"), "user.note", []byte("\x00\xff"), 0); err != nil && !errors.Is(err, unix.ENOTSUP) {
		v.Fatal(err)
	}
	v.must(os.Chtimes(dir, made, made))
	return dir
}

// archive burns an archive of a folder onto new discs.
func (v *vault) archive(name, folder string) string {
	v.Helper()
	entries, err := tree.Scan(v.Context(), folder, tree.Options{})
	v.must(err)
	var text bytes.Buffer
	m := catalogue.NewManifestWriter(&text)
	a := pack.Archive{Archive: catalogue.Archive{ID: uuid(500 + len(v.names)), Name: name, Sealed: made.Add(time.Duration(len(v.names)) * time.Hour)}}
	from := map[archive.Hash]string{}
	for i := range entries {
		e := &entries[i]
		v.must(m.WriteEntry(e))
		if e.Kind == archive.File && !v.placed[e.Content.Hash] {
			a.Files = append(a.Files, pack.File{Path: e.Path, Content: e.Content, Mode: e.Mode, ModTime: e.ModTime})
			from[e.Content.Hash] = filepath.Join(folder, e.Path)
		}
	}
	a.RootHash, a.ManifestSize, err = m.Close()
	v.must(err)
	n := len(v.images)
	images, err := pack.Plan(pack.Room(capacity, v.roots), []pack.Archive{a}, func() (catalogue.Disc, error) {
		n++
		d := catalogue.NewDisc(uuid(n), int64(n), "photos", uuid(9999), "north", "BD-R", made)
		d.Policy = &catalogue.Policy{VaultID: uuid(7777), Created: made, Copies: 1, Roots: v.roots}
		d.Protected = v.roots > 0
		if v.parity != nil {
			p := *v.parity
			p.Index = n - 1
			d.Parity = &p
		}
		return d, nil
	})
	v.must(err)
	for _, img := range images {
		v.burn(img, text.Bytes(), from)
	}
	for h := range from {
		v.placed[h] = true
	}
	v.names = append(v.names, name)
	v.source[a.ID] = folder
	return a.ID
}

func (v *vault) burn(img *pack.Image, manifest []byte, from map[archive.Hash]string) {
	v.Helper()
	c, err := img.Compose()
	v.must(err)
	file := filepath.Join(v.dir, img.Disc.Label+".iso")
	f, err := os.Create(file)
	v.must(err)
	defer f.Close()
	v.must(c.Write(f, pack.Sources{
		Manifest: func(string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(manifest)), nil },
		Run: func(r pack.Run) (io.ReadCloser, error) {
			f, err := os.Open(from[r.Hash])
			return struct {
				io.Reader
				io.Closer
			}{io.NewSectionReader(f, r.Offset, r.Length), f}, err
		},
	}))
	if v.roots > 0 {
		g, _, err := pack.Protect(capacity, v.roots, c.Layout.Sectors())
		v.must(err)
		v.must(ecc.Augment(v.Context(), f, f, ecc.Plan{Geometry: g}, ecc.Options{}))
		_, err = f.WriteAt(c.Layout.Tail(g.Sectors()), g.Sectors()*archive.SectorSize)
		v.must(err)
	}
	v.images, v.layout = append(v.images, file), append(v.layout, c)
	v.data, v.ids = append(v.data, c.Layout.Sectors()), append(v.ids, img.Disc.ImageID)
}

// parityDiscs makes the parity discs of all data discs.
func (v *vault) parityDiscs(g discset.Geometry) (files []string) {
	v.Helper()
	a, err := discset.Open(filepath.Join(v.TempDir(), "set"), v.parity.Set, g)
	v.must(err)
	defer a.Close()
	var sources []discset.Source
	for i, name := range v.images {
		b, err := os.ReadFile(name)
		v.must(err)
		b = b[:v.data[i]*archive.SectorSize]
		m := discset.Member{Index: i, ImageID: v.ids[i], Label: catalogue.LabelOf(int64(i + 1)), Sectors: v.data[i], SHA256: sha256.Sum256(b)}
		sources = append(sources, discset.Source{Member: m, Image: bytes.NewReader(b)})
	}
	v.must(a.Add(v.Context(), sources, nil))
	var parities []discset.Parity
	for i := range g.Parity {
		parities = append(parities, discset.Parity{ImageID: uuid(3000 + i), Label: fmt.Sprintf("PARITY_%d", i)})
	}
	s, err := a.Seal(parities, made)
	v.must(err)
	for i := range g.Parity {
		info := catalogue.NewDisc(parities[i].ImageID, int64(1000+i), "photos", uuid(9999), "north", "BD-R", made)
		var x discset.Extras
		if i == 0 { // the others are as they were before there were such
			x.Info, err = catalogue.Info(&info)
			v.must(err)
		}
		d, err := s.Compose(i, x)
		v.must(err)
		file := filepath.Join(v.dir, fmt.Sprintf("parity%d.iso", i))
		f, err := os.Create(file)
		v.must(err)
		v.must(errors.Join(d.Write(f, func(name string) (io.ReadCloser, error) {
			if name == discset.ChecksName {
				return a.OpenChecks()
			}
			return a.OpenParity(i)
		}), f.Close()))
		files = append(files, file)
	}
	return files
}

// without returns the data discs but one.
func (v *vault) without(i int) []string { return slices.Delete(slices.Clone(v.images), i, i+1) }

// compare compares a restored archive with its source.
func (v *vault) compare(a *Archive) {
	v.Helper()
	diff, err := tree.Compare(v.Context(), v.source[a.ID], a.Folder, os.Geteuid() == 0)
	v.must(err)
	for _, d := range diff {
		v.Errorf("%s: %s", a.Name, d)
	}
}

// whole restores from discs and wants everything back as it was.
func (v *vault) whole(r *Restore, places ...string) *Report {
	v.Helper()
	if r.Target == "" {
		r.Target = filepath.Join(v.TempDir(), "back")
	}
	r.Owners = os.Geteuid() == 0
	report, err := r.Run(v.Context(), places)
	v.must(err)
	for i := range report.Archives {
		if a := &report.Archives[i]; !a.Whole() {
			v.Errorf("%s: %d files are absent; %v", a.Name, len(a.Absent), report.Doubts)
		} else if len(r.Paths) == 0 && v.source != nil {
			v.compare(a)
		}
	}
	return report
}

// damage writes over sectors of an image: with a dead sector marker, or with noise that nobody is told of.
func (v *vault) damage(file string, dead bool, sectors ...int64) {
	v.Helper()
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	v.must(err)
	defer f.Close()
	for _, s := range sectors {
		b := bytes.Repeat([]byte{0xA5}, archive.SectorSize)
		if dead {
			ecc.PutDead(b, s, [16]byte{})
		}
		_, err := f.WriteAt(b, s*archive.SectorSize)
		v.must(err)
	}
}

// copyOf returns the discs with a copy in place of number i, to be damaged.
func (v *vault) copyOf(i int) (all []string, file string) {
	v.Helper()
	b, err := os.ReadFile(v.images[i])
	v.must(err)
	file = filepath.Join(v.TempDir(), "copy.iso")
	v.must(os.WriteFile(file, b, 0o600))
	all = slices.Clone(v.images)
	all[i] = file
	return all, file
}
