// Package image lays out, serves and reads the sectors of a disc: a UDF 1.02 and ISO 9660 bridge with one copy of the data. A
// Layout is a pure function of what it is given and holds metadata only; contents are asked for when their sectors are. It
// knows nothing of what the files mean.
//
// Sources: ECMA-167 3rd edition (volume and file structure), OSTA UDF 1.02 (its restriction), ECMA-119 (ISO 9660),
// IEEE P1281 (SUSP) and P1282 (RRIP 1.10).
package image

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/odarchive/odarchive/archive"
)

const sectorSize = archive.SectorSize

// Options are what an image has besides its files.
type Options struct {
	// Label is the volume identifier on both sides: 1 to 15 characters of A-Z, 0-9 and '_'.
	Label string
	// ID is the image's UUID. Its first 16 hexadecimal digits begin the UDF volume set identifier, which blkid shows.
	ID [16]byte
	// Time is when the image was made: the only time in it besides those of files. Whole seconds, UTC.
	Time time.Time
	// Protected makes an image whose end is left to in-disc error correction: see Tail.
	Protected bool
}

// Content is a run of bytes that one or more files of the image share.
type Content struct {
	Size int64 // bytes
}

// File is a name on the image.
type File struct {
	// Path is relative to the image's root, elements separated by '/', in any bytes; see archive.ValidPath.
	Path string
	// Content is an index into the contents.
	Content int
	// Mode's execute bits are kept; everybody may read everything.
	Mode    uint32
	ModTime time.Time
}

// Errors that callers decide by.
var (
	ErrTooLarge = errors.New("more than an image can hold")
	ErrSource   = errors.New("a content is not what the layout was made for")
)

// maxContent is what one File Entry describes: 234 short allocation descriptors of 2^30-2048 bytes (ECMA-167 4/14.14.1.1).
const maxContent = maxADs * maxExtent

// inode is a content with what the files that share it say about it.
type inode struct {
	size  int64
	lba   int64 // of its first sector; 0 for an empty one
	mode  uint32
	mtime time.Time
	links uint16
}

// directory is a directory of the image.
type directory struct {
	name     string
	path     string
	parent   int
	depth    int
	iso      string  // identifier on the ISO side
	children []int32 // a file's index, or ^index of a directory; in ascending order of ISO identifiers once laid out
	ids      []string
	udf      map[int32]string // names on the UDF side that are not those of the archive
	rock     map[int32]string // the same for Rock Ridge
	subdirs  int

	fidLength  int64 // bytes of the UDF directory
	fidBlock   int64 // its first block in the partition
	isoLBA     int64
	isoSectors int64 // of records
	ceSectors  int64 // of continuation areas, right behind
}

// Layout is where everything on an image lies. It is immutable; its methods may be called by several goroutines.
type Layout struct {
	options Options
	files   []File
	inodes  []inode
	dirs    []directory

	fidBlocks  int64 // blocks of all UDF directories
	isoStart   int64 // first sector of the path tables
	tableBytes int64
	dataStart  int64
	dataEnd    int64
	sectors    int64
}

// New lays out an image. Contents lie on it in their order; files must be in ascending order of path bytes, each path once. The
// slices belong to the Layout from now on.
func New(o Options, contents []Content, files []File) (*Layout, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	l := &Layout{options: o, files: files, inodes: make([]inode, len(contents))}
	for i, c := range contents {
		if c.Size < 0 || c.Size > maxContent {
			return nil, fmt.Errorf("lay out image: content %d of %d bytes: %w", i, c.Size, ErrTooLarge)
		}
		l.inodes[i].size = c.Size
	}
	if err := l.plant(); err != nil {
		return nil, err
	}
	if err := l.name(); err != nil {
		return nil, err
	}
	l.place()
	return l, nil
}

func (o *Options) validate() error {
	if n := len(o.Label); n == 0 || n > 15 || strings.ContainsFunc(o.Label, func(r rune) bool { return !dCharacter(r) }) {
		return fmt.Errorf("lay out image: label %q: want 1 to 15 characters of A-Z, 0-9 and '_'", o.Label)
	}
	if o.Time.Nanosecond() != 0 {
		return fmt.Errorf("lay out image: time %v has fractions of a second", o.Time)
	}
	return nil
}

// plant makes the tree of directories.
func (l *Layout) plant() error {
	l.dirs = []directory{{}}
	known := map[string]int{"": 0}
	var lookup func(dir string) int
	lookup = func(dir string) int {
		if d, ok := known[dir]; ok {
			return d
		}
		parentPath, name := path.Split(dir)
		parent := lookup(strings.TrimSuffix(parentPath, "/"))
		d := len(l.dirs)
		known[dir] = d
		l.dirs = append(l.dirs, directory{name: name, path: dir, parent: parent, depth: l.dirs[parent].depth + 1})
		l.dirs[parent].children = append(l.dirs[parent].children, ^int32(d))
		l.dirs[parent].subdirs++
		return d
	}
	for i := range l.files {
		f := &l.files[i]
		if err := archive.ValidPath(f.Path); err != nil || f.Path == "." {
			return fmt.Errorf("lay out image: file %d: %w", i, cmp.Or(err, errors.New("it is the root")))
		}
		if i > 0 && f.Path <= l.files[i-1].Path {
			return fmt.Errorf("lay out image: %q does not come after %q", f.Path, l.files[i-1].Path)
		}
		if f.Content < 0 || f.Content >= len(l.inodes) {
			return fmt.Errorf("lay out image: %q has content %d of %d", f.Path, f.Content, len(l.inodes))
		}
		n := &l.inodes[f.Content]
		if n.links == 0 {
			n.mode, n.mtime = f.Mode, f.ModTime
		}
		if n.links < 1<<16-1 {
			n.links++
		}
		d := lookup(parentOf(f.Path))
		l.dirs[d].children = append(l.dirs[d].children, int32(i))
	}
	for i := range l.files {
		if _, ok := known[l.files[i].Path]; ok {
			return fmt.Errorf("lay out image: %q is a file and a directory", l.files[i].Path)
		}
	}
	return nil
}

func parentOf(p string) string {
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		return p[:i]
	}
	return ""
}

// childName returns the name of a child in the archive's bytes.
func (l *Layout) childName(child int32) string {
	if child < 0 {
		return l.dirs[^child].name
	}
	p := l.files[child].Path
	return p[strings.LastIndexByte(p, '/')+1:]
}

// order puts directories into the order of path tables: by depth, then the parent's number, then the identifier (ECMA-119 §6.9.1).
func (l *Layout) order() {
	number := make([]int, len(l.dirs)) // old index → new
	sorted := make([]int, 1, len(l.dirs))
	for done := 0; done < len(sorted); done++ {
		number[sorted[done]] = done
		// The children are in the order of their identifiers already.
		for _, c := range l.dirs[sorted[done]].children {
			if c < 0 {
				sorted = append(sorted, int(^c))
			}
		}
	}
	dirs := make([]directory, len(l.dirs))
	for to, from := range sorted {
		d := l.dirs[from]
		d.parent = number[d.parent]
		for i, c := range d.children {
			if c < 0 {
				d.children[i] = ^int32(number[^c])
			}
		}
		d.udf, d.rock = renumber(d.udf, number), renumber(d.rock, number)
		dirs[to] = d
	}
	l.dirs = dirs
}

func renumber(names map[int32]string, number []int) map[int32]string {
	if names == nil {
		return nil
	}
	out := make(map[int32]string, len(names))
	for c, name := range names {
		if c < 0 {
			c = ^int32(number[^c])
		}
		out[c] = name
	}
	return out
}

// Sectors returns how many sectors the image has: a multiple of 32, the cluster of BD-R (64 KiB), so that no burner pads it. A
// protected image has as many as it needs, which ISO 9660's volume space says too: what protects it begins at that sector.
func (l *Layout) Sectors() int64 { return l.sectors }

// Sector returns the first sector of a content; 0 for an empty one.
func (l *Layout) Sector(content int) int64 { return l.inodes[content].lba }

// Mapping is a path of which a side of the image holds other names.
type Mapping struct{ Path, UDF, Rock string }

// Mapped returns the files and directories whose own name a side can't hold, in ascending order of paths, with the names there.
func (l *Layout) Mapped() []Mapping {
	var all []Mapping
	for i := range l.dirs {
		d := &l.dirs[i]
		for _, c := range d.children {
			udf, u := d.udf[c]
			rock, r := d.rock[c]
			if !u && !r {
				continue
			}
			name := l.childName(c)
			all = append(all, Mapping{path.Join(d.path, name), path.Join(d.path, cmp.Or(udf, name)), path.Join(d.path, cmp.Or(rock, name))})
		}
	}
	slices.SortFunc(all, func(a, b Mapping) int { return strings.Compare(a.Path, b.Path) })
	return all
}
