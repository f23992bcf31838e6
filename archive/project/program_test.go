package project

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/disc"
	"github.com/odarchive/odarchive/archive/rescue"
)

// TestProgram: every disc of a plan carries the program, as its lists say, in no more sectors than there are; images can be made again when
// the program has changed, from an old catalogue too; a later plan goes without.
func TestProgram(t *testing.T) {
	source := fill(t, 7)
	p := begin(t, source)
	dir := t.TempDir()
	program, text := filepath.Join(dir, "odarchive"), filepath.Join(dir, "odarchive-source.tar.gz")
	b := bytes.Repeat([]byte("program"), 100_000)
	if err := errors.Join(os.WriteFile(program, b, 0o755), os.WriteFile(text, []byte("source"), 0o644)); err != nil {
		t.Fatal(err)
	}
	if err := p.UseProgram(text, program); err != nil {
		t.Fatal(err)
	}
	plan(t, p)
	planned := map[int64]int64{}
	for _, d := range p.c.Discs {
		planned[d.Number] = d.Sectors
	}
	numbers := p.Numbers(catalogue.Planned)
	files := create(t, p, numbers...)
	same(t, source, &rescue.Restore{}, values(files)...)
	if err := os.WriteFile(program, []byte("another"), 0o755); err != nil {
		t.Fatal(err)
	}
	for n, f := range files {
		if info, err := os.Stat(f); err != nil || info.Size() != planned[n]*archive.SectorSize {
			t.Errorf("disc %d has %v, %d sectors were planned, %v", n, info, planned[n], err)
		}
		d, err := disc.Open(t.Context(), f, disc.Any)
		if err != nil {
			t.Fatal(err)
		}
		got, err := d.Small("odarchive/odarchive")
		readme, readmeErr := d.Small(catalogue.ReadmeName)
		if errors.Join(err, readmeErr) != nil || !bytes.Equal(got, b) || !strings.Contains(string(readme), "odarchive-source.tar.gz, 6 bytes") || len(d.Info.Program) != 2 {
			t.Errorf("disc %d: %d bytes, %v, %+v", n, len(got), errors.Join(err, readmeErr), d.Info.Program)
		}
		d.Close()
	}
	t.Run("judged", func(t *testing.T) {
		out := t.TempDir()
		judge(t, "", "7z", "x", "-tudf", "-o"+out, files[0])
		judge(t, out, "sha256sum", "--quiet", "-c", "SHA256SUMS")
		judge(t, out, "grep", "-q", "odarchive/odarchive-source.tar.gz$", "SHA256SUMS")
		if info, err := os.Stat(filepath.Join(out, "odarchive/odarchive")); err != nil || info.Size() != int64(len(b)) {
			t.Errorf("%v, %v", info, err)
		}
		// The disc itself is where an old catalogue comes from.
		again, err := Import(t.TempDir(), filepath.Join(out, catalogue.CatalogName), false)
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		image, _ := os.ReadFile(create(t, again, 0)[0])
		if old, _ := os.ReadFile(files[0]); !bytes.Equal(image, old) {
			t.Error("the disc of the old catalogue is another one")
		}
	})
	create(t, p, 0) // from the project's copy

	if err := p.UseProgram(); err != nil {
		t.Fatal(err)
	}
	later := filepath.Join(source, "later")
	if err := os.WriteFile(later, []byte("later"), 0o600); err != nil {
		t.Fatal(err)
	}
	add(t, p, source)
	plan(t, p)
	if d := p.c.Discs[len(p.c.Discs)-1]; d.Program != nil || d.State != catalogue.Planned {
		t.Errorf("%+v", d)
	}
	create(t, p, 0)
	if err := os.WriteFile(p.tool(&p.c.Discs[0].Program[0]), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := p.CreateImage(t.Context(), 0, filepath.Join(t.TempDir(), "x"), nil); err == nil || !strings.Contains(err.Error(), "is damaged") {
		t.Errorf("from a damaged copy: %v", err)
	}
	if err := p.UseProgram(program, filepath.Join(dir, "../"+filepath.Base(dir)+"/odarchive")); err == nil {
		t.Error("one name twice")
	}
}
