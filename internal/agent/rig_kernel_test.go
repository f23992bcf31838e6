package agent

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	pb "github.com/odarchive/odarchive/proto/odarchivev1"
	"github.com/odarchive/odarchive/robot"
	"github.com/odarchive/odarchive/robot/scsi/scsitest"
)

// Requests of linux/cdrom.h and linux/fs.h, and what a drive says of itself.
const (
	cdromDriveStatus = 0x5326
	cdromLockDoor    = 0x5329
	blkGetSize64     = 0x80081272
	discOK           = 4
)

// opened calls f with a device as programs open it that mustn't close a tray.
func opened(t *testing.T, path string, flags int, f func(*os.File)) {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|flags, 0)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	file := os.NewFile(uintptr(fd), path)
	defer file.Close()
	f(file)
}

func request(t *testing.T, f *os.File, code, arg uintptr) int {
	t.Helper()
	n, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), code, arg)
	if errno != 0 {
		t.Fatalf("%s: request %X: %v", f.Name(), code, errno)
	}
	return int(n)
}

// aligned is memory for direct reads.
func aligned(n int) []byte {
	b := make([]byte, n+4096)
	return b[4096-uintptr(unsafe.Pointer(&b[0]))%4096:][:n]
}

// TestRigSwap: after the robot has swapped discs behind the kernel's back, the kernel may have the old disc's size, and the agent has
// the new disc's; once the kernel has looked at the empty drive, direct reads give the new disc too. The door that the kernel has locked is
// the robot's until the agent lets go of it.
func TestRigSwap(t *testing.T) {
	if os.Getenv(scsitest.RigEnv) != scsitest.Kernel {
		t.Skip("it takes the kernel of scripts/rig/uml.sh")
	}
	j := scsitest.Start(t, scsitest.Shape{Drives: 1, Slots: 3, Blanks: 2})
	nodes, changerNode := j.Nodes(t)
	changer, err := openSCSI(t.Context(), RobotConfig{Kind: "scsi", Device: changerNode}, robotHost{})
	if err != nil {
		t.Fatal(err)
	}
	defer changer.Close()
	d, err := openLinux(t.Context(), DriveConfig{Number: 1, Kind: "linux", Path: nodes[0]})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	b := newBay(1, d, "", firstBytes)
	carry := func(from, to robot.Address) {
		t.Helper()
		if err := errors.Join(b.eject(t.Context()), b.unlock(t.Context()), changer.Move(t.Context(), from, to)); err != nil {
			t.Fatal(err)
		}
	}
	images := map[int][]byte{1: inSectors(imageA, 3008), 2: inSectors(imageB, 1008)} // libburn rounds a DVD+R up to 16 sectors
	for _, n := range []int{1, 2} {
		data := images[n]
		carry(slot(n), drive(1))
		if id, err := b.load(t.Context()); err != nil || id.GetState() != pb.Identity_STATE_BLANK {
			t.Fatalf("%v, %v", id, err)
		}
		if err := b.drive.Burn(t.Context(), bytes.NewReader(data), int64(len(data)), nil); err != nil {
			t.Fatal(err)
		}
		carry(drive(1), slot(n))
	}
	size := func() (n uint64) {
		opened(t, nodes[0], 0, func(f *os.File) { request(t, f, blkGetSize64, uintptr(unsafe.Pointer(&n))) })
		return n
	}
	for _, n := range []int{1, 2, 1} {
		carry(slot(n), drive(1))
		id, err := b.load(t.Context())
		want := images[n]
		if err != nil || id.GetRecorded() != int64(len(want)/2048) || id.GetState() != pb.Identity_STATE_OURS {
			t.Fatalf("disc %d: %v, %v", n, id, err)
		}
		t.Logf("disc %d of %d bytes: the kernel's size is %d", n, len(want), size())
		got := make([]byte, len(want))
		if _, err := io.ReadFull(io.NewSectionReader(b.drive, 0, int64(len(want))), got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("disc %d is read otherwise than it was burned: %v", n, err)
		}

		// The door: locked by whoever has it open, the robot gets nothing.
		if err := b.eject(t.Context()); err != nil {
			t.Fatal(err)
		}
		opened(t, nodes[0], 0, func(f *os.File) {
			request(t, f, cdromLockDoor, 1)
			if err := changer.Move(t.Context(), drive(1), slot(n)); !errors.Is(err, robot.ErrBusy) {
				t.Errorf("a locked drive gave its disc away: %v", err)
			}
			request(t, f, cdromLockDoor, 0)
		})
		carry(drive(1), slot(n)) // and nobody opens the empty drive
	}
	opened(t, nodes[0], 0, func(f *os.File) {
		if request(t, f, cdromDriveStatus, 1<<31-1) == discOK {
			t.Errorf("the empty drive says that a disc is ready")
		}
	})
	if f, err := os.Open(nodes[0]); err == nil { // by which the kernel sees that nothing is there
		f.Close()
	}

	// From here on the kernel has the right size, and reads directly.
	carry(slot(2), drive(1))
	if _, err := b.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	opened(t, nodes[0], unix.O_DIRECT, func(f *os.File) {
		for end := time.Now().Add(20 * time.Second); request(t, f, cdromDriveStatus, 1<<31-1) != discOK; {
			if time.Now().After(end) {
				t.Fatal("the kernel sees no disc")
			}
			time.Sleep(50 * time.Millisecond)
		}
		want := images[2]
		got := aligned(len(want))
		if n, err := f.ReadAt(got, 0); n != len(want) || err != nil || !bytes.Equal(got, want) {
			t.Errorf("direct read of %d bytes: %d, %v", len(want), n, err)
		}
	})
	if n := size(); n < uint64(len(images[2])) || n >= uint64(len(images[1])) {
		t.Errorf("the kernel's size is %d, the disc has %d", n, len(images[2]))
	}
}
