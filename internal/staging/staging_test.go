package staging

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func open(t *testing.T, dir string, limit int64) *Store {
	t.Helper()
	s, err := Open(Config{Dir: dir, Limit: limit})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.Sweep(1000, func(int64) bool { return true }); err != nil {
		t.Fatal(err)
	}
	return s
}

func segment(t *testing.T, s *Store, id int64, data string) {
	t.Helper()
	g, err := s.Create(id)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if _, err := g.Write([]byte(data)); err != nil {
		t.Fatal(err)
	}
	if err := g.Sync(); err != nil {
		t.Fatal(err)
	}
}

func incomingOf(t *testing.T, s *Store, name string, size int64) *Incoming {
	t.Helper()
	i, err := s.Incoming(name, size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { i.Close() })
	return i
}

func TestSegment(t *testing.T) {
	s := open(t, t.TempDir(), 0)
	segment(t, s, 7, "seven")
	f, err := s.Read(7)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := s.Delete(7); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(f); err != nil || string(got) != "seven" {
		t.Errorf("read %q after the segment was deleted: %v", got, err)
	}
	if err := s.Delete(7); err != nil {
		t.Errorf("delete what is not there: %v", err)
	}
	if n := s.used.Load(); n != 0 {
		t.Errorf("an empty store holds %d bytes", n)
	}
}

func TestSegmentIsNew(t *testing.T) {
	s := open(t, t.TempDir(), 0)
	segment(t, s, 1, "one")
	if _, err := s.Create(1); !errors.Is(err, os.ErrExist) {
		t.Errorf("the same segment twice: %v", err)
	}
}

// What a killed process made durable and told nobody of is deleted; what counts is what is left.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 0)
	segment(t, s, 1, "known")
	segment(t, s, 2, "unknown")
	i := incomingOf(t, s, "upload-x", 100)
	if _, err := i.WriteAt([]byte("half"), 0); err != nil {
		t.Fatal(err)
	}
	again, err := Open(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if err := again.Sweep(2, func(id int64) bool { return id == 1 }); err != nil {
		t.Fatal(err)
	}
	if _, err := again.Read(2); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the unknown segment: %v", err)
	}
	if n := again.used.Load(); n != int64(len("known")+len("half")) {
		t.Errorf("%d bytes are counted", n)
	}
}

// A catalogue that was lost, or put back to an earlier state, must not cost the only copy of anything.
func TestAheadOfTheCatalogue(t *testing.T) {
	s := open(t, t.TempDir(), 0)
	segment(t, s, 1, "known once")
	segment(t, s, 3, "newer than the dump")
	for _, last := range []int64{0, 2} {
		if err := s.Sweep(last, func(int64) bool { return false }); !errors.Is(err, ErrAhead) {
			t.Errorf("a catalogue that ends at segment %d: %v", last, err)
		}
	}
	for _, id := range []int64{1, 3} {
		f, err := s.Read(id)
		if err != nil {
			t.Fatalf("segment %d: %v", id, err)
		}
		f.Close()
	}
}

// Room that one content was promised is not promised to another, even before a byte of it has come.
func TestRoomIsKept(t *testing.T) {
	s := open(t, t.TempDir(), 100)
	a := incomingOf(t, s, "a", 60)
	if _, err := s.Incoming("b", 60); !errors.Is(err, ErrFull) {
		t.Fatalf("120 bytes of 100: %v", err)
	}
	if _, err := a.WriteAt(bytes.Repeat([]byte{1}, 10), 0); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil { // cut off: only what has come counts
		t.Fatal(err)
	}
	b := incomingOf(t, s, "b", 60)
	again := incomingOf(t, s, "b", 60) // two agents bring parts of one content
	if n := s.used.Load(); n != 70 {
		t.Errorf("%d bytes are counted, want 70", n)
	}
	if _, err := again.WriteAt(bytes.Repeat([]byte{2}, 60), 0); err != nil {
		t.Fatal(err)
	}
	if err := again.Become(1); err != nil {
		t.Fatal(err)
	}
	b.Close()
	if n := s.used.Load(); n != 70 {
		t.Errorf("%d bytes are counted once it has become a segment, want 70", n)
	}
	if err := s.Delete(1); err != nil {
		t.Fatal(err)
	}
	if err := s.Expire("a", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if n := s.used.Load(); n != 0 {
		t.Errorf("%d bytes are counted in an empty store", n)
	}
}

func TestReserve(t *testing.T) {
	s, err := Open(Config{Dir: t.TempDir(), Reserve: 1 << 60})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Room(1); !errors.Is(err, ErrFull) {
		t.Errorf("into the reserve: %v", err)
	}
}

func TestDiscard(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, 0)
	i := incomingOf(t, s, "x", 10)
	if _, err := i.WriteAt([]byte("wrong"), 0); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Arrived("x"); n != 5 || err != nil {
		t.Errorf("%d bytes have arrived, %v", n, err)
	}
	if err := i.Discard(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(filepath.Join(dir, incoming)); len(left) > 0 || s.used.Load() != 0 {
		t.Errorf("%v is left, %d bytes are counted", left, s.used.Load())
	}
	if n, err := s.Arrived("x"); n != 0 || err != nil {
		t.Errorf("%d bytes have arrived, %v", n, err)
	}
}

func FuzzNames(f *testing.F) {
	f.Add("upload-default-00")
	f.Add("../../escape")
	f.Fuzz(func(t *testing.T, name string) {
		dir := t.TempDir()
		inside := filepath.Join(dir, "staging")
		s := open(t, inside, 0)
		if i, err := s.Incoming(name, 1); err == nil {
			i.Close()
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
			t.Fatalf("%q escaped: %v %v", name, left, err)
		}
	})
}

// What is synced later is a segment like any other, and syncing what was deleted meanwhile is no error.
func TestSyncedLater(t *testing.T) {
	s := open(t, t.TempDir(), 0)
	i := incomingOf(t, s, "return-x", 4)
	if _, err := i.WriteAt([]byte("data"), 0); err != nil {
		t.Fatal(err)
	}
	if err := i.BecomeUnsynced(3); err != nil {
		t.Fatal(err)
	}
	if err := s.Sync(3); err != nil {
		t.Fatal(err)
	}
	f, err := s.Read(3)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := io.ReadAll(f); err != nil || string(got) != "data" {
		t.Errorf("read %q: %v", got, err)
	}
	if n := s.used.Load(); n != 4 {
		t.Errorf("%d bytes are counted", n)
	}
	if err := s.Sync(4); err != nil {
		t.Errorf("sync what is not there: %v", err)
	}
}
