package tree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/odarchive/odarchive/archive"
)

// nasty makes a tree of everything that people's disks hold.
func nasty(t testing.TB) string {
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, data string) {
		t.Helper()
		must(os.MkdirAll(filepath.Dir(at(name)), 0o755))
		must(os.WriteFile(at(name), []byte(data), 0o644))
	}
	write("a", "1")
	write("a.b", "sorts between a and a/c")
	write("dir/c", "below")
	write("dir.x", "beside")
	write("empty", "")
	write(strings.Repeat("n", 255), "long")
	write("not\xffutf8\xfe", "bytes")
	write("new\nline", "x")
	write(`back\slash "quoted"`, "x")
	write("emoji😀", "x")
	write(strings.Repeat("deep/", 40)+"leaf", "deep")
	write("secret", "s")
	must(os.Chmod(at("secret"), 0o600))
	write("run", "#!/bin/sh\n")
	must(os.Chmod(at("run"), 0o4755))
	must(os.Mkdir(at("emptydir"), 0o711))
	must(os.Mkdir(at("readonly"), 0o755))
	write("readonly/x", "x")
	must(os.Chmod(at("readonly"), 0o555))
	t.Cleanup(func() { os.Chmod(at("readonly"), 0o755) })
	must(os.Link(at("a"), at("dir/hard")))
	must(os.Symlink("nowhere", at("dangling")))
	must(os.Symlink("/etc/passwd", at("absolute")))
	must(os.Symlink("loop", at("loop")))
	must(os.Symlink("\xff\xfe", at("badtarget")))
	f, err := os.Create(at("sparse"))
	must(err)
	must(f.Truncate(10 << 20))
	_, err = f.WriteAt([]byte("in the middle"), 5<<20)
	must(err)
	must(f.Close())
	if err := unix.Setxattr(at("a.b"), "user.note", []byte("\x00\xff"), 0); err != nil && !errors.Is(err, unix.ENOTSUP) {
		t.Fatal(err)
	}
	for i, when := range []time.Time{time.Date(1938, 1, 1, 0, 0, 0, 1, time.UTC), time.Date(2191, 5, 6, 7, 8, 9, 123456789, time.UTC)} {
		name := fmt.Sprintf("time%d", i)
		write(name, name)
		must(os.Chtimes(at(name), when, when))
	}
	must(os.Chtimes(at("emptydir"), time.Unix(1, 5), time.Unix(1, 5)))
	return dir
}

// restoreAll writes entries below target, taking contents from source.
func restoreAll(t testing.TB, r *Restore, source string) error {
	t.Helper()
	if err := r.Begin(); err != nil {
		return err
	}
	for _, e := range r.Files() {
		f, err := r.Create(e)
		if err != nil {
			return err
		}
		in, err := os.Open(filepath.Join(source, e.Path))
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(f, in)
		in.Close()
		if err != nil {
			f.Abort()
			return err
		}
		if err := f.Commit(); err != nil {
			return err
		}
	}
	return r.Finish(t.Context())
}

func newRestore(t testing.TB, target string, entries []archive.Entry) *Restore {
	t.Helper()
	r, err := NewRestore(target, entries)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func TestRoundTrip(t *testing.T) {
	source := nasty(t)
	entries, err := Scan(t.Context(), source, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(entries, func(a, b archive.Entry) int { return strings.Compare(a.Path, b.Path) }) {
		t.Error("entries are not in order")
	}
	for i := range entries {
		if err := entries[i].Validate(); err != nil {
			t.Error(err)
		}
	}
	target := filepath.Join(t.TempDir(), "new")
	r := newRestore(t, target, entries)
	r.Owners = os.Geteuid() == 0
	if err := restoreAll(t, r, source); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(filepath.Join(target, "readonly"), 0o755) })
	diff, err := Compare(t.Context(), source, target, r.Owners)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range diff {
		t.Error(d)
	}
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(target, "sparse"), &st); err != nil || st.Blocks*512 > 1<<20 {
		t.Errorf("the sparse file takes %d bytes (%v)", st.Blocks*512, err)
	}
}

func TestCompareNotices(t *testing.T) {
	for what, change := range map[string]func(dir string) error{
		"content": func(d string) error { return os.WriteFile(filepath.Join(d, "dir/c"), []byte("belov"), 0o644) },
		"mode":    func(d string) error { return os.Chmod(filepath.Join(d, "dir.x"), 0o640) },
		"missing": func(d string) error { return os.Remove(filepath.Join(d, "empty")) },
		"more":    func(d string) error { return os.WriteFile(filepath.Join(d, "more"), nil, 0o644) },
		"mtime":   func(d string) error { return os.Chtimes(filepath.Join(d, "secret"), time.Unix(9, 9), time.Unix(9, 9)) },
		"hard link": func(d string) error {
			return errors.Join(os.Remove(filepath.Join(d, "dir/hard")), os.WriteFile(filepath.Join(d, "dir/hard"), []byte("1"), 0o644))
		},
		"symlink": func(d string) error {
			return errors.Join(os.Remove(filepath.Join(d, "dangling")), os.Symlink("other", filepath.Join(d, "dangling")))
		},
	} {
		t.Run(what, func(t *testing.T) {
			dir := nasty(t)
			before, err := Scan(t.Context(), dir, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := change(dir); err != nil {
				t.Fatal(err)
			}
			after, err := Scan(t.Context(), dir, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if len(CompareEntries(before, after, true)) == 0 {
				t.Error("nothing was noticed")
			}
		})
	}
}

// TestSpecial: what is neither file, directory nor symlink comes back as what it was; devices where root does it, and are named elsewhere.
func TestSpecial(t *testing.T) {
	t.Chdir(t.TempDir()) // paths of sockets are short
	l, err := net.Listen("unix", "socket")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := unix.Mkfifo("fifo", 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unix.Chmod("fifo", 0o2751); err != nil {
		t.Fatal(err)
	}
	root := os.Geteuid() == 0
	kinds := map[string]archive.Kind{".": archive.Dir, "fifo": archive.FIFO, "socket": archive.Socket}
	if root {
		for name, kind := range map[string]archive.Kind{"char": archive.CharDevice, "block": archive.BlockDevice} {
			mode := map[archive.Kind]uint32{archive.CharDevice: unix.S_IFCHR, archive.BlockDevice: unix.S_IFBLK}[kind]
			if err := errors.Join(unix.Mknod(name, mode|0o640, int(unix.Mkdev(259, 70000))), os.Lchown(name, 3, 4)); err != nil {
				t.Fatal(err)
			}
			kinds[name] = kind
		}
	}
	entries, err := Scan(t.Context(), ".", Options{Skipped: func(path string, err error) { t.Errorf("%s is left out: %v", path, err) }})
	if err != nil || len(entries) != len(kinds) {
		t.Fatalf("%+v, %v", entries, err)
	}
	for i := range entries {
		e := &entries[i]
		if e.Kind != kinds[e.Path] || e.Validate() != nil || (e.Target == "259:70000") != e.Kind.HasTarget() {
			t.Errorf("%+v, %v", e, e.Validate())
		}
	}
	target := t.TempDir()
	restore := func(r *Restore, err error) {
		t.Helper()
		r.Owners = root
		if err := errors.Join(err, r.Begin(), r.Finish(t.Context()), r.Close()); err != nil || len(r.Unmade()) > 0 {
			t.Fatalf("%v, not made: %v", err, r.Unmade())
		}
		diff, err := Compare(t.Context(), ".", target, root)
		if err != nil || len(diff) > 0 {
			t.Errorf("%v, %v", diff, err)
		}
	}
	restore(NewRestore(target, entries))
	if !root {
		device := archive.Entry{Path: "null", Kind: archive.CharDevice, Mode: 0o666, ModTime: time.Unix(1, 0), Target: "1:3"}
		r, err := NewRestore(t.TempDir(), []archive.Entry{device})
		if err := errors.Join(err, r.Begin(), r.Finish(t.Context()), r.Close()); err != nil || !slices.Equal(r.Unmade(), []string{"null"}) {
			t.Errorf("a device: %v, not made: %v", err, r.Unmade())
		}
	}
	again, err := NewRestore(target, entries)
	again.Resume = true
	restore(again, err)
	over, err := NewRestore(target, entries)
	over.Overwrite = true
	restore(over, err)
}

// TestChanging: a file that changes each time it is read is an error that names it, one that settles is not.
func TestChanging(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "log")
	if err := os.WriteFile(path, []byte("line\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, changes := range []int{0, 1, 2, 3} {
		h, n := newHasher(), 0
		h.between = func(string) {
			if n++; n <= changes {
				f, _ := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
				f.WriteString("more\n")
				f.Close()
			}
		}
		w, err := h.file(t.Context(), root, "log", func(int64) {})
		info, _ := os.Stat(path)
		if changes < settle && (err != nil || w.Content.Size != info.Size()) {
			t.Errorf("%d changes: %+v, %v", changes, w, err)
		}
		if changes >= settle && !errors.Is(err, ErrChanging) {
			t.Errorf("%d changes: %v", changes, err)
		}
	}
}

// asNobody runs the calling test once more as somebody who may not read everything, and says whether that was done: root may.
func asNobody(t *testing.T) bool {
	t.Helper()
	if os.Geteuid() != 0 {
		return false
	}
	c := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v") // proc(5): whatever folder the program lies in
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := c.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("as nobody: %v\n%s", err, out)
	}
	return true
}

func TestUnreadable(t *testing.T) {
	if asNobody(t) {
		return
	}
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "secret"), []byte("x"), 0)
	os.WriteFile(filepath.Join(dir, "open"), []byte("x"), 0o644)
	if _, err := Scan(t.Context(), dir, Options{}); err == nil || !strings.Contains(err.Error(), "secret") {
		t.Errorf("the scan went on: %v", err)
	}
	var skipped []string
	entries, err := Scan(t.Context(), dir, Options{KeepGoing: true, Skipped: func(p string, _ error) { skipped = append(skipped, p) }})
	if err != nil || len(entries) != 2 || !slices.Equal(skipped, []string{"secret"}) {
		t.Errorf("%v, skipped %v, %v", entries, skipped, err)
	}
}

func TestHostileEntries(t *testing.T) {
	file := func(path string) archive.Entry { return archive.Entry{Path: path, Kind: archive.File, Mode: 0o644} }
	for name, entries := range map[string][]archive.Entry{
		"parent":          {file("../escaped")},
		"parent in a dir": {file("x/../../escaped")},
		"absolute":        {file("/tmp/escaped")},
		"NUL":             {file("a\x00b")},
		"through a link":  {{Path: "link", Kind: archive.Symlink, Target: ".."}, file("link/escaped")},
		"link out":        {file("a"), {Path: "b", Kind: archive.File, HardLink: "../../etc/passwd"}},
	} {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			r := newRestore(t, filepath.Join(base, "target"), entries)
			err := r.Begin()
			for _, e := range r.Files() {
				if err != nil {
					break
				}
				var f *File
				if f, err = r.Create(e); err == nil {
					err = f.Commit()
				}
			}
			if err == nil {
				err = r.Finish(t.Context())
			}
			if err == nil {
				t.Error("it was restored")
			}
			if _, err := os.Lstat(filepath.Join(base, "escaped")); err == nil {
				t.Error("something escaped")
			}
		})
	}
}

func TestExisting(t *testing.T) {
	source := t.TempDir()
	os.WriteFile(filepath.Join(source, "a"), []byte("new"), 0o644)
	os.WriteFile(filepath.Join(source, "b"), []byte("new"), 0o644)
	entries, err := Scan(t.Context(), source, Options{})
	if err != nil {
		t.Fatal(err)
	}
	target := t.TempDir()
	os.WriteFile(filepath.Join(target, "b"), []byte("old"), 0o644)
	if err := restoreAll(t, newRestore(t, target, entries), source); !errors.Is(err, ErrExists) || !strings.Contains(err.Error(), `"b"`) {
		t.Errorf("restore over an existing file: %v", err)
	}
	if _, err := os.Stat(filepath.Join(target, "a")); err == nil {
		t.Error("something was written before the refusal")
	}
	r := newRestore(t, target, entries)
	r.Overwrite = true
	if err := restoreAll(t, r, source); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(filepath.Join(target, "b")); string(b) != "new" {
		t.Errorf("b holds %q", b)
	}
}

func TestWrongContentLeavesNothing(t *testing.T) {
	target := t.TempDir()
	e := archive.Entry{Path: "f", Kind: archive.File, Mode: 0o644, Content: archive.Content{Size: 3}}
	r := newRestore(t, target, []archive.Entry{e})
	if err := r.Begin(); err != nil {
		t.Fatal(err)
	}
	f, err := r.Create(r.Files()[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("abc")); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(); err == nil {
		t.Error("a wrong content was taken")
	}
	if left, _ := os.ReadDir(target); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestPartOfLinks: of a file with several names only some are restored.
func TestPartOfLinks(t *testing.T) {
	source := t.TempDir()
	os.WriteFile(filepath.Join(source, "a"), []byte("x"), 0o644)
	os.Link(filepath.Join(source, "a"), filepath.Join(source, "b"))
	os.Link(filepath.Join(source, "a"), filepath.Join(source, "c"))
	entries, err := Scan(t.Context(), source, Options{})
	if err != nil {
		t.Fatal(err)
	}
	some := slices.DeleteFunc(entries, func(e archive.Entry) bool { return e.Path == "a" })
	target := t.TempDir()
	if err := restoreAll(t, newRestore(t, target, some), source); err != nil {
		t.Fatal(err)
	}
	b, _ := os.Stat(filepath.Join(target, "b"))
	c, _ := os.Stat(filepath.Join(target, "c"))
	if b == nil || c == nil || !os.SameFile(b, c) {
		t.Error("b and c are not one file")
	}
}

func TestScanEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Scan(ctx, nasty(t), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled scan: %v", err)
	}
}

func BenchmarkScanSmallFiles(b *testing.B) {
	dir := b.TempDir()
	const files = 10000
	for i := range files {
		d := filepath.Join(dir, fmt.Sprint(i/100))
		os.MkdirAll(d, 0o755)
		os.WriteFile(filepath.Join(d, fmt.Sprint(i)), []byte(strings.Repeat(fmt.Sprintf("%06d", i), 683)), 0o644)
	}
	for b.Loop() {
		if _, err := Scan(b.Context(), dir, Options{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(files)*float64(b.N)/b.Elapsed().Seconds(), "files/s")
}
