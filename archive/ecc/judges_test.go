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
	used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	t.Logf("dvdisaster %s: %.1f s of processor time", args[len(args)-1], used.Seconds())
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
	t.Parallel()
	for _, c := range []struct {
		capacity, data int64
		cut            int
	}{
		{2550, 1801, 0}, {2550 + 17, 2458, 0}, {510, 400, 0}, {255 * 7, 300, 0}, {255 * 40, 6000, 0}, {2550, 2000, 700},
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
	t.Parallel()
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

// TestJudgeRepair has each repair the other's images, as far as they bear it.
func TestJudgeRepair(t *testing.T) {
	t.Parallel()
	for _, g := range []Geometry{{Data: 660, Layer: 3}, {Data: 420, Layer: 3}, {Data: 736, Layer: 3}} {
		for name, hurt := range map[string]func(s *specimen){
			"scattered": func(s *specimen) {
				for range 12 {
					// Without descriptor and header dvdisaster finds nothing in a size that it doesn't know.
					if i := s.rng.Int64N(s.Sectors()); i != fingerprintSector && i/2 != s.Data/2 {
						s.hurt(i, harm(1+s.rng.IntN(2)))
					}
				}
			},
			"to the limit": func(s *specimen) {
				for i := range int64(s.Roots()) * s.Layer {
					s.hurt(17*s.Layer+i, marked)
				}
			},
		} {
			t.Run(fmt.Sprint(name, g.Roots()), func(t *testing.T) {
				s := specimenOf(t, g, 21)
				hurt(s)
				path := writeFile(t, s.drive.b)
				if out, code := dvdisaster(t, "-i", path, "-f"); code != 1 {
					// It leaves with 1 when it has repaired something.
					t.Fatalf("dvdisaster -f: exit code %d:\n%s", code, out)
				}
				if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, s.whole) {
					t.Errorf("dvdisaster repairs it to something else (%v)", err)
				}
				judgedGood(t, path)
				s.mustHeal(t)
			})
		}
	}
}

// TestJudgeBeyond has one row with a sector more than it bears: both repair all others and say that it is lost.
func TestJudgeBeyond(t *testing.T) {
	t.Parallel()
	s := specimenOf(t, Geometry{Data: 1100, Layer: 5}, 22)
	for i := range int64(s.Roots())*s.Layer + 1 {
		s.hurt(17*s.Layer+i, marked)
	}
	path := writeFile(t, s.drive.b)
	if out, code := dvdisaster(t, "-i", path, "-f"); code != 2 {
		t.Fatalf("dvdisaster -f: exit code %d:\n%s", code, out)
	}
	theirs, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if r := s.repair(t); r.LostRows != 1 || r.Lost != int64(s.Roots())+1 {
		t.Errorf("%s", told(r))
	}
	if !bytes.Equal(theirs, s.drive.b) {
		t.Error("what is left of the image is not what dvdisaster leaves")
	}
}

// TestJudgeTail has sectors behind the image, as discs end: both pass over them, and dvdisaster repairs when told so.
func TestJudgeTail(t *testing.T) {
	t.Parallel()
	g := Geometry{Data: 1100, Layer: 5}
	s := specimenOf(t, g, 23)
	tail := make([]byte, 5*sectorSize)
	tail[len(tail)-7] = 9
	path := writeFile(t, append(bytes.Clone(s.whole), tail...))
	judgedGood(t, path)
	for i := range int64(50) {
		s.hurt(100+i*23, marked)
	}
	damaged := append(bytes.Clone(s.drive.b), tail...)
	path = writeFile(t, damaged)
	if out, code := dvdisaster(t, "-i", path, "-f", "--truncate"); code != 1 {
		t.Fatalf("dvdisaster -f --truncate: exit code %d:\n%s", code, out)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got[:len(s.whole)], s.whole) {
		t.Errorf("dvdisaster repairs it to something else (%v)", err)
	}
	r := &ram{damaged}
	h, err := Find(t.Context(), Source{ReaderAt: r}, int64(len(damaged))/sectorSize)
	if err != nil {
		t.Fatal(err)
	}
	if rep, err := Repair(t.Context(), Source{ReaderAt: r}, r, h, Options{}); err != nil || !rep.Whole() {
		t.Errorf("%s, %v", told(rep), err)
	}
	if !bytes.Equal(r.b[:len(s.whole)], s.whole) || !bytes.Equal(r.b[len(s.whole):], tail) {
		t.Error("not repaired, or the tail was touched")
	}
}
