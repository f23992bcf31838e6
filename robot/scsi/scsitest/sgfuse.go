package scsitest

import (
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

//go:embed sgfuse/sgfuse.c
var sgfuseSource []byte

// RigEnv is the variable that has `make rig` run the tests that need root and, but for the value Kernel, /dev/fuse and a C
// compiler.
const RigEnv = "ODARCHIVE_RIG"

// Kernel is the value of RigEnv on a machine whose kernel has SCSI, and iSCSI as an initiator.
const Kernel = "kernel"

// Nodes makes device nodes of the jukebox's logical units: the kernel's own, or files on which the SG_IO ioctl works, with no
// SCSI in the kernel. It returns the drives' paths, from the first on, and the changer's. They go with the test.
func (j *Jukebox) Nodes(tb testing.TB) (drives []string, changer string) {
	tb.Helper()
	if os.Getenv(RigEnv) == "" {
		tb.Skipf("set %s=1, or run make rig", RigEnv)
	}
	if os.Getenv(RigEnv) == Kernel {
		return j.kernelNodes(tb)
	}
	dir, err := os.MkdirTemp("", "odarchive-sgfuse-")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	program := build(tb, dir)
	mount := filepath.Join(dir, "dev")
	if err := os.Mkdir(mount, 0o755); err != nil {
		tb.Fatal(err)
	}
	unit := func(name string, lun int) string {
		return name + "=iscsi://" + j.Address + "/" + Target + "/" + strconv.Itoa(lun)
	}
	args := []string{mount}
	for d := range j.Drives {
		name := "sr" + strconv.Itoa(d)
		args, drives = append(args, unit(name, d+1)), append(drives, filepath.Join(mount, name))
	}
	changer = filepath.Join(mount, "sch0")
	fuse := exec.Command(program, append(args, unit("sch0", int(j.ChangerLUN())))...)
	fuse.Stderr = os.Stderr
	if err := fuse.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		exec.Command("umount", "-l", mount).Run()
		fuse.Process.Kill()
		fuse.Wait()
	})
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(changer); err == nil {
			return drives, changer
		}
		if time.Now().After(end) {
			tb.Fatal("sgfuse makes no nodes")
		}
	}
}

func build(tb testing.TB, dir string) (program string) {
	tb.Helper()
	source := filepath.Join(dir, "sgfuse.c")
	program = filepath.Join(dir, "sgfuse")
	if err := os.WriteFile(source, sgfuseSource, 0o600); err != nil {
		tb.Fatal(err)
	}
	flags, err := exec.Command("pkg-config", "--cflags", "--libs", "fuse3").Output()
	if err != nil {
		tb.Fatalf("pkg-config fuse3: %v: install libfuse3-dev", err)
	}
	args := append([]string{"-O2", "-o", program, source}, strings.Fields(string(flags))...)
	if out, err := exec.Command("cc", append(args, "-liscsi", "-lpthread")...).CombinedOutput(); err != nil {
		tb.Fatalf("build sgfuse: %v: %s", err, out)
	}
	return program
}
