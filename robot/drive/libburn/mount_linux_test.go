package libburn

import (
	"testing"

	"golang.org/x/sys/unix"
)

// mountSmall mounts a file system of four megabytes until the test ends.
func mountSmall(t *testing.T, dir string) error {
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return unix.Mount("none", dir, "tmpfs", 0, "size=4m")
}
