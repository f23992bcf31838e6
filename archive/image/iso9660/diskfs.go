package iso9660

import (
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/diskfs/go-diskfs/filesystem/iso9660"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/image/extent"
)

// Diskfs is the tree of a volume as go-diskfs reads it, which somebody else wrote: where files lie and how long they are is what it says.
// It is used by one goroutine. go-diskfs is not made for hostile images: they end it with an error, before it panics, reads without an end or
// makes room for what isn't there. A directory may have 512 MiB, and takes up to some twenty times as much memory while it is read.
//
// What go-diskfs loses of names comes from whoever asks for one: the first dot and the last one of a file's name, `;1` at its end, and what is beyond the
// first piece of a Rock Ridge name, some 200 bytes. So several files may go by one name; Find returns all. Of several directories that
// it can't tell apart only the first can be entered. The runs of a file of several sections it takes for files of one name; here they
// are joined.
type Diskfs struct {
	r     io.ReaderAt
	s     *storage
	other *iso9660.FileSystem
	dirs  map[string]*theirs // by the path that it has there
	kept  int                // records in dirs
}

// theirs is a directory as go-diskfs lists it.
type theirs struct {
	all   []seen
	names map[string][]int // places in all
	above int64            // bytes that it and the directories above it have
}

// mostKept is how many records are kept: more than the largest disc has.
const mostKept = 1 << 22

// OpenDiskfs opens the volume in the first sectors sectors of r.
func OpenDiskfs(r io.ReaderAt, sectors int64) (*Diskfs, error) {
	d := &Diskfs{r: r, s: &storage{r: r, size: sectors * archive.SectorSize}, dirs: map[string]*theirs{}}
	var err error
	d.other, err = d.s.open()
	return d, err
}

// list reads a directory, of size bytes as the one above it says.
func (d *Diskfs) list(name string, size int64) (*theirs, error) {
	if l, ok := d.dirs[name]; ok {
		return l, nil
	}
	d.s.allow(size)
	all, err := d.s.readDir(d.other, name)
	if err != nil {
		return nil, err
	}
	if d.kept += len(all); d.kept > mostKept { // directories that share their records
		clear(d.dirs)
		d.kept = len(all)
	}
	l := &theirs{all: all, names: make(map[string][]int, len(all)), above: size}
	for i, s := range all {
		l.names[s.name] = append(l.names[s.name], i)
	}
	d.dirs[name] = l
	return l, nil
}

// called returns what may be left of a name, likelier places first.
func (l *theirs) called(name string) (places []int) {
	const piece = 100 // bytes that the first piece of a long name has at least
	places = l.names[name]
	for n := len(name) - 1; n >= piece; n-- {
		places = append(places[:len(places):len(places)], l.names[name[:n]]...)
	}
	return places
}

// Find returns the files that may be the one called name, likelier ones first. fs.ErrNotExist says that there is none.
func (d *Diskfs) Find(name string) ([]*extent.File, error) {
	files, err := d.find(name)
	if err == nil && len(files) == 0 {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return files, nil
}

func (d *Diskfs) find(name string) (files []*extent.File, err error) {
	elements := strings.Split(name, "/")
	dir, size := ".", d.s.root
	for _, e := range elements[:len(elements)-1] {
		l, err := d.list(dir, size)
		if err != nil {
			return nil, err
		}
		places := l.called(e)
		i := slices.IndexFunc(places, func(i int) bool { return l.all[i].dir })
		if i < 0 {
			return nil, fs.ErrNotExist
		}
		if err := enterable(l.all, l.all[places[i]].name, d.s.size); err != nil {
			return nil, err
		}
		dir, size = path.Join(dir, l.all[places[i]].name), l.above+l.all[places[i]].size
	}
	l, err := d.list(dir, size)
	if err != nil {
		return nil, err
	}
	last := elements[len(elements)-1]
	for _, i := range l.called(strings.TrimPrefix(strings.TrimSuffix(strings.TrimSuffix(last, ";1"), "."), ".")) {
		if l.all[i].dir || i > 0 && l.all[i-1].name == l.all[i].name && full(l.all[i-1].size) {
			continue
		}
		files = append(files, d.file(l, i, last))
	}
	return files, nil
}

// file joins the sections of the file that begins at place i.
func (d *Diskfs) file(l *theirs, i int, name string) *extent.File {
	extents := []extent.Extent{{Sector: l.all[i].sector, Length: l.all[i].size}}
	size := l.all[i].size
	for ; full(l.all[i].size) && i+1 < len(l.all) && l.all[i+1].name == l.all[i].name; i++ {
		extents = append(extents, extent.Extent{Sector: l.all[i+1].sector, Length: l.all[i+1].size})
		size += l.all[i+1].size
	}
	return extent.NewFile(&extent.Info{Base: name, Bytes: size, Bits: 0o444}, extent.NewReader(d.r, extents))
}

// full says that a section is so long that another one may follow: the most whole sectors that 32 bits count.
func full(size int64) bool { return size >= 1<<32-2*archive.SectorSize && size%archive.SectorSize == 0 }

// Open opens the likeliest file of that name. Directories can't be opened.
func (d *Diskfs) Open(name string) (fs.File, error) {
	files, err := d.Find(name)
	if err != nil {
		return nil, err
	}
	return files[0], nil
}
