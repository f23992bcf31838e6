package image

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/tree"
)

// listed is a file that a folder has.
type listed struct {
	path string
	size int64
	mode uint32
	nano int64 // when it was modified, since 1970
}

// list returns the files of the folder dir and all that are below it, in ascending order of paths.
func list(dir string) ([]listed, error) {
	var mu sync.Mutex
	var all [][]listed
	g := errgroup.Group{}
	g.SetLimit(runtime.GOMAXPROCS(0))
	var walk func(below string) error
	walk = func(below string) error {
		d, err := os.Open(filepath.Join(dir, below))
		if err != nil {
			return err
		}
		defer d.Close()
		names, err := d.Readdirnames(-1)
		if err != nil {
			return err
		}
		files := make([]listed, 0, len(names))
		for _, name := range names {
			var st unix.Stat_t
			if err := unix.Fstatat(int(d.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
				return err
			}
			p := path.Join(below, name)
			if st.Mode&unix.S_IFMT == unix.S_IFDIR {
				if !g.TryGo(func() error { return walk(p) }) {
					if err := walk(p); err != nil {
						return err
					}
				}
				continue
			}
			files = append(files, listed{p, st.Size, st.Mode & 0o7777, st.Mtim.Nano()})
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, files)
		return nil
	}
	err := walk("")
	err = cmp.Or(err, g.Wait())
	files := slices.Concat(all...)
	slices.SortFunc(files, func(a, b listed) int { return strings.Compare(a.path, b.path) })
	return files, err
}

// laidOut lays a folder out.
func laidOut(dir string) (*Layout, []File, []Content, error) {
	all, err := list(dir)
	if err != nil {
		return nil, nil, nil, err
	}
	files, contents := make([]File, len(all)), make([]Content, len(all))
	for i, f := range all {
		files[i] = File{Path: f.path, Content: i, Mode: f.mode, ModTime: time.Unix(0, f.nano)}
		contents[i].Size = f.size
	}
	l, err := New(options, contents, files)
	return l, files, contents, err
}

// TestImageDirectory writes the image of a folder as scripts/bench-image.sh asks for it: there is no more to it than listing, laying
// out and writing, as genisoimage does. What odarchive does besides, hashing every file and the image, is timed by its own commands.
func TestImageDirectory(t *testing.T) {
	dir, out := os.Getenv("IMAGE_DIR"), os.Getenv("IMAGE_OUT")
	if dir == "" {
		t.Skip("IMAGE_DIR names no folder")
	}
	l, files, contents, err := laidOut(dir)
	if err != nil {
		t.Fatal(err)
	}
	folder, err := tree.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	w, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	type source struct {
		io.Reader
		io.Closer
	}
	err = l.WriteAhead(w, func(i int) (io.ReadCloser, error) {
		f, err := folder.Open(&archive.Entry{Path: files[i].Path, Content: archive.Content{Size: contents[i].Size}})
		if err != nil {
			return nil, err
		}
		return source{f.Reader(0, contents[i].Size+1), f}, nil
	}, 2)
	if err = cmp.Or(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	fmt.Printf("image of %d bytes\n", l.Sectors()*sectorSize)
}
