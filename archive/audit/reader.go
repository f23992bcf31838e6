package audit

import (
	"crypto/sha256"
	"io"

	"github.com/odarchive/odarchive/archive"
)

// reader reads files and compares them with their hashes.
type reader struct {
	*audit
	done, total int64
	buf         []byte
}

// file reads a file by its path in the archive. Without a hash it is only read.
func (r *reader) file(path string, size int64, want *archive.Hash) {
	f, err := r.open(path)
	if err != nil {
		r.find(path, "%v", err)
		return
	}
	defer f.Close()
	if r.buf == nil {
		r.buf = make([]byte, 1<<20)
	}
	sum := sha256.New()
	n, err := io.CopyBuffer(sum, &counted{r, f}, r.buf)
	switch {
	case r.ctx.Err() != nil:
	case err != nil:
		r.find(path, "after %d bytes: %v", n, err)
	case want == nil:
		r.Unhashed += n
	case archive.Hash(sum.Sum(nil)) != *want:
		r.find(path, "its bytes have the SHA-256 %x, the lists say %v", sum.Sum(nil), *want)
	default:
		r.Read += n
	}
}

// counted is a file that tells how far it is, and ends with the context.
type counted struct {
	r    *reader
	from io.Reader
}

func (c *counted) Read(p []byte) (int, error) {
	if err := c.r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.from.Read(p)
	c.r.done += int64(n)
	if c.r.o.Progress != nil {
		c.r.o.Progress(c.r.done, c.r.total)
	}
	return n, err
}
