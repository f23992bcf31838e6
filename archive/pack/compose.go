// Package pack decides which content goes on which image, and composes an image of the files that go on it and of what it says
// about itself. Both are pure functions: the same files make the same image on any machine, at any time.
package pack

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/image"
)

// Run is a run of a content that an image carries.
type Run struct {
	Hash           archive.Hash
	Offset, Length int64 // bytes
}

// Composition is an image and where the bytes of each of its contents come from.
type Composition struct {
	Layout *image.Layout
	disc   *catalogue.Disc
	own    [][]byte // the disc's own files but the streamed ones
	runs   []Run    // archived contents, in the order of sectors
	first  int      // index of the first of runs among the layout's contents
	groups [][]catalogue.File
	onDisc func(path string) string // the name on the UDF side; nil where all names are those of the archive
}

// What the disc says about itself comes first on it, in this order; then the program, then the manifests, then what is archived.
const (
	readme = iota
	infoFile
	names
	catalogueFile
	sums
	ownFiles
)

var ownNames = [ownFiles]string{catalogue.ReadmeName, catalogue.InfoName, catalogue.NamesName, catalogue.CatalogName, catalogue.SumsName}

// Compose lays out the image of disc with files, in ascending order of their paths on it. Contents lie in the order of their
// first names.
func Compose(disc *catalogue.Disc, files []catalogue.File) (*Composition, error) {
	c := &Composition{disc: disc, first: ownFiles + len(disc.Program) + len(disc.Archives)}
	c.group(files)
	info, err := catalogue.Info(disc)
	if err != nil {
		return nil, err
	}
	c.own = [][]byte{catalogue.Readme(disc), info, []byte(catalogue.NamesHead)}
	if err := c.layout(files); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(files, func(f catalogue.File) bool { return !image.Holds(f.DiscPath()) }) {
		// Which names are mapped does not depend on how long the list of them is.
		mapped := c.Layout.Mapped()
		c.onDisc = udfPath(mapped)
		for _, m := range mapped {
			c.own[names] = catalogue.AppendMapping(c.own[names], m.Path, m.UDF, m.Rock)
		}
		if err := c.layout(files); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// group gathers the files of the same run of a content.
func (c *Composition) group(files []catalogue.File) {
	type key struct {
		hash   archive.Hash
		offset int64
	}
	index := make(map[key]int, len(files))
	for _, f := range files {
		k := key{f.Content.Hash, f.Offset}
		i, ok := index[k]
		if !ok {
			i = len(c.runs)
			index[k] = i
			c.runs = append(c.runs, Run{f.Content.Hash, f.Offset, f.Length})
			c.groups = append(c.groups, nil)
		}
		c.groups[i] = append(c.groups[i], f)
	}
}

// udfPath returns what finds a path on the UDF side, where every mapped element has another name.
func udfPath(mapped []image.Mapping) func(string) string {
	last := make(map[string]string, len(mapped))
	for _, m := range mapped {
		if m.UDF != m.Path {
			last[m.Path] = m.UDF[strings.LastIndexByte(m.UDF, '/')+1:]
		}
	}
	return func(p string) string { return catalogue.Renamed(last, p) }
}

func (c *Composition) layout(files []catalogue.File) error {
	size, err := c.listSizes()
	if err != nil {
		return err
	}
	contents := make([]image.Content, 0, c.first+len(c.runs))
	named := make([]image.File, 0, c.first+len(files))
	own := func(name string, size int64) {
		named = append(named, image.File{Path: name, Content: len(contents), Mode: 0o444, ModTime: c.disc.Created})
		contents = append(contents, image.Content{Size: size})
	}
	for i, b := range c.own {
		own(ownNames[i], int64(len(b)))
	}
	own(ownNames[catalogueFile], size.Catalogue)
	own(ownNames[sums], size.Sums)
	for i := range c.disc.Program {
		t := &c.disc.Program[i]
		own(t.DiscPath(), t.Size)
		named[len(named)-1].Mode = 0o555
	}
	for _, a := range c.disc.Archives {
		own(catalogue.ManifestPath(a.ID), a.ManifestSize)
	}
	for i, r := range c.runs {
		for _, f := range c.groups[i] {
			named = append(named, image.File{Path: f.DiscPath(), Content: len(contents), Mode: f.Mode, ModTime: f.ModTime})
		}
		contents = append(contents, image.Content{Size: r.Length})
	}
	slices.SortFunc(named, func(a, b image.File) int { return strings.Compare(a.Path, b.Path) })
	id, err := parseUUID(c.disc.ImageID)
	if err != nil {
		return err
	}
	c.Layout, err = image.New(image.Options{Label: c.disc.Label, ID: id, Time: c.disc.Created, Protected: c.disc.Protected}, contents, named)
	if err != nil {
		return fmt.Errorf("compose image %s: %w", c.disc.ImageID, err)
	}
	return nil
}

// listSizes returns the sizes of catalogue.json and SHA256SUMS.
func (c *Composition) listSizes() (size catalogue.Size, err error) {
	if c.onDisc != nil { // rare, and a name's length may change
		var list, sums counter
		err = c.lists(&list, &sums)
		size.Catalogue, size.Sums = int64(list), int64(sums)
	} else {
		size = catalogue.NewSize(c.disc)
		for _, g := range c.groups {
			size.Add(g)
		}
	}
	if c.disc.CatalogueSize > 0 {
		size.Catalogue = c.disc.CatalogueSize
	}
	return size, err
}

type counter int64

func (n *counter) Write(p []byte) (int, error) {
	*n += counter(len(p))
	return len(p), nil
}

func parseUUID(s string) (id [16]byte, err error) {
	digits := strings.ReplaceAll(s, "-", "")
	if n, err := hex.Decode(id[:], []byte(digits)); err != nil || n != len(id) || len(digits) != 32 {
		return id, fmt.Errorf("compose image: %q is no UUID", s)
	}
	return id, nil
}

// Runs returns the archived runs in the order of their sectors, and of each its first sector; 0 for an empty one.
func (c *Composition) Runs(yield func(r Run, sector int64) bool) {
	for i, r := range c.runs {
		if !yield(r, c.Layout.Sector(c.first+i)) {
			return
		}
	}
}

// Sources give an image the bytes that its composition doesn't have.
type Sources struct {
	// Manifest opens the manifest of the archive with that id.
	Manifest func(archiveID string) (io.ReadCloser, error)
	// Run opens a run of a content; it is called for each that is not empty, in the order of sectors; with Readers, nearly in it.
	Run func(Run) (io.ReadCloser, error)
	// Catalogue opens the catalogue of the disc set. It is only called for a disc with a CatalogueSize.
	Catalogue func() (io.ReadCloser, error)
	// Program opens a tool. It is only called for a disc with a Program.
	Program func(*catalogue.Tool) (io.ReadCloser, error)
	// Readers is how many goroutines open and read small contents ahead; the functions above are called by all of them then. With 0
	// there are none.
	Readers int
}

// Write writes the image.
func (c *Composition) Write(w io.Writer, s Sources) error {
	open := func(i int) (io.ReadCloser, error) {
		switch {
		case i < len(c.own):
			return io.NopCloser(bytes.NewReader(c.own[i])), nil
		case i == catalogueFile && c.disc.CatalogueSize > 0:
			return s.Catalogue()
		case i == catalogueFile:
			return c.stream(func(w io.Writer) error { return c.lists(w, io.Discard) }), nil
		case i == sums:
			return c.stream(func(w io.Writer) error { return c.lists(io.Discard, w) }), nil
		case i < ownFiles+len(c.disc.Program):
			return s.Program(&c.disc.Program[i-ownFiles])
		case i < c.first:
			return s.Manifest(c.disc.Archives[i-ownFiles-len(c.disc.Program)].ID)
		}
		return s.Run(c.runs[i-c.first])
	}
	if s.Readers > 0 {
		return c.Layout.WriteAhead(w, open, s.Readers)
	}
	return c.Layout.Write(w, open)
}

func (c *Composition) lists(list, sums io.Writer) error {
	w := catalogue.NewWriter(c.disc, list, sums)
	w.OnDisc = c.onDisc
	for _, g := range c.groups {
		if err := w.Write(g); err != nil {
			return err
		}
	}
	return w.Close()
}

// errClosed ends a list that nobody reads to its end.
var errClosed = errors.New("closed before its end")

// stream returns what write writes. Closing it early ends write.
func (c *Composition) stream(write func(w io.Writer) error) io.ReadCloser {
	r, w := io.Pipe()
	go func() { w.CloseWithError(write(w)) }()
	return pipe{r}
}

type pipe struct{ *io.PipeReader }

func (p pipe) Close() error { return p.CloseWithError(errClosed) }
