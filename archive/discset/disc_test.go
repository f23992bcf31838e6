package discset

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/odarchive/odarchive/archive/image"
)

// TestParityDisc: the disc of a full set of the largest images fits its medium, is the image that the set names, and programs that
// we did not write take the parity off it and find it whole.
func TestParityDisc(t *testing.T) {
	const capacity = 1600
	g := Geometry{3, 2}
	largest, err := LargestImage(capacity, g)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	a, err := Open(filepath.Join(dir, "set"), setID, g)
	must(t, a, err)
	defer a.Close()
	data := map[int][]byte{}
	for i := range g.Data {
		data[i] = noise(i, int(largest))
		if err := a.Add(t.Context(), []Source{sourceOf(i, data[i])}, nil); err != nil {
			t.Fatal(err)
		}
	}
	m := seal(t, a, g, data)
	info := bytes.Repeat([]byte("i"), mostInfo)
	for i := range g.Parity {
		room, err := m.set.SnapshotRoom(i, info, capacity)
		must(t, room, err)
		if room < leastReserved*sectorSize {
			t.Fatalf("a snapshot may have %d bytes", room)
		}
		snapshot := noise(99, int(room/sectorSize))
		x := Extras{Info: info, Snapshot: Blob{room, sha(snapshot)}}
		d, err := m.set.Compose(i, x)
		must(t, d, err)
		var b bytes.Buffer
		if err := d.Write(&b, opener(a, i, snapshot)); err != nil {
			t.Fatal(err)
		}
		if n := b.Len() / sectorSize; n != capacity {
			t.Errorf("the disc has %d sectors of %d", n, capacity)
		}
		id, err := image.ReadIdentity(bytes.NewReader(b.Bytes()))
		if err != nil || id.Label != m.set.Parities[i].Label {
			t.Errorf("identity %+v, %v", id, err)
		}
		parity, checks, err := OpenDisc(bytes.NewReader(b.Bytes()), capacity)
		must(t, parity, err)
		for r, want := range map[io.ReaderAt][]byte{parity: m.images[g.Data+i], checks: m.checks} {
			if got, err := io.ReadAll(io.NewSectionReader(r, 0, 1<<40)); err != nil || !bytes.Equal(got, want) {
				t.Errorf("what is found on the disc is another (%v)", err)
			}
		}
		name, out := filepath.Join(dir, "disc.iso"), filepath.Join(t.TempDir(), "out")
		if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		judge(t, "7z", "x", "-tudf", "-o"+out, name)
		judge(t, "sh", "-c", "cd "+out+" && sha256sum --strict -c SHA256SUMS && test $(wc -l < SHA256SUMS) = 7")
		for file, want := range map[string][]byte{ParityFile: m.images[g.Data+i], SnapshotName: snapshot, InfoName: info} {
			if got, err := os.ReadFile(filepath.Join(out, file)); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s on the disc is another (%v)", file, err)
			}
		}
		// A block more would be one too many; a set that was planned without any room has none.
		x.Snapshot.Size += blockSize
		if d, err = m.set.Compose(i, x); err != nil || d.Layout.Sectors() <= capacity {
			t.Errorf("there was more room than was said (%v)", err)
		}
		bare, err := m.set.Compose(i, Extras{})
		must(t, bare, err)
		if room, err := m.set.SnapshotRoom(i, info, bare.Layout.Sectors()-blockSectors); err != nil || room >= 0 {
			t.Errorf("room %d, %v where there is none", room, err)
		}
	}
}

// opener opens what a parity disc streams.
func opener(a *Accumulator, i int, snapshot []byte) func(string) (io.ReadCloser, error) {
	return func(name string) (io.ReadCloser, error) {
		switch name {
		case ChecksName:
			return a.OpenChecks()
		case ParityFile:
			return a.OpenParity(i)
		}
		return io.NopCloser(bytes.NewReader(snapshot)), nil
	}
}

// TestOldDisc: the parity disc of a set that was sealed before discs carried more than their parity is made anew as the same one.
func TestOldDisc(t *testing.T) {
	g := Geometry{3, 2}
	a, err := Open(filepath.Join(t.TempDir(), "set"), setID, g)
	must(t, a, err)
	defer a.Close()
	data := map[int][]byte{}
	for i := range g.Data {
		data[i] = noise(i, 64)
		if err := a.Add(t.Context(), []Source{sourceOf(i, data[i])}, nil); err != nil {
			t.Fatal(err)
		}
	}
	m := seal(t, a, g, data)
	d, err := m.set.Compose(1, Extras{})
	must(t, d, err)
	h := sha256.New()
	if err := d.Write(h, opener(a, 1, nil)); err != nil {
		t.Fatal(err)
	}
	// As the first release that knew disc sets wrote it.
	const want = "9d98fc29bd6a10f4a504186a70091ed7d0543cfcb414397cb8dc78c7b083e554"
	if got := fmt.Sprintf("%x", h.Sum(nil)); got != want || d.Layout.Sectors() != 640 {
		t.Errorf("it is %s now", got)
	}
}

func judge(t *testing.T, name string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

func TestLargestImage(t *testing.T) {
	for _, g := range []Geometry{Mirror, Library, {200, 55}} {
		for _, capacity := range []int64{359424, 11826176, 60403712} {
			n, err := LargestImage(capacity, g)
			if err != nil || n%blockSectors != 0 || n > capacity || n < capacity*98/100-1000 {
				t.Errorf("%v on %d sectors: %d, %v", g, capacity, n, err)
			}
		}
	}
	if _, err := LargestImage(300, Library); !errors.Is(err, ErrTooSmall) {
		t.Error(err)
	}
}
