package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/odarchive/odarchive/archive"
)

// TestISOVerify: discs of a set are right to the last byte, with a split file, after more was scanned and planned; and what is wrong
// with one is said.
func TestISOVerify(t *testing.T) {
	b := newBench(t)
	b.write("large", bytes.Repeat([]byte("0123456"), 900_000))
	b.write("not\xffutf8/"+strings.Repeat("n", 255), []byte("odd"))
	b.write("empty", nil)
	b.must("iso", "scan", b.source)
	b.must("iso", "plan", "4MB")
	b.must("iso", "create", "0")
	b.write("d0/file 0", []byte("changed"))
	b.write("more", bytes.Repeat([]byte("more"), 50_000))
	b.must("iso", "scan", b.source)
	b.must("iso", "plan", "4MB")
	b.must("iso", "create", "all")
	verify := func(image string, args ...string) (int, verified, string) {
		t.Helper()
		code, out, errs := b.run(append([]string{"iso", "verify", image}, args...)...)
		var v verified
		if len(args) > 0 && args[0] == "--json" {
			if err := json.Unmarshal([]byte(strings.SplitAfter(out, "\n")[0]), &v); err != nil {
				t.Errorf("%v\n%s%s", err, out, errs)
			}
		}
		return code, v, out + errs
	}
	images := b.images()
	if len(images) < 4 {
		t.Errorf("%d images", len(images))
	}
	parts := int64(0)
	for _, image := range images {
		code, v, out := verify(image, "--json", "--contents")
		if code != ExitOK || len(v.Findings) > 0 || v.Says != "data" || v.Archives == 0 || v.Hashed+v.Unhashed == 0 {
			t.Errorf("%s: %d\n%s", image, code, out)
		}
		parts += v.Unhashed
	}
	if parts != 6_300_000 {
		t.Errorf("%d bytes are parts of files", parts)
	}
	if code, _, out := verify(images[0]); code != ExitOK || !strings.Contains(out, "of 1 archives") || !strings.Contains(out, "nothing is wrong") {
		t.Errorf("a good image: %d\n%s", code, out)
	}
	img, err := os.ReadFile(images[1])
	if err != nil {
		t.Fatal(err)
	}
	change := func(at int, in string, args ...string) {
		t.Helper()
		if at < 0 {
			t.Fatal("what is to be changed is not there")
		}
		img[at] ^= 1
		defer func() { img[at] ^= 1 }()
		if err := os.WriteFile(images[1], img, 0o644); err != nil {
			t.Fatal(err)
		}
		code, v, out := verify(images[1], append([]string{"--json"}, args...)...)
		if code != ExitFailure || len(v.Findings) == 0 || !strings.Contains(out, in) {
			t.Errorf("byte %d: %d\n%s", at, code, out)
		}
	}
	_, v, _ := verify(images[1], "--json")
	this := bytes.Index(img, []byte(`"disc": "`+v.ID+`"`+",\n   \"label\"")) // in catalogue.json
	change(64*archive.SectorSize+120, "sector 64")                           // the number of files
	version := len(`"plan": "01234567-89ab-`)                                // of the UUID: a digit that is one still when it is changed, which others need not be
	change(this+bytes.Index(img[this:], []byte(`"plan": "`))+version, "by the plan")
	change(bytes.LastIndex(img, []byte("  Data/"))-1, "in the lists")
	data := -1
	for i := range 40 {
		data = max(data, bytes.LastIndex(img, bytes.Repeat([]byte{byte(i), 1, 2}, 100)))
	}
	change(data, "its bytes have the SHA-256", "--contents")
	if err := os.Truncate(images[1], 100); err != nil {
		t.Fatal(err)
	}
	if code, _, _ := verify(images[1]); code != ExitFailure {
		t.Errorf("a hundred bytes: %d", code)
	}
}
