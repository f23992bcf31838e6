package project

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/pack"
)

// manyDiscs stands for the number of discs until it is known; it has as many digits as that may have.
const manyDiscs = 999_999

// Plan places everything that is on no disc yet onto discs of that many sectors, which follow those that exist. Discs of an earlier
// plan that were not made are given up.
func (p *Project) Plan(capacity int64, medium string) error {
	p.c.Discs = p.kept()
	stays := map[int64]bool{}
	first := int64(0)
	for _, d := range p.c.Discs {
		stays[d.Number], first = true, max(first, d.Number+1)
	}
	for i := range p.c.Entries {
		if e := &p.c.Entries[i]; len(e.Runs) > 0 && !stays[e.Runs[0].Disc] {
			e.Runs = nil
		}
	}
	archives, bytes, err := p.waiting()
	if err != nil {
		return err
	}
	p.c.Medium, p.c.Segment = medium, capacity*archive.SectorSize
	discs := bytes/(capacity*archive.SectorSize) + 2
	for {
		snapshot, err := p.place(capacity, medium, first, archives, discs)
		if err != nil {
			return err
		}
		if snapshot {
			return p.save()
		}
		discs *= 2 // more discs, or more split files, than the catalogue had room for
	}
}

// waiting returns the newest archives with the files whose contents are on no disc, and how many bytes those have.
func (p *Project) waiting() (all []pack.Archive, bytes int64, err error) {
	placed := map[catalogue.Digest]bool{}
	for _, e := range p.c.Entries {
		placed[e.Digest] = len(e.Runs) > 0
	}
	for _, a := range p.c.Current() {
		w := pack.Archive{Archive: describe(&a)}
		err := p.files(&a, func(f *archive.Entry) error {
			if placed[catalogue.SHA256(f.Content.Hash)] {
				return nil
			}
			w.Files = append(w.Files, pack.File{Path: f.Path, Content: f.Content, Mode: f.Mode, ModTime: f.ModTime})
			bytes += f.Content.Size
			return nil
		})
		if err != nil {
			return nil, 0, err
		}
		// An archive of which nothing waits still needs a disc that has its manifest.
		onDisc := slices.ContainsFunc(p.c.Discs, func(d catalogue.SetDisc) bool { return slices.Contains(d.Archives, a.ID) })
		if len(w.Files) > 0 || !onDisc {
			all = append(all, w)
		}
	}
	return all, bytes, nil
}

func describe(a *catalogue.SetArchive) catalogue.Archive {
	return catalogue.Archive{ID: a.ID, Name: a.Name, Directory: a.Directory, RootHash: a.RootHash, ManifestSize: a.ManifestSize, Sealed: a.Sealed}
}

// place makes the plan with room in the catalogue for so many discs. It says whether that was enough.
func (p *Project) place(capacity int64, medium string, first int64, archives []pack.Archive, discs int64) (bool, error) {
	size, err := p.c.Size()
	if err != nil {
		return false, err
	}
	// Every content that is placed whole gets a disc number; a disc has its own lines and splits a file or two.
	reserve := size + int64(len(p.c.Entries))*24 + discs*(catalogue.DiscSize+4*catalogue.RunSize+int64(len(archives))*60+p.toolsSize()) + 4096
	guid, now := uuid.NewString(), time.Now().UTC().Truncate(time.Second)
	number := first
	images, err := pack.Plan(capacity, archives, func() (catalogue.Disc, error) {
		number++
		d := p.disc(uuid.NewString(), number-1, manyDiscs, guid, medium, now, reserve)
		d.Program = p.program
		return d, nil
	})
	if err != nil {
		return false, fmt.Errorf("plan: %w", err)
	}
	next := *p.c
	next.GUID, next.Saved = guid, now
	next.Discs = slices.Clone(p.c.Discs)
	next.Entries = slices.Clone(p.c.Entries)
	if err := assign(&next, images, first, medium, guid); err != nil {
		return false, err
	}
	on := next
	on.Discs = slices.Clone(next.Discs)
	for i := range on.Discs { // what a disc carries doesn't change when others are made
		on.Discs[i].State, on.Discs[i].SHA256 = "", ""
		on.Discs[i].Sectors = 0
	}
	if size, err = on.Size(); err != nil || size > reserve {
		return false, err
	}
	err = writeFile(p.plan(guid), func(w io.Writer) error {
		if err := on.Write(w); err != nil {
			return err
		}
		_, err := io.WriteString(w, strings.Repeat(" ", int(reserve-size-1))+"\n")
		return err
	})
	if err != nil {
		return false, err
	}
	for i, img := range images {
		d := &next.Discs[len(next.Discs)-len(images)+i]
		img.Disc.Discs = d.Of
		c, err := img.Compose()
		if err != nil {
			return false, err
		}
		if d.Sectors = c.Layout.Sectors(); d.Sectors > capacity {
			return false, fmt.Errorf("disc %d takes %d sectors of %d", d.Number, d.Sectors, capacity)
		}
	}
	*p.c = next
	return true, nil
}

// disc describes a disc of the set.
func (p *Project) disc(id string, number, of int64, plan, medium string, created time.Time, size int64) catalogue.Disc {
	return catalogue.Disc{
		ImageID: id, Label: label(p.c.SetID, number), Number: number, Discs: of, SetID: p.c.SetID, JobID: p.c.JobID, GUID: plan, Medium: medium, Created: created,
		CatalogueSize: size,
	}
}

// label returns a disc's volume identifier: something of the set's identity, and its number.
func label(set string, number int64) string {
	return fmt.Sprintf("OD_%s_%04d", strings.ToUpper(set[:6]), number)
}

// assign writes down which contents are on which image.
func assign(c *catalogue.Catalogue, images []*pack.Image, first int64, medium, plan string) error {
	index := make(map[catalogue.Digest]int, len(c.Entries))
	for i, e := range c.Entries {
		index[e.Digest] = i
	}
	for k, img := range images {
		d := catalogue.SetDisc{
			Number: first + int64(k), ID: img.Disc.ImageID, Label: img.Disc.Label, Of: first + int64(len(images)), Medium: medium, Created: img.Disc.Created, State: catalogue.Planned, Plan: plan,
			Program: img.Disc.Program,
		}
		for _, a := range img.Disc.Archives {
			d.Archives = append(d.Archives, a.ID)
		}
		for i := range img.Files {
			f := &img.Files[i]
			n, ok := index[catalogue.SHA256(f.Content.Hash)]
			if !ok {
				return fmt.Errorf("plan: content %v is in no archive", f.Content.Hash)
			}
			e := &c.Entries[n]
			if last := len(e.Runs) - 1; last >= 0 && e.Runs[last].Disc == d.Number {
				continue // another name
			}
			e.Runs = append(slices.Clip(e.Runs), catalogue.DiscRun{Disc: d.Number, Offset: f.Offset, Length: f.Length})
		}
		c.Discs = append(c.Discs, d)
	}
	return nil
}

// Disc returns a disc of the plan.
func (p *Project) Disc(number int64) (*catalogue.SetDisc, error) {
	for i := range p.c.Discs {
		if p.c.Discs[i].Number == number {
			return &p.c.Discs[i], nil
		}
	}
	return nil, fmt.Errorf("disc %d: %w", number, ErrNoDisc)
}

// source is where the bytes of a content are: a file of an archived folder, as it was scanned.
type source struct {
	folder string
	entry  archive.Entry
}

// compose composes the image of a disc, and returns where its contents are.
func (p *Project) compose(d *catalogue.SetDisc) (*pack.Composition, map[archive.Hash][]source, error) {
	if d.SetID != "" && d.SetID != p.c.SetID || d.Plan == "" {
		return nil, nil, fmt.Errorf("disc %d was made elsewhere", d.Number)
	}
	info, err := os.Stat(p.plan(d.Plan))
	if err != nil {
		return nil, nil, fmt.Errorf("the plan of disc %d: %w", d.Number, err)
	}
	disc := p.disc(d.ID, d.Number, d.Of, d.Plan, d.Medium, d.Created, info.Size())
	disc.Program = d.Program
	sources := map[archive.Hash][]source{}
	var files []catalogue.File
	parts := map[catalogue.Digest]catalogue.File{}
	for _, e := range p.c.Entries {
		for i, r := range e.Runs {
			if r.Disc == d.Number {
				f := catalogue.File{Offset: r.Offset, Length: r.Length}
				if len(e.Runs) > 1 {
					f.Part, f.Parts = i+1, len(e.Runs)
				}
				parts[e.Digest] = f
			}
		}
	}
	for _, id := range d.Archives {
		a := p.archiveOf(id)
		if a == nil {
			return nil, nil, errors.New("an archive of it is not known any more")
		}
		desc := describe(a)
		disc.Archives = append(disc.Archives, desc)
		err := p.files(a, func(e *archive.Entry) error {
			f, here := parts[catalogue.SHA256(e.Content.Hash)]
			if !here {
				return nil
			}
			f.Path, f.Content, f.Mode, f.ModTime = path.Join(desc.Directory, e.Path), e.Content, e.Mode, e.ModTime
			files = append(files, f)
			sources[e.Content.Hash] = append(sources[e.Content.Hash], source{string(a.Source), *e})
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
	}
	slices.SortFunc(disc.Archives, func(a, b catalogue.Archive) int { return strings.Compare(a.Directory, b.Directory) })
	slices.SortFunc(files, func(a, b catalogue.File) int { return strings.Compare(a.DiscPath(), b.DiscPath()) })
	c, err := pack.Compose(&disc, files)
	return c, sources, err
}
