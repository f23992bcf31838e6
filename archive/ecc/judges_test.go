package ecc

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// dvdisaster runs the program with a private home and returns what it prints and its exit code. Where CI is set the program
// must be there.
func dvdisaster(t *testing.T, args ...string) (string, int) {
	t.Helper()
	if _, err := exec.LookPath("dvdisaster"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	cmd := exec.CommandContext(t.Context(), "dvdisaster", args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "HOME="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// judgedGood has dvdisaster test an image.
func judgedGood(t *testing.T, path string) {
	t.Helper()
	out, code := dvdisaster(t, "-i", path, "-t")
	for _, want := range []string{"good image/file", "Ecc block test   : pass"} {
		if !strings.Contains(out, want) || code != 0 {
			t.Fatalf("dvdisaster -t: exit code %d, want %q in:\n%s", code, want, out)
		}
	}
}

// iso makes an image of random sectors behind a volume descriptor, where dvdisaster looks for the number of sectors.
func iso(sectors int64, rng *rand.Rand) []byte {
	b := make([]byte, sectors*sectorSize)
	for i := 0; i < len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], rng.Uint64())
	}
	clear(b[:18*sectorSize])
	pvd := row(b, 16)
	copy(pvd, "\x01CD001\x01")
	binary.LittleEndian.PutUint32(pvd[80:], uint32(sectors))
	binary.BigEndian.PutUint32(pvd[84:], uint32(sectors))
	copy(row(b, 17), "\xffCD001\x01")
	return b
}

func writeFile(t *testing.T, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.iso")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// ram is an image in memory that grows as it is written.
type ram struct{ b []byte }

func (r *ram) ReadAt(p []byte, off int64) (int, error) { return bytes.NewReader(r.b).ReadAt(p, off) }

func (r *ram) WriteAt(p []byte, off int64) (int, error) {
	return copy(r.b[off:], p), nil
}

// augmented returns an image with its error correction.
func augmented(t testing.TB, data []byte, g Geometry) []byte {
	t.Helper()
	r := &ram{make([]byte, g.Sectors()*sectorSize)}
	copy(r.b, data)
	if err := Augment(context.Background(), r, r, Plan{Geometry: g, Last: (len(data)-1)%sectorSize + 1}, Options{}); err != nil {
		t.Fatal(err)
	}
	return r.b
}

func TestJudgeSameBytes(t *testing.T) {
	for _, c := range []struct {
		capacity, data int64
		cut            int
	}{
		{2550, 1801, 0}, {2550 + 17, 2458, 0}, {510, 400, 0}, {255 * 7, 300, 0}, {255 * 70, 12000, 0}, {2550, 2000, 700},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			data := iso(c.data, rand.New(rand.NewPCG(uint64(c.data), 1)))
			data = data[:len(data)-c.cut]
			path := writeFile(t, data)
			if out, code := dvdisaster(t, "--debug", "-n", fmt.Sprint(c.capacity), "-i", path, "-mRS03", "-o", "image", "-c"); code != 0 {
				t.Fatal(out)
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			g, err := Fill(c.capacity, c.data)
			if err != nil {
				t.Fatal(err)
			}
			got := augmented(t, data, g)
			if len(got) != len(want) {
				t.Fatalf("%v: %d bytes, dvdisaster's has %d", g, len(got), len(want))
			}
			differ := 0
			for s := range len(got) / sectorSize {
				if !bytes.Equal(row(got, s), row(want, s)) {
					if differ++; differ < 5 {
						t.Errorf("%v: sector %d differs from dvdisaster's", g, s)
					}
				}
			}
		})
	}
}

func TestJudgeSum(t *testing.T) {
	data := iso(1801, rand.New(rand.NewPCG(5, 6)))
	g, _ := Fill(2550, 1801)
	r := &ram{make([]byte, g.Sectors()*sectorSize)}
	copy(r.b, data)
	sum := md5.Sum(data)
	if err := Augment(t.Context(), r, r, Plan{Geometry: g, Sum: &sum}, Options{}); err != nil {
		t.Fatal(err)
	}
	path := writeFile(t, r.b)
	judgedGood(t, path)
	if out, _ := dvdisaster(t, "-i", path, "-t"); strings.Count(out, fmt.Sprintf("%x", sum)) != 2 {
		t.Errorf("dvdisaster doesn't compare the MD5:\n%s", out)
	}
}
