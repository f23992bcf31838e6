package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// bench is a place to work in: a folder of files and a project.
type bench struct {
	t       *testing.T
	source  string
	project string
	stdin   string
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, source: filepath.Join(t.TempDir(), "source"), project: filepath.Join(t.TempDir(), "project")}
	for i := range 40 {
		b.write(fmt.Sprintf("d%d/file %d", i/8, i), bytes.Repeat([]byte{byte(i), 1, 2}, 30_000))
	}
	return b
}

func (b *bench) write(name string, data []byte) {
	b.t.Helper()
	p := filepath.Join(b.source, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(p, data, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// run runs a command line and returns its exit code and what it printed.
func (b *bench) run(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	a := &app{stdin: strings.NewReader(b.stdin), stdout: &out, stderr: &errs}
	code = a.run(b.t.Context(), args)
	return code, out.String(), errs.String()
}

// must runs a command of the project that has to succeed.
func (b *bench) must(args ...string) string {
	b.t.Helper()
	code, out, errs := b.run(append(args, "--project", b.project)...)
	if code != ExitOK {
		b.t.Fatalf("odarchive %v: exit code %d\n%s%s", args, code, out, errs)
	}
	return out
}

func (b *bench) images() []string {
	all, _ := filepath.Glob(filepath.Join(b.project, "*.iso"))
	return all
}

func (b *bench) compare(target string) {
	b.t.Helper()
	if code, out, errs := b.run("compare", b.source, target); code != ExitOK {
		b.t.Errorf("the folders differ:\n%s%s", out, errs)
	}
}

// TestAncestorsWords: the commands of odarchive 0.1 do what they did, from a folder to images and back.
func TestAncestorsWords(t *testing.T) {
	b := newBench(t)
	b.must("create_db", b.source)
	if code, _, errs := b.run("num_isos", "--project", b.project); code != ExitFailure || !strings.Contains(errs, "plan_iso") {
		t.Errorf("num_isos without a plan: %d, %s", code, errs)
	}
	b.must("plan_iso", "3MB")
	n := strings.TrimSpace(b.must("num_isos"))
	b.must("create_iso")
	if len(b.images()) != 1 || filepath.Base(b.images()[0]) != "new_0000.iso" {
		t.Errorf("images %v", b.images())
	}
	b.must("create_iso", "1")
	b.must("create_iso", "all")
	if fmt.Sprint(len(b.images())) != n || n == "1" {
		t.Errorf("%d images of %s", len(b.images()), n)
	}
	target := filepath.Join(t.TempDir(), "back")
	if code, _, errs := b.run(append([]string{"iso", "restore", "--to", target}, b.images()...)...); code != ExitOK {
		t.Fatal(errs)
	}
	b.compare(target)
	for _, side := range []string{"udf", "iso"} {
		target := filepath.Join(t.TempDir(), side)
		if code, _, errs := b.run(append([]string{"restore", "--side", side, "--to", target}, b.images()...)...); code != ExitOK {
			t.Fatal(side, code, errs)
		}
		b.compare(target)
	}
	if code, _, errs := b.run("restore", b.images()[0], "--side", "b", "--to", target); code != ExitUsage || !strings.Contains(errs, "udf or iso") {
		t.Errorf("side b: %d, %s", code, errs)
	}
	if code, _, errs := b.run("restore", b.source, "--side", "iso", "--to", target); code != ExitFailure || !strings.Contains(errs, "no disc") && !strings.Contains(errs, "no sides") {
		t.Errorf("a folder's side: %d, %s", code, errs)
	}
}

func TestModernWords(t *testing.T) {
	b := newBench(t)
	b.must("iso", "scan", b.source, "--name", "photos: 2026")
	b.must("iso", "plan", "bd")
	var s struct {
		Files int
		Discs []struct {
			Label string
			State string
		}
	}
	if err := json.Unmarshal([]byte(b.must("iso", "info", "--json")), &s); err != nil || s.Files != 40 || len(s.Discs) != 1 || s.Discs[0].State != "planned" {
		t.Errorf("%+v, %v", s, err)
	}
	var all []struct{ File, SHA256 string }
	if err := json.Unmarshal([]byte(b.must("iso", "create", "--json")), &all); err != nil || len(all) != 1 || filepath.Base(all[0].File) != "photos_ 2026_0000.iso" {
		t.Errorf("%+v, %v", all, err)
	}
	out, err := exec.Command("sha256sum", all[0].File).Output()
	if err != nil || !strings.HasPrefix(string(out), all[0].SHA256) {
		t.Errorf("sha256sum says %s, %v", out, err)
	}
	if code, _, errs := b.run("iso", "create", "7", "--project", b.project); code != ExitNotFound {
		t.Errorf("disc 7: %d, %s", code, errs)
	}
	if code, _, errs := b.run("iso", "plan", "floppy", "--project", b.project); code != ExitUsage || !strings.Contains(errs, "bd-xl") {
		t.Errorf("a floppy: %d, %s", code, errs)
	}
	if code, _, errs := b.run("iso", "info", "--project", t.TempDir()); code != ExitNotFound {
		t.Errorf("no project: %d, %s", code, errs)
	}
	if code, _, errs := b.run("iso", "scan", b.source, "--project", filepath.Join(b.source, "d0")); code != ExitUsage {
		t.Errorf("a project within the folder: %d, %s", code, errs)
	}
}

// TestAsks: discs are asked for one after the other, and what is no disc is asked for again.
func TestAsks(t *testing.T) {
	b := newBench(t)
	b.must("init", b.source)
	b.must("segment", "3MB")
	b.must("create_iso", "all")
	target := filepath.Join(t.TempDir(), "back")
	images := b.images()
	b.stdin = "/etc/passwd\n" + strings.Join(images[1:], "\n") + "\n"
	code, _, errs := b.run("iso", "restore", images[0], "--to", target, "--ask")
	if code != ExitOK || !strings.Contains(errs, "Disc 1 (OD_") {
		t.Fatal(code, errs)
	}
	b.compare(target)
	b.stdin = ""
	target = filepath.Join(t.TempDir(), "x")
	if code, out, errs := b.run("iso", "restore", images[0], "--to", target, "--ask"); code != ExitPartial || !strings.Contains(errs, "Disc 1 (OD_") || !strings.Contains(out, "files are absent") {
		t.Errorf("nobody answers: %d, %s", code, errs)
	}
	if code, _, errs := b.run(append([]string{"iso", "restore", "--to", target}, images...)...); code != ExitFailure || !strings.Contains(errs, "--resume") {
		t.Errorf("once more: %d, %s", code, errs)
	}
	if code, _, errs := b.run(append([]string{"iso", "restore", "--resume", "--to", target}, images...)...); code != ExitOK {
		t.Errorf("resumed: %d, %s", code, errs)
	}
	b.compare(target)
}

// TestChangedFile: the error names the file and says what to do, and doing that helps.
func TestChangedFile(t *testing.T) {
	b := newBench(t)
	b.must("create_db", b.source)
	b.must("plan_iso", "cd")
	b.write("d0/file 1", []byte("shorter"))
	code, _, errs := b.run("create_iso", "--project", b.project)
	if code != ExitFailure || !strings.Contains(errs, filepath.Join(b.source, "d0/file 1")) || !strings.Contains(errs, "create_db") || len(b.images()) > 0 {
		t.Errorf("%d, %v, %s", code, b.images(), errs)
	}
	b.must("create_db", b.source)
	b.must("plan_iso", "cd")
	b.must("create_iso")
	target := filepath.Join(t.TempDir(), "back")
	if code, _, errs := b.run("iso", "restore", b.images()[0], "--to", target); code != ExitOK {
		t.Fatal(errs)
	}
	b.compare(target)
}

// TestBurn: real programs burn onto a file that they take for a drive (libburn's stdio drives).
func TestBurn(t *testing.T) {
	for _, program := range []string{"xorriso", "cdrskin"} {
		t.Run(program, func(t *testing.T) {
			if _, err := exec.LookPath(program); err != nil {
				if os.Getenv("CI") != "" {
					t.Fatal(err)
				}
				t.Skip(err)
			}
			if program == "cdrskin" && os.Geteuid() == 0 {
				t.Skip("cdrskin takes no file for a drive from root")
			}
			b := newBench(t)
			b.must("create_db", b.source)
			device := filepath.Join(t.TempDir(), "drive")
			if err := os.WriteFile(device, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			b.must("write_iso", "--device", "stdio:"+device, "--program", program)
			if out := b.must("iso", "info"); !strings.Contains(out, "burned") {
				t.Error(out)
			}
			image, _ := os.ReadFile(b.images()[0])
			disc, _ := os.ReadFile(device)
			if len(image) == 0 || !bytes.HasPrefix(disc, image) {
				t.Errorf("the image of %d bytes is not on the disc of %d", len(image), len(disc))
			}
		})
	}
}

// TestBurnFails: what the program says is in the error, a disc that reads otherwise is noticed, and neither counts as burned.
func TestBurnFails(t *testing.T) {
	for name, script := range map[string]string{
		"it fails":          `printf 'Track 01:    1 of    3 MB written\r'; echo "no medium in the drive" >&2; exit 5`,
		"it lies":           `exit 0`,
		"it changes a byte": `for f; do :; done; cp "$f" "$DEVICE"; printf x | dd of="$DEVICE" bs=1 seek=100000 conv=notrunc status=none`,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.must("create_db", b.source)
			device := filepath.Join(t.TempDir(), "drive")
			os.WriteFile(device, make([]byte, 10<<20), 0o600)
			bin := t.TempDir()
			if err := os.WriteFile(filepath.Join(bin, "cdrskin"), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
				t.Fatal(err)
			}
			t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
			t.Setenv("DEVICE", device)
			code, _, errs := b.run("write_iso", "--device", device, "--project", b.project)
			if code != ExitFailure || name == "it fails" && !strings.Contains(errs, "no medium in the drive") {
				t.Errorf("%d, %s", code, errs)
			}
			if out := b.must("iso", "info"); strings.Contains(out, "burned") {
				t.Error(out)
			}
		})
	}
}

// TestOldCatalogue: a catalogue opens as a plan, and serves as the base of a new set.
func TestOldCatalogue(t *testing.T) {
	b := newBench(t)
	b.must("create_db", b.source)
	b.must("plan_iso", "cd")
	b.must("create_iso")
	old := filepath.Join(b.project, "catalogue.json")
	b.write("later", []byte("later"))
	b.project = filepath.Join(t.TempDir(), "second")
	b.must("create_db", b.source, "--base", old)
	if out := b.must("plan_iso", "cd", "--json"); !strings.Contains(out, `"bytes_waiting":0`) {
		t.Error(out)
	}
	b.must("create_iso")
	if info, err := os.Stat(b.images()[0]); err != nil || info.Size() > 2<<20 {
		t.Errorf("the additional disc has %d bytes, %v", info.Size(), err)
	}
	b.project = filepath.Join(t.TempDir(), "third")
	b.must("iso", "open", old)
	if out := b.must("num_isos"); out != "1\n" {
		t.Error(out)
	}
}
