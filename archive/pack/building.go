package pack

import (
	"fmt"
	"path"
	"strings"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/image"
)

// building is an image that is being filled.
type building struct {
	image    Image
	estimate *image.Estimate
	lists    catalogue.Size
	names    int64             // bytes of NAMES.TSV at most
	longer   int64             // bytes by which names on the UDF side may be longer
	on       map[string]string // the archives that it has, by id, and their directories
	taken    map[string]bool
	own      int64                            // sectors of README.txt and disc_info.json
	contents map[archive.Hash]*catalogue.File // a name of each
	files    []*catalogue.File
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
	list := b.lists.Catalogue
	if b.image.Disc.CatalogueSize > 0 {
		list = b.image.Disc.CatalogueSize
	}
	return b.estimate.Sectors(b.own + archive.Sectors(b.names) + archive.Sectors(list) + archive.Sectors(b.lists.Sums+b.longer))
}

// fresh says that the image holds nothing but a's manifest.
func (b *building) fresh(a *Archive) bool {
	return len(b.files) == 0 && len(b.image.Disc.Archives) == 1 && b.image.Disc.Archives[0].ID == a.ID
}

// addArchive adds an archive's manifest, and its names of contents that are on the image already. It says whether that fits.
func (b *building) addArchive(a *Archive, s *sorted, capacity int64) (bool, error) {
	var also []group
	names := int64(0)
	if len(b.contents) > 0 {
		for _, g := range s.groups {
			if b.contents[s.content(g).Hash] == nil {
				continue
			}
			also = append(also, g)
			for f := range s.names(g) {
				names += archive.Sectors(nameBytes(f.Path)) + 5*int64(strings.Count(f.Path, "/")+1)
			}
		}
	}
	if b.sectors()+archive.Sectors(a.ManifestSize)+overhead+names > capacity {
		return false, nil
	}
	entry := a.Archive
	entry.Directory = unique(&a.Archive, b.taken)
	b.image.Disc.Archives = append(b.image.Disc.Archives, entry)
	b.estimate.AddContent(a.ManifestSize)
	b.estimate.AddFile(catalogue.ManifestPath(a.ID), a.ManifestSize)
	b.lists.AddArchive(&entry)
	b.on[a.ID] = entry.Directory
	for _, g := range also {
		for f := range s.names(g) {
			b.addName(entry.Directory, f)
		}
	}
	return true, b.describe()
}

// unique returns the directory that an archive asks for, or one that follows from its name, where taken has not that already.
func unique(a *catalogue.Archive, taken map[string]bool) string {
	if a.Directory == "" {
		return catalogue.DirectoryName(a.Name, taken)
	}
	dir := a.Directory
	for n := 2; taken[strings.ToLower(dir)]; n++ {
		dir = fmt.Sprintf("%s~%d", a.Directory, n)
	}
	taken[strings.ToLower(dir)] = true
	return dir
}

// addName adds one more name of a content that is on the image, whole or in part.
func (b *building) addName(directory string, f *File) {
	like := b.contents[f.Content.Hash]
	named := catalogue.File{
		Path: path.Join(directory, f.Path), Content: f.Content, Offset: like.Offset, Length: like.Length, Part: like.Part, Parts: like.Parts, Mode: f.Mode, ModTime: f.ModTime,
	}
	b.files = append(b.files, &named)
	p := named.DiscPath()
	b.estimate.AddFile(p, named.Length)
	b.count(p)
	b.lists.AddName(&named)
}

// count counts a name's line in NAMES.TSV.
func (b *building) count(p string) {
	if !plain(p) && !image.Holds(p) {
		// Each side's name is no longer, but for a piece of hash to each element.
		more := int64(10 * (strings.Count(p, "/") + 1))
		b.names += int64(len(catalogue.AppendMapping(nil, p, p, p))) + 3*more
		b.longer += more
	}
}

// overhead is more than a file or an archive adds to an image besides its data and its names, in sectors.
const overhead = 16

// plain says of most paths, and sooner than image.Holds, that any disc holds them: few and printable ASCII characters.
func plain(p string) bool {
	if len(p) > 250 {
		return false
	}
	for i := range len(p) {
		if p[i] < 0x20 || p[i] > 0x7e {
			return false
		}
	}
	return true
}

// put puts n bytes of a content, from offset on, onto the image, with all its names in the archive.
func (b *building) put(s *sorted, g group, directory string, offset, n int64) {
	c := s.content(g)
	part := 0
	if offset > 0 || n < c.Size {
		part = somePart
	}
	var files []catalogue.File
	for f := range s.names(g) {
		files = append(files, catalogue.File{
			Path: path.Join(directory, f.Path), Content: c, Offset: offset, Length: n, Part: part, Parts: part, Mode: f.Mode, ModTime: f.ModTime,
		})
	}
	b.estimate.AddContent(n)
	b.lists.Add(files)
	b.contents[c.Hash] = &files[0]
	for i := range files {
		p := files[i].DiscPath()
		b.estimate.AddFile(p, n)
		b.count(p)
		b.files = append(b.files, &files[i])
	}
}
