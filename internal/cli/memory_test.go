package cli

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// peak runs the program on its own and returns the most memory that it had, in MiB.
func peak(t *testing.T, dir string, want int, args ...string) int64 {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), self, append(args, "--quiet")...)
	c.Dir, c.Env = dir, append(os.Environ(), asProgram+"=1", "GOMEMLIMIT=off", "GOGC=100")
	out, _ := c.CombinedOutput()
	if code := c.ProcessState.ExitCode(); code != want {
		t.Fatalf("odarchive %v: exit code %d, want %d\n%s", args, code, want, out)
	}
	return c.ProcessState.SysUsage().(*syscall.Rusage).Maxrss >> 10
}

// hole makes a sparse file of that many MiB, with something in it now and then.
func hole(t *testing.T, name string, seed byte, mib int64) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(mib << 20); err != nil {
		t.Fatal(err)
	}
	for at := int64(0); at < mib<<20; at += 8 << 20 {
		if _, err := f.WriteAt([]byte{seed, byte(at >> 20)}, at); err != nil {
			t.Fatal(err)
		}
	}
}

// spoil overwrites a part of a file: every MiB some sectors, and a burst of a thirtieth in the middle.
func spoil(t *testing.T, name string) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	end, err := f.Seek(0, 2)
	if err != nil {
		t.Fatal(err)
	}
	dirt := bytes.Repeat([]byte("dirt"), 1024)
	for at := int64(1 << 20); at < end-1<<20; at += 1 << 20 {
		if _, err := f.WriteAt(dirt, at+at>>9&^2047); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := f.WriteAt(bytes.Repeat(dirt, int(end/30)/len(dirt)), end/2); err != nil {
		t.Fatal(err)
	}
}

// TestMemory: protecting, testing and repairing takes the same memory whatever the size of the images. Damage is part of it: what is
// found must not pile up either. How much that memory is, 256 MiB at most, only a program without the race detector's own shows.
func TestMemory(t *testing.T) {
	const small, large = 12, 48 // MiB of an image
	most := map[string][2]int64{}
	for n, mib := range []int64{small, large} {
		dir := t.TempDir()
		measure := func(what string, want int, args ...string) {
			t.Helper()
			m := most[what]
			m[n] = peak(t, dir, want, args...)
			most[what] = m
		}
		one := filepath.Join(dir, "one.iso")
		hole(t, one, 1, 2*mib)
		measure("ecc add", ExitOK, "ecc", "add", one, "--small", "--roots", "32")
		measure("ecc test", ExitOK, "ecc", "test", one)
		spoil(t, one)
		measure("ecc test of damage", ExitPartial, "ecc", "test", one)
		measure("ecc repair", ExitOK, "ecc", "repair", one)
		if err := os.Remove(one); err != nil {
			t.Fatal(err)
		}
		var images []string
		for i := range 4 {
			images = append(images, filepath.Join(dir, fmt.Sprint(i, ".iso")))
			hole(t, images[i], byte(i+1), mib)
		}
		set := filepath.Join(dir, "set")
		parity := append([]string{"set", "parity", "--to", set, "--data", "4", "--parity", "2"}, images[:2]...)
		measure("set parity", ExitOK, parity...)
		measure("set parity, more of it", ExitOK, append(parity[:8:8], images[2:]...)...)
		measure("set verify", ExitOK, append([]string{"set", "verify", set}, images...)...)
		spoil(t, images[1])
		spoil(t, images[2])
		measure("set verify of damage", ExitFailure, append([]string{"set", "verify", set}, images...)...)
		back := filepath.Join(dir, "back.iso")
		measure("set rebuild", ExitOK, append([]string{"set", "rebuild", set, "--image", "1", "--to", back}, images...)...)
	}
	for what, m := range most {
		t.Logf("%s: %d MiB for images of %d MiB, %d MiB for images of %d", what, m[0], small, m[1], large)
		if m[1] > m[0]+m[0]/2+16 {
			t.Errorf("%s: %d MiB for images of %d MiB, %d MiB for images of %d", what, m[0], small, m[1], large)
		}
		if !raceDetector && m[1] > 256 {
			t.Errorf("%s takes %d MiB", what, m[1])
		}
	}
}
