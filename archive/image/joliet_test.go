package image

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/odarchive/odarchive/archive/image/iso9660"
)

func withJoliet(t testing.TB, c *corpus) (*Layout, []byte, string) {
	t.Helper()
	o := options
	o.Joliet = true
	l := c.layoutWith(t, o)
	img := c.image(t, l)
	path := filepath.Join(t.TempDir(), "joliet.iso")
	if err := os.WriteFile(path, img, 0o644); err != nil {
		t.Fatal(err)
	}
	return l, img, path
}

func TestJoliet(t *testing.T) {
	c := interop()
	l, img, path := withJoliet(t, c)
	for _, f := range verify(t, img).Findings {
		t.Error(f)
	}
	v, err := iso9660.OpenJoliet(bytes.NewReader(img), l.Sectors())
	if err != nil || v.Label != options.Label {
		t.Fatalf("%+v, %v", v, err)
	}
	for _, name := range []string{"plain.txt", "日本語の名前.txt", "éàü.txt", "many/file number 007 with a name of some length.data", "deep/deep/deep/deep/deep/deep/deep/deep/deep/deep/deep/leaf"} {
		got, err := fs.ReadFile(v, name)
		for _, f := range c.files {
			if f.Path == name && int64(len(got)) != c.contents[f.Content].Size {
				t.Errorf("%q: %d bytes, %v", name, len(got), err)
			}
		}
	}
	files := 0
	for x := range v.Walk {
		if x.Entry != nil && !x.Entry.Dir {
			files++
		}
	}
	if files != len(c.files) {
		t.Errorf("%d files of %d", files, len(c.files))
	}
	// A record of Joliet that leads elsewhere is noticed.
	bad := bytes.Clone(img)
	record := bad[l.joliet.dirs[0].lba*sectorSize:]
	record = record[bytes.Index(record, []byte(wide(units("two.dots.tar.gz"))))-33:]
	putBoth32(record[2:], le.Uint32(record[2:])+1)
	if len(verify(t, bad).Findings) == 0 {
		t.Error("a file elsewhere on Joliet's side was not noticed")
	}
	out := judge(t, "isoinfo", "-J", "-f", "-i", path)
	for _, name := range []string{"/plain.txt", "/links/two", "/sizes/2048"} {
		if !strings.Contains(out, "\n"+name) {
			t.Errorf("isoinfo doesn't see %s", name)
		}
	}
	for _, side := range []string{"-tiso", "-tudf"} {
		if out := judge(t, "7z", "t", side, path); !strings.Contains(out, "Everything is Ok") || strings.Contains(out, "WARNING") {
			t.Errorf("7z:\n%s", out)
		}
	}
	if _, err := os.Stat("/usr/bin/python3"); err == nil {
		if seen := triples(t, judge(t, "/usr/bin/python3", "testdata/list.py", path, "joliet_path")); len(seen) != len(c.files) {
			t.Errorf("pycdlib sees %d files of %d", len(seen), len(c.files))
		}
	}
}
