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
	aheadSlots = 16        // runs of contents that are read before it is their turn; 4 MiB at most
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
	now   *slot // that is written, or was last
}

// slot is a run of small contents, which lie one behind the other on the image: one goroutine reads them all, since handing over a file of
// a few kilobytes alone takes as long as reading it.
type slot struct {
	from, to int   // contents, with those between that are empty
	size     int64 // bytes with padding
	data     []byte
	failed   int // the content that err is about: data has those before it
	err      error
	ready    chan struct{}
}

// take makes a slot of the contents from i on, as many as fit; of none when content i is a large one.
func (a *ahead) take(i int) *slot {
	s := &slot{from: i, to: i, ready: make(chan struct{})}
	for ; s.to < len(a.l.inodes); s.to++ {
		n := a.l.inodes[s.to].size
		padded := archive.Sectors(n) * sectorSize
		if n > aheadSize || s.size+padded > aheadSize {
			break
		}
		s.size += padded
	}
	return s
}

func (a *ahead) start(readers int) {
	a.wait.Go(func() {
		defer close(a.jobs)
		for i := 0; i < len(a.l.inodes); {
			s := a.take(i)
			if i = max(s.to, i+1); s.size == 0 {
				continue
			}
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
				a.fill(s)
				close(s.ready)
			}
		})
	}
}

// fill reads the contents of a slot.
func (a *ahead) fill(s *slot) {
	select {
	case s.data = <-a.free:
	default:
		s.data = make([]byte, aheadSize+1)
	}
	at := int64(0)
	for i := s.from; i < s.to; i++ {
		size := a.l.inodes[i].size
		if size == 0 {
			continue
		}
		if s.err = a.read(i, s.data[at:at+size+1]); s.err != nil {
			s.failed = i
			break
		}
		end := at + archive.Sectors(size)*sectorSize
		clear(s.data[at+size : end])
		at = end
	}
	s.data = s.data[:at]
}

// read reads a whole content into b, which has room for one byte more than there should be, so that a source that has more is seen.
func (a *ahead) read(i int, b []byte) error {
	size := int64(len(b) - 1)
	r, err := a.open(i)
	if err != nil {
		return err
	}
	defer r.Close()
	n, err := io.ReadFull(r, b)
	switch {
	case int64(n) > size:
		return fmt.Errorf("%w: it has more than %d bytes", ErrSource, size)
	case err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
		return err
	case int64(n) < size:
		return fmt.Errorf("%w: it ends %d bytes early", ErrSource, size-int64(n))
	}
	return nil
}

// next writes content i, for which it is the turn: with it all of its slot.
func (a *ahead) next(s *stream, i int) error {
	if a.l.inodes[i].size > aheadSize {
		return a.l.copyContent(s, i, a.open)
	}
	if a.now == nil || i >= a.now.to {
		a.now = <-a.slots
		<-a.now.ready
		if err := s.put(a.now.data); err != nil {
			return err
		}
		select {
		case a.free <- a.now.data[:cap(a.now.data)]:
		default:
		}
	}
	if a.now.err != nil && i == a.now.failed {
		return a.now.err
	}
	return nil
}
