package image

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// judge runs a program that we did not write and returns what it prints. Where CI is set the program must be there.
func judge(t *testing.T, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// want returns what a side of the image of c holds, by path.
func want(c *corpus, l *Layout, name func(Mapping) string) map[string]int {
	mapped := map[string]string{}
	for _, m := range l.Mapped() {
		mapped[m.Path] = name(m)
	}
	files := map[string]int{}
	for _, f := range c.files {
		p := f.Path
		if other, ok := mapped[p]; ok {
			p = other
		}
		files[p] = f.Content
	}
	return files
}

// compare holds the files below dir against what they should be, every byte.
func compare(t *testing.T, c *corpus, dir string, files map[string]int) {
	t.Helper()
	found := 0
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		i, ok := files[rel]
		if !ok {
			t.Errorf("%q should not be there", rel)
			return nil
		}
		found++
		got, err := os.ReadFile(p)
		expect := make([]byte, c.contents[i].Size)
		generated{c}.ReadContentAt(i, expect, 0)
		if !bytes.Equal(got, expect) {
			t.Errorf("%q has %d bytes that are not its %d", rel, len(got), len(expect))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if found != len(files) {
		t.Errorf("%d files of %d were found", found, len(files))
	}
	// Folders on the image are read-only, and the test's cleanup has to go through them.
	filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if e != nil && e.IsDir() {
			return errors.Join(err, os.Chmod(p, 0o755))
		}
		return nil
	})
}

func TestJudge7zUDF(t *testing.T) {
	c := nasty()
	// What 7z can't extract under its own name on this side: a backslash, bytes that are not UTF-8.
	c = without(c, `back\slash`)
	path, l := writeImage(t, c)
	dir := filepath.Join(t.TempDir(), "x")
	out := judge(t, "7z", "x", "-tudf", "-o"+dir, path)
	if strings.Contains(out, "WARNING") || strings.Contains(out, "ERROR") {
		t.Errorf("7z complains:\n%s", out)
	}
	compare(t, c, dir, want(c, l, func(m Mapping) string { return m.UDF }))
}

func without(c *corpus, path string) *corpus {
	for i := range c.files {
		if c.files[i].Path == path {
			c.files = append(c.files[:i], c.files[i+1:]...)
			break
		}
	}
	return c
}

// TestJudge7zISO: 7z changes names on this side, and so it is held to what the files hold, one by one, and not to what they are called.
func TestJudge7zISO(t *testing.T) {
	c := nasty()
	path, _ := writeImage(t, c)
	if out := judge(t, "7z", "t", "-tiso", path); !strings.Contains(out, "Everything is Ok") || strings.Contains(out, "WARNING") {
		t.Errorf("7z complains:\n%s", out)
	}
	dir := filepath.Join(t.TempDir(), "x")
	judge(t, "7z", "x", "-aou", "-tiso", "-o"+dir, path) // -aou: several that are called alike are all kept
	var got, want []string
	if err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return errors.Join(err, os.Chmod(p, 0o755))
		}
		b, err := os.ReadFile(p)
		got = append(got, sha(b))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for _, f := range c.files {
		b := make([]byte, c.contents[f.Content].Size)
		generated{c}.ReadContentAt(f.Content, b, 0)
		want = append(want, sha(b))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the %d files that 7z takes out are not the %d that there are", len(got), len(want))
	}
}

func TestJudgeXorriso(t *testing.T) {
	c := nasty()
	path, l := writeImage(t, c)
	dir := filepath.Join(t.TempDir(), "x")
	out := judge(t, "xorriso", "-osirrox", "on", "-indev", "stdio:"+path, "-extract", "/", dir)
	for _, bad := range []string{"FAILURE", "SORRY", "FATAL", "WARNING"} {
		if strings.Contains(out, bad) {
			t.Errorf("xorriso complains:\n%s", out)
		}
	}
	compare(t, c, dir, want(c, l, func(m Mapping) string { return m.Rock }))
}

func TestJudgeBsdtar(t *testing.T) {
	c := nasty()
	path, l := writeImage(t, c)
	dir := t.TempDir()
	if out := judge(t, "bsdtar", "-C", dir, "-xf", path); out != "" {
		t.Errorf("bsdtar complains:\n%s", out)
	}
	compare(t, c, dir, want(c, l, func(m Mapping) string { return m.Rock }))
}

// TestJudgeIsoinfo: every name of one line, and every size.
func TestJudgeIsoinfo(t *testing.T) {
	c := nasty()
	path, l := writeImage(t, c)
	out := judge(t, "isoinfo", "-R", "-f", "-i", path)
	var sizes, want64 []string
	for name, i := range want(c, l, rockName) {
		want64 = append(want64, fmt.Sprint(c.contents[i].Size))
		if !strings.Contains(name, "\n") && !strings.Contains(out, "\n/"+name+"\n") && !strings.HasPrefix(out, "/"+name+"\n") {
			t.Errorf("isoinfo doesn't see %q", name)
		}
	}
	for line := range strings.Lines(judge(t, "isoinfo", "-R", "-l", "-i", path)) {
		if f := strings.Fields(line); len(f) > 5 && strings.HasPrefix(line, "-r") {
			sizes = append(sizes, f[4])
		}
	}
	slices.Sort(sizes)
	slices.Sort(want64)
	if !slices.Equal(sizes, want64) {
		t.Errorf("isoinfo sees %d files, of sizes that are not those of the %d that there are", len(sizes), len(want64))
	}
	if d := judge(t, "isoinfo", "-d", "-i", path); !strings.Contains(d, "Volume id: OD_TEST") || !strings.Contains(d, "Rock Ridge signatures version 1 found") {
		t.Errorf("isoinfo -d:\n%s", d)
	}
}

func TestJudgeUdfinfo(t *testing.T) {
	path, l := writeImage(t, nasty())
	out := judge(t, "udfinfo", path)
	for _, line := range []string{"label=OD_TEST", "uuid=deadbeef01020304", "udfrev=1.02", "integrity=closed"} {
		if !strings.Contains(out, line) {
			t.Errorf("udfinfo has no %s:\n%s", line, out)
		}
	}
	if strings.Contains(strings.ToLower(out), "warning") || strings.Contains(strings.ToLower(out), "error") {
		t.Errorf("udfinfo complains:\n%s", out)
	}
	_ = l
}

// TestJudgeUdfdump: udfdump ends well whatever it finds, and leaves out what it doesn't believe: so every file must be there.
func TestJudgeUdfdump(t *testing.T) {
	corpora(t, func(t *testing.T, c *corpus, _ Contents, path string, l *Layout) {
		if i := slices.IndexFunc(c.files, func(f File) bool { return len(f.Path) > 1000 }); i >= 0 {
			c = without(c, c.files[i].Path) // it aborts: a path has no more than 1,024 bytes there
			path, l = writeImage(t, c)
		}
		out := judge(t, "udfdump", "-b", "2048", "-t", path)
		for line := range strings.Lines(out) {
			for _, bad := range []string{"mismatch", "crc", "checksum", "invalid", "error", "warning"} {
				if strings.Contains(strings.ToLower(line), bad) && !strings.HasPrefix(line, ":Rootdir/") {
					t.Errorf("udfdump: %s", line)
				}
			}
		}
		files := 0
		for line := range strings.Lines(out) {
			if strings.HasPrefix(line, ":Rootdir/") {
				files++
			}
		}
		if files != len(c.files) {
			t.Errorf("udfdump believes in %d files of %d", files, len(c.files))
		}
		for name := range want(c, l, udfName) { // it writes others in another way
			if plain := strings.IndexFunc(name, func(r rune) bool { return r < ' ' || r > '~' }) < 0; plain && len(name) < 250 && !strings.Contains(out, ":Rootdir/"+name+"\n") {
				t.Errorf("udfdump doesn't see %q", name)
			}
		}
	})
}
