package catalogue

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/odarchive/odarchive/archive"
)

func entries() []archive.Entry {
	at := time.Date(2026, 3, 4, 5, 6, 7, 890, time.UTC)
	c := archive.Content{Hash: sha256.Sum256([]byte("x")), Size: 1}
	return []archive.Entry{
		{Path: ".", Kind: archive.Dir, Mode: 0o755, ModTime: at},
		{Path: "a", Kind: archive.File, Mode: 0o4755, UID: 1, GID: 4294967295, ModTime: at, Content: c, Xattrs: map[string][]byte{"user.b": {0, 255}, "user.a": nil}},
		{Path: "b\n\"\\\x01😀", Kind: archive.File, ModTime: time.Date(1938, 1, 1, 0, 0, 0, 0, time.UTC), Content: c, HardLink: "a"},
		{Path: "c\xff", Kind: archive.Symlink, Mode: 0o777, ModTime: time.Date(2191, 1, 1, 0, 0, 0, 1, time.UTC), Target: "\xfe/x"},
		{Path: "d", Kind: archive.FIFO, Mode: 0o600, ModTime: at},
		{Path: "e", Kind: archive.BlockDevice, Mode: 0o660, ModTime: at, Target: "259:70000"},
	}
}

func manifest(t testing.TB, list []archive.Entry) (text []byte, hash archive.Hash) {
	t.Helper()
	var b bytes.Buffer
	w := NewManifestWriter(&b)
	for i := range list {
		if err := w.WriteEntry(&list[i]); err != nil {
			t.Fatal(err)
		}
	}
	hash, size, err := w.Close()
	if err != nil || size != int64(b.Len()) {
		t.Fatal(size, b.Len(), err)
	}
	return b.Bytes(), hash
}

// golden is what a manifest looks like, for ever.
const golden = `{"format":"odarchive-manifest","version":1}
{"path":".","kind":"d","mode":"0755","uid":0,"gid":0,"mtime":"2026-03-04T05:06:07.00000089Z"}
{"path":"a","kind":"f","mode":"4755","uid":1,"gid":4294967295,"mtime":"2026-03-04T05:06:07.00000089Z","sha256":"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881","size":1,"xattrs":[{"name":"user.a","value":""},{"name":"user.b","value":"AP8="}]}
{"path":"b\u000a\"\\\u0001😀","kind":"f","mode":"0000","uid":0,"gid":0,"mtime":"1938-01-01T00:00:00Z","sha256":"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881","size":1,"hardlink":"a"}
{"path_base64":"Y/8=","kind":"l","mode":"0777","uid":0,"gid":0,"mtime":"2191-01-01T00:00:00.000000001Z","target_base64":"/i94"}
{"path":"d","kind":"p","mode":"0600","uid":0,"gid":0,"mtime":"2026-03-04T05:06:07.00000089Z"}
{"path":"e","kind":"b","mode":"0660","uid":0,"gid":0,"mtime":"2026-03-04T05:06:07.00000089Z","target":"259:70000"}
`

func TestManifest(t *testing.T) {
	text, hash := manifest(t, entries())
	if string(text) != golden {
		t.Errorf("got\n%swant\n%s", text, golden)
	}
	if hash != sha256.Sum256(text) {
		t.Error("the root hash is not the SHA-256 of the manifest")
	}
	r := NewManifestReader(bytes.NewReader(text))
	var again []archive.Entry
	for e, err := range r.Entries() {
		if err != nil {
			t.Fatal(err)
		}
		again = append(again, e)
	}
	if r.Hash() != hash || r.Size() != int64(len(text)) {
		t.Error("the reader saw something else than was written")
	}
	if twice, _ := manifest(t, again); !bytes.Equal(twice, text) {
		t.Errorf("after reading:\n%s", twice)
	}
}

func TestManifestRefuses(t *testing.T) {
	lines := strings.SplitAfter(golden, "\n")
	for name, text := range map[string]string{
		"empty":            "",
		"another format":   `{"format":"tar","version":1}` + "\n",
		"a newer version":  `{"format":"odarchive-manifest","version":2}` + "\n",
		"cut off":          golden[:len(golden)-1],
		"out of order":     lines[0] + lines[2] + lines[1],
		"twice":            lines[0] + lines[1] + lines[1],
		"an escape":        lines[0] + strings.Replace(lines[2], `"a"`, `"../a"`, 1),
		"not canonical":    lines[0] + strings.Replace(lines[1], `,"kind"`, `, "kind"`, 1),
		"an unknown field": lines[0] + strings.Replace(lines[1], `,"kind"`, `,"x":1,"kind"`, 1),
		"no hash":          lines[0] + strings.Replace(lines[2], "2d711642", "", 1),
		"a huge line":      lines[0] + strings.Repeat("x", maxLine+1),
	} {
		t.Run(name, func(t *testing.T) {
			var failed error
			for _, err := range NewManifestReader(strings.NewReader(text)).Entries() {
				failed = err
			}
			if _, ok := errors.AsType[*ManifestError](failed); !ok {
				t.Errorf("error is %v", failed)
			}
		})
	}
}

// FuzzManifest: whatever is read without an error is just what would be written.
func FuzzManifest(f *testing.F) {
	f.Add([]byte(golden))
	f.Add([]byte(`{"format":"odarchive-manifest","version":1}` + "\n" + `{"path":"a","kind":"d","mode":"0755"}` + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var list []archive.Entry
		for e, err := range NewManifestReader(bytes.NewReader(text)).Entries() {
			if err != nil {
				return
			}
			list = append(list, e)
		}
		if again, _ := manifest(t, list); !bytes.HasSuffix(again, text[bytes.IndexByte(text, '\n')+1:]) {
			t.Errorf("read %q, written %q", text, again)
		}
	})
}

func TestPartNames(t *testing.T) {
	long := strings.Repeat("é", 127)
	for in, want := range map[string]string{
		"a/b":       "a/b.part0002-of-0003",
		"x/" + long: "x/" + strings.Repeat("é", 114) + "~2e3eba0a.part0002-of-0003",
	} {
		if got := PartName(in, 2, 3); got != want {
			t.Errorf("PartName(%q) = %q, want %q", in, got, want)
		}
	}
	if PartName("a", 0, 0) != "a" {
		t.Error("a whole file has a suffix")
	}
}

func TestDirectoryNames(t *testing.T) {
	taken := map[string]bool{}
	for _, c := range [][2]string{{"photos", "photos"}, {"Photos", "Photos~2"}, {"a/b:c", "a_b_c"}, {"..", "archive"}, {"\xff", "_"}, {strings.Repeat("é", 80), strings.Repeat("é", 50)}} {
		got := DirectoryName(c[0], taken)
		if got != c[1] || archive.ValidPath(got) != nil {
			t.Errorf("DirectoryName(%q) = %q, want %q", c[0], got, c[1])
		}
	}
}
