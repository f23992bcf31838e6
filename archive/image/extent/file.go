package extent

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"
)

// Info is what a side of an image says of a file. It is an fs.FileInfo and an fs.DirEntry.
type Info struct {
	Base     string
	Bytes    int64
	Bits     fs.FileMode
	Modified time.Time
	// Node is what Sys returns: the side's own description.
	Node any
	// Err is why there is no more than a name: Info returns it.
	Err error
}

func (i *Info) Name() string               { return i.Base }
func (i *Info) Size() int64                { return i.Bytes }
func (i *Info) Mode() fs.FileMode          { return i.Bits }
func (i *Info) ModTime() time.Time         { return i.Modified }
func (i *Info) IsDir() bool                { return i.Bits.IsDir() }
func (i *Info) Sys() any                   { return i.Node }
func (i *Info) Type() fs.FileMode          { return i.Bits.Type() }
func (i *Info) Info() (fs.FileInfo, error) { return i, i.Err }
func (i *Info) String() string             { return fs.FormatFileInfo(i) }

// File is an open file: an fs.File, io.ReaderAt and io.Seeker.
type File struct {
	*Reader
	info *Info
	at   int64
}

// NewFile opens r as the file that info describes.
func NewFile(info *Info, r *Reader) *File { return &File{Reader: r, info: info} }

func (f *File) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *File) Close() error               { return nil }

func (f *File) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, f.at)
	f.at += int64(n)
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

func (f *File) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += f.at
	case io.SeekEnd:
		offset += f.size
	}
	if offset < 0 {
		return 0, fmt.Errorf("seek %s: %d is before its start", f.info.Base, offset)
	}
	f.at = offset
	return offset, nil
}

// Extents returns where the file lies.
func (f *File) Extents() []Extent { return f.extents }

// Dir is an open directory: an fs.ReadDirFile.
type Dir struct {
	info    *Info
	entries []fs.DirEntry
	err     error
}

// NewDir opens the directory that info describes. Reading it gives the entries, then err if there is one.
func NewDir(info *Info, entries []fs.DirEntry, err error) *Dir { return &Dir{info, entries, err} }

func (d *Dir) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *Dir) Close() error               { return nil }

func (d *Dir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.info.Base, Err: errors.New("is a directory")}
}

func (d *Dir) ReadDir(n int) (part []fs.DirEntry, err error) {
	if n <= 0 {
		part, d.entries = d.entries, nil
		return part, d.err
	}
	if len(d.entries) == 0 {
		if d.err != nil {
			return nil, d.err
		}
		return nil, io.EOF
	}
	n = min(n, len(d.entries))
	part, d.entries = d.entries[:n], d.entries[n:]
	return part, nil
}
