package stack

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"reflect"
	"testing"
)

func root(t testing.TB) *os.Root {
	t.Helper()
	r, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// orderOf has n discs, the last of which moves on with i.
func orderOf(n, i int) Order {
	o := Order{Bins: make([][]int, 4), Drives: []int{0, 0}, Heights: []int{-1, 4, -1, 2}}
	for slot := 1; slot < n; slot++ {
		o.Bins[slot%3] = append(o.Bins[slot%3], slot)
	}
	if i%2 == 0 {
		o.Drives[i%4/2] = n
	} else {
		o.Pending = &Carry{Slot: n, From: Bin(4), To: Drive(1 + i%2), FromHeight: i}
	}
	return o
}

func saved(t *testing.T, r *os.Root, want Order) {
	t.Helper()
	if o, err := InFolder(r).Load(); err != nil || !reflect.DeepEqual(o, want) {
		t.Fatalf("%v\n%v\n%v, want\n%v\n%v", err, o, o.Pending, want, want.Pending)
	}
}

// TestStore: what was saved is what another process finds, over more orders than the log has room for, of every size.
func TestStore(t *testing.T) {
	r := root(t)
	s := InFolder(r)
	if _, err := s.Load(); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("%v; want %v", err, fs.ErrNotExist)
	}
	for i := range 600 {
		o := orderOf(1+i%600, i)
		write := s.Save
		if i%3 == 0 {
			write = s.Note
		}
		if err := write(o); err != nil {
			t.Fatal(err)
		}
		if i%50 == 0 || i > 590 {
			saved(t, r, o)
		}
		if i%97 == 0 { // closed, and used again
			if err := s.(*folder).Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, n := range []int{1, 5000, 1} { // one that no log has room for
		o := orderOf(n, 3)
		if err := s.Save(o); err != nil {
			t.Fatal(err)
		}
		saved(t, r, o)
	}
}

// TestOldStore: the file alone, as earlier versions wrote it.
func TestOldStore(t *testing.T) {
	r := root(t)
	if err := r.WriteFile(FileName, []byte(`{"bins":[[1,2],[]],"drives":[0],"heights":[-1,-1]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	saved(t, r, Order{Bins: [][]int{{1, 2}, {}}, Drives: []int{0}, Heights: []int{-1, -1}})
	if err := InFolder(r).Save(orderOf(3, 1)); err != nil {
		t.Fatal(err)
	}
	saved(t, r, orderOf(3, 1))
}

// TestTorn: with the last record cut off anywhere the order before it counts; with one damaged that is not the last, nothing is guessed.
func TestTorn(t *testing.T) {
	r := root(t)
	s := InFolder(r)
	for i := range 4 {
		if err := s.Save(orderOf(300, i)); err != nil {
			t.Fatal(err)
		}
	}
	l := s.(*folder).log
	whole, err := r.ReadFile(LogName)
	if err != nil {
		t.Fatal(err)
	}
	size := l.end / 3 // the first order is in the file
	random := rand.New(rand.NewPCG(7, 8))
	for range 100 {
		b := append([]byte(nil), whole...)
		for sector := 2 * size; sector < l.end; sector += logSector { // any of its sectors may be on the disk
			if random.IntN(2) == 0 {
				clear(b[sector : sector+logSector])
			}
		}
		if err := r.WriteFile(LogName, b, 0o600); err != nil {
			t.Fatal(err)
		}
		o, err := InFolder(r).Load()
		if err != nil || !reflect.DeepEqual(o, orderOf(300, 2)) && !reflect.DeepEqual(o, orderOf(300, 3)) {
			t.Fatalf("%v, %v", err, o)
		}
		b = append([]byte(nil), whole...)
		b[random.IntN(2*size-2*logSector)] ^= 1 << random.IntN(8)
		if err := r.WriteFile(LogName, b, 0o600); err != nil {
			t.Fatal(err)
		}
		// Some bytes are behind a record's end and belong to nothing.
		if o, err := InFolder(r).Load(); err == nil && !reflect.DeepEqual(o, orderOf(300, 3)) {
			t.Fatalf("a damaged log gave %v", o)
		}
	}
	if err := r.Remove(LogName); err != nil {
		t.Fatal(err)
	}
	if o, err := InFolder(r).Load(); err == nil {
		t.Errorf("without the log: %v", o)
	}
}

// FuzzLog: whatever the log holds, it is refused or read, and what was read can be added to.
func FuzzLog(f *testing.F) {
	f.Add([]byte{}, 0)
	f.Add(make([]byte, 600), 512)
	f.Fuzz(func(t *testing.T, some []byte, at int) {
		r := root(t)
		s := InFolder(r)
		for i := range 3 {
			if err := s.Save(orderOf(9, i)); err != nil {
				t.Fatal(err)
			}
		}
		b, err := r.ReadFile(LogName)
		if err != nil {
			t.Fatal(err)
		}
		copy(b[min(max(at, 0), len(b)):], some)
		if err := r.WriteFile(LogName, b, 0o600); err != nil {
			t.Fatal(err)
		}
		again := InFolder(r)
		if _, err := again.Load(); err != nil {
			return
		}
		if err := again.Save(orderOf(9, 8)); err != nil {
			t.Fatal(err)
		}
		saved(t, r, orderOf(9, 8))
	})
}

// BenchmarkSave is what it costs to have the order of 600 discs on the disk of TMPDIR, and BenchmarkDatasync what the disk takes for it alone.
func BenchmarkSave(b *testing.B) {
	s := InFolder(root(b))
	o := orderOf(600, 0)
	for b.Loop() {
		if err := s.Save(o); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDatasync(b *testing.B) {
	r := root(b)
	if err := makeLog(r); err != nil {
		b.Fatal(err)
	}
	f, err := r.OpenFile(LogName, os.O_RDWR, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	record := make([]byte, 3<<10)
	for i := 0; b.Loop(); i++ {
		record[0]++
		if _, err := f.WriteAt(record, int64(i*len(record)%(logSize/2))); err != nil {
			b.Fatal(err)
		}
		if err := datasync(f); err != nil {
			b.Fatal(err)
		}
	}
}
