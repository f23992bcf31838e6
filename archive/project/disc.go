package project

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/image/iso9660"
	"github.com/odarchive/odarchive/archive/image/udf"
)

// Disc is a disc of a set that can be read: an image, a drive's device, or a folder where one is mounted or was copied to.
type Disc struct {
	Where   string // file or folder
	Info    *catalogue.Disc
	fsys    fs.FS
	closer  io.Closer
	udf     map[string]string // names on the UDF side, where they are others
	iso     map[string]string
	archive map[string]string // directories by archive
}

// maxInfo bounds what is read into memory of a disc's small files, in bytes.
const maxInfo = 64 << 20

// OpenDisc opens the disc at where. The UDF side of an image is read, or else the ISO 9660 side.
func OpenDisc(where string) (_ *Disc, err error) {
	d := &Disc{Where: where, udf: map[string]string{}, iso: map[string]string{}, archive: map[string]string{}}
	defer func() {
		if err != nil {
			err = fmt.Errorf("open disc %s: %w", where, err)
			if d.closer != nil {
				err = errors.Join(err, d.closer.Close())
			}
		}
	}()
	if err := d.open(); err != nil {
		return nil, err
	}
	b, err := d.small(catalogue.InfoName)
	if err != nil {
		return nil, err
	}
	if d.Info, err = catalogue.ReadInfo(b); err != nil {
		return nil, err
	}
	if d.Info.SetID == "" {
		return nil, errors.New("it belongs to no disc set that was made without a library")
	}
	for _, a := range d.Info.Archives {
		d.archive[a.ID] = a.Directory
	}
	if b, err = d.small(catalogue.NamesName); err != nil {
		return nil, err
	}
	mapped, err := catalogue.ReadMappings(strings.NewReader(string(b)))
	if err != nil {
		return nil, err
	}
	for _, m := range mapped {
		d.udf[m.Original], d.iso[m.Original] = base(m.UDF), base(m.ISO)
	}
	return d, nil
}

func base(p string) string { return p[strings.LastIndexByte(p, '/')+1:] }

func (d *Disc) open() error {
	info, err := os.Stat(d.Where)
	if err != nil {
		return err
	}
	if info.IsDir() {
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
	volume, err := udf.Open(f, size/archive.SectorSize)
	if err == nil {
		d.fsys = volume
		return nil
	}
	other, isoErr := iso9660.Open(f, size/archive.SectorSize)
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
func (d *Disc) Close() error { return d.closer.Close() }

func (d *Disc) small(name string) ([]byte, error) {
	f, err := d.fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxInfo+1))
	if err == nil && len(b) > maxInfo {
		err = fmt.Errorf("%s has more than %d bytes", name, maxInfo)
	}
	return b, err
}

// File opens a file by the path that it has on the disc, whatever the side that is read calls it.
func (d *Disc) File(path string) (io.ReadCloser, error) {
	f, err := d.fsys.Open(catalogue.Renamed(d.udf, path))
	if err == nil || len(d.iso) == 0 {
		return f, err
	}
	if f, other := d.fsys.Open(catalogue.Renamed(d.iso, path)); other == nil {
		return f, nil
	}
	return nil, err
}

// catalogue reads the catalogue of the disc's set.
func (d *Disc) catalogue() (*catalogue.Catalogue, error) {
	f, err := d.File(catalogue.CatalogName)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return catalogue.Read(f)
}
