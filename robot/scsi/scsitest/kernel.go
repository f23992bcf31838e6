package scsitest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// kernelNodes logs the kernel in to the jukebox. iscsid must be running.
func (j *Jukebox) kernelNodes(tb testing.TB) (drives []string, changer string) {
	tb.Helper()
	iscsiadm := func(args ...string) error {
		out, err := exec.Command("iscsiadm", append([]string{"-m"}, args...)...).CombinedOutput()
		if err != nil {
			tb.Logf("iscsiadm %s: %v: %s", strings.Join(args, " "), err, out)
		}
		return err
	}
	if iscsiadm("discovery", "-t", "st", "-p", j.Address) != nil || iscsiadm("node", "-p", j.Address, "--login") != nil {
		tb.Fatal("the kernel can't log in")
	}
	tb.Cleanup(func() { iscsiadm("node", "-p", j.Address, "--logout") })
	drives = make([]string, j.Drives)
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		found := 0
		nodes, _ := filepath.Glob("/sys/class/scsi_generic/sg*/device/type")
		for _, file := range nodes {
			device := filepath.Dir(file)
			kind, _ := os.ReadFile(file)
			address, _ := filepath.EvalSymlinks(device) // …/0:0:0:LUN
			lun, _ := strconv.Atoi(address[strings.LastIndexByte(address, ':')+1:])
			switch strings.TrimSpace(string(kind)) {
			case "5":
				block, _ := filepath.Glob(filepath.Join(device, "block", "sr*"))
				if len(block) == 1 && 1 <= lun && lun <= j.Drives {
					drives[lun-1] = "/dev/" + filepath.Base(block[0])
					found++
				}
			case "8":
				changer = "/dev/" + filepath.Base(filepath.Dir(device))
				found++
			}
		}
		if found == j.Drives+1 {
			exec.Command("udevadm", "settle", "-t", "20").Run() // whose lock is part of the game
			return drives, changer
		}
		if time.Now().After(end) {
			tb.Fatalf("the kernel has %d of %d devices", found, j.Drives+1)
		}
	}
}
