package catalogue

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/odarchive/odarchive/archive"
)

// MaxCatalogue is how many bytes of a catalogue are read at most: 16 million files of the usual kind.
const MaxCatalogue = 4 << 30

// Read reads a catalogue that may be damaged, hostile or from a newer version: of this program's versions, or odarchive 0.1's
// versions 1 and 2, whose contents are known by SHA-512 and whose times have no zone and are taken as UTC. The members of the
// outermost object may come in any order.
func Read(r io.Reader) (*Catalogue, error) {
	limited := &io.LimitedReader{R: r, N: MaxCatalogue + 1}
	p := parser{dec: json.NewDecoder(limited), c: &Catalogue{Root: "/DATA"}, seen: map[Digest]bool{}}
	err := p.object("the catalogue", p.member)
	if err == nil {
		if _, more := p.dec.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows the catalogue")
		}
	}
	switch {
	case limited.N == 0:
		return nil, fmt.Errorf("read %s: it has more than %d bytes", CatalogName, int64(MaxCatalogue))
	case p.c.Version > catalogueVersion:
		return nil, newer(CatalogName, p.c.Version, catalogueVersion)
	case err == nil && p.c.Version < 1:
		err = errors.New("it has no version")
	case err == nil && p.files == nil:
		err = errors.New("it has no files")
	}
	if err == nil {
		err = p.entries()
	}
	if err == nil {
		err = p.c.validate()
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: byte %d: %w", CatalogName, p.dec.InputOffset(), err)
	}
	return p.c, nil
}

type parser struct {
	dec   *json.Decoder
	c     *Catalogue
	files []rawEntry
	seen  map[Digest]bool
	odd   error // an entry that nobody understands: the version, which may come after it, says why
}

// rawEntry is an entry before it is known where its names begin.
type rawEntry struct {
	names []string // with the root
	entry Entry
}

// object calls member for each member of the object that comes next, with its value still to be read.
func (p *parser) object(what string, member func(key string) error) error {
	t, err := p.dec.Token()
	if err != nil {
		return err
	}
	if t != json.Delim('{') {
		return fmt.Errorf("%s is no JSON object", what)
	}
	for p.dec.More() {
		t, err := p.dec.Token()
		if err != nil {
			return err
		}
		if err := member(t.(string)); err != nil { // a member's name is always a string
			return err
		}
	}
	_, err = p.dec.Token()
	return err
}

func (p *parser) member(key string) (err error) {
	c := p.c
	switch key {
	case "version":
		var v number
		err = p.dec.Decode(&v)
		c.Version = int(v)
	case "files":
		if p.files != nil {
			return errors.New(`it has "files" twice`)
		}
		p.files = []rawEntry{}
		return p.object(`"files"`, p.file)
	case "date":
		var s stamp
		err = p.dec.Decode(&s)
		c.Saved = s.Time
	case "source_path":
		err = p.dec.Decode((*RawString)(&c.Source))
	case "segment_size", "segment_size_int":
		var size *int64
		if err = p.dec.Decode(&size); err == nil && size != nil {
			c.Segment = *size
		}
	case "discs":
		err = p.dec.Decode(&c.Discs)
	case "archives":
		err = p.dec.Decode(&c.Archives)
	default:
		text, known := map[string]*string{
			"guid": &c.GUID, "set_id": &c.SetID, "job_id": &c.JobID, "job_name": &c.JobName, "client_name": &c.Client, "disc": &c.Disc,
			"iso_path_root": &c.Root, "segment_size_str": &c.Medium,
		}[key]
		if !known {
			var skip json.RawMessage
			return p.dec.Decode(&skip)
		}
		err = p.dec.Decode(text)
	}
	if err != nil {
		return fmt.Errorf("%q: %w", key, err)
	}
	return nil
}

// fileJSON is the value of a file's entry. Members that are pointers are told apart from zeros.
type fileJSON struct {
	Filenames json.RawMessage `json:"filenames"`
	Size      *int64          `json:"size"`
	ModTime   stamp           `json:"mtime"`
	Disc      *number         `json:"disc_num"`
	Runs      []DiscRun       `json:"runs"`
	Offset    int64           `json:"offset"`
	Length    int64           `json:"length"`
	Part      int             `json:"part"`
	Parts     int             `json:"parts"`
}

func (p *parser) file(key string) error {
	var raw json.RawMessage
	if err := p.dec.Decode(&raw); err != nil {
		return err
	}
	e, err := parseEntry(key, raw)
	if err != nil {
		if p.odd == nil {
			p.odd = fmt.Errorf("file %.150q: %w", key, err)
		}
		return nil
	}
	if p.seen[e.entry.Digest] {
		return fmt.Errorf("hash %.60q stands there twice", key)
	}
	p.seen[e.entry.Digest] = true
	p.files = append(p.files, e)
	return nil
}

func parseEntry(key string, raw []byte) (r rawEntry, err error) {
	var f fileJSON
	if err := json.Unmarshal(raw, &f); err != nil {
		return r, err
	}
	if r.entry.Digest, err = parseDigest(key); err != nil {
		return r, err
	}
	if f.Size == nil || *f.Size < 0 {
		return r, errors.New("it has no size")
	}
	r.entry.Size, r.entry.ModTime = *f.Size, f.ModTime.Time
	if r.names, err = parseNames(f.Filenames); err != nil {
		return r, err
	}
	switch {
	case len(f.Runs) > 0:
		r.entry.Runs = f.Runs
	case f.Disc != nil:
		r.entry.Runs = []DiscRun{{Disc: int64(*f.Disc), Length: r.entry.Size}}
	case f.Parts > 0:
		// The part that is on this one disc: where the others are it doesn't know.
		if f.Part < 1 || f.Part > f.Parts || f.Offset < 0 || f.Length < 0 || f.Offset > r.entry.Size-f.Length {
			return r, fmt.Errorf("part %d of %d at %d is not one of %d bytes", f.Part, f.Parts, f.Offset, r.entry.Size)
		}
		r.entry.Part = &EntryPart{f.Offset, f.Length, f.Part, f.Parts}
		return r, nil
	}
	var at int64
	for _, run := range r.entry.Runs {
		if run.Disc < 0 || run.Disc > maxDiscs || run.Offset != at || run.Length < 0 || run.Length > r.entry.Size-at {
			return r, fmt.Errorf("its run at %d on disc %d doesn't go on where the one before it ended", run.Offset, run.Disc)
		}
		at += run.Length
	}
	if len(r.entry.Runs) > 0 && at != r.entry.Size {
		return r, fmt.Errorf("its runs have %d of %d bytes", at, r.entry.Size)
	}
	return r, nil
}

// parseNames reads the members' names of an object, in their order.
func parseNames(raw []byte) (names []string, err error) {
	p := parser{dec: json.NewDecoder(bytes.NewReader(raw))}
	err = p.object(`"filenames"`, func(key string) error {
		if digits, ok := strings.CutPrefix(key, rawName); ok {
			b, err := base64.StdEncoding.DecodeString(digits)
			if err != nil {
				return fmt.Errorf("name %.60q: %w", key, err)
			}
			key = string(b)
		}
		names = append(names, key)
		var skip json.RawMessage
		return p.dec.Decode(&skip)
	})
	if err == nil && len(names) == 0 {
		err = errors.New("it has no name")
	}
	return names, err
}

// entries takes the root off the names.
func (p *parser) entries() error {
	if p.odd != nil {
		return p.odd
	}
	root := strings.TrimRight(p.c.Root, "/")
	if root != "" && (!strings.HasPrefix(root, "/") || archive.ValidPath(root[1:]) != nil) {
		return fmt.Errorf("its root %.100q is no absolute path", p.c.Root)
	}
	p.c.Root = root
	p.c.Entries = make([]Entry, 0, len(p.files))
	for _, f := range p.files {
		for _, name := range f.names {
			// The ancestor's description has names without a slash in front.
			rest, ok := strings.CutPrefix("/"+strings.TrimPrefix(name, "/"), root+"/")
			if !ok || rest == "." || archive.ValidPath(rest) != nil {
				return fmt.Errorf("name %.200q is no path below %q", name, root)
			}
			f.entry.Names = append(f.entry.Names, rest)
		}
		p.c.Entries = append(p.c.Entries, f.entry)
	}
	return nil
}

// validate checks what the head says.
func (c *Catalogue) validate() error {
	for _, id := range []string{c.GUID, c.SetID, c.JobID, c.Disc} {
		if id != "" && !validUUID(id) {
			return fmt.Errorf("%.60q is no UUID", id)
		}
	}
	if c.Segment < 0 {
		return fmt.Errorf("discs of %d bytes", c.Segment)
	}
	known := map[string]bool{}
	for i := range c.Archives {
		a := &c.Archives[i]
		if !validUUID(a.ID) || known[a.ID] || archive.ValidPath(a.Directory) != nil || a.ManifestSize < 0 {
			return fmt.Errorf("archive %.60q in %.200q is not valid", a.ID, a.Directory)
		}
		known[a.ID] = true
	}
	discs := map[int64]bool{}
	for i := range c.Discs {
		d := &c.Discs[i]
		if d.Number < 0 || d.Number > maxDiscs || discs[d.Number] || d.ID != "" && !validUUID(d.ID) || d.Sectors < 0 {
			return fmt.Errorf("disc %d, %.60q, is not valid", d.Number, d.ID)
		}
		if d.Plan != "" && !validUUID(d.Plan) || d.SetID != "" && !validUUID(d.SetID) {
			return fmt.Errorf("disc %d: plan %.60q or set %.60q is no UUID", d.Number, d.Plan, d.SetID)
		}
		if !slices.Contains([]DiscState{"", Planned, Created, Burned}, d.State) {
			return fmt.Errorf("disc %d is in the state %.40q, which is not known", d.Number, d.State)
		}
		for k := range d.Program {
			if err := d.Program[k].Validate(); err != nil {
				return fmt.Errorf("disc %d: %w", d.Number, err)
			}
		}
		for _, id := range d.Archives {
			if !known[id] {
				return fmt.Errorf("disc %d has something of archive %.60q, which is not among its archives", d.Number, id)
			}
		}
		discs[d.Number] = true
	}
	if c.Version < catalogueVersion {
		c.adopt(discs)
		return nil
	}
	for i := range c.Entries {
		for _, r := range c.Entries[i].Runs {
			if !discs[r.Disc] {
				return fmt.Errorf("%.80s is on disc %d, which is not among its discs", c.Entries[i].Digest, r.Disc)
			}
		}
	}
	return nil
}

// adopt lists the discs of an ancestor's catalogue, which only says their numbers. They are burned: that program is gone.
func (c *Catalogue) adopt(discs map[int64]bool) {
	for i := range c.Entries {
		e := &c.Entries[i]
		if len(e.Runs) == 0 {
			e.Runs = []DiscRun{{Length: e.Size}} // a set that was never segmented is one disc
		}
		for _, r := range e.Runs {
			if !discs[r.Disc] {
				discs[r.Disc] = true
				c.Discs = append(c.Discs, SetDisc{Number: r.Disc, Set: r.Disc, SetID: c.GUID, State: Burned})
			}
		}
	}
	slices.SortFunc(c.Discs, func(a, b SetDisc) int { return int(a.Number - b.Number) })
}
