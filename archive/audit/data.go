package audit

import (
	"bytes"
	"path"
	"slices"
	"time"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
)

// content is a run of bytes that the disc should have once, under one or more names.
type content struct {
	catalogue.Entry
	hash           archive.Hash
	offset, length int64 // bytes
	part, parts    int   // from 1; 0 of 0 for a whole one
	names          int
	times          []time.Time // of its names; not all of them where there are many
	place          [2]int64    // first sector on each side, negative where it isn't known
	first          string      // of its names
}

// data audits a disc of archives.
func (a *audit) data() {
	a.Kind = Data
	b, ok := a.small(catalogue.InfoName)
	if !ok {
		return
	}
	var err error
	if a.info, err = catalogue.ReadInfo(b); err != nil {
		a.find("", "%v", err)
		return
	}
	if a.info.ImageID == "" && a.disc.ID == "" { // odarchive 0.1's
		a.Kind = Foreign
		return
	}
	a.identity(catalogue.InfoName, a.info.ImageID, a.info.Label)
	a.Archives = int64(len(a.info.Archives))
	mappings := a.mappings()
	a.wants = map[string]*want{}
	for _, name := range []string{catalogue.ReadmeName, catalogue.InfoName, catalogue.NamesName, catalogue.CatalogName, catalogue.SumsName} {
		a.wants[name] = &want{size: -1}
	}
	for i := range a.info.Program {
		t := &a.info.Program[i]
		a.wants[t.DiscPath()] = &want{size: t.Size, hash: &t.SHA256}
	}
	words := []string{a.info.ImageID}
	for i := range a.info.Archives {
		x := &a.info.Archives[i]
		a.wants[catalogue.ManifestPath(x.ID)] = &want{size: -1, hash: &x.RootHash}
		words = append(words, x.ID, x.RootHash.String())
	}
	a.mentions(words...)
	c := a.catalogue()
	if c == nil {
		return
	}
	here := a.here(c)
	if c.Disc != "" {
		a.own(c, here)
	}
	current := newest(c.Archives)
	for i := range a.info.Archives {
		if a.ctx.Err() != nil {
			return
		}
		x := &a.info.Archives[i]
		a.manifest(x, c, here, c.Disc == "" && current[x.ID])
	}
	a.lists(c, here)
	a.mapped(mappings)
	a.sums()
	a.side(a.disc.UDF, true)
	a.side(a.disc.ISO, false)
	for _, w := range a.wants {
		if w.content != nil {
			a.Names++
		}
	}
	a.Contents = int64(len(here))
	if a.o.Contents {
		a.contents(here)
	}
}

// mappings reads NAMES.TSV.
func (a *audit) mappings() []catalogue.Mapping {
	a.udf, a.iso = map[string]string{}, map[string]string{}
	b, ok := a.small(catalogue.NamesName)
	if !ok {
		return nil
	}
	all, err := catalogue.ReadMappings(bytes.NewReader(b))
	if err != nil {
		a.find("", "%v", err)
		return nil
	}
	for _, m := range all {
		if _, twice := a.udf[m.Original]; twice {
			a.find(catalogue.NamesName, "%q stands there twice", m.Original)
		}
		if path.Dir(m.UDF) != path.Dir(m.Original) || path.Dir(m.ISO) != path.Dir(m.Original) {
			a.find(catalogue.NamesName, "%q is not in the folder that %q is in", m.UDF, m.Original)
		}
		if m.UDF == m.Original && m.ISO == m.Original {
			a.find(catalogue.NamesName, "%q has no other name there", m.Original)
		}
		a.udf[m.Original], a.iso[m.Original] = path.Base(m.UDF), path.Base(m.ISO)
	}
	return all
}

// mapped verifies that NAMES.TSV has nothing that is not on the disc.
func (a *audit) mapped(all []catalogue.Mapping) {
	if len(all) == 0 {
		return
	}
	known := map[string]bool{}
	for p := range a.wants {
		for ; p != "." && !known[p]; p = path.Dir(p) {
			known[p] = true
		}
	}
	for _, m := range all {
		if !known[m.Original] {
			a.find(catalogue.NamesName, "%q stands there and should not be on the disc", m.Original)
		}
	}
}

// catalogue reads catalogue.json and holds its head against disc_info.json.
func (a *audit) catalogue() *catalogue.Catalogue {
	f, err := a.fsys.Open(catalogue.CatalogName)
	if err != nil {
		a.find(catalogue.CatalogName, "%v", err)
		return nil
	}
	defer f.Close()
	c, err := catalogue.Read(f)
	if err != nil {
		a.find("", "%v", err)
		return nil
	}
	bad := func(format string, args ...any) { a.find(catalogue.CatalogName, format, args...) }
	if c.GUID != a.info.GUID {
		bad("its guid is %.60q, that of %s %.60q", c.GUID, catalogue.InfoName, a.info.GUID)
	}
	if c.Root != "/"+catalogue.DataDir {
		bad("its names are below %.100q", c.Root)
	}
	if !c.Saved.Equal(a.info.Created) {
		bad("it was saved at %v, the disc is of %v", c.Saved, a.info.Created)
	}
	if c.Disc != "" {
		if c.Disc != a.info.ImageID {
			bad("it is of the disc %s, this is %s", c.Disc, a.info.ImageID)
		}
		return c
	}
	if c.SetID != a.info.SetID || c.JobID != a.info.JobID {
		bad("it is of the set %.60q and the job %.60q, %s of %.60q and %.60q", c.SetID, c.JobID, catalogue.InfoName, a.info.SetID, a.info.JobID)
	}
	i := slices.IndexFunc(c.Discs, func(d catalogue.SetDisc) bool { return d.ID == a.info.ImageID })
	if i < 0 {
		bad("its set has no disc %s", a.info.ImageID)
		return nil
	}
	if d := &c.Discs[i]; d.Number != a.info.Number || d.Label != a.info.Label || d.Of != a.info.Discs || d.Medium != a.info.Medium || d.Plan != a.info.GUID {
		bad("this disc is number %d of %d, %q, %q, by the plan %q; %s says %d of %d, %q, %q, %q",
			d.Number, d.Of, d.Label, d.Medium, d.Plan, catalogue.InfoName, a.info.Number, a.info.Discs, a.info.Label, a.info.Medium, a.info.GUID)
	}
	a.sameArchives(c, &c.Discs[i])
	return c
}

// sameArchives holds the archives that a set's catalogue gives to this disc against those of disc_info.json.
func (a *audit) sameArchives(c *catalogue.Catalogue, d *catalogue.SetDisc) {
	for _, x := range a.info.Archives {
		if !slices.Contains(d.Archives, x.ID) {
			a.find(catalogue.CatalogName, "it gives this disc nothing of archive %s", x.ID)
		}
		i := slices.IndexFunc(c.Archives, func(s catalogue.SetArchive) bool { return s.ID == x.ID })
		if i < 0 {
			continue // catalogue.Read has found it in d, or it was found here
		}
		if s := &c.Archives[i]; s.RootHash != x.RootHash || s.Directory != x.Directory || s.Name != x.Name || !s.Sealed.Equal(x.Sealed) {
			a.find(catalogue.CatalogName, "it says other things of archive %s than %s", x.ID, catalogue.InfoName)
		}
	}
	for _, id := range d.Archives {
		if !slices.ContainsFunc(a.info.Archives, func(x catalogue.Archive) bool { return x.ID == id }) {
			a.find(catalogue.InfoName, "it lacks archive %s, which %s gives to this disc", id, catalogue.CatalogName)
		}
	}
}

// newest returns the newest archive of each folder of a set: all of their contents are in its catalogue.
func newest(all []catalogue.SetArchive) map[string]bool {
	last := map[string]string{}
	for _, x := range all {
		last[x.Directory] = x.ID
	}
	is := map[string]bool{}
	for _, id := range last {
		is[id] = true
	}
	return is
}

// here returns the contents that catalogue.json says this disc has.
func (a *audit) here(c *catalogue.Catalogue) map[archive.Hash]*content {
	all := map[archive.Hash]*content{}
	for i := range c.Entries {
		e := &c.Entries[i]
		h, ok := e.Digest.Hash()
		if !ok {
			continue
		}
		x := &content{Entry: *e, hash: h, length: e.Size, place: [2]int64{-1, -1}}
		switch {
		case c.Disc != "" && e.Part != nil:
			x.offset, x.length, x.part, x.parts = e.Part.Offset, e.Part.Length, e.Part.Part, e.Part.Parts
		case c.Disc == "":
			n := slices.IndexFunc(e.Runs, func(r catalogue.DiscRun) bool { return r.Disc == a.info.Number })
			if n < 0 {
				continue
			}
			x.offset, x.length = e.Runs[n].Offset, e.Runs[n].Length
			if len(e.Runs) > 1 {
				x.part, x.parts = n+1, len(e.Runs)
			}
		}
		all[h] = x
	}
	return all
}

// want takes in a file by its path below Data.
func (a *audit) want(p string, x *content) *want {
	f := catalogue.File{Path: p, Part: x.part, Parts: x.parts}
	on := f.DiscPath()
	w := a.wants[on]
	if w == nil {
		w = &want{size: x.length, content: x}
		if x.parts == 0 {
			w.hash = &x.hash
		}
		a.wants[on] = w
		if x.names++; x.names == 1 {
			x.first = on
		}
	} else if w.content != x {
		a.find(on, "two contents should have that name")
	}
	return w
}

// own takes in the names of a disc's own catalogue.
func (a *audit) own(c *catalogue.Catalogue, here map[archive.Hash]*content) {
	for i := range c.Entries {
		h, ok := c.Entries[i].Digest.Hash()
		if !ok {
			a.find(catalogue.CatalogName, "a disc's own contents are known by SHA-256, not %.20q", c.Entries[i].Digest)
			continue
		}
		for _, p := range c.Entries[i].Names {
			a.want(p, here[h]).named = true
		}
	}
}

// manifest takes in the names of an archive and holds them against the catalogue. In a set's catalogue all of them are known.
func (a *audit) manifest(x *catalogue.Archive, c *catalogue.Catalogue, here map[archive.Hash]*content, all bool) {
	name := catalogue.ManifestPath(x.ID)
	f, err := a.fsys.Open(name)
	if err != nil {
		a.find(name, "%v", err)
		return
	}
	defer f.Close()
	var known map[archive.Hash]bool
	if all && !slices.ContainsFunc(c.Entries, func(e catalogue.Entry) bool { _, ok := e.Digest.Hash(); return !ok }) {
		known = make(map[archive.Hash]bool, len(c.Entries))
		for i := range c.Entries {
			h, _ := c.Entries[i].Digest.Hash()
			known[h] = true
		}
	}
	m := catalogue.NewManifestReader(f)
	for e, err := range m.Entries() {
		if err != nil {
			a.find(name, "%v", err)
			return
		}
		if e.Kind != archive.File {
			continue
		}
		y := here[e.Content.Hash]
		if y == nil {
			if known != nil && !known[e.Content.Hash] {
				a.find(name, "%q is in it, and %s knows nothing of its content", e.Path, catalogue.CatalogName)
			}
			continue
		}
		if e.Content.Size != y.Size {
			a.find(name, "%q has %d bytes there, and %d in %s", e.Path, e.Content.Size, y.Size, catalogue.CatalogName)
		}
		p := path.Join(x.Directory, e.Path)
		w := a.want(p, y)
		w.manifest = true
		w.named = w.named || slices.Contains(y.Names, p)
		if len(y.times) < 8 {
			y.times = append(y.times, e.ModTime)
		}
	}
	if m.Hash() != x.RootHash {
		a.find(name, "its SHA-256 is %v, %s says %v", m.Hash(), catalogue.InfoName, x.RootHash)
	}
	i := slices.IndexFunc(c.Archives, func(s catalogue.SetArchive) bool { return s.ID == x.ID })
	if i >= 0 && c.Archives[i].ManifestSize != m.Size() {
		a.find(name, "it has %d bytes, %s says %d", m.Size(), catalogue.CatalogName, c.Archives[i].ManifestSize)
	}
	a.wants[name].size = m.Size()
}

// lists holds what manifests list and what catalogue.json names against each other.
func (a *audit) lists(c *catalogue.Catalogue, here map[archive.Hash]*content) {
	for p, w := range a.wants {
		switch {
		case w.content == nil:
		case !w.named:
			a.find(p, "a manifest lists it, %s doesn't", catalogue.CatalogName)
		case !w.manifest:
			a.find(p, "%s names it, no manifest on the disc lists it with that content", catalogue.CatalogName)
		}
	}
	for _, x := range here {
		if x.names == 0 {
			a.find(catalogue.CatalogName, "content %v should be on this disc, and no manifest on it gives it a name", x.hash)
		}
		if c.Disc != "" && x.names == len(x.times) && !slices.ContainsFunc(x.times, x.ModTime.Equal) {
			a.find(x.first, "it was modified at %v by %s, at %v by the manifest", x.ModTime, catalogue.CatalogName, x.times[0])
		}
	}
}
