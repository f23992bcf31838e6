package project

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/rescue"
	"github.com/odarchive/odarchive/archive/tree"
)

// lost returns the paths below source of files that have something on a disc.
func lost(t *testing.T, p *Project, source string, number int64) (paths []string) {
	t.Helper()
	for _, e := range p.c.Entries {
		if !slices.ContainsFunc(e.Runs, func(r catalogue.DiscRun) bool { return r.Disc == number && e.Size > 0 }) {
			continue
		}
		for _, name := range e.Names {
			paths = append(paths, strings.TrimPrefix("/"+name, source+"/"))
		}
	}
	return paths
}

func absent(r *rescue.Report) (paths []string) {
	for _, a := range r.Archives {
		for _, x := range a.Absent {
			paths = append(paths, x.Path)
		}
	}
	return paths
}

func sameNames(t *testing.T, got, want []string) {
	t.Helper()
	slices.Sort(got)
	slices.Sort(want)
	if len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("absent are %q, not %q", got, want)
	}
}

// TestRestoreWithout: without any one of the discs all is restored that isn't on it, the rest named, and nothing half-written left; with it,
// the restore goes on where it ended and reads nothing of the others again.
func TestRestoreWithout(t *testing.T) {
	source := fill(t, 20)
	p := begin(t, source)
	plan(t, p)
	files := create(t, p, p.Numbers(catalogue.Planned)...)
	for number := range files {
		some := maps.Clone(files)
		delete(some, number)
		r := &rescue.Restore{Target: filepath.Join(t.TempDir(), "back")}
		report, err := r.Run(t.Context(), values(some))
		if err != nil || report.Whole() {
			t.Fatalf("without disc %d: %+v, %v", number, report, err)
		}
		sameNames(t, absent(report), lost(t, p, source, number))
		filepath.WalkDir(r.Target, func(p string, e os.DirEntry, err error) error {
			if strings.HasSuffix(p, ".tmp") {
				t.Errorf("%s is left", p)
			}
			return nil
		})
		var asked []catalogue.SetDisc
		again := &rescue.Restore{Target: r.Target, Resume: true, Ask: func(n *rescue.Need) (string, error) {
			asked = append(asked, n.Discs[0])
			return files[n.Discs[0].Number], nil
		}}
		if report, err = again.Run(t.Context(), []string{files[(number+1)%int64(len(files))]}); err != nil || !report.Whole() {
			t.Fatalf("resumed: %+v, %v", report, err)
		}
		if diff, err := tree.Compare(t.Context(), source, r.Target, false); err != nil || len(diff) > 0 {
			t.Errorf("resumed: %v, %v", diff, err)
		}
		if len(asked) == 0 || !slices.ContainsFunc(asked, func(d catalogue.SetDisc) bool { return d.Number == number }) {
			t.Errorf("asked for %+v", asked)
		}
	}
}

// TestRestoreWrong: a file whose bytes on the disc are wrong is named, and all else restored; a good copy of the disc among those given makes it
// whole, in whatever order they come.
func TestRestoreWrong(t *testing.T) {
	source := fill(t, 21)
	p := begin(t, source)
	plan(t, p)
	files := create(t, p, p.Numbers(catalogue.Planned)...)
	victim := filepath.Join(source, "many/d3/file 33.bin")
	b, err := os.ReadFile(victim)
	if err != nil {
		t.Fatal(err)
	}
	for number, name := range files {
		img, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		at := bytes.Index(img, b)
		if at < 0 {
			continue
		}
		img[at+len(b)/2] ^= 1
		bad := filepath.Join(t.TempDir(), "bad.iso")
		if err := os.WriteFile(bad, img, 0o600); err != nil {
			t.Fatal(err)
		}
		some := maps.Clone(files)
		some[number] = bad
		report, err := (&rescue.Restore{Target: t.TempDir()}).Run(t.Context(), values(some))
		if err != nil || len(report.Doubts) != 1 || report.Doubts[0].Disc != bad {
			t.Fatalf("%+v, %v", report, err)
		}
		sameNames(t, absent(report), []string{"many/d3/file 33.bin"})
		for _, all := range [][]string{append(values(some), name), append([]string{name}, values(some)...)} {
			r := &rescue.Restore{Target: t.TempDir()}
			if report, err := r.Run(t.Context(), all); err != nil || !report.Whole() {
				t.Errorf("%+v, %v", report, err)
			}
			if diff, err := tree.Compare(t.Context(), source, r.Target, false); err != nil || len(diff) > 0 {
				t.Errorf("%v, %v", diff, err)
			}
		}
		return
	}
	t.Fatal("it is on no disc")
}

// TestRestoreWithoutCatalogue: the newest disc's catalogue can't be read. The next one's does, and what is on the newest disc is found too.
func TestRestoreWithoutCatalogue(t *testing.T) {
	source := fill(t, 22)
	p := begin(t, source)
	plan(t, p)
	files := create(t, p, p.Numbers(catalogue.Planned)...)
	last := int64(len(files) - 1)
	img, err := os.ReadFile(files[last])
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(img, []byte("\"odarchive-catalogue\""))
	if at < 0 {
		t.Fatal("it has none")
	}
	img[at] ^= 0x40
	if err := os.WriteFile(files[last], img, 0o600); err != nil {
		t.Fatal(err)
	}
	r := &rescue.Restore{Target: t.TempDir()}
	report, err := r.Run(t.Context(), values(files))
	if err != nil || !report.Whole() || len(report.Doubts) != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	if diff, err := tree.Compare(t.Context(), source, r.Target, false); err != nil || len(diff) > 0 {
		t.Errorf("%v, %v", diff, err)
	}
}

// TestRestoreOlder: an archive that has a newer version comes back by its id; without, the newest does. Discs of two sets don't mix.
func TestRestoreOlder(t *testing.T) {
	source := fill(t, 23)
	p := begin(t, source)
	plan(t, p)
	files := create(t, p, p.Numbers(catalogue.Planned)...)
	old := filepath.Join(t.TempDir(), "old")
	if err := os.CopyFS(old, os.DirFS(filepath.Join(source, "many"))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(source, "many/d0/file 00.bin"), []byte("changed"), 0o600); err != nil {
		t.Fatal(err)
	}
	add(t, p, source)
	plan(t, p)
	maps.Copy(files, create(t, p, p.Numbers(catalogue.Planned)...))
	same(t, source, &rescue.Restore{}, values(files)...)
	r := &rescue.Restore{Target: t.TempDir(), Archive: p.c.Archives[0].ID, Paths: []string{"many"}}
	if report, err := r.Run(t.Context(), values(files)); err != nil || !report.Whole() {
		t.Fatalf("%+v, %v", report, err)
	}
	got, err := os.ReadFile(filepath.Join(r.Target, "many/d0/file 00.bin"))
	if want, _ := os.ReadFile(filepath.Join(old, "d0/file 00.bin")); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
	}

	other := begin(t, filepath.Join(source, "dir"))
	plan(t, other)
	mixed := append(values(files), create(t, other, 0)[0])
	if _, err := (&rescue.Restore{Target: t.TempDir()}).Run(t.Context(), mixed); err == nil || !strings.Contains(err.Error(), "is not of the set of") {
		t.Errorf("two sets: %v", err)
	}
}
