package rescue

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// old is a set of discs as odarchive 0.1 made them.
type old struct {
	*vault
	files   map[string][]byte // by path below the root
	on      map[string]int
	folders []string
}

var oldTime = time.Date(2018, 5, 24, 9, 32, 31, 0, time.UTC)

// oldDiscs makes folders of three discs. Where short is set contents are known by SHA-256.
func oldDiscs(t *testing.T, short bool) *old {
	v := &vault{TB: t, dir: t.TempDir()}
	o := &old{vault: v, files: map[string][]byte{}, on: map[string]int{}}
	for i := range 12 {
		o.files[fmt.Sprintf("letters/%d/é %d.txt", i%3, i)] = bytes.Repeat([]byte{byte(i)}, 5000*i)
	}
	o.files["copy.txt"] = o.files["letters/1/é 4.txt"]
	type file struct {
		Filenames map[string]any `json:"filenames"`
		Size      int            `json:"size"`
		ModTime   string         `json:"mtime"`
		Disc      int            `json:"disc_num"`
	}
	files := map[string]*file{}
	for name, data := range o.files {
		key := fmt.Sprintf("%x", sha512.Sum512(data))
		if short {
			key = fmt.Sprintf("sha256:%x", sha256.Sum256(data))
		}
		if files[key] == nil {
			files[key] = &file{map[string]any{}, len(data), oldTime.Format("2006-01-02T15:04:05"), len(data) / 5000 % 3}
		}
		files[key].Filenames["/DATA/"+name] = nil
		o.on[name] = files[key].Disc
	}
	list, err := json.Marshal(map[string]any{
		"version": 2, "date": "2018-11-02T08:10:07.125000", "guid": uuid(1), "job_id": uuid(2), "job_name": "Unamed job", "iso_path_root": "/DATA",
		"segment_size": 23000000000, "source_path": "/media/usb", "files": files,
	})
	v.must(err)
	for n := range 3 {
		dir := filepath.Join(v.dir, fmt.Sprint("disc", n))
		write := func(name string, data []byte) {
			p := filepath.Join(dir, name)
			v.must(os.MkdirAll(filepath.Dir(p), 0o755))
			v.must(os.WriteFile(p, data, 0o444))
		}
		write("catalogue.json", list)
		write("disc_info.json", fmt.Appendf(nil, `{"date": "2018-11-02T08:10:07.125000", "disc_num": "%d", "num_discs": "3"}`, n))
		for name, data := range o.files {
			if o.on[name] == n {
				write("DATA/"+name, data)
			}
		}
		o.folders = append(o.folders, dir)
	}
	return o
}

// check compares what was restored with what the discs had.
func (o *old) check(r *Report, without int) {
	o.Helper()
	a := r.Archives[0]
	var absent []string
	for _, x := range a.Absent {
		absent = append(absent, x.Path)
	}
	for name, data := range o.files {
		got, err := os.ReadFile(filepath.Join(a.Folder, name))
		if o.on[name] == without && len(data) > 0 {
			if err == nil || !slices.Contains(absent, name) {
				o.Errorf("%q is on no disc that was given: %v, absent are %q", name, err, absent)
			}
			continue
		}
		info, statErr := os.Stat(filepath.Join(a.Folder, name))
		if err != nil || statErr != nil || !bytes.Equal(got, data) || !info.ModTime().Equal(oldTime) || info.Mode() != 0o644 {
			o.Errorf("%q: %d bytes of %d, %v, %v", name, len(got), len(data), err, info)
		}
	}
	if info, err := os.Stat(filepath.Join(a.Folder, "letters")); err != nil || info.Mode().Perm() != 0o755 || !info.ModTime().Equal(oldTime) {
		o.Errorf("a directory: %v, %v", info, err)
	}
}

// TestAncestor: discs of odarchive 0.1 come back from folders and from images of every kind, and without one of them it is said which.
func TestAncestor(t *testing.T) {
	for name, short := range map[string]bool{"SHA-512": false, "SHA-256": true} {
		t.Run(name, func(t *testing.T) {
			o := oldDiscs(t, short)
			r := o.whole(&Restore{Archive: "Unamed job"}, o.folders...)
			o.check(r, -1)
			for i := range o.folders {
				var asked []int64
				r, err := (&Restore{Target: t.TempDir(), Ask: func(n *Need) (string, error) {
					for _, d := range n.Discs {
						asked = append(asked, d.Number)
					}
					return "", ErrNoMore
				}}).Run(t.Context(), slices.Delete(slices.Clone(o.folders), i, i+1))
				o.must(err)
				if !slices.Equal(asked, []int64{int64(i)}) || r.Whole() {
					t.Errorf("without disc %d asked for %v", i, asked)
				}
				o.check(r, i)
			}
		})
	}
	for name, command := range map[string][]string{
		"UDF":        {"genisoimage", "-quiet", "-udf", "-iso-level", "3", "-allow-lowercase"},
		"Rock Ridge": {"xorriso", "-as", "mkisofs", "-quiet", "-R"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath(command[0]); err != nil {
				if os.Getenv("CI") != "" {
					t.Fatal(err)
				}
				t.Skip(err)
			}
			o := oldDiscs(t, false)
			var images []string
			for _, dir := range o.folders {
				images = append(images, dir+".iso")
				if out, err := exec.Command(command[0], append(command[1:], "-o", dir+".iso", dir)...).CombinedOutput(); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
			}
			o.check(o.whole(&Restore{}, images...), -1)
			v := three(t, 0) // discs of a vault among them
			r, err := (&Restore{Target: t.TempDir()}).Run(t.Context(), append(images, v.images...))
			if err != nil || !r.Whole() || len(r.Archives) != 4 {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

// TestAncestorFinds: of two versions of a file the newer one has its name; the other, which has another name on the disc than in its
// catalogue, is found by its hash. One that has changed is absent.
func TestAncestorFinds(t *testing.T) {
	v := &vault{TB: t, dir: t.TempDir()}
	one, two := []byte("one"), []byte("two!")
	files := fmt.Sprintf(`"%x": {"filenames": {"/DATA/x": null}, "size": 3, "mtime": "2018-05-24T09:32:31"}, "%x": {"filenames": {"/DATA/x": null}, "size": 4, "mtime": "2018-06-24T09:32:31"}`,
		sha512.Sum512(one), sha512.Sum512(two))
	for name, data := range map[string]string{
		"catalogue.json": `{"version": 1, "date": "2018-11-02T08:10:07", "guid": "` + uuid(1) + `", "files": {` + files + `}}`,
		"disc_info.json": `{"date": "2018-11-02T08:10:07", "disc_num": "None", "num_discs": "1"}`, "DATA/x": "two!", "DATA/x.old": "one",
	} {
		p := filepath.Join(v.dir, name)
		v.must(os.MkdirAll(filepath.Dir(p), 0o755))
		v.must(os.WriteFile(p, []byte(data), 0o600))
	}
	r := v.whole(&Restore{}, v.dir)
	got, err := os.ReadFile(filepath.Join(r.Archives[0].Folder, "x"))
	older, olderErr := filepath.Glob(filepath.Join(r.Archives[0].Folder, "x~*"))
	if err != nil || string(got) != "two!" || olderErr != nil || len(older) != 1 || !strings.HasSuffix(older[0], fmt.Sprintf("~%x", sha512.Sum512(one))[:17]) {
		t.Errorf("%s, %v, %v", got, err, older)
	}
	v.must(os.WriteFile(filepath.Join(v.dir, "DATA/x"), []byte("tow!"), 0o600))
	r, err = (&Restore{Target: t.TempDir()}).Run(t.Context(), []string{v.dir})
	if err != nil || len(r.Archives[0].Absent) != 1 || r.Archives[0].Absent[0].Path != "x" || len(r.Doubts) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}
