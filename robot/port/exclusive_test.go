package port

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// TestOthersAreKeptOut: a program that asks by flock finds the line held, one that opens it without being root gets EBUSY, and both are over
// when it is closed.
func TestOthersAreKeptOut(t *testing.T) {
	_, path := pty(t)
	l := openLine(t, path, Mode{})
	if err := exec.Command("flock", "--nonblock", "--conflict-exit-code", "9", path, "true").Run(); exitCode(err) != 9 {
		t.Errorf("flock on a line that is held: %v", err)
	}
	exclusive := func() (on int32) {
		t.Helper()
		f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0) // as root: others can't any more
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		control(t, f, func(fd int) error {
			if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCGEXCL, uintptr(unsafe.Pointer(&on))); errno != 0 {
				return errno
			}
			return nil
		})
		return on
	}
	if os.Geteuid() != 0 {
		if f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0); err == nil {
			f.Close()
			t.Error("somebody else opened the line")
		}
	} else if exclusive() == 0 {
		t.Error("the line is not marked as exclusive (TIOCEXCL)")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := exec.Command("flock", "--nonblock", path, "true").Run(); err != nil {
		t.Errorf("flock on a line that was closed: %v", err)
	}
}

func exitCode(err error) int {
	if e, ok := err.(*exec.ExitError); ok {
		return e.ExitCode()
	}
	return 0
}

// TestRenumbered: a name of /dev/serial/by-id leads to the same adapter after it came back under another number, and never to
// what has its old one.
func TestRenumbered(t *testing.T) {
	name := filepath.Join(t.TempDir(), "usb-FTDI_FT232R_A50285BI-if00-port0")
	robot, old := pty(t)
	if err := os.Symlink(old, name); err != nil {
		t.Fatal(err)
	}
	d := openDurable(t, name)
	hears(t, d, robot)
	robot.Close()
	// The old number goes to another adapter; ours gets a new one.
	stranger, second := pty(t)
	robot, third := pty(t)
	if second != old { // the kernel gives the lowest number that is free
		t.Logf("%s was not given again, but %s", old, second)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(third, name); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Discard(); err != nil { // finds out, and opens the name anew
		t.Fatal(err)
	}
	hears(t, d, robot)
	if err := unix.SetNonblock(int(stranger.Fd()), true); err != nil {
		t.Fatal(err)
	}
	if n, err := unix.Read(int(stranger.Fd()), make([]byte, 16)); n > 0 {
		t.Errorf("a stranger's line got %d bytes (%v)", n, err)
	}
}

// TestNoForeignPorts: nothing in the project lists the ports of its host, which would open them all and so raise DTR on machines that
// are none of our business.
func TestNoForeignPorts(t *testing.T) {
	files := 0
	err := filepath.WalkDir(filepath.Join("..", ".."), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		files++
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, call := range []string{"Get" + "PortsList(", `"go.bug.st/serial/` + "enumerator"} {
			if strings.Contains(string(text), call) {
				t.Errorf("%s has %s", path, call)
			}
		}
		return nil
	})
	if err != nil || files < 100 {
		t.Errorf("%d files: %v", files, err)
	}
}
