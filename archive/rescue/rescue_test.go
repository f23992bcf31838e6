package rescue

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/disc"
	"github.com/odarchive/odarchive/archive/discset"
	"github.com/odarchive/odarchive/archive/image/extent"
	"github.com/odarchive/odarchive/archive/pack"
	"github.com/odarchive/odarchive/archive/tree"
)

var (
	shared sync.Map // vaults by their roots
	folder string
)

func TestMain(m *testing.M) {
	var err error
	if folder, err = os.MkdirTemp("", "rescue"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(folder)
	os.Exit(code)
}

// three makes a vault of three archives, of which the second has most contents of the first, and the third its name. Nobody may change it.
func three(t testing.TB, roots int) *vault {
	made, _ := shared.LoadOrStore(roots, sync.OnceValue(func() *vault {
		dir := filepath.Join(folder, fmt.Sprint(roots))
		v := newVault(t, dir, roots)
		v.must(os.Mkdir(dir, 0o777))
		v.archive("photos", v.fill(1, 5<<20))
		second := v.fill(1, 5<<20)
		v.must(os.WriteFile(filepath.Join(second, "later"), []byte("later"), 0o600))
		v.archive("more photos", second)
		v.archive("photos", v.fill(3, 1<<20))
		return v
	}))
	v := *made.(func() *vault)()
	v.TB = t
	return &v
}

// TestThereAndBack: all archives come back as they were, in whatever order discs are given, some of them twice.
func TestThereAndBack(t *testing.T) {
	for name, roots := range map[string]int{"plain": 0, "protected": 32} {
		t.Run(name, func(t *testing.T) {
			v := three(t, roots)
			if len(v.images) < 5 {
				t.Fatalf("%d discs", len(v.images))
			}
			r := v.whole(&Restore{}, v.images...)
			if len(r.Archives) != 3 || len(r.Discs) != len(v.images) || len(r.Doubts) != 0 || r.Repaired != 0 {
				t.Errorf("%+v", r)
			}
			for i, want := range []string{"photos", "more photos", "photos~2"} {
				if got := filepath.Base(r.Archives[i].Folder); got != want {
					t.Errorf("archive %d is in %s", i, got)
				}
			}
			for _, side := range []disc.Side{disc.UDF, disc.Diskfs} {
				v.whole(&Restore{Side: side}, v.images...)
			}
			back := slices.Clone(v.images)
			slices.Reverse(back)
			v.whole(&Restore{}, append(back, v.images[0])...)
		})
	}
}

// TestOne: one archive by its name, the beginning of its id, or its root hash; a path of it; and what is not there or not clear.
func TestOne(t *testing.T) {
	v := three(t, 0)
	for _, name := range []string{"more photos", uuid(501)} {
		r := v.whole(&Restore{Archive: name}, v.images...)
		if len(r.Archives) != 1 || r.Archives[0].ID != uuid(501) || filepath.Base(r.Archives[0].Folder) != "back" {
			t.Errorf("%s: %+v", name, r.Archives)
		}
	}
	r := v.whole(&Restore{Archive: "more photos", Paths: []string{"many/d1", "hard link"}}, v.images...)
	if a := r.Archives[0]; a.Files != 11 {
		t.Errorf("of some paths %d files came back", a.Files)
	}
	if _, err := (&Restore{Target: t.TempDir(), Archive: "photos"}).Run(t.Context(), v.images); !errors.Is(err, ErrAmbiguous) || !strings.Contains(err.Error(), uuid(502)) {
		t.Errorf("two are called photos: %v", err)
	}
	if _, err := (&Restore{Target: t.TempDir(), Archive: "none"}).Run(t.Context(), v.images); !errors.Is(err, ErrNoArchive) {
		t.Errorf("none is called so: %v", err)
	}
	if _, err := (&Restore{Target: t.TempDir()}).Run(t.Context(), []string{filepath.Join(v.dir, "nothing.iso")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nothing there: %v", err)
	}
	other := filepath.Join(t.TempDir(), "other.iso")
	v.must(os.WriteFile(other, make([]byte, 1<<20), 0o600))
	if _, err := (&Restore{Target: t.TempDir()}).Run(t.Context(), []string{other}); !errors.Is(err, ErrNoVault) {
		t.Errorf("no disc: %v", err)
	}
	if _, err := (&Restore{Target: r.Archives[0].Folder, Archive: "more photos"}).Run(t.Context(), v.images); !errors.Is(err, tree.ErrExists) {
		t.Errorf("over what is there: %v", err)
	}
}

// TestAnyDiscMissing: without a disc exactly the files of which it has something are absent, by all their names; all others are there
// and whole, and nothing else is left.
func TestAnyDiscMissing(t *testing.T) {
	v := three(t, 0)
	all := v.whole(&Restore{}, v.images...)
	for i := range v.images {
		on := map[archive.Hash]bool{}
		for r := range v.layout[i].Runs {
			if r.Length > 0 {
				on[r.Hash] = true
			}
		}
		target := t.TempDir()
		r, err := (&Restore{Target: target, Owners: os.Geteuid() == 0}).Run(t.Context(), v.without(i))
		if err != nil {
			t.Fatal(err)
		}
		for k := range all.Archives {
			a := &r.Archives[min(k, len(r.Archives)-1)]
			if a.ID != all.Archives[k].ID {
				if len(r.Archives) == len(all.Archives) {
					t.Errorf("archive %d is %s", k, a.ID)
				}
				continue // the archive was on that disc alone
			}
			entries, err := tree.Scan(t.Context(), v.source[a.ID], tree.Options{})
			v.must(err)
			var want []string
			for _, e := range entries {
				if e.Kind == archive.File && on[e.Content.Hash] && e.Content.Size > 0 {
					want = append(want, e.Path)
				}
			}
			var got []string
			for _, x := range a.Absent {
				got = append(got, x.Path)
				if len(x.Gaps) == 0 {
					t.Errorf("%q is absent, and nothing of it", x.Path)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("without disc %d absent are\n%q, want\n%q", i+1, got, want)
			}
			diff, err := tree.Compare(t.Context(), v.source[a.ID], a.Folder, os.Geteuid() == 0)
			v.must(err)
			for _, d := range diff {
				if !slices.Contains(want, d.Path) {
					t.Errorf("without disc %d: %s", i+1, d)
				}
			}
		}
		filepath.WalkDir(target, func(p string, _ os.DirEntry, _ error) error {
			if strings.HasSuffix(p, ".tmp") {
				t.Errorf("%s is left", p)
			}
			return nil
		})
	}
}

// TestOneDrive: with one drive discs come one after the other, in the worst order, to the same place.
func TestOneDrive(t *testing.T) {
	v := three(t, 32)
	drive := filepath.Join(t.TempDir(), "drive")
	put := func(i int) {
		os.Remove(drive)
		v.must(os.Symlink(v.images[i], drive))
	}
	for _, archive := range []string{"", "more photos"} {
		i := len(v.images) - 1
		put(i)
		var seen []int
		r := v.whole(&Restore{Archive: archive, Ask: func(n *Need) (string, error) {
			seen = append(seen, len(n.Seen))
			if n.Files == 0 && n.Archive != "more photos" {
				t.Errorf("asked for %+v", n)
			}
			i = (i + len(v.images) - 1) % len(v.images)
			put(i)
			return drive, nil
		}}, drive)
		if len(seen) == 0 || len(r.Doubts) > 0 {
			t.Errorf("asked %d times, doubts %v", len(seen), r.Doubts)
		}
	}
	put(0)
	r, err := (&Restore{Target: t.TempDir(), Ask: func(*Need) (string, error) { return "", ErrNoMore }}).Run(t.Context(), []string{drive})
	if err != nil || r.Whole() {
		t.Errorf("nobody has more: %+v, %v", r, err)
	}
}

// TestMounted: folders that 7z copied discs to are discs too.
func TestMounted(t *testing.T) {
	if _, err := exec.LookPath("7z"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	v := newVault(t, t.TempDir(), 0)
	source := v.fill(4, 6<<20)
	v.must(os.Remove(filepath.Join(source, "not\xffutf8\\"))) // 7z writes another character for the backslash
	v.archive("photos", source)
	var folders []string
	for _, img := range v.images {
		dir := filepath.Join(t.TempDir(), "disc")
		if out, err := exec.Command("7z", "x", "-tudf", "-o"+dir, img).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		t.Cleanup(func() { exec.Command("chmod", "-R", "u+w", dir).Run() })
		folders = append(folders, dir)
	}
	v.whole(&Restore{}, folders...)
}

// TestDamage: what can't be read, and what is read wrong without a word, is repaired from the disc's own error correction, whether it is
// of a content, a part, a manifest, the catalogue or the file system.
func TestDamage(t *testing.T) {
	v := three(t, 32)
	for _, dead := range []bool{true, false} {
		repaired := int64(0)
		for _, i := range []int{0, 3} { // part of a content, and none
			discs, file := v.copyOf(i)
			var sectors []int64
			for s := int64(17); s < v.data[i]; s += 97 { // a different sector of every kind
				sectors = append(sectors, s+int64(i))
			}
			v.damage(file, dead, append(sectors, 256, 32, 257)...)
			repaired += v.whole(&Restore{}, discs...).Repaired
		}
		if repaired < 5 {
			t.Errorf("dead %v: %d sectors were repaired", dead, repaired)
		}
	}
	// Cut off behind its data it is a disc without error correction.
	discs, file := v.copyOf(0)
	v.must(os.Truncate(file, v.data[0]*archive.SectorSize))
	v.whole(&Restore{}, discs...)
}

// TestBeyondRepair: a content that no disc gives back is absent, everything else is there; a second copy of the disc has it.
func TestBeyondRepair(t *testing.T) {
	v := three(t, 0)
	discs, file := v.copyOf(0)
	var bad pack.Run
	for r, sector := range v.layout[0].Runs {
		if r.Length > 10_000 && r.Length < 60_000 {
			bad = r
			v.damage(file, false, sector+1)
		}
	}
	r, err := (&Restore{Target: t.TempDir()}).Run(t.Context(), discs)
	if err != nil || r.Whole() || len(r.Doubts) == 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	if x := r.Archives[0].Absent; !slices.ContainsFunc(x, func(a Absent) bool { return a.Content.Hash == bad.Hash }) {
		t.Errorf("absent are %v", x)
	}
	v.whole(&Restore{}, append(discs, v.images[0])...)
	// So it does when it is a part of a file that is wrong: nothing says of which disc.
	discs, file = v.copyOf(1)
	for r, sector := range v.layout[1].Runs {
		if r.Length > 1<<20 {
			v.damage(file, false, sector+5)
		}
	}
	r, err = (&Restore{Target: t.TempDir()}).Run(t.Context(), discs)
	if err != nil || r.Whole() || len(r.Doubts) == 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	v.whole(&Restore{}, append(discs, v.images[1])...)
	// A catalogue that nothing repairs costs only parts of files.
	discs, file = v.copyOf(0)
	d, err := disc.Open(t.Context(), file, disc.Any)
	v.must(err)
	f, err := d.File(catalogue.CatalogName)
	v.must(err)
	at := sectorOf(f)
	v.must(d.Close())
	v.damage(file, false, at)
	r, err = (&Restore{Target: t.TempDir()}).Run(t.Context(), discs)
	if err != nil || len(r.Doubts) == 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, x := range r.Archives[0].Absent {
		if x.Path != "large" && x.Path != "hard link" {
			t.Errorf("%q is absent", x.Path)
		}
	}
}

// TestSet: with the parity discs of a set among them, lost and damaged discs come from the others.
func TestSet(t *testing.T) {
	for name, roots := range map[string]int{"plain": 0, "protected": 32} {
		t.Run(name, func(t *testing.T) {
			v := newVault(t, t.TempDir(), roots)
			v.parity = &catalogue.Parity{Set: uuid(4444), Data: 8, Images: 2}
			v.archive("photos", v.fill(1, 5<<20))
			v.archive("others", v.fill(2, 1<<20))
			parities := v.parityDiscs(discset.Geometry{Data: 8, Parity: 2})
			for i := range v.images {
				if roots > 0 && i > 0 {
					break // what is rebuilt is the same
				}
				r := v.whole(&Restore{}, append(v.without(i), parities[i%2])...)
				if r.Rebuilt == 0 {
					t.Errorf("without disc %d nothing was rebuilt", i+1)
				}
			}
			rest := append(slices.Clone(v.images[2:]), parities...)
			v.whole(&Restore{}, rest...)

			// One more is too much, and it is said which.
			r := &Restore{Target: t.TempDir()}
			report, err := r.Run(t.Context(), rest[1:])
			if err != nil || report.Whole() || !slices.ContainsFunc(report.Doubts, func(d Doubt) bool {
				return strings.Contains(d.Error(), "OD_000001, OD_000002, OD_000003") && strings.Contains(d.Error(), "with 1 more")
			}) {
				t.Errorf("%+v, %v", report, err)
			}
			// Without any parity it is said that there is some.
			r = &Restore{Target: t.TempDir()}
			if report, err := r.Run(t.Context(), v.without(0)); err != nil || report.Whole() || !slices.Equal(r.Sets(), []string{uuid(4444)}) {
				t.Errorf("%+v, %v, sets %v", report, err, r.Sets())
			}
			// A damaged disc and a lost one, beyond what either heals alone.
			discs, file := v.copyOf(1)
			var bad []int64
			for s := int64(0); s < v.data[1]*9/10; s++ {
				if s != 16 && s < 256 || s > 600 && s < 800 {
					bad = append(bad, s)
				}
			}
			v.damage(file, true, bad...)
			v.whole(&Restore{}, append(discs[1:], parities...)...)
		})
	}
}

// sectorOf returns the first sector of an open file.
func sectorOf(f fs.File) int64 { return f.(*extent.File).Extents()[0].Sector }
