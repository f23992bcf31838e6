package client

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// A file that may not be read is named: before anything is uploaded, or when the right is taken away after the scan. It is left out
// when that is asked for, and the rest is archived.
func TestForbidden(t *testing.T) {
	if os.Geteuid() == 0 { // who may read everything: somebody else looks
		c := exec.Command("/proc/self/exe", "-test.run=^TestForbidden$", "-test.v")
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		if out, err := c.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestForbidden") {
			t.Errorf("as nobody: %v\n%s", err, out)
		}
		return
	}
	for _, late := range []bool{false, true} {
		for _, keepGoing := range []bool{false, true} {
			dir := t.TempDir()
			path := filepath.Join(dir, "forbidden")
			if err := errors.Join(os.WriteFile(path, []byte("secret"), 0o600), os.WriteFile(filepath.Join(dir, "open"), []byte("open"), 0o600)); err != nil {
				t.Fatal(err)
			}
			forbid := func(int) {
				if err := os.Chmod(path, 0); err != nil {
					t.Error(err)
				}
			}
			f := &fake{}
			if late {
				f.asked = forbid
			} else {
				forbid(0)
			}
			var skipped []string
			_, err := f.start(t).Put(t.Context(), Put{Dir: dir, KeepGoing: keepGoing, Skipped: func(path string, _ error) { skipped = append(skipped, path) }})
			if !keepGoing {
				if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "forbidden") || f.sealed != nil {
					t.Errorf("late %v: %v, %d sealed", late, err, len(f.sealed))
				}
				continue
			}
			got, archived := f.bytes("open")
			if _, secret := f.bytes("forbidden"); err != nil || !archived || string(got) != "open" || secret || !slices.Equal(skipped, []string{"forbidden"}) {
				t.Errorf("late %v: %v, skipped %q, open %q, forbidden archived %v", late, err, skipped, got, secret)
			}
		}
	}
}
