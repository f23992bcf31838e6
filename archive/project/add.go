package project

import (
	"bufio"
	"context"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/tree"
)

// Add scans a folder and adds it to the set as an archive, in place of one of the same folder that is on no disc yet. What is on discs
// that exist stays there; everything else waits for the next plan.
func (p *Project) Add(ctx context.Context, folder string, o tree.Options) (*catalogue.SetArchive, error) {
	source, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	entries, err := tree.Scan(ctx, source, o)
	if err != nil {
		return nil, err
	}
	a := catalogue.SetArchive{
		ID: uuid.NewString(), Name: filepath.Base(source), Directory: directoryOf(source), Source: catalogue.RawString(source), Sealed: time.Now().UTC().Truncate(time.Second),
	}
	if err := p.writeManifest(&a, entries); err != nil {
		return nil, err
	}
	p.c.Source = source
	before := p.c.Archives
	p.c.Archives = append(p.retained(&a), a)
	if err := p.rebuild(ctx); err != nil {
		p.c.Archives = before
		return nil, err
	}
	if err := p.save(); err != nil {
		return nil, err
	}
	return &p.c.Archives[len(p.c.Archives)-1], nil
}

// directoryOf returns where the files of an absolute folder lie below Data: under its path.
func directoryOf(source string) string {
	dir := strings.Trim(strings.ToValidUTF8(filepath.ToSlash(source), "_"), "/")
	if dir == "" {
		return "."
	}
	return dir
}

func (p *Project) writeManifest(a *catalogue.SetArchive, entries []archive.Entry) error {
	return writeFile(p.manifest(a.ID), func(w io.Writer) (err error) {
		out := bufio.NewWriterSize(w, 1<<20)
		m := catalogue.NewManifestWriter(out)
		for i := range entries {
			if err := m.WriteEntry(&entries[i]); err != nil {
				return err
			}
		}
		if a.RootHash, a.ManifestSize, err = m.Close(); err != nil {
			return err
		}
		return out.Flush()
	})
}

// retained returns the archives that stay when a takes the place of what was there of the same folder.
func (p *Project) retained(a *catalogue.SetArchive) []catalogue.SetArchive {
	used := map[string]bool{}
	for _, d := range p.kept() {
		for _, id := range d.Archives {
			used[id] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(p.c.Archives), func(old catalogue.SetArchive) bool { return old.Source == a.Source && !used[old.ID] })
}

// kept returns the discs that can't be planned anew: those that exist, and those on which a file goes on that begins on one of them.
func (p *Project) kept() []catalogue.SetDisc {
	fixed := map[int64]bool{}
	for i := range p.c.Discs {
		if d := &p.c.Discs[i]; d.Fixed() {
			fixed[d.Number] = true
		}
	}
	for grew := true; grew; {
		grew = false
		for i := range p.c.Entries {
			runs := p.c.Entries[i].Runs
			if !slices.ContainsFunc(runs, func(r catalogue.DiscRun) bool { return fixed[r.Disc] }) {
				continue
			}
			for _, r := range runs {
				grew = grew || !fixed[r.Disc]
				fixed[r.Disc] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(p.c.Discs), func(d catalogue.SetDisc) bool { return !fixed[d.Number] })
}

// rebuild makes the list of contents anew from the archives' manifests, keeps what lies on discs that stay, and forgets the others.
func (p *Project) rebuild(ctx context.Context) error {
	p.c.Discs = p.kept()
	stays := map[int64]bool{}
	for _, d := range p.c.Discs {
		stays[d.Number] = true
	}
	index := map[catalogue.Digest]int{}
	var entries []catalogue.Entry
	strange := map[int64][]int{} // contents that are known by another hash, by size
	for _, e := range p.c.Entries {
		if len(e.Runs) == 0 || !stays[e.Runs[0].Disc] {
			continue
		}
		if _, ours := e.Digest.Hash(); ours {
			e.Names = nil
		} else {
			strange[e.Size] = append(strange[e.Size], len(entries))
		}
		index[e.Digest] = len(entries)
		entries = append(entries, e)
	}
	now := p.c.Current()
	for i := range p.c.Archives {
		a := &p.c.Archives[i]
		wanted := slices.ContainsFunc(now, func(b catalogue.SetArchive) bool { return a.ID == b.ID })
		err := p.files(a, func(f *archive.Entry) error {
			d := catalogue.SHA256(f.Content.Hash)
			k, known := index[d]
			if !known {
				if !wanted {
					return nil // it was never burned, and is not there any more
				}
				k = len(entries)
				index[d] = k
				e := catalogue.Entry{Digest: d, Size: f.Content.Size, ModTime: f.ModTime}
				for _, s := range strange[f.Content.Size] {
					same, err := hasDigest(ctx, filepath.Join(string(a.Source), f.Path), entries[s].Digest)
					if err != nil {
						return err
					}
					if same {
						e.Runs = entries[s].Runs
					}
				}
				entries = append(entries, e)
			}
			entries[k].Names = append(entries[k].Names, path.Join(a.Directory, f.Path))
			return nil
		})
		if err != nil {
			return fmt.Errorf("archive %s of %s: %w", a.ID, a.Source, err)
		}
	}
	for i := range entries {
		slices.Sort(entries[i].Names)
		entries[i].Names = slices.Compact(entries[i].Names)
	}
	// What no archive names any more is still on its disc; without a name nobody can tell, and a catalogue has no such entry.
	p.c.Entries = slices.DeleteFunc(entries, func(e catalogue.Entry) bool { return len(e.Names) == 0 })
	slices.SortStableFunc(p.c.Entries, func(a, b catalogue.Entry) int { return strings.Compare(a.Names[0], b.Names[0]) })
	return nil
}

// hasDigest says whether a file has a hash that only an ancestor's catalogue knows.
func hasDigest(ctx context.Context, name string, d catalogue.Digest) (bool, error) {
	f, err := os.Open(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	sum := sha512.New()
	if _, err := io.Copy(sum, &interruptible{ctx, f}); err != nil {
		return false, err
	}
	return catalogue.SHA512([64]byte(sum.Sum(nil))) == d, nil
}

// interruptible is a reader that ends with its context.
type interruptible struct {
	ctx context.Context
	r   io.Reader
}

func (i *interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(p)
}

// Merge takes the catalogue at file, with the manifests beside it, into the set: its discs, its archives, and where its contents are. The
// discs exist, whatever the catalogue knew of them, so nothing that is on them is planned again. They get numbers that follow.
func (p *Project) Merge(ctx context.Context, file string) error {
	other, err := ReadCatalogue(file)
	if err != nil {
		return err
	}
	if other.Disc != "" {
		return errors.New("it is the catalogue of one disc of a library, which knows no set")
	}
	numbers := map[int64]int64{}
	next := int64(0)
	for _, d := range p.c.Discs {
		next = max(next, d.Number+1)
	}
	for _, d := range other.Discs {
		if i := slices.IndexFunc(p.c.Discs, func(o catalogue.SetDisc) bool { return d.ID != "" && o.ID == d.ID }); i >= 0 {
			numbers[d.Number] = p.c.Discs[i].Number
			continue
		}
		if d.SetID == "" {
			d.SetID, d.Set = other.SetID, d.Number
		}
		numbers[d.Number] = next
		d.Number, d.State = next, catalogue.Burned
		next++
		p.c.Discs = append(p.c.Discs, d)
	}
	if err := p.mergeArchives(other, filepath.Dir(file)); err != nil {
		return err
	}
	known := map[catalogue.Digest]bool{}
	for _, e := range p.c.Entries {
		known[e.Digest] = known[e.Digest] || len(e.Runs) > 0
	}
	p.c.Entries = slices.DeleteFunc(p.c.Entries, func(e catalogue.Entry) bool { return len(e.Runs) == 0 })
	for _, e := range other.Entries {
		if known[e.Digest] || len(e.Runs) == 0 {
			continue
		}
		e.Runs = slices.Clone(e.Runs)
		for i := range e.Runs {
			e.Runs[i].Disc = numbers[e.Runs[i].Disc]
		}
		p.c.Entries = append(p.c.Entries, e)
	}
	if err := p.rebuild(ctx); err != nil {
		return err
	}
	return p.save()
}

// mergeArchives copies the manifests of another set.
func (p *Project) mergeArchives(other *catalogue.Catalogue, dir string) error {
	var first []catalogue.SetArchive
	for _, a := range other.Archives {
		if p.archiveOf(a.ID) != nil {
			continue
		}
		entries, err := readManifest(func() (io.ReadCloser, error) { return os.Open(filepath.Join(dir, catalogue.ManifestPath(a.ID))) }, a.RootHash)
		if err != nil {
			return fmt.Errorf("archive %s of %s: %w", a.ID, a.Source, err)
		}
		again := a
		if err := p.writeManifest(&again, entries); err != nil {
			return err
		}
		first = append(first, a)
	}
	p.c.Archives = append(first, p.c.Archives...) // what is merged is older than what was scanned here
	slices.SortStableFunc(p.c.Archives, func(a, b catalogue.SetArchive) int { return a.Sealed.Compare(b.Sealed) })
	return nil
}
