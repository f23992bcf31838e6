package image

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
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

func TestJudge7zISO(t *testing.T) {
	path, _ := writeImage(t, nasty())
	out := judge(t, "7z", "t", "-tiso", path)
	if !strings.Contains(out, "Everything is Ok") || strings.Contains(out, "WARNING") {
		t.Errorf("7z complains:\n%s", out)
	}
}

func TestJudgeXorriso(t *testing.T) {
	c := nasty()
	path, l := writeImage(t, c)
	dir := filepath.Join(t.TempDir(), "x")
	out := judge(t, "xorriso", "-osirrox", "on", "-indev", path, "-extract", "/", dir)
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

func TestJudgeIsoinfo(t *testing.T) {
	c := nasty()
	path, _ := writeImage(t, c)
	out := judge(t, "isoinfo", "-R", "-f", "-i", path)
	for _, name := range []string{"/plain.txt", "/dir/a", "/deep/deep/deep/deep/deep/deep/deep/deep/deep/deep/deep/leaf", "/.hidden", "/links/two"} {
		if !strings.Contains(out, "\n"+name+"\n") {
			t.Errorf("isoinfo doesn't see %s", name)
		}
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

func TestJudgeUdfdump(t *testing.T) {
	path, _ := writeImage(t, nasty())
	out := judge(t, "udfdump", "-b", "2048", "-t", path)
	for _, bad := range []string{"mismatch", "CRC", "checksum", "invalid", "error"} {
		for line := range strings.Lines(out) {
			if strings.Contains(line, bad) && !strings.Contains(line, "CRC length") && !strings.Contains(line, "crc_len") {
				t.Errorf("udfdump: %s", line)
			}
		}
	}
}
