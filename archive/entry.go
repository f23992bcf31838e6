package archive

import (
	"fmt"
	"strings"
	"time"
)

// Kind says what an Entry is. The values are stored in manifests and in Postgres: they never change.
type Kind byte

// The kinds of entries that an archive can hold.
const (
	File        Kind = 'f'
	Dir         Kind = 'd'
	Symlink     Kind = 'l'
	FIFO        Kind = 'p'
	Socket      Kind = 's'
	CharDevice  Kind = 'c'
	BlockDevice Kind = 'b'
)

func (k Kind) String() string {
	switch k {
	case File:
		return "file"
	case Dir:
		return "directory"
	case Symlink:
		return "symlink"
	case FIFO:
		return "FIFO"
	case Socket:
		return "socket"
	case CharDevice:
		return "character device"
	case BlockDevice:
		return "block device"
	default:
		return fmt.Sprintf("kind %q", byte(k))
	}
}

// Entry is one name in an archive's tree with all that a restore gives back.
type Entry struct {
	// Path is relative to the archive's root, elements separated by '/', in the bytes that the
	// file system had: it need not be UTF-8. The root itself is the entry with Path ".".
	Path string
	Kind Kind
	// Mode is the low 12 bits of st_mode: permissions, setuid, setgid and sticky (POSIX.1 <sys/stat.h>).
	Mode     uint32
	UID, GID uint32
	// ModTime has the file system's resolution, up to nanoseconds, in UTC.
	ModTime time.Time
	// Content is the hash and size of a File. It is zero for other kinds.
	Content Content
	// Target is where a Symlink points, in the file system's bytes; of a device, its major and its minor number, as in "8:1".
	Target string
	// HardLink is the Path of the first entry, in the order of paths, that is the same file;
	// empty when the file has no other name in the archive or is the first of them. Only a File has one.
	HardLink string
	// Xattrs are the extended attributes by name; nil when there are none.
	Xattrs map[string][]byte
}

// DeviceTarget returns the Target of a device.
func DeviceTarget(major, minor uint32) string { return fmt.Sprintf("%d:%d", major, minor) }

// HasTarget says whether entries of a kind have a Target.
func (k Kind) HasTarget() bool { return k == Symlink || k == CharDevice || k == BlockDevice }

// Special says whether a kind is neither file, directory nor symlink.
func (k Kind) Special() bool { return k == FIFO || k == Socket || k == CharDevice || k == BlockDevice }

// Device returns the number of a device, if e is one.
func (e *Entry) Device() (major, minor uint32, ok bool) {
	if e.Kind != CharDevice && e.Kind != BlockDevice {
		return 0, 0, false
	}
	n, err := fmt.Sscanf(e.Target, "%d:%d", &major, &minor)
	return major, minor, err == nil && n == 2 && e.Target == DeviceTarget(major, minor)
}

// Limits of a path: what the file systems of this world can create (Linux NAME_MAX and PATH_MAX).
const (
	MaxName = 255  // bytes in one element
	MaxPath = 4095 // bytes in a whole path
)

// ValidPath reports why path can't be an entry's: absolute, empty, a `..` or `.` element, NUL, or too long.
// Whatever comes from a disc or a client passes here before it gets near a file system.
func ValidPath(path string) error {
	if path == "." {
		return nil
	}
	switch {
	case path == "":
		return fmt.Errorf("path is empty")
	case len(path) > MaxPath:
		return fmt.Errorf("path %.40q… is longer than %d bytes", path, MaxPath)
	case strings.ContainsRune(path, 0):
		return fmt.Errorf("path %q holds a NUL", path)
	}
	for element := range strings.SplitSeq(path, "/") {
		switch {
		case element == "":
			return fmt.Errorf("path %q is absolute or has an empty element", path)
		case element == "." || element == "..":
			return fmt.Errorf("path %q holds the element %q", path, element)
		case len(element) > MaxName:
			return fmt.Errorf("path %.40q… has an element longer than %d bytes", path, MaxName)
		}
	}
	return nil
}

// Validate reports the first thing about e that no archive may hold.
func (e *Entry) Validate() error {
	if err := ValidPath(e.Path); err != nil {
		return err
	}
	if e.Mode&^0o7777 != 0 {
		return fmt.Errorf("entry %q: mode %o has bits beyond 07777", e.Path, e.Mode)
	}
	switch e.Kind {
	case File:
		if e.Content.Size < 0 {
			return fmt.Errorf("entry %q: size %d is negative", e.Path, e.Content.Size)
		}
		if e.HardLink != "" {
			if err := ValidPath(e.HardLink); err != nil {
				return fmt.Errorf("entry %q: hard link: %w", e.Path, err)
			}
			if e.HardLink >= e.Path {
				return fmt.Errorf("entry %q: hard link to %q, which does not come before it", e.Path, e.HardLink)
			}
		}
	case Symlink:
		if e.Target == "" || len(e.Target) > MaxPath || strings.ContainsRune(e.Target, 0) {
			return fmt.Errorf("entry %q: symlink target of %d bytes is not valid", e.Path, len(e.Target))
		}
	case CharDevice, BlockDevice:
		if _, _, ok := e.Device(); !ok {
			return fmt.Errorf("entry %q: %.40q is no number of a device", e.Path, e.Target)
		}
	case Dir, FIFO, Socket:
	default:
		return fmt.Errorf("entry %q: unknown %v", e.Path, e.Kind)
	}
	if e.Kind != File && (e.Content != Content{} || e.HardLink != "") {
		return fmt.Errorf("entry %q: a %v has no content", e.Path, e.Kind)
	}
	if !e.Kind.HasTarget() && e.Target != "" {
		return fmt.Errorf("entry %q: a %v has no target", e.Path, e.Kind)
	}
	if e.Path == "." && e.Kind != Dir {
		return fmt.Errorf("the root of an archive is a %v, want a directory", e.Kind)
	}
	return nil
}
