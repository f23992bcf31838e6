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

// Plan puts the files of archives, in their order and that of paths, onto images of at most capacity sectors each. A folder of less
// than a gigabyte stays on one disc; what room it leaves is given to the largest of what follows that fits. Where that leaves more than
// a four-hundredth of a disc, a file that is larger than a two-hundredth of a disc is split so that the disc is full to its last
// sector, or a folder is divided. Begin is asked for each image's disc, without archives.
func Plan(capacity int64, archives []Archive, begin func() (catalogue.Disc, error)) ([]*Image, error) {
	capacity -= capacity % cluster // images have whole clusters
	p := &planner{capacity: capacity, begin: begin, placed: map[archive.Hash]bool{}}
	for i := range archives {
		if err := p.archive(&archives[i]); err != nil {
			return nil, fmt.Errorf("plan archive %s: %w", archives[i].ID, err)
		}
	}
	return p.finish(), nil
}

// cluster is what images have a multiple of, in sectors.
const cluster = 32

type planner struct {
	capacity int64
	begin    func() (catalogue.Disc, error)
	images   []*building
	now      *building // nil before the first
	placed   map[archive.Hash]bool
}

func (p *planner) next() error {
	disc, err := p.begin()
	if err != nil {
		return err
	}
	disc.Archives = nil
	p.now = &building{
		image: Image{Disc: disc}, estimate: image.NewEstimate(), lists: catalogue.NewSize(&disc), names: int64(len(catalogue.NamesHead)),
		taken: map[string]bool{}, contents: map[archive.Hash]*catalogue.File{}, on: map[string]string{},
	}
	p.now.estimate.Protected = disc.Protected
	for _, name := range ownNames {
		p.now.estimate.AddFile(name, 0)
		p.now.estimate.AddContent(0)
	}
	for i := range disc.Program {
		t := &disc.Program[i]
		p.now.estimate.AddFile(t.DiscPath(), t.Size)
		p.now.estimate.AddContent(t.Size)
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
		images[i] = b.finished()
		images[i].Open = i == len(p.images)-1
	}
	return images
}

// finished returns the image with its files in order.
func (b *building) finished() *Image {
	img := b.image
	img.Files = make([]catalogue.File, len(b.files))
	for i, f := range b.files {
		img.Files[i] = *f
	}
	slices.SortFunc(img.Files, func(a, b catalogue.File) int { return strings.Compare(a.DiscPath(), b.DiscPath()) })
	img.Disc.Archives = slices.Clone(img.Disc.Archives)
	slices.SortFunc(img.Disc.Archives, func(a, b catalogue.Archive) int { return strings.Compare(a.Directory, b.Directory) })
	return &img
}
