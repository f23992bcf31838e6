package agent

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// scratch is the folder of built images. An image is two files: `<id>.sha256`, as sha256sum writes it, and then
// `<id>.iso`; so an image that has its name is complete. What ends in `.part` is being made. torn.go says what else there is of one.
type scratch struct {
	root  *os.Root
	limit int64      // bytes of all images together; 0 is what the disk has
	mu    sync.Mutex // while space is taken
}

const (
	built  = ".iso"
	summed = ".sha256"
	part   = ".part"
)

// openScratch opens the folder and deletes what was left half made.
func openScratch(dir string, limit int64) (*scratch, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open scratch folder: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open scratch folder: %w", err)
	}
	s := &scratch{root: root, limit: limit}
	files, err := fs.ReadDir(root.FS(), ".")
	for _, f := range files {
		if err == nil && strings.HasSuffix(f.Name(), part) {
			err = root.Remove(f.Name())
		}
	}
	if err != nil {
		root.Close()
		return nil, fmt.Errorf("tidy scratch folder %s: %w", dir, err)
	}
	return s, nil
}

// validImage says whether id is a UUID in lower case: it becomes the name of a file.
func validImage(id string) bool {
	if len(id) != 36 {
		return false
	}
	for i, c := range id {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (c == '-') || !dash && !strings.ContainsRune("0123456789abcdef", c) {
			return false
		}
	}
	return true
}

// open opens a built image of a size in bytes and a SHA-256. One that isn't as it should be is deleted, so that it is built
// again; the error says that nothing was done.
func (s *scratch) open(id string, size int64, sum []byte) (*os.File, error) {
	have, err := s.sum(id, size)
	switch {
	case err != nil:
		return nil, err
	case have == nil:
		return nil, retry("image %s is not on the scratch disk", id)
	case !bytes.Equal(have, sum):
		s.discard(id)
		return nil, retry("image %s on the scratch disk has hash %x, want %x: it is deleted", id, have, sum)
	}
	file, err := s.root.Open(id + built)
	if err != nil {
		return nil, retry("open image %s: %w", id, err)
	}
	return file, nil
}

// sum returns the recorded SHA-256 of a built image, or nil when it isn't there in this size.
func (s *scratch) sum(id string, size int64) ([]byte, error) {
	if !validImage(id) {
		return nil, defect("%q is no image id", id)
	}
	info, err := s.root.Stat(id + built)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, retry("find image %s: %w", id, err)
	}
	text, err := s.root.ReadFile(id + summed)
	digits, _, _ := strings.Cut(string(text), " ")
	sum, notHex := hex.DecodeString(digits)
	if err != nil || notHex != nil || len(sum) != 32 || info.Size() != size {
		s.discard(id)
		return nil, nil
	}
	return sum, nil
}

// create makes the file for an image and takes the space that it needs.
func (s *scratch) create(id string, size int64) (*os.File, error) {
	return s.take(id, id+part, size)
}

// take makes a file of size bytes, for an image.
func (s *scratch) take(id, name string, size int64) (*os.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	missing, err := s.missing(size)
	if err != nil {
		return nil, retry("space for image %s: %w", id, err)
	}
	if missing > 0 {
		return nil, &spaceError{image: id, size: size, missing: missing}
	}
	file, err := s.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, retry("create image %s: %w", id, err)
	}
	err = unix.Fallocate(int(file.Fd()), 0, 0, size)
	if errors.Is(err, unix.EOPNOTSUPP) {
		err = file.Truncate(size)
	}
	if err != nil {
		file.Close()
		s.root.Remove(name)
		return nil, retry("take %d bytes for image %s: %w", size, id, err)
	}
	return file, nil
}

// temporary makes a file that is gone when it is closed.
func (s *scratch) temporary(name string) (*os.File, error) {
	file, err := s.root.OpenFile(name+part, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	if err := s.root.Remove(name + part); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// spaceError says that the scratch disk is too full.
type spaceError struct {
	image         string
	size, missing int64
}

func (e *spaceError) Error() string {
	return fmt.Sprintf("image %s needs %d bytes on the scratch disk: %d bytes are missing", e.image, e.size, e.missing)
}

// missing returns how many bytes the folder lacks for size more.
func (s *scratch) missing(size int64) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(s.root.Name(), &st); err != nil {
		return 0, err
	}
	free := int64(st.Bavail) * st.Bsize
	if s.limit == 0 {
		return size - free, nil
	}
	used := int64(0)
	files, err := fs.ReadDir(s.root.FS(), ".")
	if err != nil {
		return 0, err
	}
	for _, f := range files {
		if info, err := f.Info(); err == nil {
			used += info.Size()
		}
	}
	return size - min(free, s.limit-used), nil
}

// keep gives a finished file its name. It must have been written and synced.
func (s *scratch) keep(id string, sum []byte) error { return s.keepFrom(id, part, sum) }

// keepFrom is keep of a file with another ending.
func (s *scratch) keepFrom(id, ending string, sum []byte) error {
	note := fmt.Sprintf("%x  %s\n", sum, id+built)
	if err := s.write(id+summed, []byte(note)); err != nil {
		return fmt.Errorf("keep the hash of image %s: %w", id, err)
	}
	if err := s.root.Rename(id+ending, id+built); err != nil {
		return fmt.Errorf("keep image %s: %w", id, err)
	}
	return s.sync()
}

func (s *scratch) sync() error {
	folder, err := s.root.Open(".")
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

func (s *scratch) write(name string, data []byte) error {
	file, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Write(data); err != nil {
		return err
	}
	return file.Sync()
}

// discard deletes all that there is of an image. What isn't there is no error.
func (s *scratch) discard(id string) error { return s.remove(id) }
