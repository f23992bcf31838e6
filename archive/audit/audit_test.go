package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/discset"
	"github.com/odarchive/odarchive/archive/image"
	"github.com/odarchive/odarchive/archive/pack"
)

const (
	discID    = "11111111-2222-3333-4444-555555555555"
	archiveID = "00000000-0000-0000-0000-0000000000a1"
	otherID   = "00000000-0000-0000-0000-0000000000a2"
)

var made = time.Date(2026, 11, 28, 1, 2, 3, 0, time.UTC)

// laid is a disc that was made: its files as they were laid out, to be changed and laid out anew.
type laid struct {
	options  image.Options
	contents [][]byte
	files    []image.File
}

func (m *laid) add(p string, b []byte, modified time.Time) {
	m.files = append(m.files, image.File{Path: p, Content: len(m.contents), Mode: 0o444, ModTime: modified})
	m.contents = append(m.contents, b)
}

func (m *laid) clone() *laid {
	c := &laid{options: m.options, files: slices.Clone(m.files)}
	for _, b := range m.contents {
		c.contents = append(c.contents, bytes.Clone(b))
	}
	return c
}

func (m *laid) index(p string) int {
	return slices.IndexFunc(m.files, func(f image.File) bool { return f.Path == p })
}

// text gives the bytes of a file for changing.
func (m *laid) text(p string) *[]byte { return &m.contents[m.files[m.index(p)].Content] }

// replace changes one text within a file, which must have it.
func (m *laid) replace(p, old, with string) {
	b := m.text(p)
	if !bytes.Contains(*b, []byte(old)) {
		panic(fmt.Sprintf("%s has no %q:\n%s", p, old, *b))
	}
	*b = bytes.Replace(*b, []byte(old), []byte(with), 1)
}

func (m *laid) remove(p string) {
	i := m.index(p)
	m.files = slices.Delete(m.files, i, i+1)
}

// image lays the disc out and writes it. A content without a name goes.
func (m *laid) image(t testing.TB) []byte {
	t.Helper()
	files := slices.Clone(m.files)
	slices.SortFunc(files, func(a, b image.File) int { return strings.Compare(a.Path, b.Path) })
	var contents []image.Content
	var data [][]byte
	number := map[int]int{}
	for i := range files {
		k, ok := number[files[i].Content]
		if !ok {
			k = len(contents)
			number[files[i].Content] = k
			contents = append(contents, image.Content{Size: int64(len(m.contents[files[i].Content]))})
			data = append(data, m.contents[files[i].Content])
		}
		files[i].Content = k
	}
	l, err := image.New(m.options, contents, files)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := l.Write(&b, func(i int) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data[i])), nil }); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// audited audits an image of which nothing is wrong by itself.
func audited(t testing.TB, img []byte, o Options) *Report {
	t.Helper()
	r, err := image.Verify(bytes.NewReader(img), int64(len(img))/archive.SectorSize)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		t.Errorf("the image itself: %v", f)
	}
	s, err := image.Open(bytes.NewReader(img), int64(len(img))/archive.SectorSize)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Audit(t.Context(), Disc{UDF: s.UDF, ISO: s.ISO, ID: r.Name(), Label: r.Label}, o)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// dataDisc makes a disc as the controller has it made: names that no side holds, two names of one content, an empty file, a part, a
// symbolic link and a hard link, two archives.
func dataDisc(t testing.TB) *laid { return composed(t, nil) }

// setDisc makes the same disc as one of a set without a library, whose whole catalogue it has.
func setDisc(t testing.TB) *laid { return composed(t, setCatalogue) }

// setCatalogue is the catalogue of a set of three discs, of which d is the second.
func setCatalogue(d *catalogue.Disc, files []catalogue.File, elsewhere catalogue.File) []byte {
	const set, job = "00000000-0000-0000-0000-0000000000e0", "00000000-0000-0000-0000-0000000000e1"
	d.SetID, d.JobID, d.Discs, d.Number = set, job, 3, 1
	c := &catalogue.Catalogue{Saved: d.Created, GUID: d.GUID, SetID: set, JobID: job, Root: "/Data"}
	for n := range d.Discs {
		x := catalogue.SetDisc{Number: n, ID: fmt.Sprintf("00000000-0000-0000-0000-0000000000d%d", n), Of: 3, Medium: d.Medium, Plan: d.GUID}
		if n == d.Number {
			x.ID, x.Label = d.ImageID, d.Label
		}
		for _, a := range d.Archives {
			x.Archives = append(x.Archives, a.ID)
		}
		c.Discs = append(c.Discs, x)
	}
	for _, a := range d.Archives {
		c.Archives = append(c.Archives, catalogue.SetArchive{ID: a.ID, Name: a.Name, Directory: a.Directory, Sealed: a.Sealed, RootHash: a.RootHash, ManifestSize: a.ManifestSize})
	}
	known := map[archive.Hash]int{}
	for _, f := range append(slices.Clone(files), elsewhere) {
		k, ok := known[f.Content.Hash]
		if !ok {
			k = len(c.Entries)
			known[f.Content.Hash] = k
			e := catalogue.Entry{Digest: catalogue.SHA256(f.Content.Hash), Size: f.Content.Size, ModTime: f.ModTime, Runs: []catalogue.DiscRun{{Disc: d.Number, Length: f.Content.Size}}}
			switch {
			case f.Parts > 0:
				end := f.Offset + f.Length
				e.Runs = []catalogue.DiscRun{{Disc: 0, Length: f.Offset}, {Disc: 1, Offset: f.Offset, Length: f.Length}, {Disc: 2, Offset: end, Length: f.Content.Size - end}}
			case f.Path == elsewhere.Path:
				e.Runs[0].Disc = 2
			}
			c.Entries = append(c.Entries, e)
		}
		c.Entries[k].Names = append(c.Entries[k].Names, f.Path)
	}
	var b bytes.Buffer
	if err := c.Write(&b); err != nil {
		panic(err)
	}
	d.CatalogueSize = int64(b.Len())
	return b.Bytes()
}

func composed(t testing.TB, list func(*catalogue.Disc, []catalogue.File, catalogue.File) []byte) *laid {
	t.Helper()
	d := catalogue.NewDisc(discID, 7, "v", "00000000-0000-0000-0000-00000000000b", "lib", "BD-R", made)
	m := &laid{options: image.Options{Label: d.Label, Time: made}}
	hex.Decode(m.options.ID[:], []byte(strings.ReplaceAll(discID, "-", "")))
	sum := func(b []byte) archive.Content {
		return archive.Content{Hash: sha256.Sum256(b), Size: int64(len(b))}
	}
	large := bytes.Repeat([]byte("large"), 3000) // of which the disc has the second part of three
	elsewhere := []byte("on another disc")
	type named struct {
		path string
		data []byte
	}
	trees := map[string][]named{
		archiveID: {
			{"dir/a", []byte("one")},
			{"dir/b", []byte("one")},
			{"dir/c", []byte("two two")},
			{"dir/sub/" + strings.Repeat("n", 255), bytes.Repeat([]byte("3"), 5000)},
			{"elsewhere", elsewhere},
			{"empty", nil},
			{"large", large},
			{"not\xffutf8\\dir\n/é", []byte("four")},
		},
		otherID: {{"x", []byte("one")}, {"y", []byte("five")}},
	}
	var files []catalogue.File
	var away catalogue.File
	manifests := map[string][]byte{}
	for i, id := range []string{archiveID, otherID} {
		var b bytes.Buffer
		w := catalogue.NewManifestWriter(&b)
		entries := []archive.Entry{{Path: ".", Kind: archive.Dir, Mode: 0o755, ModTime: made}, {Path: "link", Kind: archive.Symlink, Mode: 0o777, ModTime: made, Target: "dir/a"}}
		dir := fmt.Sprintf("tree%d", i)
		for k, x := range trees[id] {
			at := made.Add(time.Duration(k)*time.Hour + 123456789)
			entries = append(entries, archive.Entry{Path: x.path, Kind: archive.File, Mode: 0o644, ModTime: at, Content: sum(x.data)})
			f := catalogue.File{Path: path.Join(dir, x.path), Content: sum(x.data), Length: int64(len(x.data)), Mode: 0o644, ModTime: at}
			switch x.path {
			case "elsewhere":
				away = f
				continue
			case "large":
				f.Offset, f.Length, f.Part, f.Parts = 4096, 6144, 2, 3
			}
			files = append(files, f)
		}
		slices.SortFunc(entries, func(a, b archive.Entry) int { return strings.Compare(a.Path, b.Path) })
		for k := range entries {
			if err := w.WriteEntry(&entries[k]); err != nil {
				t.Fatal(err)
			}
		}
		root, size, err := w.Close()
		if err != nil {
			t.Fatal(err)
		}
		manifests[id] = b.Bytes()
		d.Archives = append(d.Archives, catalogue.Archive{ID: id, Name: dir, Directory: dir, RootHash: root, ManifestSize: size, Sealed: made})
	}
	slices.SortFunc(files, func(a, b catalogue.File) int { return strings.Compare(a.DiscPath(), b.DiscPath()) })
	var whole []byte
	if list != nil {
		whole = list(&d, files, away)
	}
	c, err := pack.Compose(&d, files)
	if err != nil {
		t.Fatal(err)
	}
	bytesOf := map[archive.Hash][]byte{}
	for _, tree := range trees {
		for _, x := range tree {
			bytesOf[sum(x.data).Hash] = x.data
		}
	}
	var b bytes.Buffer
	err = c.Write(&b, pack.Sources{
		Catalogue: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(whole)), nil },
		Manifest:  func(id string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(manifests[id])), nil },
		Run: func(r pack.Run) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(bytesOf[r.Hash][r.Offset : r.Offset+r.Length])), nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := image.Open(bytes.NewReader(b.Bytes()), int64(b.Len())/archive.SectorSize)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{catalogue.ReadmeName, catalogue.InfoName, catalogue.NamesName, catalogue.CatalogName, catalogue.SumsName} {
		text, err := fs.ReadFile(s.FS(), name)
		if err != nil {
			t.Fatal(err)
		}
		m.add(name, text, made)
	}
	for id, text := range manifests {
		m.add(catalogue.ManifestPath(id), text, made)
	}
	known := map[archive.Hash]int{}
	for _, f := range files {
		k, ok := known[f.Content.Hash]
		if !ok {
			k = len(m.contents)
			known[f.Content.Hash] = k
			m.contents = append(m.contents, bytesOf[f.Content.Hash][f.Offset:f.Offset+f.Length])
		}
		m.files = append(m.files, image.File{Path: f.DiscPath(), Content: k, Mode: f.Mode, ModTime: f.ModTime})
	}
	for _, f := range audited(t, b.Bytes(), Options{Contents: true}).Findings {
		t.Error("as it was composed: ", f)
	}
	return m
}

func TestDataDisc(t *testing.T) {
	m := dataDisc(t)
	var last, total int64
	r := audited(t, m.image(t), Options{Contents: true, Progress: func(done, all int64) { last, total = done, all }})
	for _, f := range r.Findings {
		t.Error(f)
	}
	if r.Kind != Data || r.Archives != 2 || r.Names != 9 || r.Contents != 7 || r.Unhashed != 6144 || r.Read != 3+7+5000+4+4 || last != total || last != r.Read+r.Unhashed {
		t.Errorf("%+v, %d of %d", r, last, total)
	}
	if r := audited(t, m.image(t), Options{}); r.Read != 0 || r.Unhashed != 0 || len(r.Findings) > 0 {
		t.Errorf("%+v", r)
	}
}

const (
	long  = "Data/tree0/dir/sub/"
	sums  = catalogue.SumsName
	list  = catalogue.CatalogName
	info  = catalogue.InfoName
	names = catalogue.NamesName
)

var hashOne = fmt.Sprintf("%x", sha256.Sum256([]byte("one")))

// mutations are disagreements on a disc whose image is right by itself.
var mutations = []struct {
	name string
	harm func(m *laid)
	in   string // of a finding
}{
	{"a file is missing", func(m *laid) { m.remove("Data/tree0/dir/c") }, "not on the UDF side"},
	{"one of two names is missing", func(m *laid) { m.remove("Data/tree0/dir/b") }, "not on the ISO 9660 side"},
	{"a part is missing", func(m *laid) { m.remove("Data/tree0/large.part0002-of-0003") }, "not on the"},
	{"a part by another number", func(m *laid) {
		m.files[m.index("Data/tree0/large.part0002-of-0003")].Path = "Data/tree0/large.part0001-of-0003"
	}, "not on the"},
	{"an empty file is missing", func(m *laid) { m.remove("Data/tree0/empty") }, "not on the"},
	{"a manifest is missing", func(m *laid) { m.remove(catalogue.ManifestPath(otherID)) }, "file does not exist"},
	{"no README", func(m *laid) { m.remove(catalogue.ReadmeName) }, "README"},
	{"no NAMES.TSV", func(m *laid) { m.remove(names) }, "NAMES"},
	{"no catalogue.json", func(m *laid) { m.remove(list) }, "catalogue.json"},
	{"no SHA256SUMS", func(m *laid) { m.remove(sums) }, "SHA256SUMS"},
	{"no disc_info.json", func(m *laid) { m.remove(info) }, "has neither"},
	{"a file too many", func(m *laid) { m.add("Data/tree0/dir/d", []byte("stray"), made) }, "nothing on the disc speaks of"},
	{"a file too many in the root", func(m *laid) { m.add("autorun.inf", []byte("stray"), made) }, "nothing on the disc speaks of"},
	{"a folder too many", func(m *laid) { m.add("Data/tree2/dir/d", []byte("stray"), made) }, "a folder on the"},
	{"a manifest too many", func(m *laid) { m.add("archives/"+discID+".jsonl", []byte("stray"), made) }, "nothing on the disc speaks of"},
	{"a file has another name", func(m *laid) { m.files[m.index("Data/tree0/dir/c")].Path = "Data/tree0/dir/C" }, "not on the"},
	{"a file is longer", func(m *laid) { *m.text("Data/tree0/dir/c") = []byte("two two two") }, "it has 11 bytes"},
	{"a file is shorter", func(m *laid) { *m.text("Data/tree0/dir/c") = []byte("two") }, "it has 3 bytes"},
	{"a part is shorter", func(m *laid) { *m.text("Data/tree0/large.part0002-of-0003") = make([]byte, 4096) }, "it has 4096 bytes"},
	{"a content is stored twice", func(m *laid) {
		i := m.index("Data/tree0/dir/b")
		m.contents = append(m.contents, []byte("one"))
		m.files[i].Content = len(m.contents) - 1
	}, "its content lies at sector"},
	{"a file leads to another content", func(m *laid) {
		m.files[m.index("Data/tree1/y")].Content = m.files[m.index("Data/tree0/not\xffutf8\\dir\n/é")].Content
	}, "another content"},
	{"a time", func(m *laid) { m.files[m.index("Data/tree0/dir/c")].ModTime = made.Add(time.Hour) }, "was modified"},

	{"info: another disc", func(m *laid) { m.replace(info, discID, "11111111-2222-3333-4444-555555555556") }, "the volume is"},
	{"info: another label", func(m *laid) { m.replace(info, "OD_000007", "OD_000008") }, "it calls the disc"},
	{"info: damaged", func(m *laid) { m.replace(info, "{", "[") }, "disc_info.json"},
	{"info: a newer version", func(m *laid) { m.replace(info, `"version": 1`, `"version": 2`) }, "a newer odarchive"},
	{"info: another guid", func(m *laid) { m.replace(info, `"guid": "1`, `"guid": "2`) }, "its guid is"},
	{"info: another time", func(m *laid) { m.replace(info, `"date": "2026`, `"date": "2025`) }, "it was saved at"},
	{"info: another root hash", func(m *laid) {
		b := m.text(info)
		i := bytes.Index(*b, []byte(`"root_hash": "`)) + len(`"root_hash": "`)
		(*b)[i] ^= 1
	}, "says"},
	{"info: another folder", func(m *laid) { m.replace(info, `"Data/tree1"`, `"Data/tree2"`) }, "catalogue.json doesn't"},
	{"info: lacks an archive", func(m *laid) {
		b := m.text(info)
		i, j := bytes.LastIndex(*b, []byte("},")), bytes.LastIndex(*b, []byte("}\n  ]"))
		*b = append((*b)[:i], (*b)[j:]...)
	}, "no manifest on the disc lists it"},

	{"catalogue: damaged", func(m *laid) { *m.text(list) = (*m.text(list))[:100] }, "catalogue.json"},
	{"catalogue: another disc", func(m *laid) { m.replace(list, `"disc": "1`, `"disc": "2`) }, "it is of the disc"},
	{"catalogue: another root", func(m *laid) { m.replace(list, `"iso_path_root": "/Data"`, `"iso_path_root": ""`) }, "its names are below"},
	{"catalogue: lacks a content", func(m *laid) {
		b := m.text(list)
		i := bytes.Index(*b, []byte("\"sha256:"+hashOne))
		j := i + bytes.IndexByte((*b)[i:], '\n') + 1
		*b = append((*b)[:i], (*b)[j:]...)
	}, "nothing on the disc speaks of"},
	{"catalogue: lacks a name", func(m *laid) { m.replace(list, `"/Data/tree0/dir/b": null, `, "") }, "catalogue.json doesn't"},
	{"catalogue: another name", func(m *laid) { m.replace(list, `"/Data/tree0/dir/b"`, `"/Data/tree0/dir/B"`) }, "no manifest on the disc lists it"},
	{"catalogue: another hash", func(m *laid) { m.replace(list, "sha256:"+hashOne, "sha256:"+strings.Repeat("0", 64)) }, "no manifest on the disc lists it"},
	{"catalogue: another size", func(m *laid) { m.replace(list, `"size": 7`, `"size": 8`) }, "the lists say 8"},
	{"catalogue: another time", func(m *laid) { m.replace(list, `"mtime": "2026-11-28T03:02:03`, `"mtime": "2026-11-28T04:02:03`) }, "by catalogue.json"},
	{"catalogue: another part", func(m *laid) { m.replace(list, `"part": 2`, `"part": 3`) }, "not on the"},
	{"catalogue: a part is whole", func(m *laid) { m.replace(list, `, "offset": 4096, "length": 6144, "part": 2, "parts": 3`, "") }, "not on the"},
	{"catalogue: two contents of one name", func(m *laid) { m.replace(list, `"/Data/tree1/y"`, `"/Data/tree1/x"`) }, "two contents"},

	{"sums: lack a file", func(m *laid) { m.cut(sums, "  Data/tree0/dir/c\n") }, "SHA256SUMS lacks it"},
	{"sums: lack an empty file", func(m *laid) { m.cut(sums, "  Data/tree0/empty\n") }, "SHA256SUMS lacks it"},
	{"sums: lack a manifest", func(m *laid) { m.cut(sums, catalogue.ManifestPath(archiveID)+"\n") }, "SHA256SUMS lacks it"},
	{"sums: a file twice", func(m *laid) {
		*m.text(sums) = append(*m.text(sums), hashOne+"  Data/tree0/dir/a\n"...)
	}, "in it twice"},
	{"sums: a file that isn't there", func(m *laid) { m.replace(sums, "Data/tree0/dir/c", "Data/tree0/dir/d") }, "should not be on the disc"},
	{"sums: a part", func(m *laid) {
		*m.text(sums) = append(*m.text(sums), hashOne+"  Data/tree0/large.part0002-of-0003\n"...)
	}, "nobody knows a hash"},
	{"sums: another hash", func(m *laid) { m.replace(sums, hashOne, strings.Repeat("0", 64)) }, "in the lists"},
	{"sums: the archive's name, not the side's", func(m *laid) { m.replace(sums, "~", "-") }, "should not be on the disc"},
	{"sums: damaged", func(m *laid) { m.replace(sums, "  ", " ") }, "SHA256SUMS: line"},

	{"names: lack a file", func(m *laid) { m.cut(names, long) }, "not on the"},
	{"names: lack a folder", func(m *laid) { m.cut(names, `\xff`) }, "not on the"},
	{"names: one twice", func(m *laid) { b := m.text(names); *b = append(*b, bytes.SplitAfter(*b, []byte("\n"))[1]...) }, "stands there twice"},
	{"names: another name", func(m *laid) { m.replace(names, "~", "-") }, "not on the"},
	{"names: of no file", func(m *laid) { b := m.text(names); *b = append(*b, "\"Data/x\"\t\"Data/y\"\t\"Data/x\"\n"...) }, "should not be on the disc"},
	{"names: in another folder", func(m *laid) {
		b := m.text(names)
		*b = append(*b, "\"Data/tree1/x\"\t\"Data/tree0/x\"\t\"Data/tree1/x\"\n"...)
	}, "not in the folder"},
	{"names: for nothing", func(m *laid) {
		b := m.text(names)
		*b = append(*b, "\"Data/tree1/x\"\t\"Data/tree1/x\"\t\"Data/tree1/x\"\n"...)
	}, "no other name"},
	{"names: two of one name", func(m *laid) {
		b := m.text(names)
		*b = append(*b, "\"Data/tree1/x\"\t\"Data/tree1/y\"\t\"Data/tree1/x\"\n"...)
	}, "the name of another file"},
	{"names: damaged", func(m *laid) { b := m.text(names); *b = append(*b, "x\n"...) }, "fields"},

	{"manifest: another entry", func(m *laid) { m.replace(catalogue.ManifestPath(archiveID), `"dir/c"`, `"dir/d"`) }, "its SHA-256 is"},
	{"manifest: a byte that no entry shows", func(m *laid) { m.replace(catalogue.ManifestPath(archiveID), `"mode":"0644"`, `"mode":"0600"`) }, "its SHA-256 is"},
	{"manifest: another size", func(m *laid) { m.replace(catalogue.ManifestPath(archiveID), `"size":7`, `"size":8`) }, "and 7 in catalogue.json"},
	{"manifest: cut off", func(m *laid) { b := m.text(catalogue.ManifestPath(archiveID)); *b = (*b)[:len(*b)-20] }, "cut off"},
	{"manifests in each other's place", func(m *laid) {
		i, j := m.index(catalogue.ManifestPath(archiveID)), m.index(catalogue.ManifestPath(otherID))
		m.files[i].Content, m.files[j].Content = m.files[j].Content, m.files[i].Content
	}, "its SHA-256 is"},

	{"README: of another disc", func(m *laid) { m.replace(catalogue.ReadmeName, discID, "11111111-2222-3333-4444-555555555556") }, "doesn't mention"},
	{"README: lacks an archive", func(m *laid) { m.replace(catalogue.ReadmeName, otherID, "") }, "doesn't mention"},
}

// ofSets are disagreements with the catalogue of a whole set.
var ofSets = []struct {
	name string
	harm func(m *laid)
	in   string
}{
	{"another set", func(m *laid) { m.replace(info, "0000000000e0", "0000000000e2") }, "it is of the set"},
	{"another job", func(m *laid) { m.replace(list, "0000000000e1", "0000000000e2") }, "it is of the set"},
	{"the disc is not of it", func(m *laid) { m.replace(list, `"disc": "1`, `"disc": "2`) }, "its set has no disc"},
	{"another number", func(m *laid) { m.replace(info, `"disc_num": 1`, `"disc_num": 2`) }, "this disc is number 1 of 3"},
	{"another number of discs", func(m *laid) { m.replace(info, `"num_discs": 3`, `"num_discs": 4`) }, "says 1 of 4"},
	{"another medium", func(m *laid) { m.replace(info, `"medium": "BD-R"`, `"medium": "DVD"`) }, "this disc is number"},
	{"another plan", func(m *laid) { m.replace(info, `"guid": "1`, `"guid": "2`) }, "its guid is"},
	{"another root hash", func(m *laid) {
		b := m.text(list)
		(*b)[bytes.Index(*b, []byte(`"root_hash": "`))+len(`"root_hash": "`)] ^= 1
	}, "other things of archive"},
	{"another folder of an archive", func(m *laid) { m.replace(list, `"directory": "tree0"`, `"directory": "tree9"`) }, "other things of archive"},
	{"another size of a manifest", func(m *laid) { m.replace(list, `"manifest_size": `, `"manifest_size": 1`) }, "bytes, catalogue.json says"},
	{"this disc lacks an archive", func(m *laid) {
		b := m.text(list)
		i := bytes.Index(*b, []byte(`"disc": "`+discID))
		j := i + bytes.Index((*b)[i:], []byte(`"`+otherID+`"`))
		*b = append((*b)[:j:j], append([]byte(`"`+archiveID+`"`), (*b)[j+len(otherID)+2:]...)...)
	}, "nothing of archive"},
	{"a content is on another disc", func(m *laid) {
		m.replace(list, `"size": 7, "mtime": "2026-11-28T03:02:03.123456789Z", "disc_num": 1`, `"size": 7, "mtime": "2026-11-28T03:02:03.123456789Z", "disc_num": 2`)
	}, "nothing on the disc speaks of"},
	{"a content of another disc is here", func(m *laid) { m.replace(list, `"disc_num": 2}`, `"disc_num": 1}`) }, "not on the UDF side"},
	{"a part has another length", func(m *laid) {
		m.replace(list, `"length": 6144}, {"disc_num": 2, "offset": 10240, "length": 4760}`, `"length": 6143}, {"disc_num": 2, "offset": 10239, "length": 4761}`)
	}, "the lists say 6143"},
	{"a name is gone", func(m *laid) { m.replace(list, `"/Data/tree0/dir/b": null, `, "") }, "catalogue.json doesn't"},
	{"a content is not known", func(m *laid) { m.replace(list, `"sha256:`+hashOne, `"sha256:`+strings.Repeat("0", 64)) }, "knows nothing of its content"},
}

// TestSetNotices: so are disagreements with the catalogue of a set.
func TestSetNotices(t *testing.T) {
	good := setDisc(t)
	if r := audited(t, good.image(t), Options{Contents: true}); len(r.Findings) > 0 || r.Names != 9 || r.Unhashed != 6144 {
		t.Errorf("%+v", r)
	}
	for _, x := range ofSets {
		t.Run(x.name, func(t *testing.T) {
			m := good.clone()
			x.harm(m)
			r := audited(t, m.image(t), Options{})
			if !slices.ContainsFunc(r.Findings, func(f Finding) bool { return strings.Contains(f.String(), x.in) }) {
				t.Errorf("nothing about %q in %v", x.in, r.Findings)
			}
		})
	}
}

// cut takes the line out of a file that has a text in it.
func (m *laid) cut(p, text string) {
	b := m.text(p)
	i := bytes.Index(*b, []byte(text))
	from := bytes.LastIndexByte((*b)[:i], '\n') + 1
	to := i + bytes.IndexByte((*b)[i:], '\n') + 1
	*b = append((*b)[:from:from], (*b)[to:]...)
}

// TestNotices: every disagreement is found without reading what is archived.
func TestNotices(t *testing.T) {
	good := dataDisc(t)
	for _, x := range mutations {
		t.Run(x.name, func(t *testing.T) {
			m := good.clone()
			x.harm(m)
			r := audited(t, m.image(t), Options{})
			if !slices.ContainsFunc(r.Findings, func(f Finding) bool { return strings.Contains(f.String(), x.in) }) {
				t.Errorf("nothing about %q in %v", x.in, r.Findings)
			}
		})
	}
}

// TestContents: a byte that no list shows is found where every byte is read, and nowhere else.
func TestContents(t *testing.T) {
	m := dataDisc(t)
	*m.text("Data/tree0/dir/c") = []byte("two_two")
	img := m.image(t)
	if r := audited(t, img, Options{}); len(r.Findings) > 0 {
		t.Errorf("%v", r.Findings)
	}
	r := audited(t, img, Options{Contents: true})
	if len(r.Findings) != 1 || r.Findings[0].Path != "Data/tree0/dir/c" || !strings.Contains(r.Findings[0].Text, "SHA-256") {
		t.Errorf("%v", r.Findings)
	}
}

// TestUnreadable: what can't be read is reported with the name of the file.
func TestUnreadable(t *testing.T) {
	img := dataDisc(t).image(t)
	at := int64(bytes.Index(img, []byte("two two"))) / archive.SectorSize
	s, err := image.Open(broken{bytes.NewReader(img), at}, int64(len(img))/archive.SectorSize)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Audit(t.Context(), Disc{UDF: s.UDF, ISO: s.ISO, ID: discID, Label: "OD_000007"}, Options{Contents: true})
	if err != nil || len(r.Findings) != 1 || r.Findings[0].Path != "Data/tree0/dir/c" || !strings.Contains(r.Findings[0].Text, "worn") {
		t.Errorf("%+v, %v", r, err)
	}
}

// broken is an image with a sector that can't be read.
type broken struct {
	io.ReaderAt
	sector int64
}

func (b broken) ReadAt(p []byte, off int64) (int, error) {
	if off/archive.SectorSize <= b.sector && (off+int64(len(p))-1)/archive.SectorSize >= b.sector {
		return 0, errors.New("worn")
	}
	return b.ReaderAt.ReadAt(p, off)
}

// TestOneSide: a disc of which one side can be read is held to that one.
func TestOneSide(t *testing.T) {
	img := dataDisc(t).image(t)
	s, err := image.Open(bytes.NewReader(img), int64(len(img))/archive.SectorSize)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []Disc{{UDF: s.UDF}, {ISO: s.ISO}} {
		d.ID, d.Label = discID, "OD_000007"
		r, err := Audit(t.Context(), d, Options{Contents: true})
		if err != nil || len(r.Findings) > 0 || r.Read != 5018 {
			t.Errorf("%+v, %v", r, err)
		}
	}
}

func TestForeign(t *testing.T) {
	for name, d := range map[string]fstest.MapFS{
		"anybody's":     {"x": {Data: []byte("x")}},
		"odarchive 0.1": {info: {Data: []byte(`{"date": "2018-11-01T22:15:20", "disc_num": "1", "num_discs": "2"}`)}},
	} {
		r, err := Audit(t.Context(), Disc{UDF: d}, Options{Contents: true})
		if err != nil || r.Kind != Foreign || len(r.Findings) > 0 {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	if _, err := Audit(t.Context(), Disc{}, Options{}); err == nil {
		t.Error("a disc without sides was audited")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Audit(ctx, Disc{UDF: fstest.MapFS{}}, Options{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// parityDisc makes a parity disc of a set of 3+2, as the first ones were.
func parityDisc(t testing.TB) *laid { return parityDiscWith(t, discset.Extras{}, nil) }

func parityDiscWith(t testing.TB, x discset.Extras, snapshot []byte) *laid {
	t.Helper()
	g := discset.Geometry{Data: 3, Parity: 2}
	acc, err := discset.Open(t.TempDir(), "00000000-0000-0000-0000-0000000000c0", g)
	if err != nil {
		t.Fatal(err)
	}
	defer acc.Close()
	for i := range g.Data {
		data := bytes.Repeat([]byte{byte(i + 1)}, (64+i)*archive.SectorSize)
		err := acc.Add(t.Context(), []discset.Source{{Member: discset.Member{Index: i, ImageID: fmt.Sprintf("00000000-0000-0000-0001-%012d", i), Label: fmt.Sprintf("D%d", i), Sectors: int64(64 + i)}, Image: bytes.NewReader(data)}}, nil)
		if err != nil {
			t.Fatal(err)
		}
	}
	var parities []discset.Parity
	for i := range g.Parity {
		parities = append(parities, discset.Parity{ImageID: fmt.Sprintf("00000000-0000-0000-0002-%012d", i), Label: fmt.Sprintf("P%d", i)})
	}
	set, err := acc.Seal(parities, made)
	if err != nil {
		t.Fatal(err)
	}
	d, err := set.Compose(1, x)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := d.Write(&b, func(name string) (io.ReadCloser, error) {
		switch name {
		case discset.ChecksName:
			return acc.OpenChecks()
		case discset.SnapshotName:
			return io.NopCloser(bytes.NewReader(snapshot)), nil
		}
		return acc.OpenParity(1)
	}); err != nil {
		t.Fatal(err)
	}
	s, err := image.Open(bytes.NewReader(b.Bytes()), int64(b.Len())/archive.SectorSize)
	if err != nil {
		t.Fatal(err)
	}
	m := &laid{options: image.Options{Label: "P1", Time: made}}
	hex.Decode(m.options.ID[:], []byte(strings.ReplaceAll(parities[1].ImageID, "-", "")))
	entries, err := fs.ReadDir(s.UDF, ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := fs.ReadFile(s.UDF, e.Name())
		if err != nil {
			t.Fatal(err)
		}
		m.add(e.Name(), text, made)
	}
	return m
}

func TestParityDisc(t *testing.T) {
	good := parityDisc(t)
	m := good.clone()
	r := audited(t, m.image(t), Options{Contents: true})
	if r.Kind != Parity || len(r.Findings) > 0 || r.Names != 6 || r.Read < 66*2048 {
		t.Errorf("%+v", r)
	}
	for name, x := range map[string]struct {
		harm func(m *laid)
		in   string
	}{
		"no parity":          {func(m *laid) { m.remove(discset.ParityFile) }, "not on the"},
		"no decoder":         {func(m *laid) { m.remove(discset.DecoderName) }, "decode.go"},
		"a shorter parity":   {func(m *laid) { b := m.text(discset.ParityFile); *b = (*b)[2048:] }, "it has 133120 bytes"},
		"shorter checksums":  {func(m *laid) { b := m.text(discset.ChecksName); *b = (*b)[4:] }, "the lists say"},
		"another decoder":    {func(m *laid) { m.replace(discset.DecoderName, "package main", "package mine") }, "its bytes have the SHA-256"},
		"another set":        {func(m *laid) { m.replace(discset.SetName, "0000000000c0", "0000000000c1") }, "doesn't mention"},
		"a damaged set":      {func(m *laid) { m.replace(discset.SetName, `"data": 3`, `"data": 0`) }, "set.json"},
		"no set":             {func(m *laid) { m.remove(discset.SetName) }, "has neither"},
		"another disc's set": {func(m *laid) { m.replace(discset.SetName, "0002-000000000001", "0002-000000000009") }, "no parity disc"},
		"another label":      {func(m *laid) { m.replace(discset.SetName, `"label": "P1"`, `"label": "P2"`) }, "calls the disc"},
		"another README":     {func(m *laid) { m.replace(discset.ReadmeName, "0001-000000000002", "") }, "doesn't mention"},
		"another hash": {func(m *laid) {
			b := m.text(discset.SumsName)
			i := bytes.Index(*b, []byte("  parity.bin"))
			(*b)[i-1] ^= 1
		}, "in set.json"},
		"sums lack a file": {func(m *laid) { m.cut(discset.SumsName, "parity.bin") }, "lacks it"},
		"sums have a file": {func(m *laid) { *m.text(discset.SumsName) = append(*m.text(discset.SumsName), hashOne+"  more\n"...) }, "not on the"},
		"a file twice":     {func(m *laid) { b := m.text(discset.SumsName); *b = append(*b, *b...) }, "in it twice"},
		"a file too many":  {func(m *laid) { m.add("more", []byte("x"), made) }, "nothing on the disc speaks of"},
	} {
		t.Run(name, func(t *testing.T) {
			m := good.clone()
			x.harm(m)
			r := audited(t, m.image(t), Options{})
			if !slices.ContainsFunc(r.Findings, func(f Finding) bool { return strings.Contains(f.String(), x.in) }) {
				t.Errorf("nothing about %q in %v", x.in, r.Findings)
			}
		})
	}
	(*m.text(discset.ParityFile))[5000]++
	if r := audited(t, m.image(t), Options{}); len(r.Findings) > 0 {
		t.Error(r.Findings)
	}
	if r := audited(t, m.image(t), Options{Contents: true}); len(r.Findings) != 1 {
		t.Error(r.Findings)
	}
}

// FuzzAudit audits discs of which the own files are anything: no panic, no endless loop, and no finding where nothing was changed.
func FuzzAudit(f *testing.F) {
	good := dataDisc(f)
	for _, name := range []string{info, list, sums, names, catalogue.ManifestPath(archiveID)} {
		f.Add(name, *good.text(name))
	}
	parity := parityDisc(f)
	for _, name := range []string{discset.SetName, discset.SumsName} {
		f.Add(name, *parity.text(name))
	}
	files := func(m *laid) fstest.MapFS {
		all := fstest.MapFS{}
		for _, x := range m.files {
			if fs.ValidPath(x.Path) {
				all[x.Path] = &fstest.MapFile{Data: m.contents[x.Content], ModTime: x.ModTime}
			}
		}
		return all
	}
	f.Fuzz(func(t *testing.T, name string, text []byte) {
		m, d := good, Disc{ID: discID, Label: "OD_000007"}
		if name == discset.SetName || name == discset.SumsName && bytes.Contains(text, []byte(discset.ParityFile)) {
			m, d = parity, Disc{ID: "00000000-0000-0000-0002-000000000001", Label: "P1"}
		}
		if m.index(name) < 0 {
			return
		}
		all := files(m)
		all[name] = &fstest.MapFile{Data: text, ModTime: made}
		d.UDF = all
		r, err := Audit(t.Context(), d, Options{Contents: true})
		if err != nil {
			t.Fatal(err)
		}
		// fstest.MapFS holds no names that are not UTF-8: what is missing for that is no news.
		if m == parity && len(r.Findings) == 0 && !bytes.Equal(text, *m.text(name)) && name != discset.SumsName {
			t.Fatalf("%s was changed, and nothing was found", name)
		}
	})
}
