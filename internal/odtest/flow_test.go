package odtest

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/odarchive/odarchive/archive/tree"
	"github.com/odarchive/odarchive/internal/client"
	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// put archives a folder and waits until it is safe.
func (s *Site) put(dir string) *pb.Archive {
	s.Helper()
	a, err := s.Client.Put(s.Context(), client.Put{Dir: dir, Flush: true})
	if err != nil {
		s.Fatal(err)
	}
	if _, err := s.Client.Wait(s.Context(), a.GetJobId(), nil); err != nil {
		s.Fatal(err)
	}
	return a
}

// get restores an archive to a new folder.
func (s *Site) get(a *pb.Archive, paths ...string) (target string) {
	s.Helper()
	target, err := os.MkdirTemp(s.Dir, "get")
	if err != nil {
		s.Fatal(err)
	}
	if err := s.Client.Get(s.Context(), client.Get{Archive: a, Target: target, Paths: paths}); err != nil {
		s.Fatal(err)
	}
	return target
}

func (s *Site) same(a, b string) {
	s.Helper()
	differences, err := tree.Compare(s.Context(), a, b, false)
	if err != nil || len(differences) > 0 {
		s.Fatalf("%s and %s differ: %v %v", a, b, differences, err)
	}
}

// A folder with everything that a file system can hold goes onto discs, is read there by a program of somebody else, and comes back.
func TestThereAndBack(t *testing.T) {
	t.Parallel()
	s := New(t, Options{Sectors: 3000})
	source := s.path("source")
	s.fill(source, 1)
	for _, err := range []error{
		os.MkdirAll(filepath.Join(source, "empty folder"), 0o700),
		os.WriteFile(filepath.Join(source, "empty"), nil, 0o400),
		os.WriteFile(filepath.Join(source, "not UTF-8 \xff\xfe"), []byte("latin"), 0o644),
		os.WriteFile(filepath.Join(source, strings.Repeat("long", 63)), []byte("a name of 252 bytes"), 0o644),
		os.Link(filepath.Join(source, "large"), filepath.Join(source, "hard link")),
		os.Symlink("nowhere", filepath.Join(source, "dangling")),
		os.Symlink("/etc/passwd", filepath.Join(source, "absolute")),
		os.Symlink(".", filepath.Join(source, "loop")),
		os.Truncate(filepath.Join(source, "small", "00"), 20<<20), // a hole, larger than a disc
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	a := s.put(source)
	got := s.get(a)
	s.same(source, got)
	if n := taken(t, filepath.Join(got, "small", "00")); n > 1<<20 {
		t.Errorf("a hole of 20 MiB comes back with %d bytes on the disk", n)
	}
	s.CheckTruth(0)

	stats, err := s.Client.Library.Statistics(t.Context(), &pb.StatisticsRequest{})
	if err != nil || stats.GetBytesStaged() != 0 {
		t.Errorf("all is safe, and %d bytes are still staged (%v)", stats.GetBytesStaged(), err)
	}

	t.Run("a part of it", func(t *testing.T) {
		got := s.get(a, "small")
		if _, err := os.Stat(filepath.Join(got, "large")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("only small was wanted: %v", err)
		}
		s.same(filepath.Join(source, "small"), filepath.Join(got, "small"))
	})
	t.Run("7z reads the discs", func(t *testing.T) {
		images, err := filepath.Glob(s.path("jukebox", "discs", "*", "image.iso"))
		if err != nil || len(images) < 3 {
			t.Fatalf("the archive is on %d discs, want several: %v", len(images), err)
		}
		for _, image := range images {
			for _, side := range []string{"udf", "iso"} {
				if out, err := exec.Command("7z", "t", "-t"+side, image).CombinedOutput(); err != nil {
					t.Errorf("7z t -t%s: %v\n%s", side, err, out)
				}
			}
		}
	})
	t.Run("again costs a disc for its list only", func(t *testing.T) {
		before, err := s.Client.Library.Statistics(t.Context(), &pb.StatisticsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		again := s.put(source)
		after, err := s.Client.Library.Statistics(t.Context(), &pb.StatisticsRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if n, bytes := after.GetDiscsBurned()-before.GetDiscsBurned(), after.GetBytesBurned()-before.GetBytesBurned(); n != 1 || bytes > 2<<20 {
			t.Errorf("%d discs with %d bytes were burned", n, bytes)
		}
		s.same(source, s.get(again))
	})
}

// What is no file, folder or symlink comes back as what it was.
func TestSpecialFiles(t *testing.T) {
	t.Parallel()
	s := New(t, Options{Blanks: 2})
	source := s.path("source")
	s.fill(source, 2)
	if err := syscall.Mkfifo(filepath.Join(source, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := syscall.Mknod(filepath.Join(source, "device"), syscall.S_IFCHR|0o640, int(unix.Mkdev(1, 3))); err != nil {
			t.Fatal(err)
		}
	}
	a, err := s.Client.Put(t.Context(), client.Put{Dir: source, Flush: true, Skipped: func(path string, err error) { t.Errorf("left out: %s: %v", path, err) }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Client.Wait(t.Context(), a.GetJobId(), nil); err != nil {
		t.Fatal(err)
	}
	s.same(source, s.get(a))
}
