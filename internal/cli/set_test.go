package cli

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSet makes a set in two runs, loses and damages images, and brings them back through the command line alone.
func TestSet(t *testing.T) {
	dir := t.TempDir()
	set := filepath.Join(dir, "set")
	run := func(want int, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		if code := Run(context.Background(), append([]string{"set"}, args...), &out, &errs); code != want {
			t.Fatalf("set %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), code, want, &out, &errs)
		}
		return out.String() + errs.String()
	}
	var names []string
	var images [][]byte
	for i := range 4 {
		b := make([]byte, 2048*(100+37*i))
		r := rand.NewChaCha8([32]byte{byte(i)})
		r.Read(b)
		name := filepath.Join(dir, fmt.Sprintf("%d.iso", i))
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		names, images = append(names, name), append(images, b)
	}
	run(ExitUsage, "parity", names[0])
	run(ExitUsage, "parity", "--to", set, "--parity", "0", names[0])
	run(ExitOK, "parity", "--to", set, "--data", "5", names[0], names[1])
	run(ExitFailure, "parity", "--to", set, "--data", "6", names[2])
	// Twice the same, twice the same under two names, and another that goes by a name of the set's.
	other := filepath.Join(dir, "other", "1.iso")
	if err := os.MkdirAll(filepath.Dir(other), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(other, bytes.Repeat([]byte{7}, len(images[1])), 0o600); err != nil {
		t.Fatal(err)
	}
	again := filepath.Join(dir, "again.iso")
	if err := os.WriteFile(again, images[0], 0o600); err != nil {
		t.Fatal(err)
	}
	if out := run(ExitOK, "parity", "--to", set, names[1]); !strings.Contains(out, "is in the set already") || !strings.Contains(out, "has 2 images of 5") {
		t.Error(out)
	}
	if out := run(ExitFailure, "parity", "--to", set, again); !strings.Contains(out, "the same image already") {
		t.Error(out)
	}
	if out := run(ExitFailure, "parity", "--to", set, names[2], other); !strings.Contains(out, "as number 1") {
		t.Error(out)
	}
	if out := run(ExitOK, "parity", "--to", set, names[2]); !strings.Contains(out, "has 3 images of 5") {
		t.Error(out)
	}
	if out := run(ExitOK, "parity", "--to", set, "--close", "--json", names[1], names[2], names[3]); !strings.Contains(out, `"closed":true`) || !strings.Contains(out, `"members":4`) {
		t.Error(out)
	}
	run(ExitFailure, "parity", "--to", set, "--data", "5", names[0])
	run(ExitOK, append([]string{"verify", set}, names...)...)
	if left, _ := filepath.Glob(filepath.Join(set, "*")); len(left) != 6 {
		t.Errorf("the folder holds %v", left)
	}

	hurt := bytes.Clone(images[1])
	hurt[50*2048]++
	os.WriteFile(names[1], hurt, 0o600)
	if out := run(ExitFailure, "verify", set, names[1], names[2], names[3]); !strings.Contains(out, "can be rebuilt") {
		t.Error(out)
	}
	back := filepath.Join(dir, "back")
	for i, given := range [][]string{{names[1], names[2], names[3]}, {names[1], names[0], names[2], names[3]}} {
		run(ExitOK, append([]string{"rebuild", set, "--image", fmt.Sprint(i), "--to", back}, given...)...)
		if got, err := os.ReadFile(back); err != nil || !bytes.Equal(got, images[i]) {
			t.Errorf("image %d is not what it was (%v)", i, err)
		}
	}
	gone := filepath.Join(dir, "gone")
	run(ExitFailure, "rebuild", set, "--image", "0", "--to", gone, names[2])
	if left, _ := filepath.Glob(gone + "*"); left != nil {
		t.Errorf("%v was left", left)
	}
	run(ExitFailure, "rebuild", set, "--image", "0", "--to", gone, "--keep-damaged", names[2])
	if _, err := os.Stat(gone); err != nil {
		t.Error(err)
	}
}

// TestSetKilled kills additions and the end of a set at any moment: the command repeated does what it would have done.
func TestSetKilled(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	set := filepath.Join(dir, "set")
	var names []string
	for i := range 3 {
		name := filepath.Join(dir, fmt.Sprintf("%d.iso", i))
		b := make([]byte, 8<<20+i<<11)
		rand.NewChaCha8([32]byte{byte(i)}).Read(b)
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	command := func(args ...string) *exec.Cmd {
		c := exec.CommandContext(t.Context(), self, append([]string{"set"}, args...)...)
		c.Env = append(os.Environ(), asProgram+"=1")
		return c
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, args := range [][]string{
		{"parity", "--to", set, "--data", "4", names[0]}, {"parity", "--to", set, names[1]}, {"parity", "--to", set, names[2]}, {"parity", "--to", set, "--close"},
	} {
		killed := command(args...)
		if err := killed.Start(); err != nil {
			t.Fatal(err)
		}
		// How far it comes by then is left to chance; any moment will do.
		time.AfterFunc(time.Duration(rng.IntN(60))*time.Millisecond, func() { killed.Process.Kill() })
		killed.Wait()
		out, err := command(args...).CombinedOutput()
		if last := args[len(args)-1] == "--close"; err != nil && (!last || !strings.Contains(string(out), "sealed")) {
			t.Fatalf("%v after a kill: %v\n%s", args, err, out)
		}
	}
	if out, err := command(append([]string{"verify", set}, names...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if left, _ := filepath.Glob(filepath.Join(set, "*")); len(left) != 6 {
		t.Errorf("the folder holds %v", left)
	}
}
