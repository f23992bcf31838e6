package tree

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/odarchive/odarchive/archive"
)

// hasher reads files and hashes them. It is used by one goroutine.
type hasher struct {
	sum   hash.Hash
	buf   []byte
	zeros []byte
	// between, when not nil, is called after a file has been read and before it is looked at again: tests change it there.
	between func(path string)
}

func newHasher() *hasher {
	return &hasher{sum: sha256.New(), buf: make([]byte, 256<<10), zeros: make([]byte, 64<<10)}
}

// whole is what can only be said of a file after reading it.
type whole struct {
	Content archive.Content
	ModTime time.Time
	Xattrs  map[string][]byte
}

// file reads the file at path. One that changed meanwhile is read again.
func (h *hasher) file(ctx context.Context, root *os.Root, path string, progress func(n int64)) (whole, error) {
	for range settle {
		w, err := h.once(ctx, root, path, progress)
		if !errors.Is(err, ErrChanging) {
			return w, err
		}
	}
	return whole{}, fmt.Errorf("%w: tried %d times", ErrChanging, settle)
}

func (h *hasher) once(ctx context.Context, root *os.Root, path string, progress func(n int64)) (w whole, err error) {
	f, err := open(root, path)
	if err != nil {
		return w, err
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return w, err
	}
	if !before.Mode().IsRegular() {
		return w, ErrSpecial
	}
	h.sum.Reset()
	n, err := h.read(ctx, f, before.Size(), sparse(before), progress)
	if err != nil {
		return w, err
	}
	if h.between != nil {
		h.between(path)
	}
	if w.Xattrs, err = readXattrs(f); err != nil {
		return w, err
	}
	after, err := f.Stat()
	if err != nil {
		return w, err
	}
	if n != before.Size() || changed(before, after) {
		return w, ErrChanging
	}
	w.Content, w.ModTime = archive.Content{Hash: archive.Hash(h.sum.Sum(nil)), Size: n}, before.ModTime().UTC()
	return w, nil
}

func changed(before, after os.FileInfo) bool {
	a, b := before.Sys().(*unixStat), after.Sys().(*unixStat)
	return a.Size != b.Size || a.Mtim != b.Mtim || a.Ctim != b.Ctim
}

// sparse says whether the file has holes: fewer blocks of 512 bytes than its size needs (stat(2)).
func sparse(info os.FileInfo) bool {
	st := info.Sys().(*unixStat)
	return st.Blocks*512 < st.Size
}

// read hashes f and returns how many bytes it has. Holes are hashed as zeros without being read.
func (h *hasher) read(ctx context.Context, f *os.File, size int64, holes bool, progress func(n int64)) (int64, error) {
	var off, told int64
	for {
		if err := ctx.Err(); err != nil {
			return off, err
		}
		if holes && off < size {
			data, err := unix.Seek(int(f.Fd()), off, unix.SEEK_DATA)
			if errors.Is(err, unix.ENXIO) {
				data, err = size, nil
			}
			if err == nil && data > off {
				// In steps: a hole may take hours.
				n := min(data-off, progressStep)
				h.zero(n)
				off += n
				progress(off - told)
				told = off
				continue
			}
		}
		n, err := f.ReadAt(h.buf, off)
		h.sum.Write(h.buf[:n])
		off += int64(n)
		if off-told >= progressStep || err == io.EOF {
			progress(off - told)
			told = off
		}
		if err == io.EOF {
			return off, nil
		} else if err != nil {
			return off, err
		}
	}
}

func (h *hasher) zero(n int64) {
	for n > 0 {
		k := min(n, int64(len(h.zeros)))
		h.sum.Write(h.zeros[:k])
		n -= k
	}
}
