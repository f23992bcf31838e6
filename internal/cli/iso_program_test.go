package cli

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestProgramOnDiscs: discs carry what they are told to; the running program only where it is static and its source is there.
func TestProgramOnDiscs(t *testing.T) {
	b := newBench(t)
	b.must("create_db", b.source)
	file := filepath.Join(t.TempDir(), "odarchive.exe")
	if err := os.WriteFile(file, []byte("for another machine"), 0o755); err != nil {
		t.Fatal(err)
	}
	b.must("plan_iso", "cd", "--program", file)
	b.must("create_iso")
	if code, out, errs := b.run("iso", "verify", "--contents", b.images()[0]); code != ExitOK {
		t.Errorf("verify: %d, %s%s", code, out, errs)
	}
	if img, err := os.ReadFile(b.images()[0]); err != nil || !strings.Contains(string(img), "for another machine") || !strings.Contains(string(img), "THE PROGRAM THAT MADE THIS DISC") {
		t.Errorf("the disc doesn't have it: %v", err)
	}
	if code, _, errs := b.run("plan_iso", "cd", "--with-program", "--project", b.project); code == ExitOK || !strings.Contains(errs, "make ") {
		t.Errorf("a test as the program: %d, %s", code, errs)
	}
}

// TestStatic tells programs that need libraries from such that don't.
func TestStatic(t *testing.T) {
	for name, want := range map[string]error{"sh": errDynamic, "busybox": nil} {
		file, err := exec.LookPath(name)
		if err != nil {
			t.Skip(err)
		}
		if file, err = filepath.EvalSymlinks(file); err != nil {
			t.Fatal(err)
		}
		if err := static(file); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := static(script); err != nil {
		t.Errorf("a script: %v", err)
	}
}
