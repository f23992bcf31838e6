package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/odarchive/odarchive/archive/image"
)

func TestISOVerify(t *testing.T) {
	l, err := image.New(image.Options{Label: "OD_CLI", ID: [16]byte{1}, Time: time.Unix(1e9, 0)}, []image.Content{{Size: 5}}, []image.File{{Path: "dir/file", ModTime: time.Unix(1e9, 0)}})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := l.Write(&b, func(int) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("12345")), nil }); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.iso")
	run := func(args ...string) (int, string) {
		t.Helper()
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		var out, errs bytes.Buffer
		code := Run(t.Context(), append([]string{"iso", "verify", path}, args...), &out, &errs)
		return code, out.String() + errs.String()
	}
	if code, out := run(); code != ExitOK || !strings.Contains(out, "1 files in 2 directories, 5 B") || !strings.Contains(out, "nothing is wrong") {
		t.Errorf("a good image: %d\n%s", code, out)
	}
	b.Bytes()[64*2048+120]++ // the number of files
	if code, out := run(); code != ExitFailure || !strings.Contains(out, "sector 64") {
		t.Errorf("a bad image: %d\n%s", code, out)
	}
	code, out := run("--json")
	var v verified
	if err := json.Unmarshal([]byte(strings.SplitAfter(out, "\n")[0]), &v); code != ExitFailure || err != nil || len(v.Findings) == 0 || v.Files != 1 {
		t.Errorf("%d, %v\n%s", code, err, out)
	}
	b.Truncate(100)
	if code, _ := run(); code != ExitFailure {
		t.Errorf("a hundred bytes: %d", code)
	}
}
