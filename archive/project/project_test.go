package project

import (
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/disc"
	"github.com/odarchive/odarchive/archive/rescue"
	"github.com/odarchive/odarchive/archive/tree"
)

const small = 4096 // sectors of the discs in tests: 8 MiB

// fill makes a folder of files that no disc of the tests holds at once, one of them larger than a disc.
func fill(t testing.TB, seed uint64) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "source")
	chacha := rand.NewChaCha8([32]byte{byte(seed)})
	rng := rand.New(chacha)
	write := func(name string, size int) {
		b := make([]byte, size)
		chacha.Read(b)
		p := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, b, 0o640), os.Chtimes(p, time.Unix(1e9, 5), time.Unix(int64(rng.Uint32()), 123456789))); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 60 {
		write(fmt.Sprintf("many/d%d/file %02d.bin", i/10, i), rng.IntN(200_000))
	}
	write("big.bin", 10<<20)
	write("empty", 0)
	write("dir/"+strings.Repeat("é", 120)+".txt", 100)
	write("not\xffutf8\\", 100)
	write("new\nline", 100)
	write("CON", 10)
	if err := errors.Join(
		os.Link(filepath.Join(dir, "CON"), filepath.Join(dir, "hard")), os.Symlink("../nowhere", filepath.Join(dir, "link")), os.Mkdir(filepath.Join(dir, "nothing"), 0o711),
	); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "many/d0/file 00.bin"))
	if err := errors.Join(err, os.WriteFile(filepath.Join(dir, "copy"), b, 0o600)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func begin(t testing.TB, source string) *Project {
	t.Helper()
	p, err := Create(filepath.Join(t.TempDir(), "project"), "job")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	if _, err := p.Add(t.Context(), source, tree.Options{}); err != nil {
		t.Fatal(err)
	}
	return p
}

func plan(t testing.TB, p *Project) {
	t.Helper()
	if err := p.Plan(small, "test"); err != nil {
		t.Fatal(err)
	}
}

// create makes images of discs and returns their files by number.
func create(t testing.TB, p *Project, numbers ...int64) map[int64]string {
	t.Helper()
	dir := t.TempDir()
	files := map[int64]string{}
	for _, n := range numbers {
		files[n] = filepath.Join(dir, fmt.Sprintf("new_%04d.iso", n))
		if err := p.CreateImage(t.Context(), n, files[n], nil); err != nil {
			t.Fatal(err)
		}
		if info, _ := os.Stat(files[n]); info.Size() > small*archive.SectorSize {
			t.Errorf("disc %d has %d bytes", n, info.Size())
		}
	}
	return files
}

// same restores the discs at places and compares with source.
func same(t testing.TB, source string, r *rescue.Restore, places ...string) {
	t.Helper()
	r.Target = filepath.Join(t.TempDir(), "restored")
	if report, err := r.Run(t.Context(), places); err != nil || !report.Whole() || len(report.Doubts) > 0 {
		t.Fatalf("%+v, %v", report, err)
	}
	diff, err := tree.Compare(t.Context(), source, r.Target, false)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range diff {
		t.Error(d)
	}
}

func values(m map[int64]string) (all []string) {
	for _, v := range m {
		all = append(all, v)
	}
	return all
}

func TestThereAndBack(t *testing.T) {
	source := fill(t, 1)
	p := begin(t, source)
	plan(t, p)
	numbers := p.Numbers(catalogue.Planned)
	if len(numbers) < 3 {
		t.Fatalf("%d discs", len(numbers))
	}
	files := create(t, p, numbers...)
	same(t, source, &rescue.Restore{}, values(files)...)
	for _, side := range []disc.Side{disc.UDF, disc.Diskfs} {
		same(t, source, &rescue.Restore{Side: side}, values(files)...)
	}

	t.Run("one after the other", func(t *testing.T) {
		var asked []int64
		r := &rescue.Restore{Ask: func(n *rescue.Need) (string, error) {
			asked = append(asked, n.Discs[0].Number)
			return files[n.Discs[0].Number], nil
		}}
		same(t, source, r, files[1])
		if len(asked) != len(files)-1 {
			t.Errorf("asked for %v", asked)
		}
	})
	t.Run("a disc is missing", func(t *testing.T) {
		r := &rescue.Restore{Target: filepath.Join(t.TempDir(), "x")}
		if report, err := r.Run(t.Context(), []string{files[0]}); err != nil || report.Whole() {
			t.Errorf("%+v, %v", report, err)
		}
		left := 0
		filepath.WalkDir(r.Target, func(p string, e os.DirEntry, err error) error {
			if strings.HasSuffix(p, ".tmp") {
				left++
			}
			return nil
		})
		if left > 0 {
			t.Errorf("%d half-written files are left", left)
		}
	})
	t.Run("the same image twice", func(t *testing.T) {
		again := create(t, p, 1)
		a, _ := os.ReadFile(files[1])
		b, _ := os.ReadFile(again[1])
		if string(a) != string(b) {
			t.Error("they differ")
		}
	})
	t.Run("judged", func(t *testing.T) { judged(t, source, files) })
	t.Run("an old catalogue", func(t *testing.T) {
		d, err := disc.Open(t.Context(), files[0], disc.Any)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		old := t.TempDir()
		extract(t, d, old, p.c.Archives)
		again, err := Import(t.TempDir(), filepath.Join(old, catalogue.CatalogName), false)
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		for n, f := range create(t, again, again.Numbers(catalogue.Planned)...) {
			a, _ := os.ReadFile(f)
			if b, _ := os.ReadFile(files[n]); string(a) != string(b) {
				t.Errorf("disc %d is another one", n)
			}
		}
	})
}

// extract copies what a disc says about its set to a folder.
func extract(t testing.TB, d *disc.Disc, to string, archives []catalogue.SetArchive) {
	t.Helper()
	names := []string{catalogue.CatalogName}
	for _, a := range archives {
		names = append(names, catalogue.ManifestPath(a.ID))
	}
	for _, name := range names {
		b, err := d.Small(name)
		if err := errors.Join(err, os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o755), os.WriteFile(filepath.Join(to, name), b, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
}

// judged extracts the discs with 7z, checks them with sha256sum, joins the parts with cat, and restores from the folders.
func judged(t *testing.T, source string, files map[int64]string) {
	var folders []string
	for n, f := range files {
		dir := filepath.Join(t.TempDir(), fmt.Sprint(n))
		out := judge(t, "", "7z", "x", "-tudf", "-o"+dir, f)
		if strings.Contains(out, "WARNING") || strings.Contains(out, "ERROR") {
			t.Errorf("7z: %s", out)
		}
		t.Cleanup(func() { exec.Command("chmod", "-R", "u+w", dir).Run() })
		folders = append(folders, dir)
		// 7z has no backslash in a name: it writes another character.
		if m, _ := filepath.Glob(filepath.Join(dir, "Data", source, "not_utf8*")); len(m) == 1 {
			exec.Command("chmod", "-R", "u+w", dir).Run()
			d, _ := disc.Open(t.Context(), f, disc.Any)
			os.Rename(m[0], filepath.Join(dir, d.UDFPath(filepath.Join("Data", source, "not\xffutf8\\"))))
			d.Close()
		}
		judge(t, dir, "sha256sum", "--quiet", "-c", "SHA256SUMS")
	}
	joined := filepath.Join(t.TempDir(), "big.bin")
	var parts []string
	for _, dir := range folders {
		m, _ := filepath.Glob(filepath.Join(dir, "Data", source, "big.bin.part*"))
		parts = append(parts, m...)
	}
	if len(parts) < 2 {
		t.Fatalf("big.bin has the parts %v", parts)
	}
	for _, part := range parts {
		judge(t, filepath.Dir(joined), "ln", "-s", part, ".")
	}
	judge(t, filepath.Dir(joined), "sh", "-c", "cat big.bin.part*-of-* > big.bin")
	judge(t, "", "cmp", joined, filepath.Join(source, "big.bin"))
	same(t, source, &rescue.Restore{}, folders...)
}

func judge(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	c := exec.Command(name, args...)
	c.Dir = dir
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// TestEverySaveIsAnother: the guid of the catalogue changes whenever it is saved, and what discs say is that of their plan.
func TestEverySaveIsAnother(t *testing.T) {
	p := begin(t, fill(t, 6))
	seen := map[string]bool{p.c.GUID: true}
	another := func(what string) {
		t.Helper()
		if again, err := ReadCatalogue(p.path(catalogue.CatalogName)); err != nil || again.GUID != p.c.GUID || seen[again.GUID] {
			t.Errorf("%s: the guid is %s, %v", what, again.GUID, err)
		}
		seen[p.c.GUID] = true
	}
	plan(t, p)
	another("planned")
	d, err := disc.Open(t.Context(), create(t, p, 0)[0], disc.Any)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	another("created")
	if c, err := d.Catalogue(); err != nil || c.GUID != p.c.Discs[0].Plan || d.Info.GUID != c.GUID || c.SetID != p.c.SetID {
		t.Errorf("the disc says %+v, its catalogue %v, %v", d.Info, c.GUID, err)
	}
	if err := p.Burned(0); err != nil {
		t.Fatal(err)
	}
	another("burned")
}

// TestMore: files that come later go onto new discs, and those that exist stay as they are.
func TestMore(t *testing.T) {
	source := fill(t, 2)
	p := begin(t, source)
	plan(t, p)
	files := create(t, p, 0)
	before := *p.c
	os.Remove(filepath.Join(source, "many/d1/file 11.bin"))
	if err := os.WriteFile(filepath.Join(source, "CON"), []byte("changed"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(source, "later"), []byte("later"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Add(t.Context(), source, tree.Options{}); err != nil {
		t.Fatal(err)
	}
	plan(t, p)
	if p.c.Discs[0].ID != before.Discs[0].ID || p.c.Discs[0].State != catalogue.Created {
		t.Errorf("disc 0 is another one: %+v", p.c.Discs[0])
	}
	on := map[string]int64{}
	for _, e := range before.Entries {
		on[string(e.Digest)] = e.Runs[0].Disc
	}
	for _, e := range p.c.Entries {
		if on[string(e.Digest)] == 0 && e.Runs[0].Disc != 0 {
			if _, known := on[string(e.Digest)]; known {
				t.Errorf("%q is on disc 0 and was planned again", e.Names[0])
			}
		}
	}
	for n, f := range create(t, p, p.Numbers(catalogue.Planned)...) {
		files[n] = f
	}
	same(t, source, &rescue.Restore{}, values(files)...)
	// Everything survives being opened again.
	p.Close()
	again, err := Open(p.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	create(t, again, again.Numbers(catalogue.Created)[1:]...) // on disc 0 is a file that is not there any more
}

// TestChanged: a file that is not as it was scanned is named, and nothing is left of the image.
func TestChanged(t *testing.T) {
	for what, change := range map[string]func(name string) error{
		"shrank":   func(n string) error { return os.Truncate(n, 10) },
		"grew":     func(n string) error { return os.Truncate(n, 1<<20) },
		"vanished": os.Remove,
		"a FIFO":   func(n string) error { return errors.Join(os.Remove(n), exec.Command("mkfifo", n).Run()) },
		"same size and time": func(n string) error {
			info, err := os.Stat(n)
			if err != nil {
				return err
			}
			b, err := os.ReadFile(n)
			b[50] ^= 1
			return errors.Join(err, os.WriteFile(n, b, 0o600), os.Chtimes(n, info.ModTime(), info.ModTime()))
		},
	} {
		t.Run(what, func(t *testing.T) {
			source := t.TempDir()
			for i := range 5 {
				os.WriteFile(filepath.Join(source, fmt.Sprint(i)), []byte(strings.Repeat(fmt.Sprint(i), 200)), 0o600)
			}
			p := begin(t, source)
			plan(t, p)
			if err := change(filepath.Join(source, "3")); err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			err := p.CreateImage(t.Context(), 0, filepath.Join(dir, "x.iso"), nil)
			if !errors.Is(err, ErrChanged) || !strings.Contains(err.Error(), filepath.Join(source, "3")) {
				t.Errorf("error is %v", err)
			}
			if left, _ := os.ReadDir(dir); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			if d, _ := p.Disc(0); d.State != catalogue.Planned {
				t.Errorf("the disc is %v", d.State)
			}
		})
	}
}

// TestInterrupted: an image that is broken off leaves nothing, and the project is as it was.
func TestInterrupted(t *testing.T) {
	p := begin(t, fill(t, 3))
	plan(t, p)
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	err := p.CreateImage(ctx, 0, filepath.Join(dir, "x.iso"), func(done, _ int64) {
		if done > 2<<20 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	create(t, p, 0)
	if _, err := Open(p.dir); !errors.Is(err, ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
}

// TestIncremental: what an ancestor's catalogue has, known by SHA-512, and what another set has, is not planned again.
func TestIncremental(t *testing.T) {
	source := fill(t, 4)
	b, err := os.ReadFile(filepath.Join(source, "big.bin"))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha512.Sum512(b)
	old := filepath.Join(t.TempDir(), "catalogue.json")
	text := fmt.Sprintf(`{"date": "2018-11-01T22:15:20.685169", "files": {"%s": {"filenames": {"/DATA/was/big": null}, "mtime": "2018-05-26T11:06:00", "disc_num": 3, "size": %d}}, "guid": "0e3e3bb6-5a5c-4b92-9c9f-1c4e4c8a9f11", "version": 2}`,
		hex.EncodeToString(sum[:]), len(b))
	if err := os.WriteFile(old, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	other := begin(t, filepath.Join(source, "many"))
	plan(t, other)
	p := begin(t, source)
	for _, file := range []string{old, filepath.Join(other.dir, catalogue.CatalogName)} {
		if err := p.Merge(t.Context(), file); err != nil {
			t.Fatal(err)
		}
	}
	before := len(p.c.Discs)
	plan(t, p)
	if n := len(p.Numbers(catalogue.Planned)); n != 1 || before != 1+len(other.c.Discs) {
		t.Errorf("%d discs were planned besides %d", n, before)
	}
	for _, e := range p.c.Entries {
		if strings.Contains(e.Names[0], "/many/") || strings.HasSuffix(e.Names[0], "big.bin") {
			if d, _ := p.Disc(e.Runs[0].Disc); d.State != catalogue.Burned {
				t.Errorf("%q was planned again", e.Names[0])
			}
		}
	}
}

// TestCrash: whatever a save leaves when it is broken off, the project opens as it was before.
func TestCrash(t *testing.T) {
	p := begin(t, fill(t, 5))
	plan(t, p)
	guid := p.c.GUID
	if err := os.WriteFile(p.path(catalogue.CatalogName)+temporary, []byte(`{"version": 3, "fi`), 0o600); err != nil {
		t.Fatal(err)
	}
	p.Close()
	again, err := Open(p.dir)
	if err != nil || again.c.GUID != guid {
		t.Fatal(err)
	}
	defer again.Close()
	create(t, again, 0)
}

func TestCapacity(t *testing.T) {
	for size, want := range map[string]int64{
		"bd": 12219392, "BD-XL": 48878592, "23GB": 11230468, "23,000,000,000": 11230468, "1GiB": 524288, "bd - xx": 62500864, "2048": 1,
		"": 0, "x": 0, "-5GB": 0, "1e99": 0, "100": 0, "9PB": 0, "NaN": 0,
	} {
		if got, err := Capacity(size); got != want || (err != nil) != (want == 0) {
			t.Errorf("%q: %d sectors, %v", size, got, err)
		}
	}
}

// TestSpecifiedReader: the program in docs/disc-format.md reads what we write.
func TestSpecifiedReader(t *testing.T) {
	page, err := os.ReadFile("../../docs/disc-format.md")
	if err != nil {
		t.Fatal(err)
	}
	_, program, _ := strings.Cut(string(page), "```python\n")
	program, _, found := strings.Cut(program, "```")
	if !found {
		t.Fatal("docs/disc-format.md has no program")
	}
	source := fill(t, 6)
	p := begin(t, source)
	plan(t, p)
	for n, f := range create(t, p, p.Numbers(catalogue.Planned)...) {
		dir := filepath.Join(t.TempDir(), fmt.Sprint(n))
		judge(t, "", "python3", "-c", program, f, dir)
		judge(t, dir, "sha256sum", "--quiet", "-c", "SHA256SUMS")
	}
}

func add(t testing.TB, p *Project, source string) {
	t.Helper()
	if _, err := p.Add(t.Context(), source, tree.Options{}); err != nil {
		t.Fatal(err)
	}
}
