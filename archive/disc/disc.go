// Package disc opens discs for whoever restores from them: images, drives' devices, and folders where a disc is mounted or was copied
// to. It reads through damage as far as a disc's own error correction goes, and finds files under whatever names a side gives them.
// It knows what discs say of themselves; which files are wanted it does not.
package disc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/image/extent"
	"github.com/odarchive/odarchive/archive/image/iso9660"
	"github.com/odarchive/odarchive/archive/image/udf"
)

// Side says which file system of a disc is read.
type Side int

// The sides of a disc.
const (
	Any    Side = iota // UDF, or where that can't be read ISO 9660
	UDF                // by this program's own reader
	Diskfs             // ISO 9660 with Rock Ridge, by go-diskfs
)

// ErrFolder says that a folder has no sides: the system that mounted it has chosen.
var ErrFolder = errors.New("a folder has no sides: give the image or device")

// Disc is a disc that can be read. It is used by one goroutine.
type Disc struct {
	Where string // file, device or folder
	// Info is what the disc says of itself; nil for one without disc_info.json.
	Info *catalogue.Disc

	want   Side
	fsys   fs.FS
	source *source // nil for a folder
	closer io.Closer
	udf    map[string]string // names on the UDF side, where they are others
	iso    map[string]string
	// directories by archive
	directory map[string]string
}

// maxSmall bounds what is read into memory of a disc's small files, in bytes.
const maxSmall = 64 << 20

// Open opens a side of the disc at where. Reading ends with ctx.
func Open(ctx context.Context, where string, side Side) (*Disc, error) {
	d := &Disc{Where: where, want: side}
	err := d.find(ctx)
	if err == nil {
		err = d.read()
	}
	if err != nil {
		return nil, d.failed(err)
	}
	return d, nil
}

// New opens the disc whose first sectors sectors r has, as good as they can be had: they are not repaired any further. where is what it
// is called in errors.
func New(ctx context.Context, where string, r io.ReaderAt, sectors int64, side Side) (*Disc, error) {
	d := &Disc{Where: where, want: side, source: newSource(ctx, r, sectors)}
	d.source.looked = true
	if err := d.read(); err != nil {
		return nil, d.failed(err)
	}
	return d, nil
}

func (d *Disc) failed(err error) error {
	err = fmt.Errorf("open disc %s: %w", d.Where, err)
	if d.closer != nil {
		err = errors.Join(err, d.closer.Close())
	}
	return err
}

// find opens what is at Where.
func (d *Disc) find(ctx context.Context) error {
	info, err := os.Stat(d.Where)
	if err != nil {
		return err
	}
	if info.IsDir() {
		if d.want != Any {
			return ErrFolder
		}
		root, err := os.OpenRoot(d.Where)
		if err != nil {
			return err
		}
		d.closer, d.fsys = root, folder{root}
		return nil
	}
	f, err := os.Open(d.Where)
	if err != nil {
		return err
	}
	d.closer = f
	size, err := f.Seek(0, io.SeekEnd) // of a device too
	if err != nil {
		return err
	}
	d.source = newSource(ctx, f, size/archive.SectorSize)
	return nil
}

// read reads what the disc says of itself. What makes no sense is read again with every sector held against its checksum, where there
// are checksums.
func (d *Disc) read() error {
	err := d.describe()
	if err == nil || d.source == nil || !d.source.doubt() {
		return err
	}
	if again := d.describe(); again != nil {
		return err
	}
	return nil
}

func (d *Disc) describe() error {
	if d.source != nil {
		if err := d.side(); err != nil {
			return err
		}
	}
	d.Info, d.udf, d.iso, d.directory = nil, map[string]string{}, map[string]string{}, map[string]string{}
	b, err := d.Small(catalogue.InfoName)
	if errors.Is(err, fs.ErrNotExist) && !isDamage(err) {
		return nil
	} else if err != nil {
		return err
	}
	if d.Info, err = catalogue.ReadInfo(b); err != nil {
		return err
	}
	for _, a := range d.Info.Archives {
		d.directory[a.ID] = a.Directory
	}
	b, err = d.Small(catalogue.NamesName)
	if errors.Is(err, fs.ErrNotExist) && !isDamage(err) {
		return nil // a parity disc, or odarchive 0.1's
	} else if err != nil {
		return err
	}
	mapped, err := catalogue.ReadMappings(strings.NewReader(string(b)))
	if err != nil {
		return err
	}
	for _, m := range mapped {
		d.udf[m.Original], d.iso[m.Original] = base(m.UDF), base(m.ISO)
	}
	return nil
}

// isDamage tells a file that isn't there from one of which that can't be said, because a part of its directory can't be read.
func isDamage(err error) bool {
	_, damaged := errors.AsType[*extent.Error](err)
	return damaged
}

func base(p string) string { return p[strings.LastIndexByte(p, '/')+1:] }

// side opens a file system of the image.
func (d *Disc) side() error {
	if d.want == Diskfs {
		volume, err := iso9660.OpenDiskfs(d.source, d.source.sectors)
		if err == nil {
			d.fsys = volume
		}
		return err
	}
	volume, err := udf.Open(d.source, d.source.sectors)
	if err == nil {
		d.fsys = volume
		return nil
	}
	if d.want == UDF {
		return err
	}
	other, isoErr := iso9660.Open(d.source, d.source.sectors)
	if isoErr != nil {
		return errors.Join(err, isoErr)
	}
	d.fsys = other
	return nil
}

// folder is a mounted disc. Unlike an fs.FS it takes names that are not UTF-8.
type folder struct{ root *os.Root }

func (f folder) Open(name string) (fs.File, error) { return f.root.Open(name) }

// Close closes the disc.
func (d *Disc) Close() error {
	if d.closer == nil {
		return nil
	}
	return d.closer.Close()
}

// Small reads a file of the disc's own whole; it may have up to 64 MiB.
func (d *Disc) Small(name string) ([]byte, error) {
	f, err := d.fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSmall+1))
	if err == nil && len(b) > maxSmall {
		err = fmt.Errorf("%s has more than %d bytes", name, maxSmall)
	}
	return b, err
}

// File opens a file by the path that it has on the disc, whatever the side that is read calls it. Where the disc is an image or a
// device, or is mounted, the file is an io.ReaderAt.
func (d *Disc) File(path string) (fs.File, error) {
	if d.want == Diskfs {
		return d.fsys.Open(catalogue.Renamed(d.iso, path))
	}
	f, err := d.fsys.Open(catalogue.Renamed(d.udf, path))
	if err == nil || len(d.iso) == 0 {
		return f, err
	}
	if f, other := d.fsys.Open(catalogue.Renamed(d.iso, path)); other == nil {
		return f, nil
	}
	return nil, err
}

// Files opens the files that may be the one at a path, which has size bytes: more than one only where a side's reader can't tell them
// apart. It returns one at least, or an error.
func (d *Disc) Files(path string, size int64) (all []fs.File, err error) {
	volume, ok := d.fsys.(*iso9660.Diskfs)
	if !ok {
		f, err := d.File(path)
		return []fs.File{f}, err
	}
	found, err := volume.Find(catalogue.Renamed(d.iso, path))
	if err != nil {
		return nil, err
	}
	for _, f := range found {
		if f.Size() == size {
			all = append(all, f)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("open %s: it has %d bytes, not %d", path, found[0].Size(), size)
	}
	return all, nil
}

// FS returns the side of the disc that is read.
func (d *Disc) FS() fs.FS { return d.fsys }

// UDFPath returns what a path on the disc is called on its UDF side.
func (d *Disc) UDFPath(path string) string { return catalogue.Renamed(d.udf, path) }

// Directory returns where the files of an archive are, below Data, and whether the disc speaks of that archive.
func (d *Disc) Directory(archiveID string) (string, bool) {
	dir, ok := d.directory[archiveID]
	return dir, ok
}

// Catalogue reads the catalogue on the disc: of its set, or in a library of its own files.
func (d *Disc) Catalogue() (*catalogue.Catalogue, error) {
	f, err := d.File(catalogue.CatalogName)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return catalogue.Read(f)
}

// Manifest reads the manifest of an archive whose SHA-256 is root.
func (d *Disc) Manifest(archiveID string, root archive.Hash) ([]archive.Entry, error) {
	f, err := d.File(catalogue.ManifestPath(archiveID))
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	defer f.Close()
	return catalogue.ReadManifest(f, root)
}

// Sectors returns the disc's sectors and how many there are, repaired where the disc can do that itself; nil for a folder.
func (d *Disc) Sectors() (io.ReaderAt, int64) {
	if d.source == nil {
		return nil, 0
	}
	return d.source, d.source.sectors
}

// Carefully calls read while every sector that is read is held against its checksum, where the disc has error correction of its own:
// for what nothing else proves, and what has turned out to be wrong. It says whether there are checksums; otherwise read is not called.
func (d *Disc) Carefully(read func() error) (bool, error) {
	if d.source == nil {
		return false, nil
	}
	before := d.source.careful
	if !before && !d.source.doubt() {
		return false, nil
	}
	defer func() { d.source.careful = before }()
	if !before { // what was read of directories may be wrong too
		if err := d.side(); err != nil {
			return true, err
		}
	}
	return true, read()
}

// Repaired returns how many sectors came from the disc's own error correction, each as often as it was read.
func (d *Disc) Repaired() int64 {
	if d.source == nil {
		return 0
	}
	return d.source.repaired
}
