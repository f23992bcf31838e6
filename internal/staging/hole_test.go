package staging

import (
	"bytes"
	"os"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// Whatever is written where, in whatever order and over what was there, the file has the bytes and the length that WriteAt would give it.
func TestHolesReadAsWritten(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		f, err := os.CreateTemp(dir, "")
		if err != nil {
			t.Fatal(err)
		}
		defer os.Remove(f.Name())
		defer f.Close()
		var want []byte
		for range rapid.IntRange(1, 6).Draw(t, "pieces") {
			p := make([]byte, rapid.SampledFrom([]int{1, block, leastHole - 1, leastHole, leastHole + 77, 3 * leastHole}).Draw(t, "size"))
			if rapid.Bool().Draw(t, "data") {
				p[rapid.IntRange(0, len(p)-1).Draw(t, "where")] = 1
			}
			off := rapid.IntRange(0, 4*leastHole).Draw(t, "offset")
			if grow := off + len(p) - len(want); grow > 0 {
				want = append(want, make([]byte, grow)...)
			}
			copy(want[off:], p)
			if n, err := writeAt(f, p, int64(off)); n != len(p) || err != nil {
				t.Fatal(n, err)
			}
		}
		if got, err := os.ReadFile(f.Name()); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes differ from the %d that were written: %v", len(got), len(want), err)
		}
	})
}

// A content of zeros takes next to no room, and what was there before gives its own back; how much has arrived is told all the same.
func TestZerosTakeNoRoom(t *testing.T) {
	s := open(t, t.TempDir(), 0)
	const size = 64 << 20
	i := incomingOf(t, s, "sparse", size)
	p := make([]byte, 1<<20)
	write := func(at int64) {
		t.Helper()
		if _, err := i.WriteAt(p, at); err != nil {
			t.Fatal(err)
		}
	}
	p[7] = 1
	write(0)
	p[7] = 0
	for at := int64(0); at < size; at += int64(len(p)) {
		write(at)
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(i.File().Fd()), &st); err != nil || st.Size != size || st.Blocks*512 > size/64 {
		t.Errorf("%d bytes take %d: %v", st.Size, st.Blocks*512, err)
	}
	if n, err := s.Arrived("sparse"); n != size || err != nil {
		t.Error(n, err)
	}
}
