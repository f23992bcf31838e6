package tree

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

type unixStat = syscall.Stat_t

// wantedXattr says whether an extended attribute belongs into an archive: what users set, access control lists and capabilities;
// not what a security module or a file system makes up itself (xattr(7)).
func wantedXattr(name string) bool {
	return strings.HasPrefix(name, "user.") || name == "system.posix_acl_access" || name == "system.posix_acl_default" || name == "security.capability"
}

// open opens path without following a symlink, and without waiting for the other end of a FIFO that took a file's place.
func open(root *os.Root, path string) (*os.File, error) {
	return root.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
}

// readXattrs returns the wanted extended attributes of a file or directory; nil where the file system has none.
func readXattrs(f *os.File) (attrs map[string][]byte, err error) {
	fd := int(f.Fd())
	size, err := unix.Flistxattr(fd, nil)
	if err != nil || size == 0 {
		return nil, ignoreUnsupported(err)
	}
	list := make([]byte, size+1024)
	if size, err = unix.Flistxattr(fd, list); err != nil {
		return nil, err
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(list[:size]), "\x00"), "\x00") {
		if !wantedXattr(name) {
			continue
		}
		value := make([]byte, 64<<10) // XATTR_SIZE_MAX
		n, err := unix.Fgetxattr(fd, name, value)
		if errors.Is(err, unix.ENODATA) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("read extended attribute %s: %w", name, err)
		}
		if attrs == nil {
			attrs = map[string][]byte{}
		}
		attrs[name] = append([]byte{}, value[:n]...)
	}
	return attrs, nil
}

func ignoreUnsupported(err error) error {
	if errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.ENOSYS) {
		return nil
	}
	return err
}

// writeXattrs sets extended attributes.
func writeXattrs(f *os.File, attrs map[string][]byte) error {
	for name, value := range attrs {
		if !wantedXattr(name) {
			return fmt.Errorf("extended attribute %q is not one that archives hold", name)
		}
		if err := unix.Fsetxattr(int(f.Fd()), name, value, 0); err != nil {
			return fmt.Errorf("set extended attribute %s: %w", name, err)
		}
	}
	return nil
}
