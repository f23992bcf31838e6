package ecc

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestPeers holds our command against dvdisaster on the same images, one after the other in one run, by processor time, and says how
// many times less ours needs. scripts/bench-ecc.sh sets the variables.
func TestPeers(t *testing.T) {
	ours, folder := os.Getenv("ODARCHIVE_BENCH"), os.Getenv("ODARCHIVE_BENCH_DIR")
	if ours == "" {
		t.Skip("scripts/bench-ecc.sh runs it")
	}
	const rounds = 3
	p := &peers{t: t, ours: ours, dir: folder}
	for _, roots := range []int{69, 32, 15} {
		data := DataSectors(Media[0].Capacity, roots)
		plain := p.write(fmt.Sprintf("%d.iso", roots), iso(data, rand.New(rand.NewPCG(uint64(roots), 0))))
		image := p.path("x.iso")
		p.compare(fmt.Sprintf("encode, CD, %d roots", roots), rounds, func() { p.copy(image, plain) },
			[]string{"ecc", "add", image, "--medium", "CD"}, []string{"-i", image, "-mRS03", "-o", "image", "-x", "1", "-c"})
		if roots != 69 {
			continue
		}
		g, err := Fill(Media[0].Capacity, data)
		if err != nil {
			t.Fatal(err)
		}
		whole := p.path("whole.iso")
		p.copy(whole, image)
		p.compare("verify, CD, 69 roots", 1, func() {}, []string{"ecc", "test", whole}, []string{"-i", whole, "-t"})
		rng := rand.New(rand.NewPCG(1, 1))
		for _, harm := range []struct {
			name    string
			sectors []int64
		}{
			{"1,000 dead sectors", rng64(rng, g.Sectors(), 1000)},
			{"a burst of 5 %", from(g.Sectors()/3, g.Sectors()/20)},
			{"69 whole layers", from(50*g.Layer, int64(g.Roots())*g.Layer)},
		} {
			damaged := p.path("damaged.iso")
			p.copy(damaged, whole)
			p.kill(damaged, harm.sectors)
			p.compare("repair, CD, 69 roots, "+harm.name, 1, func() { p.copy(image, damaged) }, []string{"ecc", "repair", image}, []string{"-i", image, "-f"})
			if out, err := exec.Command("cmp", image, whole).CombinedOutput(); err != nil {
				t.Errorf("%s: %s", harm.name, out)
			}
		}
	}
}

func rng64(rng *rand.Rand, limit int64, n int) (all []int64) {
	for range n {
		all = append(all, rng.Int64N(limit))
	}
	return all
}

func from(first, n int64) (all []int64) {
	for i := range n {
		all = append(all, first+i)
	}
	return all
}

type peers struct {
	t         *testing.T
	ours, dir string
}

func (p *peers) path(name string) string { return filepath.Join(p.dir, name) }

func (p *peers) write(name string, b []byte) string {
	if err := os.WriteFile(p.path(name), b, 0o600); err != nil {
		p.t.Fatal(err)
	}
	return p.path(name)
}

func (p *peers) copy(to, from string) {
	in, err := os.Open(from)
	if err != nil {
		p.t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		p.t.Fatal(err)
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peers) kill(path string, sectors []int64) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		p.t.Fatal(err)
	}
	defer f.Close()
	var b [sectorSize]byte
	for _, s := range sectors {
		PutDead(b[:], s, [16]byte{})
		if _, err := f.WriteAt(b[:], s*sectorSize); err != nil {
			p.t.Fatal(err)
		}
	}
}

// compare runs both in turn and prints the medians. Each must have done it: the exit codes are 0, or 1 for a repair of
// dvdisaster's.
func (p *peers) compare(what string, rounds int, prepare func(), ours, theirs []string) {
	var a, b []time.Duration
	for range rounds {
		prepare()
		b = append(b, p.run("dvdisaster", theirs, theirs[len(theirs)-1] == "-f"))
		prepare()
		a = append(a, p.run(p.ours, ours, false))
	}
	slices.Sort(a)
	slices.Sort(b)
	x, y := a[len(a)/2], b[len(b)/2]
	fmt.Printf("%-50s odarchive %6.2f CPU-s, dvdisaster %7.2f CPU-s: %5.1f times less\n", what, x.Seconds(), y.Seconds(), y.Seconds()/x.Seconds())
}

func (p *peers) run(name string, args []string, repairs bool) time.Duration {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "HOME="+p.dir)
	out := p.path("output")
	f, err := os.Create(out)
	if err != nil {
		p.t.Fatal(err)
	}
	defer f.Close()
	cmd.Stdout, cmd.Stderr = f, f
	if err := cmd.Run(); err != nil && (!repairs || cmd.ProcessState.ExitCode() != 1) {
		p.t.Fatalf("%s %v: %v: see %s", name, args, err, out)
	}
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
}
