package rebuild

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/catalogue"
	"github.com/odarchive/odarchive/archive/discset"
	"github.com/odarchive/odarchive/archive/excerpt"
)

// source is an open image, device or excerpt.
type source struct {
	io.ReaderAt
	io.Closer
	sectors int64
}

// open opens an image file, a device or an excerpt.
func open(place string) (*source, error) {
	f, err := os.Open(place)
	if err != nil {
		return nil, err
	}
	if excerpt.Is(f) {
		x, err := excerpt.Open(place)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
		return &source{x, x, x.Sectors}, nil
	}
	size, err := f.Seek(0, io.SeekEnd) // of a device too
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", place, err), f.Close())
	}
	return &source{f, f, size / archive.SectorSize}, nil
}

// smallest is fewer sectors than any image of ours has: the data of one begin behind sector 257.
const smallest = 300

// Places returns the images and devices that are meant by places: those themselves; of a folder where a disc is mounted the device that the
// disc is in; of any other folder the images and excerpts in it and below. They come in their order, those of a folder by their names.
func Places(places []string) (all []string, err error) {
	seen := map[string]bool{}
	add := func(p string) {
		if !seen[p] {
			seen[p] = true
			all = append(all, p)
		}
	}
	for _, p := range places {
		info, err := os.Stat(p)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			add(p)
			continue
		}
		if IsDisc(p) {
			device, err := deviceOf(p)
			if err != nil {
				return nil, err
			}
			if is, err := isImage(device); err != nil {
				return nil, fmt.Errorf("%s lies on %s, and whether that is a disc can't be told (a copy of a disc's files does not do): %w", p, device, err)
			} else if !is {
				return nil, copied(p)
			}
			add(device)
			continue
		}
		if err := filepath.WalkDir(p, func(path string, e fs.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() {
				var is bool
				if is, err = isImage(path); is {
					add(path)
				}
			}
			return err
		}); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// IsDisc says whether a folder is the root of a disc of ours, or of a copy of its files.
func IsDisc(dir string) bool {
	for _, name := range []string{catalogue.InfoName, discset.SetName} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

// isImage says whether a file or device is an excerpt, or has what every image has in sector 16 (ECMA-119 §8.1), or where UDF has its anchor.
func isImage(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if excerpt.Is(f) {
		return true, nil
	}
	if size, err := f.Seek(0, io.SeekEnd); err != nil || size < smallest*archive.SectorSize { // of a device too
		return false, err
	}
	var iso, udf [6]byte
	for at, b := range map[int64][]byte{16: iso[:], 256: udf[:]} {
		// What can't be read now will be missed when the image is.
		if _, err := f.ReadAt(b, at*archive.SectorSize); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, syscall.EIO) {
			return false, err
		}
	}
	return string(iso[1:]) == "CD001" || udf[0] == 2 && udf[1] == 0 && udf[2] == 2, nil
}

// deviceOf returns the device of which a disc is mounted at dir: where its files lie can't be seen through the folder.
func deviceOf(dir string) (string, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return "", err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", fmt.Errorf("%s: on which device the disc is can't be told: give that", dir)
	}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	defer f.Close()
	want := fmt.Sprintf("%d:%d", st.Dev>>8&0xfff|st.Dev>>32&^0xfff, st.Dev&0xff|st.Dev>>12&^0xff)
	device, err := mountSource(f, want)
	if err != nil || !strings.HasPrefix(device, "/") {
		return "", errors.Join(copied(dir), err)
	}
	return device, nil
}

func copied(dir string) error {
	return fmt.Errorf("%s is not where a disc is mounted: give the disc's device or image, a copy of its files does not do", dir)
}

// mountSource returns what is mounted as device major:minor (proc_pid_mountinfo(5)).
func mountSource(r io.Reader, device string) (string, error) {
	scan := bufio.NewScanner(r)
	for scan.Scan() {
		fields := strings.Fields(scan.Text())
		if len(fields) < 3 || fields[2] != device {
			continue
		}
		for i, f := range fields {
			if f == "-" && i+2 < len(fields) {
				return unescape(fields[i+2]), nil
			}
		}
	}
	return "", scan.Err()
}

// unescape replaces the octal escapes of white space in mountinfo.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
