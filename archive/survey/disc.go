package survey

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"
	"strings"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/discset"
	"github.com/odarchive/odarchive/archive/ecc"
	"github.com/odarchive/odarchive/archive/excerpt"
	"github.com/odarchive/odarchive/archive/image"
	"github.com/odarchive/odarchive/archive/image/extent"
)

// Disc is what a disc says of itself, and what only its sectors say. Nothing of its lists is kept: they are read when they are asked for.
// It is used by one goroutine.
type Disc struct {
	// Disc is disc_info.json. Of a parity disc it has ImageID and Label only.
	catalogue.Disc
	Sectors int64 // of the whole image as it was burned
	Data    int64 // of it without its error correction
	Layer   int64 // of each layer of its error correction; 0: none
	// Set is what a parity disc says of its set, Description the bytes of that, and Parity the number of its parity file, from 0.
	// Set is nil for other discs.
	Set         *discset.Set
	Description []byte
	ParityFile  int

	fsys fs.FS
	r    io.ReaderAt
	// named has every content looked up by its name: its files don't lie in the order of its list.
	named bool
}

// Extent is a run of a content, and where it lies on the disc.
type Extent struct {
	catalogue.Carried
	Sector int64 // the first; 0 for an empty one
}

// Member is a data image of a set, as the set's parity discs name it.
type Member struct {
	Set   string // UUID
	Index int
	Image string // UUID
	Label string
}

// ErrOrder says that the contents of a disc don't lie in the order of its list. Its Extents can be asked for once more then.
var ErrOrder = errors.New("its files don't lie in the order of its list")

// Open reads what an image of so many sectors says of itself, or a disc with some more. Damage that its error correction can repair is repaired in
// passing. It returns ErrNoVault for a disc that was made without a library.
func Open(ctx context.Context, r io.ReaderAt, sectors int64) (*Disc, error) {
	d := &Disc{Sectors: sectors, Data: sectors}
	source := ecc.Source{ReaderAt: r, Unreadable: unreadable}
	h, err := ecc.FindQuickly(ctx, source, sectors)
	switch {
	case err == nil:
		whole, err := ecc.NewReader(source, h)
		if err != nil {
			return nil, err
		}
		r = whole
		d.Data, d.Layer, d.Sectors = h.Data, h.Layer, image.Closed(h.Sectors())
	case !errors.Is(err, ecc.ErrNotFound):
		return nil, err
	}
	return d, d.open(r, d.Layer == 0)
}

// unreadable says of every error that it is of a bad sector, but where an excerpt says that nobody has read it: there is nothing to repair then.
func unreadable(err error) bool {
	_, absent := errors.AsType[*excerpt.AbsentError](err)
	return !absent
}

// OpenMember reads what a data image of a set says of itself, which its set gives back: r has the sectors that the set protects.
func OpenMember(r io.ReaderAt, m *discset.Member) (*Disc, error) {
	d := &Disc{Sectors: max(m.DiscSectors, m.Sectors), Data: m.Sectors}
	if d.Sectors > d.Data {
		d.Layer = (d.Sectors - 1) / 255 // image.Closed
	}
	return d, d.open(r, false)
}

// Reader reads the disc's data, without its error correction, from sector 0 on.
func (d *Disc) Reader() io.ReaderAt { return d.r }

// open opens the file systems in r. With shorten the image may be shorter than what it was read from.
func (d *Disc) open(r io.ReaderAt, shorten bool) error {
	sides, err := image.Open(r, d.Data)
	if err != nil {
		return err
	}
	if shorten && sides.ISO != nil && sides.ISO.Space <= d.Sectors {
		d.Data, d.Sectors = sides.ISO.Space, sides.ISO.Space
	}
	d.fsys, d.r = sides.FS(), r
	id, err := image.ReadIdentity(r)
	if err != nil {
		return fmt.Errorf("read its identity: %w", err)
	}
	return d.read(uuidOf(id.ID), id.Label)
}

func uuidOf(id [16]byte) string {
	x := hex.EncodeToString(id[:])
	return x[:8] + "-" + x[8:12] + "-" + x[12:16] + "-" + x[16:20] + "-" + x[20:]
}

// read reads disc_info.json; of a parity disc set.json, which says all that is needed, and of the first ones is all that there is.
func (d *Disc) read(id, label string) error {
	b, err := small(d.fsys, catalogue.InfoName)
	if errors.Is(err, fs.ErrNotExist) {
		return d.parity(id, label)
	} else if err != nil {
		return err
	}
	info, err := catalogue.ReadInfo(b)
	if err != nil {
		return err
	}
	if info.ImageID == "" || info.LibraryID == "" {
		return ErrNoVault
	}
	if info.ImageID = strings.ToLower(info.ImageID); info.ImageID != id {
		return fmt.Errorf("it is disc %s by its volume descriptor and %s by %s", id, info.ImageID, catalogue.InfoName)
	}
	if info.OfParity() {
		return d.parity(id, label)
	}
	d.Disc = *info
	return nil
}

func (d *Disc) parity(id, label string) error {
	b, err := small(d.fsys, discset.SetName)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNoVault
	} else if err != nil {
		return err
	}
	set, err := discset.ReadSet(b)
	if err != nil {
		return err
	}
	for i, p := range set.Parities {
		if p.ImageID == id {
			d.Set, d.Description, d.ParityFile = set, b, i
			d.ImageID, d.Label, d.Created = id, label, set.Created
			return nil
		}
	}
	return fmt.Errorf("it is disc %s, and no parity disc of the set that it describes", id)
}

// File opens one of the disc's own files.
func (d *Disc) File(name string) (fs.File, error) { return d.fsys.Open(name) }

// Manifest opens the disc's manifest of an archive, buffered for reading it once.
func (d *Disc) Manifest(archiveID string) (io.ReadCloser, error) {
	return d.fsys.Open(catalogue.ManifestPath(archiveID))
}

// Extents returns what the disc carries in the order of its sectors, and ends with the first error. After ErrOrder it can be called once
// more: it looks every content up by name then.
func (d *Disc) Extents() iter.Seq2[Extent, error] {
	return func(yield func(Extent, error) bool) {
		if d.Set != nil {
			return
		}
		list, err := d.fsys.Open(catalogue.CatalogName)
		if err != nil {
			yield(Extent{}, err)
			return
		}
		defer list.Close()
		at, err := d.first()
		if err != nil {
			yield(Extent{}, err)
			return
		}
		n, last := 0, Extent{}
		for c, err := range catalogue.Scan(list) {
			x := Extent{Carried: c}
			if err == nil {
				err = d.place(&x, &at, n)
			}
			if !yield(x, err) || err != nil {
				return
			}
			n, last = n+1, x
		}
		if err := d.check(last); err != nil {
			yield(Extent{}, err)
		}
	}
}

// sampled is how often a content is looked up by its name, to see that the order of the list is that of the sectors.
const sampled = 256

// place says where content n of the list lies: at, when the contents before it end there.
func (d *Disc) place(x *Extent, at *int64, n int) error {
	if d.named {
		file, err := d.lookUp(x)
		if err == nil && file == nil {
			err = fmt.Errorf("%q is not to be found on it", x.Name)
		}
		if err != nil || x.Length == 0 {
			return err
		}
		x.Sector = file[0].Sector
		return whole(file, x)
	}
	if x.Length > 0 {
		x.Sector = *at
		if *at += archive.Sectors(x.Length); *at > d.Data {
			return d.disorder()
		}
	}
	if n%sampled == 0 {
		return d.check(*x)
	}
	return nil
}

// check looks up whether a content lies where it should.
func (d *Disc) check(x Extent) error {
	if d.named || x.Length == 0 {
		return nil
	}
	file, err := d.lookUp(&x)
	if err != nil || file == nil {
		return err // a name that the disc can't hold as it is says nothing
	}
	if whole(file, &x) != nil {
		return d.disorder()
	}
	return nil
}

func (d *Disc) disorder() error {
	d.named = true
	return ErrOrder
}

// whole says whether a file is just the extent: one run of sectors, from its first on.
func whole(file []extent.Extent, x *Extent) error {
	at, length := x.Sector, int64(0)
	for _, e := range file {
		if e.Sector != at {
			return fmt.Errorf("%q is not one run of sectors", x.Name)
		}
		at += archive.Sectors(e.Length)
		length += e.Length
	}
	if length != x.Length {
		return fmt.Errorf("%q has %d bytes, its list says %d", x.Name, length, x.Length)
	}
	return nil
}

// lookUp returns where a content's first name lies; nil where that name is not on the disc as it is.
func (d *Disc) lookUp(x *Extent) ([]extent.Extent, error) {
	name := catalogue.PartName(x.Name, x.Part, x.Parts)
	if x.Name == "" || !image.Holds(path.Join(catalogue.DataDir, name)) {
		return nil, nil
	}
	return d.extents(catalogue.DataDir + "/" + name)
}

func (d *Disc) extents(name string) ([]extent.Extent, error) {
	f, err := d.fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	file, ok := f.(*extent.File)
	if !ok {
		return nil, fmt.Errorf("%s is not a file", name)
	}
	return file.Extents(), nil
}

// first returns the sector behind the disc's own files: archived contents begin there.
func (d *Disc) first() (at int64, err error) {
	own := []string{catalogue.ReadmeName, catalogue.InfoName, catalogue.NamesName, catalogue.CatalogName, catalogue.SumsName}
	for i := range d.Archives {
		own = append(own, catalogue.ManifestPath(d.Archives[i].ID))
	}
	for _, name := range own {
		file, err := d.extents(name)
		if err != nil {
			return 0, err
		}
		for _, e := range file {
			at = max(at, e.Sector+archive.Sectors(e.Length))
		}
	}
	return at, nil
}

// Checksums opens the checksums of a parity disc's set, which it has all of.
func (d *Disc) Checksums() (*discset.Checks, error) {
	r, err := d.readerAt(discset.ChecksName)
	if err != nil {
		return nil, err
	}
	return discset.OpenChecks(d.Set, r)
}

// ParityReader returns the parity file of a parity disc.
func (d *Disc) ParityReader() (io.ReaderAt, error) { return d.readerAt(discset.ParityFile) }

func (d *Disc) readerAt(name string) (io.ReaderAt, error) {
	f, err := d.fsys.Open(name)
	if err != nil {
		return nil, err
	}
	r, ok := f.(io.ReaderAt)
	if !ok {
		return nil, errors.Join(fmt.Errorf("%s can't be read at any place", name), f.Close())
	}
	return r, nil
}

// NumberOf returns the number of an image by its label, when that is one of a library's.
func NumberOf(label string) (n int64, ok bool) {
	if _, err := fmt.Sscanf(label, "OD_%d", &n); err != nil || n < 0 {
		return 0, false
	}
	return n, catalogue.LabelOf(n) == label
}
