package tree

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"golang.org/x/sys/unix"

	"github.com/odarchive/odarchive/archive"
)

// special returns the kind of what is neither file, directory nor symlink, and the number of a device.
func special(st *unixStat) (kind archive.Kind, target string, err error) {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFIFO:
		return archive.FIFO, "", nil
	case unix.S_IFSOCK:
		return archive.Socket, "", nil
	case unix.S_IFCHR:
		kind = archive.CharDevice
	case unix.S_IFBLK:
		kind = archive.BlockDevice
	default:
		return 0, "", ErrSpecial
	}
	return kind, archive.DeviceTarget(unix.Major(st.Rdev), unix.Minor(st.Rdev)), nil
}

// special makes a FIFO, a socket's name or a device. A device takes privileges: without them it is left out, and Unmade has it.
func (r *Restore) special(e *archive.Entry) error {
	mode := map[archive.Kind]uint32{archive.FIFO: unix.S_IFIFO, archive.Socket: unix.S_IFSOCK, archive.CharDevice: unix.S_IFCHR, archive.BlockDevice: unix.S_IFBLK}[e.Kind]
	number := 0
	if major, minor, ok := e.Device(); ok {
		number = int(unix.Mkdev(major, minor))
	}
	if r.Overwrite {
		if err := r.root.Remove(e.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	d, err := open(r.root, path.Dir(e.Path))
	if err != nil {
		return err
	}
	defer d.Close()
	fd, name := int(d.Fd()), path.Base(e.Path)
	if err := unix.Mknodat(fd, name, mode|0o600, number); errors.Is(err, unix.EPERM) {
		r.unmade = append(r.unmade, e.Path)
		return nil
	} else if err != nil {
		return fmt.Errorf("make a %v: %w", e.Kind, err)
	}
	if r.Owners {
		if err := unix.Fchownat(fd, name, int(e.UID), int(e.GID), unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return fmt.Errorf("give it its owner: %w", err)
		}
	}
	if err := r.root.Chmod(e.Path, fs.FileMode(e.Mode)&fs.ModePerm|setBits(e.Mode)); err != nil {
		return err
	}
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Sec: e.ModTime.Unix(), Nsec: int64(e.ModTime.Nanosecond())}}
	return unix.UtimesNanoAt(fd, name, times, unix.AT_SYMLINK_NOFOLLOW)
}

// setBits are the bits beyond permissions, as Go has them.
func setBits(mode uint32) (bits fs.FileMode) {
	for bit, to := range map[uint32]fs.FileMode{unix.S_ISUID: fs.ModeSetuid, unix.S_ISGID: fs.ModeSetgid, unix.S_ISVTX: fs.ModeSticky} {
		if mode&bit != 0 {
			bits |= to
		}
	}
	return bits
}

// Unmade returns, after Finish, the paths of devices that could not be made because that takes privileges.
func (r *Restore) Unmade() []string { return r.unmade }
