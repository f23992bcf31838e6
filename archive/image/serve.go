package image

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"sort"
	"sync"

	"github.com/odarchive/odarchive/archive"
)

// padding is what fills a content's last sector.
var padding [sectorSize]byte

// bufferSize is how much is written at a time.
const bufferSize = 1 << 20

// Write writes the image from its first sector to its last. It opens each content that has bytes once, in their order, and reads
// exactly its size: one that gives less or more is an ErrSource. It reads while a goroutine of its own writes, one write at a time;
// that has ended when Write returns.
func (l *Layout) Write(w io.Writer, open func(content int) (io.ReadCloser, error)) error {
	s := newStream(w)
	err := l.write(s, func(s *stream, i int) error { return l.copyContent(s, i, open) })
	return cmp.Or(s.close(), err)
}

// write writes the image with what put writes of each content that is not empty.
func (l *Layout) write(s *stream, put func(s *stream, content int) error) error {
	m := meta{l: l}
	sector := make([]byte, sectorSize)
	for lba := int64(0); lba < l.dataStart; lba++ {
		m.sector(sector, lba)
		if err := s.put(sector); err != nil {
			return err
		}
	}
	for i := range l.inodes {
		if l.inodes[i].size == 0 {
			continue
		}
		if err := put(s, i); err != nil {
			return fmt.Errorf("write image: content %d (%q): %w", i, l.nameOf(i), err)
		}
	}
	for lba := l.dataEnd; lba < l.sectors; lba++ {
		m.sector(sector, lba)
		if err := s.put(sector); err != nil {
			return err
		}
	}
	return s.flush()
}

// nameOf returns a name of content i, for an error text.
func (l *Layout) nameOf(i int) string {
	for f := range l.files {
		if l.files[f].Content == i {
			return l.files[f].Path
		}
	}
	return ""
}

func (l *Layout) copyContent(s *stream, i int, open func(int) (io.ReadCloser, error)) error {
	r, err := open(i)
	if err != nil {
		return err
	}
	defer r.Close()
	size := l.inodes[i].size
	for left := size; left > 0; {
		b, err := s.space()
		if err != nil {
			return err
		}
		n, err := r.Read(b[:min(int64(len(b)), left)])
		s.buf = s.buf[:len(s.buf)+n]
		left -= int64(n)
		if left > 0 && err != nil {
			if errors.Is(err, io.EOF) {
				return fmt.Errorf("%w: it ends %d bytes early", ErrSource, left)
			}
			return err
		}
	}
	var more [1]byte
	if n, err := io.ReadFull(r, more[:]); n > 0 {
		return fmt.Errorf("%w: it has more than %d bytes", ErrSource, size)
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	return s.put(padding[:archive.Sectors(size)*sectorSize-size])
}

// writeSize is how much is given to the writer at once. Measured once each, 4 GB in writes of a MiB took 10.4 s of processor time
// on Linux 6.18 with ext4, and 4.3 s in writes of this size. One run shows no more than that small writes were no slower there.
const writeSize = 32 << 10

// buffers is how many pieces there are: one that is filled, one that is written, one that waits.
const buffers = 3

// stream gathers what is written into large pieces, and writes them in a goroutine.
type stream struct {
	buf        []byte
	full, free chan []byte
	failed     chan struct{} // closed once writing has failed
	err        error         // why; read it once failed or ended is closed
	ended      chan struct{}
}

func newStream(w io.Writer) *stream {
	s := &stream{
		buf:  make([]byte, 0, bufferSize),
		full: make(chan []byte, buffers), free: make(chan []byte, buffers),
		failed: make(chan struct{}), ended: make(chan struct{}),
	}
	for range buffers - 1 {
		s.free <- make([]byte, 0, bufferSize)
	}
	go func() {
		defer close(s.ended)
		for b := range s.full {
			for left := b; len(left) > 0 && s.err == nil; {
				n := min(len(left), writeSize)
				if _, err := w.Write(left[:n]); err != nil {
					s.err = fmt.Errorf("write image: %w", err)
					close(s.failed)
				}
				left = left[n:]
			}
			s.free <- b[:0]
		}
	}()
	return s
}

// close waits for what was flushed and returns the error of writing it.
func (s *stream) close() error {
	close(s.full)
	<-s.ended
	return s.err
}

// space returns the free part of the buffer, which is never empty.
func (s *stream) space() ([]byte, error) {
	if len(s.buf) == cap(s.buf) {
		if err := s.flush(); err != nil {
			return nil, err
		}
	}
	return s.buf[len(s.buf):cap(s.buf)], nil
}

func (s *stream) put(p []byte) error {
	for len(p) > 0 {
		b, err := s.space()
		if err != nil {
			return err
		}
		n := copy(b, p)
		s.buf = s.buf[:len(s.buf)+n]
		p = p[n:]
	}
	return nil
}

// flush hands the buffer over to be written and takes another.
func (s *stream) flush() error {
	select {
	case <-s.failed:
		return s.err
	default:
	}
	s.full <- s.buf
	s.buf = <-s.free
	return nil
}

// Contents gives the bytes of contents at any place, to several goroutines at once.
type Contents interface {
	// ReadContentAt follows io.ReaderAt on one content.
	ReadContentAt(content int, p []byte, off int64) (int, error)
}

// ReaderAt serves the image's bytes at any place, in any order, to several goroutines at once.
func (l *Layout) ReaderAt(contents Contents) io.ReaderAt { return &readerAt{l: l, contents: contents} }

type readerAt struct {
	l        *Layout
	contents Contents
	metas    sync.Pool
}

func (r *readerAt) ReadAt(p []byte, off int64) (n int, err error) {
	m, _ := r.metas.Get().(*meta)
	if m == nil {
		m = &meta{l: r.l}
	}
	defer r.metas.Put(m)
	var sector [sectorSize]byte
	for n < len(p) {
		at := off + int64(n)
		lba := at / sectorSize
		switch {
		case lba >= r.l.sectors:
			return n, io.EOF
		case lba >= r.l.dataStart && lba < r.l.dataEnd:
			k, err := r.data(p[n:], at)
			n += k
			if err != nil {
				return n, err
			}
		default:
			m.sector(sector[:], lba)
			n += copy(p[n:], sector[at%sectorSize:])
		}
	}
	return n, nil
}

// data reads from the content at byte at of the image, padding included, and stops at its last sector's end.
func (r *readerAt) data(p []byte, at int64) (int, error) {
	inodes := r.l.inodes
	// Empty contents have no place; they never come last in this search because the one found covers at.
	i := sort.Search(len(inodes), func(i int) bool {
		for ; i < len(inodes); i++ {
			if inodes[i].size > 0 {
				return inodes[i].lba*sectorSize > at
			}
		}
		return true
	}) - 1
	for inodes[i].size == 0 {
		i--
	}
	start := inodes[i].lba * sectorSize
	end := start + archive.Sectors(inodes[i].size)*sectorSize
	p = p[:min(int64(len(p)), end-at)]
	k := max(min(int64(len(p)), inodes[i].size-(at-start)), 0)
	if k > 0 {
		if n, err := r.contents.ReadContentAt(i, p[:k], at-start); int64(n) < k {
			if err == nil || errors.Is(err, io.EOF) {
				err = fmt.Errorf("%w: it ends early", ErrSource)
			}
			return n, fmt.Errorf("read image: content %d (%q): %w", i, r.l.nameOf(i), err)
		}
	}
	clear(p[k:])
	return len(p), nil
}

// meta makes metadata sectors. It keeps the directory that it made last, since reads mostly go on in it.
type meta struct {
	l      *Layout
	fidDir int // +1
	fids   []byte
	isoDir int // +1
	iso    []byte
	table  int // 1 is L, 2 is M
	paths  []byte

	jolietDir   int // +1, in the order of path tables
	jolietBytes []byte
	jolietPaths []byte
}

// sector writes the metadata sector lba.
func (m *meta) sector(b []byte, lba int64) {
	clear(b)
	l := m.l
	tables := archive.Sectors(l.tableBytes)
	extra := int64(0) // volume descriptors
	if l.joliet != nil {
		extra = 1
	}
	switch block := lba - partitionStart; {
	case lba == isoPVD:
		l.primary(b)
	case lba == isoPVD+1 && l.joliet != nil:
		l.supplementary(b)
	case lba == isoPVD+1+extra:
		copy(b, "\xffCD001\x01")
	case lba > isoPVD+1+extra && lba <= isoPVD+4+extra:
		copy(b, "\x00"+[]string{"BEA01", "NSR02", "TEA01"}[lba-isoPVD-2-extra]+"\x01")
	case lba >= mainVDS && lba < mainVDS+vdsSectors:
		l.descriptor(b, lba-mainVDS, mainVDS)
	case lba == integrity:
		l.integrity(b)
	case lba == integrity+1:
		putTag(b, tagTD, lba, whole)
	case lba == anchor || lba == l.sectors-1 || lba == l.sectors-1-256 && !l.options.Protected:
		l.anchor(b, lba)
	case block < 0:
	case block == 0:
		l.fileSet(b)
	case block == 1:
		putTag(b, tagTD, 1, whole)
	case block < l.feBlock(0):
		l.dirEntry(b, int(block-l.dirBlock(0)))
	case block < l.feBlock(len(l.inodes)):
		l.inodeEntry(b, int(block-l.feBlock(0)))
	case lba < l.isoStart:
		m.fid(b, block)
	case lba < l.isoStart+2*tables:
		m.pathTable(b, lba-l.isoStart, tables)
	case l.joliet != nil && lba >= l.joliet.start && lba < l.dataStart:
		m.jolietSector(b, lba)
	case lba < l.dataStart:
		m.isoDirectory(b, lba)
	case lba >= l.dataEnd && lba < l.dataEnd+vdsSectors:
		l.descriptor(b, lba-l.dataEnd, l.dataEnd)
	}
}

func (m *meta) fid(b []byte, block int64) {
	dirs := m.l.dirs
	i := sort.Search(len(dirs), func(i int) bool { return dirs[i].fidBlock > block })
	if m.fidDir != i {
		m.fidDir, m.fids = i, m.l.fids(i-1)
	}
	copy(b, m.fids[(block-dirs[i-1].fidBlock)*sectorSize:])
}

func (m *meta) isoDirectory(b []byte, lba int64) {
	dirs := m.l.dirs
	i := sort.Search(len(dirs), func(i int) bool { return dirs[i].isoLBA > lba })
	if m.isoDir != i {
		m.isoDir, m.iso = i, m.l.isoBytes(i-1)
	}
	copy(b, m.iso[(lba-dirs[i-1].isoLBA)*sectorSize:])
}

func (m *meta) pathTable(b []byte, sector, tables int64) {
	which := 1 + int(sector/tables)
	if m.table != which {
		m.table = which
		if which == 1 {
			m.paths = m.l.pathTable(le)
		} else {
			m.paths = m.l.pathTable(be)
		}
	}
	copy(b, m.paths[sector%tables*sectorSize:])
}
