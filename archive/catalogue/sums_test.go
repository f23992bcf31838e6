package catalogue

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/odarchive/odarchive/archive"
)

// oddNames are what a list of names may stumble over.
var oddNames = []string{"Data/a", "Data/ two  spaces", "Data/back\\slash", "Data/line\nend\r", "Data/not\xffutf8", "Data/*star"}

func sumLines(t testing.TB) []byte {
	t.Helper()
	var b []byte
	for i, n := range oddNames {
		b = appendSumLine(b, archive.Hash{byte(i)}, n)
	}
	return b
}

func TestSumsComeBack(t *testing.T) {
	n := 0
	for s, err := range ReadSums(bytes.NewReader(sumLines(t))) {
		if err != nil || s != (Sum{oddNames[n], archive.Hash{byte(n)}}) {
			t.Errorf("line %d: %+v, %v", n, s, err)
		}
		n++
	}
	if n != len(oddNames) {
		t.Errorf("%d lines", n)
	}
	for name, text := range map[string]string{
		"one space":       strings.Repeat("0", 64) + " a\n",
		"a short hash":    strings.Repeat("0", 63) + "  a\n",
		"no name":         strings.Repeat("0", 64) + "  \n",
		"a climbing name": strings.Repeat("0", 64) + "  ../a\n",
		"an escape":       `\` + strings.Repeat("0", 64) + "  \\a\n",
		"half an escape":  `\` + strings.Repeat("0", 64) + "  a\\\n",
		"an endless line": strings.Repeat("0", 64) + "  " + strings.Repeat("a/", 1<<16),
	} {
		last := error(nil)
		for _, err := range ReadSums(strings.NewReader(text)) {
			last = err
		}
		if last == nil || !strings.Contains(last.Error(), SumsName) {
			t.Errorf("%s: %v", name, last)
		}
	}
}

// TestSumsOfCoreutils: what sha256sum writes of such names is read as it was meant.
func TestSumsOfCoreutils(t *testing.T) {
	dir := t.TempDir()
	args := []string{}
	for _, n := range oddNames {
		n = filepath.Base(n)
		args = append(args, n)
		if err := os.WriteFile(filepath.Join(dir, n), []byte(n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command("sha256sum", append([]string{"--"}, args...)...)
	c.Dir = dir
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for s, err := range ReadSums(bytes.NewReader(out)) {
		if err != nil || s.Path != args[n] {
			t.Errorf("%q: %+v, %v", args[n], s, err)
		}
		n++
	}
	if n != len(args) {
		t.Errorf("%d lines of %d", n, len(args))
	}
}

// FuzzSums: whatever is read is read again just so after it was written.
func FuzzSums(f *testing.F) {
	f.Add(sumLines(f))
	f.Fuzz(func(t *testing.T, text []byte) {
		var again []byte
		var first []Sum
		for s, err := range ReadSums(bytes.NewReader(text)) {
			if err != nil {
				break
			}
			if archive.ValidPath(s.Path) != nil {
				t.Fatalf("path %q", s.Path)
			}
			first = append(first, s)
			again = appendSumLine(again, s.Hash, s.Path)
		}
		n := 0
		for s, err := range ReadSums(bytes.NewReader(again)) {
			if err != nil || s != first[n] {
				t.Fatalf("%+v, then %+v, %v", first[n], s, err)
			}
			n++
		}
		if n != len(first) {
			t.Fatalf("%d lines of %d", n, len(first))
		}
	})
}
