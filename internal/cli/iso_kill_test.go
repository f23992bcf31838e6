package cli

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// asProgram makes the test's binary the program itself.
const asProgram = "ODARCHIVE_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(Run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// TestKilled: a command that is killed leaves no image under its own name and no lock, and the next one does its work.
func TestKilled(t *testing.T) {
	b := newBench(t)
	b.must("create_db", b.source)
	b.must("plan_iso", "3MB")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for number, image := range []string{"new_0000.iso", "new_0001.iso"} {
		c := exec.CommandContext(t.Context(), self, "create_iso", "all", "--project", b.project)
		c.Env = append(os.Environ(), asProgram+"=1")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { c.Wait(); close(ended) }()
		begun := func() bool {
			_, err := os.Stat(filepath.Join(b.project, image+".odarchive-tmp"))
			return err == nil
		}
		for done := false; !begun() && !done; runtime.Gosched() {
			select {
			case <-ended:
				done = true // it was faster: then everything is there
			default:
			}
		}
		c.Process.Kill()
		<-ended
		for _, file := range b.images() {
			if code, _, errs := b.run("iso", "verify", file); code != ExitOK {
				t.Errorf("after kill %d, %s: %s", number, file, errs)
			}
		}
	}
	if code, _, errs := b.run("create_iso", "all", "--project", b.project); code != ExitOK && code != ExitFailure {
		t.Errorf("%d, %s", code, errs)
	}
	target := filepath.Join(t.TempDir(), "back")
	if code, _, errs := b.run(append([]string{"iso", "restore", "--to", target}, b.images()...)...); code != ExitOK {
		t.Fatal(errs)
	}
	b.compare(target)
}
