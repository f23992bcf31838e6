package rebuild_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/discset"
	"github.com/odarchive/odarchive/archive/image"
	"github.com/odarchive/odarchive/internal/rebuild"
	"github.com/odarchive/odarchive/library"
)

// device makes a block device of an image. Where that is not allowed, the test is skipped.
func device(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.Command("losetup", "--read-only", "--find", "--show", name).CombinedOutput()
	if err != nil {
		t.Skipf("no loop devices are to be had here: %v: %s", err, out)
	}
	dev := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", dev).CombinedOutput(); err != nil {
			t.Errorf("detach %s: %v: %s", dev, err, out)
		}
	})
	return dev
}

// unpack copies the files of an image into a folder.
func unpack(t *testing.T, name, dir string) {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	sides, err := image.Open(f, info.Size()/archive.SectorSize)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, sides.FS()); err != nil {
		t.Fatal(err)
	}
}

// mount mounts a disc. A kernel that has neither of its file systems is given one that has the disc's files and says that it is of the device, which
// is all that is asked of it.
func mount(t *testing.T, dev, name string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, system := range []string{"udf", "iso9660"} {
		if unix.Mount(dev, dir, system, unix.MS_RDONLY, "") == nil {
			t.Cleanup(func() { unmount(t, dir) })
			return dir
		}
	}
	if err := unix.Mount(dev, dir, "tmpfs", 0, "size=64m"); err != nil {
		t.Skipf("nothing may be mounted here: %v", err)
	}
	t.Cleanup(func() { unmount(t, dir) })
	unpack(t, name, dir)
	return dir
}

func unmount(t *testing.T, dir string) {
	if err := unix.Unmount(dir, 0); err != nil {
		t.Errorf("unmount %s: %v", dir, err)
	}
}

// TestDrillFromDevices: discs in drives and discs that are mounted tell a drill the same as their images, and what is lacking there too.
func TestDrillFromDevices(t *testing.T) {
	f := small(t, 0, discset.Geometry{Data: 2, Parity: 1})
	images := slices.Concat(f.images, f.parity)
	dsn := empty(t)
	if _, err := run(t.Context(), dsn, images); err != nil {
		t.Fatal(err)
	}
	var given []string
	for i, name := range images {
		dev := device(t, name)
		if i%2 == 1 {
			given = append(given, mount(t, dev, name))
		} else {
			given = append(given, dev)
		}
	}
	places, err := rebuild.Places(given)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range places {
		if !strings.HasPrefix(p, "/dev/") {
			t.Errorf("%s is read for %s", p, given[i])
		}
	}
	if d := practise(t, dsn, places); len(d) > 0 {
		t.Errorf("the discs differ from what was made of their images: %+v", d)
	}
	lacking := map[string]library.DifferenceKind{}
	for _, d := range practise(t, dsn, places[:len(f.images)-1]) {
		lacking[d.Noun+" "+d.ID] = d.Kind
	}
	if lacking["image "+f.planned[len(f.images)-1].Disc.ImageID] != library.OnlyInDatabase {
		t.Errorf("without the last disc: %v", lacking)
	}
}

// TestCopyIsNoDisc: a copy of a disc's files doesn't say where they lie on it, and is refused, whatever it lies on.
func TestCopyIsNoDisc(t *testing.T) {
	f := small(t, 0, discset.Geometry{Data: 2, Parity: 1})
	for _, name := range []string{f.images[0], f.parity[0]} {
		dir := filepath.Join(t.TempDir(), "copy")
		unpack(t, name, dir)
		if places, err := rebuild.Places([]string{dir}); err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "a copy of ") {
			t.Errorf("%v %v", places, err)
		}
	}
}
