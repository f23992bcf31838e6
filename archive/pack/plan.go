package pack

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/image"
)

// ErrTooSmall says that discs are too small for what must be on one: a manifest, or what a disc says about itself.
var ErrTooSmall = errors.New("the disc is too small")

// Archive is an archive with the files that need a place.
type Archive struct {
	catalogue.Archive // without Directory
	// Files are in ascending order of paths in the archive; all names of a content are there.
	Files []File
}

// File is a name of a content in an archive.
type File struct {
	Path    string
	Content archive.Content
	Mode    uint32
	ModTime time.Time
}

// Image is one image of a plan.
type Image struct {
	Disc  catalogue.Disc
	Files []catalogue.File // in ascending order of paths on the disc
	// Open says that more could go on it: the plan ended before it was full.
	Open bool
}

// Compose composes the image.
func (i *Image) Compose() (*Composition, error) { return Compose(&i.Disc, i.Files) }

// Plan puts the files of archives, in their order and that of paths, onto images of at most capacity sectors each. Neighbours stay
// together; a file that is larger than a two-hundredth of a disc is split where a disc ends, any other goes to the next one. Begin
// is asked for each image's disc, without archives.
func Plan(capacity int64, archives []Archive, begin func() (catalogue.Disc, error)) ([]*Image, error) {
	p := &planner{capacity: capacity, begin: begin, placed: map[archive.Hash]bool{}}
	for i := range archives {
		if err := p.archive(&archives[i]); err != nil {
			return nil, fmt.Errorf("plan archive %s: %w", archives[i].ID, err)
		}
	}
	return p.finish(), nil
}

type planner struct {
	capacity int64
	begin    func() (catalogue.Disc, error)
	images   []*building
	now      *building // nil before the first
	placed   map[archive.Hash]bool
}

// building is an image that is being filled.
type building struct {
	image    Image
	estimate *image.Estimate
	lists    catalogue.Size
	names    int64 // bytes of NAMES.TSV at most
	taken    map[string]bool
	own      int64                            // sectors of README.txt and disc_info.json
	contents map[archive.Hash]*catalogue.File // a name of each
	files    []*catalogue.File
}

// group is a content with all its names in one archive.
type group struct {
	files []File
}

func groups(files []File) []group {
	index := make(map[archive.Hash]int, len(files))
	var all []group
	for _, f := range files {
		i, ok := index[f.Content.Hash]
		if !ok {
			i = len(all)
			index[f.Content.Hash] = i
			all = append(all, group{})
		}
		all[i].files = append(all[i].files, f)
	}
	return all
}

func (p *planner) archive(a *Archive) error {
	all := groups(a.Files)
	var on *building // the image to which the archive was added last
	join := func() (err error) {
		if on != nil && on == p.now {
			return nil
		}
		fits := false
		if p.now != nil {
			if fits, err = p.now.addArchive(a, all, p.capacity); err != nil {
				return err
			}
		}
		if !fits {
			if err := p.next(); err != nil {
				return err
			}
			if fits, err = p.now.addArchive(a, all, p.capacity); err != nil {
				return err
			}
			if !fits {
				return fmt.Errorf("its manifest of %d bytes and what a disc says about itself take more than %d sectors: %w", a.ManifestSize, p.capacity, ErrTooSmall)
			}
		}
		on = p.now
		return nil
	}
	if err := join(); err != nil {
		return err
	}
	for _, g := range all {
		c := g.files[0].Content
		if p.placed[c.Hash] {
			continue
		}
		p.placed[c.Hash] = true
		for offset := int64(0); ; {
			if err := join(); err != nil {
				return err
			}
			n := p.now.take(p.capacity, on.directory(a), g, offset)
			if n < 0 {
				if on.fresh(a) {
					return fmt.Errorf("%q does not fit onto an empty disc of %d sectors: %w", g.files[0].Path, p.capacity, ErrTooSmall)
				}
				if err := p.next(); err != nil {
					return err
				}
				continue
			}
			if offset += n; offset == c.Size {
				break
			}
			if err := p.next(); err != nil { // the disc is full: it ends where the content is split
				return err
			}
		}
	}
	return nil
}

func (p *planner) next() error {
	disc, err := p.begin()
	if err != nil {
		return err
	}
	disc.Archives = nil
	p.now = &building{
		image: Image{Disc: disc}, estimate: image.NewEstimate(), lists: catalogue.NewSize(&disc), names: int64(len(catalogue.NamesHead)),
		taken: map[string]bool{}, contents: map[archive.Hash]*catalogue.File{},
	}
	p.now.estimate.Protected = disc.Protected
	for _, name := range ownNames {
		p.now.estimate.AddFile(name, 0)
		p.now.estimate.AddContent(0)
	}
	p.images = append(p.images, p.now)
	return p.now.describe()
}

// somePart stands for the number of a part, and of parts, until that is known; it has as many digits as they may have.
const somePart = 9999

// number numbers the parts of contents that are split: they lie on images in their order.
func (p *planner) number() {
	parts := map[archive.Hash]int{}
	for _, last := range []bool{false, true} {
		for _, b := range p.images {
			here := map[archive.Hash]bool{}
			for _, f := range b.files {
				switch h := f.Content.Hash; {
				case f.Parts == 0:
				case last:
					f.Parts = parts[h]
				default:
					if !here[h] {
						here[h] = true
						parts[h]++
					}
					f.Part = parts[h]
				}
			}
		}
	}
}

// finish numbers the parts and puts every image's files in order.
func (p *planner) finish() []*Image {
	p.number()
	images := make([]*Image, len(p.images))
	for i, b := range p.images {
		img := &b.image
		for _, f := range b.files {
			img.Files = append(img.Files, *f)
		}
		slices.SortFunc(img.Files, func(a, b catalogue.File) int { return strings.Compare(a.DiscPath(), b.DiscPath()) })
		slices.SortFunc(img.Disc.Archives, func(a, b catalogue.Archive) int { return strings.Compare(a.Directory, b.Directory) })
		img.Open = i == len(p.images)-1
		images[i] = img
	}
	return images
}

// describe counts what depends on the disc and its archives alone.
func (b *building) describe() error {
	info, err := catalogue.Info(&b.image.Disc)
	if err != nil {
		return err
	}
	b.own = archive.Sectors(int64(len(catalogue.Readme(&b.image.Disc)))) + archive.Sectors(int64(len(info)))
	return nil
}

// sectors returns how many sectors the image takes at most.
func (b *building) sectors() int64 {
	return b.estimate.Sectors(b.own + archive.Sectors(b.names) + archive.Sectors(b.lists.Catalogue) + archive.Sectors(b.lists.Sums))
}

func (b *building) directory(a *Archive) string {
	for i := range b.image.Disc.Archives {
		if b.image.Disc.Archives[i].ID == a.ID {
			return b.image.Disc.Archives[i].Directory
		}
	}
	return ""
}

// fresh says that the image holds nothing but a's manifest.
func (b *building) fresh(a *Archive) bool {
	return len(b.files) == 0 && len(b.image.Disc.Archives) == 1 && b.image.Disc.Archives[0].ID == a.ID
}

// addArchive adds an archive's manifest, and its names of contents that are on the image already. It says whether that fits.
func (b *building) addArchive(a *Archive, all []group, capacity int64) (bool, error) {
	names := int64(0)
	for _, g := range all {
		if b.contents[g.files[0].Content.Hash] != nil {
			for _, f := range g.files {
				names += nameCost(f.Path)
			}
		}
	}
	if b.sectors()+archive.Sectors(a.ManifestSize)+overhead+names > capacity {
		return false, nil
	}
	entry := a.Archive
	entry.Directory = catalogue.DirectoryName(a.Name, b.taken)
	b.image.Disc.Archives = append(b.image.Disc.Archives, entry)
	b.estimate.AddContent(a.ManifestSize)
	b.estimate.AddFile(catalogue.ManifestPath(a.ID), a.ManifestSize)
	for _, g := range all {
		if b.contents[g.files[0].Content.Hash] != nil {
			for i := range g.files {
				b.addName(entry.Directory, &g.files[i])
			}
		}
	}
	return true, b.describe()
}

// addName adds one more name of a content that is on the image, whole or in part.
func (b *building) addName(directory string, f *File) {
	like := b.contents[f.Content.Hash]
	named := catalogue.File{
		Path: directory + "/" + f.Path, Content: f.Content, Offset: like.Offset, Length: like.Length, Part: like.Part, Parts: like.Parts, Mode: f.Mode, ModTime: f.ModTime,
	}
	b.files = append(b.files, &named)
	b.estimate.AddFile(named.DiscPath(), named.Length)
	b.count(&named)
	b.lists.AddName(&named)
}

// count counts a name's line in NAMES.TSV.
func (b *building) count(f *catalogue.File) {
	if p := f.DiscPath(); !image.Holds(p) {
		b.names += int64(len(catalogue.AppendMapping(nil, p, p, p))) + 3*4*9 // each side's name is no longer, but for a piece of hash
	}
}

// overhead is more than a file or an archive adds to an image besides its data and its names, in sectors.
const overhead = 16

// nameCost is more than a name adds to an image, in sectors: its lines in the lists, its records and those of new directories.
func nameCost(path string) int64 {
	return archive.Sectors(int64(14*len(path))+1000) + 5*int64(strings.Count(path, "/")+1)
}

// take puts as much of a content, from offset on, onto the image as goes there by the rules, with all its names, and returns how
// many bytes that were; -1 when it belongs onto the next image.
func (b *building) take(capacity int64, directory string, g group, offset int64) int64 {
	c := g.files[0].Content
	cost := int64(overhead)
	for _, f := range g.files {
		cost += nameCost(f.Path)
	}
	room := (capacity - b.sectors() - cost) * archive.SectorSize
	n := c.Size - offset
	if n > room {
		if room < 0 {
			return -1
		}
		whole := capacity * archive.SectorSize
		if n <= whole/200 || room < max(whole/1000, archive.SectorSize) {
			return -1
		}
		n = room
	}
	part := 0
	if offset > 0 || n < c.Size {
		part = somePart
	}
	var files []catalogue.File
	for _, f := range g.files {
		named := catalogue.File{
			Path: directory + "/" + f.Path, Content: c, Offset: offset, Length: n, Part: part, Parts: part, Mode: f.Mode, ModTime: f.ModTime,
		}
		files = append(files, named)
		b.estimate.AddFile(named.DiscPath(), n)
		b.count(&named)
	}
	b.estimate.AddContent(n)
	b.lists.Add(files)
	b.contents[c.Hash] = &files[0]
	for i := range files {
		b.files = append(b.files, &files[i])
	}
	return n
}
