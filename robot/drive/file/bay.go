package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Insert puts the disc whose folder is disc into the drive whose folder is dir, which must be empty. It is the robot's hand.
func Insert(dir, disc string) error {
	to, err := filepath.Rel(dir, disc)
	if err == nil {
		err = os.Symlink(to, filepath.Join(dir, DiscLink))
	}
	if err != nil {
		return fmt.Errorf("insert disc into %s: %w", dir, err)
	}
	return nil
}

// Release takes the disc out of the drive whose folder is dir, and says whether it was let go: not while a Drive holds it.
// An empty drive lets go of nothing.
func Release(dir string) (free bool, err error) {
	link := filepath.Join(dir, DiscLink)
	disc, err := filepath.EvalSymlinks(link)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	} else if err != nil {
		return false, fmt.Errorf("take disc out of %s: %w", dir, err)
	}
	f, err := os.Open(disc)
	if err != nil {
		return false, fmt.Errorf("take disc out of %s: %w", dir, err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return false, nil
	}
	if err := os.Remove(link); err != nil {
		return false, fmt.Errorf("take disc out of %s: %w", dir, err)
	}
	return true, nil
}
