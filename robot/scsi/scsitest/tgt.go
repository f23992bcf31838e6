// Package scsitest starts the SCSI target of the Linux SCSI target framework (tgtd) as an emulated jukebox: DVD+R burners and a
// media changer that others wrote, for tests of what speaks to such devices. It needs no rights and touches only a folder
// and a port of the loopback; it knows nothing of drivers.
package scsitest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Target is the name of the emulated jukebox. Its logical units are the drives from 1 on, and behind them the changer.
const Target = "iqn.2025-01.org.odarchive.test:jukebox"

// Addresses of the changer's elements.
const (
	FirstDrive    = 1
	FirstPicker   = 16
	FirstMailSlot = 512
	FirstSlot     = 1024
)

// Shape is how large the jukebox is.
type Shape struct {
	Drives, Slots, MailSlots int
	// Blanks is in how many slots, from the first, a blank DVD+R lies.
	Blanks int
}

// Jukebox is a running target.
type Jukebox struct {
	Address string // "127.0.0.1:41234"
	Media   string // folder of the discs: a blank one is an empty file, a closed one the image that was burned
	Shape

	control string // socket
	process *exec.Cmd
}

// ChangerLUN is the logical unit of the changer.
func (j *Jukebox) ChangerLUN() uint16 { return uint16(j.Drives + 1) }

// Tag is the volume tag of the disc that lay in a slot, from 1, at the beginning, and its file in Media.
func Tag(slot int) string { return fmt.Sprintf("OD%04dD1", slot) }

// Start starts a jukebox for a test, which it ends with. Without tgtd the test is left out, or fails where CI is set.
func Start(tb testing.TB, s Shape) *Jukebox {
	tb.Helper()
	for _, program := range []string{"tgtd", "tgtadm", "tgtimg"} {
		if _, err := find(program); err != nil {
			if os.Getenv("CI") != "" {
				tb.Fatal(err)
			}
			tb.Skip(err)
		}
	}
	dir := tempDir(tb)
	j, err := start(tb.Context(), dir, s)
	if err != nil {
		tb.Fatalf("start tgtd: %v", err)
	}
	tb.Cleanup(j.Stop)
	return j
}

// tempDir is in memory where it can be: tgtd syncs each sector that it writes.
func tempDir(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "odarchive-tgt-")
	if err != nil {
		return tb.TempDir()
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// find looks where administrators' programs are, too.
func find(program string) (string, error) {
	path, err := exec.LookPath(program)
	if err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if p := filepath.Join(dir, program); exec.Command("test", "-x", p).Run() == nil {
			return p, nil
		}
	}
	return "", err
}

// patience is how long tgtd may take to answer.
const patience = 20 * time.Second

func start(ctx context.Context, dir string, s Shape) (*Jukebox, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	j := &Jukebox{
		Address: "127.0.0.1:" + strconv.Itoa(port), Media: filepath.Join(dir, "media"), Shape: s,
		control: filepath.Join(dir, "socket"),
	}
	if err := os.Mkdir(j.Media, 0o755); err != nil {
		return nil, err
	}
	tgtd, err := find("tgtd")
	if err != nil {
		return nil, err
	}
	// The control port must be another one for each target on a machine, because the name of a lock depends on it.
	j.process = exec.Command(tgtd, "-f", "-C", strconv.Itoa(port%30000+1), "--iscsi", "portal="+j.Address)
	j.process.Env = append(os.Environ(), "TGT_IPC_SOCKET="+j.control)
	log, err := os.Create(filepath.Join(dir, "tgtd.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	j.process.Stdout, j.process.Stderr = log, log
	if err := j.process.Start(); err != nil {
		return nil, err
	}
	if err := j.configure(ctx); err != nil {
		j.Stop()
		text, _ := os.ReadFile(log.Name())
		return nil, fmt.Errorf("%w\n%s", err, text)
	}
	return j, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// Stop kills the target.
func (j *Jukebox) Stop() {
	if j.process.ProcessState != nil {
		return
	}
	j.process.Process.Kill()
	j.process.Wait()
}

// PID is the process of the target, for a test that stops or kills it.
func (j *Jukebox) PID() int { return j.process.Process.Pid }

// Admin runs tgtadm.
func (j *Jukebox) Admin(args ...string) error {
	tgtadm, err := find("tgtadm")
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(j.Address)
	number, _ := strconv.Atoi(port)
	c := exec.Command(tgtadm, append([]string{"-C", strconv.Itoa(number%30000 + 1), "--lld", "iscsi", "--mode"}, args...)...)
	c.Env = append(os.Environ(), "TGT_IPC_SOCKET="+j.control)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("tgtadm %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// Blank makes the file of a blank disc, and of its slot a slot with that disc.
func (j *Jukebox) Blank(tag string) error {
	tgtimg, err := find("tgtimg")
	if err != nil {
		return err
	}
	out, err := exec.Command(tgtimg, "--op", "new", "--device-type", "cd", "--type", "dvd+r", "--file", filepath.Join(j.Media, tag)).CombinedOutput()
	if err != nil {
		return fmt.Errorf("tgtimg: %w: %s", err, out)
	}
	return nil
}

// Write puts a closed disc with a content in the place of a disc that lies in no drive.
func (j *Jukebox) Write(tag string, content []byte) error {
	return os.WriteFile(filepath.Join(j.Media, tag), content, 0o600)
}

func (j *Jukebox) configure(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := j.Admin("target", "--op", "show")
		if err == nil {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("tgtd does not answer: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
	state := filepath.Join(j.Media, "smc.state")
	if err := os.WriteFile(state, make([]byte, 1024), 0o600); err != nil {
		return err
	}
	var errs []error
	admin := func(args ...string) { errs = append(errs, j.Admin(args...)) }
	admin("target", "--op", "new", "--tid", "1", "-T", Target)
	unit := func(lun int, op string, more ...string) {
		admin(append([]string{"logicalunit", "--op", op, "--tid", "1", "--lun", strconv.Itoa(lun)}, more...)...)
	}
	set := func(lun int, format string, args ...any) {
		unit(lun, "update", "--params", fmt.Sprintf(format, args...))
	}
	for d := 1; d <= j.Drives; d++ {
		unit(d, "new", "-Y", "cd")
		set(d, "vendor_id=STGT_DVD,product_id=DVD101,product_rev=0010,scsi_sn=STGTDVD%02d,removable=1", d)
	}
	changer := j.Drives + 1
	unit(changer, "new", "-b", state, "-Y", "changer")
	set(changer, "vendor_id=STK,product_id=L700,product_rev=0010,scsi_sn=XYZZY_0,removable=1")
	set(changer, "element_type=4,start_address=%d,quantity=%d", FirstDrive, j.Drives)
	for d := range j.Drives {
		set(changer, "element_type=4,address=%d,tid=1,lun=%d", FirstDrive+d, d+1)
	}
	set(changer, "element_type=1,start_address=%d,quantity=1", FirstPicker)
	set(changer, "media_home=%s", j.Media)
	set(changer, "element_type=2,start_address=%d,quantity=%d", FirstSlot, j.Slots)
	if j.MailSlots > 0 {
		set(changer, "element_type=3,start_address=%d,quantity=%d", FirstMailSlot, j.MailSlots)
	}
	for n := 1; n <= j.Blanks; n++ {
		errs = append(errs, j.Blank(Tag(n)))
		set(changer, "element_type=2,address=%d,barcode=%s,sides=1", FirstSlot+n-1, Tag(n))
	}
	admin("target", "--op", "bind", "--tid", "1", "-I", "ALL")
	// Large PDUs, so that no write waits for a round trip of its own.
	for _, key := range []string{"MaxRecvDataSegmentLength", "MaxXmitDataSegmentLength", "FirstBurstLength", "MaxBurstLength"} {
		admin("target", "--op", "update", "--tid", "1", "-n", key, "-v", "262144")
	}
	return errors.Join(errs...)
}
