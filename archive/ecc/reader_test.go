package ecc

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// TestReader reads the data through damage that a drive reports, and through damage that it doesn't.
func TestReader(t *testing.T) {
	t.Parallel()
	s := specimenOf(t, small, 4)
	for range 50 {
		s.hurt(s.rng.Int64N(s.Sectors()), unreadable)
	}
	for sector := int64(500); sector < 700; sector++ {
		s.hurt(sector, harm(sector%2))
	}
	r, err := NewReader(s.source(), s.Header)
	if err != nil {
		t.Fatal(err)
	}
	size := s.Data * sectorSize
	got := make([]byte, size)
	for at := int64(0); at < size; {
		n, err := r.ReadAt(got[at:min(size, at+1+s.rng.Int64N(1<<20))], at)
		if err != nil {
			t.Fatal(err)
		}
		at += int64(n)
	}
	if !bytes.Equal(got, s.whole[:size]) {
		t.Error("what is read through damage is not what was written")
	}
	if rep := r.Report(); rep.Repairable == 0 || rep.Worst < 20 || !rep.Whole() {
		t.Errorf("report of a damaged image: %s", told(rep))
	}
	if n, err := r.ReadAt(got[:10], size-4); n != 4 || !errors.Is(err, io.EOF) {
		t.Errorf("read across the end: %d, %v", n, err)
	}

	s.hurt(40, trashed)
	s.hurt(s.sector(s.crcLayer(), 8), trashed) // the block of sector 39
	if _, err := r.ReadCheckedAt(got[:60*sectorSize-5], 3); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got[:60*sectorSize-5], s.whole[3:60*sectorSize-2]) {
		t.Error("a silent error was not repaired")
	}
	if n := r.Caught(); n != 1 {
		t.Errorf("%d silent errors were caught, one was made", n)
	}
}

// TestReaderLost has a row with more damage than it bears: the reader serves all but its sectors.
func TestReaderLost(t *testing.T) {
	s := specimenOf(t, small, 5)
	for j := range s.Roots() + 1 {
		s.hurt(s.sector(j, 3), unreadable)
	}
	r, err := NewReader(s.source(), s.Header)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 20*sectorSize)
	n, err := r.ReadAt(got, 0)
	if e, ok := errors.AsType[*LostError](err); !ok || e.Sector != 3 || n != 3*sectorSize || !errors.Is(err, ErrLost) {
		t.Errorf("read %d bytes: %v", n, err)
	}
	if !bytes.Equal(got[:n], s.whole[:n]) {
		t.Error("what comes before the lost sector is wrong")
	}
	if _, err := r.ReadAt(got[:7*sectorSize], 4*sectorSize); err != nil || !bytes.Equal(got[:7*sectorSize], s.whole[4*sectorSize:11*sectorSize]) {
		t.Errorf("read behind the lost sector: %v", err)
	}
	gone := errors.New("drive gone")
	r, _ = NewReader(Source{readerFunc(func([]byte, int64) (int, error) { return 0, gone }), func(err error) bool { return !errors.Is(err, gone) }}, s.Header)
	if _, err := r.ReadAt(got, 0); !errors.Is(err, gone) {
		t.Errorf("an error of the drive comes as %v", err)
	}
}

type readerFunc func(p []byte, off int64) (int, error)

func (f readerFunc) ReadAt(p []byte, off int64) (int, error) { return f(p, off) }
