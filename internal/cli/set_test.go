package cli

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
	if out := run(ExitOK, "parity", "--to", set, "--data", "5", "--close", "--json", names[1], names[2], names[3]); !strings.Contains(out, `"closed":true`) || !strings.Contains(out, `"members":4`) {
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
