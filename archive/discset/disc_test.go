package discset

import (
	"bytes"
	"errors"
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
	for i := range g.Parity {
		d, err := m.set.Compose(i)
		must(t, d, err)
		var b bytes.Buffer
		if err := d.Write(&b, a.OpenChecks, func() (io.ReadCloser, error) { return a.OpenParity(i) }); err != nil {
			t.Fatal(err)
		}
		if n := b.Len() / sectorSize; n > capacity || n < capacity-2*blockSectors {
			t.Errorf("the disc has %d sectors of %d", n, capacity)
		}
		id, err := image.ReadIdentity(bytes.NewReader(b.Bytes()))
		if err != nil || id.Label != m.set.Parities[i].Label {
			t.Errorf("identity %+v, %v", id, err)
		}
		name, out := filepath.Join(dir, "disc.iso"), filepath.Join(t.TempDir(), "out")
		if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		judge(t, "7z", "x", "-tudf", "-o"+out, name)
		judge(t, "sh", "-c", "cd "+out+" && sha256sum --strict -c SHA256SUMS")
		if got, err := os.ReadFile(filepath.Join(out, ParityFile)); err != nil || !bytes.Equal(got, m.images[g.Data+i]) {
			t.Errorf("the parity on the disc is another (%v)", err)
		}
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
