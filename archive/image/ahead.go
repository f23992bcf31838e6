package image

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/odarchive/odarchive/archive"
)

const (
	aheadSize  = 256 << 10 // bytes: larger contents are read as Write does
	aheadSlots = 64        // contents that are read before it is their turn; 16 MiB at most
)

// WriteAhead is Write with small contents, up to 256 KiB, opened and read by readers goroutines before it is their turn: what takes
// time with a hundred thousand small files is opening them. open is called by several goroutines at once, and only nearly in the
// contents' order. They have ended when it returns.
func (l *Layout) WriteAhead(w io.Writer, open func(content int) (io.ReadCloser, error), readers int) error {
	a := &ahead{l: l, open: open, slots: make(chan *slot, aheadSlots), jobs: make(chan *slot, aheadSlots), free: make(chan []byte, aheadSlots), stop: make(chan struct{})}
	a.start(max(readers, 1))
	s := newStream(w)
	err := l.write(s, func(s *stream, i int) error { return a.next(s, i) })
	close(a.stop)
	a.wait.Wait()
	return cmp.Or(s.close(), err)
}

// ahead reads contents before they are asked for. Slots come in the order of contents, filled by whoever is free.
type ahead struct {
	l     *Layout
	open  func(int) (io.ReadCloser, error)
	slots chan *slot // in order
	jobs  chan *slot
	free  chan []byte // buffers that were written
	stop  chan struct{}
	wait  sync.WaitGroup
}

type slot struct {
	content int
	data    []byte
	err     error
	ready   chan struct{}
}

func (a *ahead) start(readers int) {
	a.wait.Go(func() {
		defer close(a.jobs)
		for i := range a.l.inodes {
			if n := a.l.inodes[i].size; n == 0 || n > aheadSize {
				continue
			}
			s := &slot{content: i, ready: make(chan struct{})}
			for _, to := range []chan *slot{a.jobs, a.slots} {
				select {
				case to <- s:
				case <-a.stop:
					return
				}
			}
		}
	})
	for range readers {
		a.wait.Go(func() {
			for s := range a.jobs {
				select {
				case <-a.stop:
					return
				default:
				}
				s.data, s.err = a.read(s.content)
				close(s.ready)
			}
		})
	}
}

// read reads a whole content, and its padding.
func (a *ahead) read(i int) ([]byte, error) {
	size := a.l.inodes[i].size
	padded := archive.Sectors(size) * sectorSize
	var b []byte
	select {
	case b = <-a.free:
	default:
	}
	if int64(cap(b)) < padded+1 {
		b = make([]byte, padded+1)
	}
	r, err := a.open(i)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	// One byte more than there should be, so that a source that has more is seen.
	n, err := io.ReadFull(r, b[:size+1])
	switch {
	case int64(n) > size:
		return nil, fmt.Errorf("%w: it has more than %d bytes", ErrSource, size)
	case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return nil, err
	case int64(n) < size:
		return nil, fmt.Errorf("%w: it ends %d bytes early", ErrSource, size-int64(n))
	}
	clear(b[size:padded])
	return b[:padded], nil
}

// next writes content i, for which it is the turn.
func (a *ahead) next(s *stream, i int) error {
	if a.l.inodes[i].size > aheadSize {
		return a.l.copyContent(s, i, a.open)
	}
	x := <-a.slots
	<-x.ready
	if x.err != nil {
		return x.err
	}
	err := s.put(x.data)
	select {
	case a.free <- x.data:
	default:
	}
	return err
}
