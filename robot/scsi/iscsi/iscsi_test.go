package iscsi

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/odarchive/odarchive/robot/scsi"
	"github.com/odarchive/odarchive/robot/scsi/scsitest"
)

func open(t *testing.T, j *scsitest.Jukebox, lun uint16) *Device {
	t.Helper()
	d, err := Open(t.Context(), Config{j.Address, scsitest.Target, "iqn.2025-01.org.odarchive.test:initiator", lun})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	// A session begins with a unit attention (SPC-4 §6.47: 29/00).
	for range 3 {
		d.Do(scsi.Command{CDB: scsi.TestUnitReady()})
	}
	return d
}

// TestBurn burns a disc by raw commands and reads it back: data in both directions, in and beyond the first burst.
func TestBurn(t *testing.T) {
	j := scsitest.Start(t, scsitest.Shape{Drives: 1, Slots: 3, Blanks: 1})
	changer, drive := open(t, j, j.ChangerLUN()), open(t, j, 1)
	if id, err := scsi.Identify(drive); err != nil || id.Type != scsi.TypeMMC || id.String() != "STGT_DVD DVD101 0010" || id.Serial != "STGTDVD01" {
		t.Errorf("drive: %+v, %v", id, err)
	}
	if id, err := scsi.Identify(changer); err != nil || id.Type != scsi.TypeChanger {
		t.Errorf("changer: %+v, %v", id, err)
	}
	do := func(d *Device, c scsi.Command) int {
		t.Helper()
		n, err := d.Do(c)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	do(changer, scsi.Command{CDB: scsi.MoveMedium(scsitest.FirstPicker, scsitest.FirstSlot, scsitest.FirstDrive)})
	drive.Do(scsi.Command{CDB: scsi.TestUnitReady()})
	const sectors = 512 // 1 MiB in one command: more than a burst
	image := make([]byte, sectors*2048)
	rand.Read(image)
	if n := do(drive, scsi.Command{CDB: scsi.Write10(0, sectors), Out: image}); n != len(image) {
		t.Errorf("wrote %d bytes of %d", n, len(image))
	}
	do(drive, scsi.Command{CDB: scsi.SynchronizeCache()})
	do(drive, scsi.Command{CDB: scsi.CloseTrackSession(scsi.CloseTrack, 1, false)})
	back := make([]byte, len(image))
	if n := do(drive, scsi.Command{CDB: scsi.Read10(0, sectors, false), In: back}); n != len(back) || !bytes.Equal(image, back) {
		t.Errorf("read %d bytes of %d, and they are the same: %v", n, len(back), bytes.Equal(image, back))
	}
	_, err := drive.Do(scsi.Command{CDB: scsi.Write10(0, 1), Out: image[:2048]})
	if s, _ := scsi.SenseOf(err); s.Code != (scsi.Code{Key: scsi.IllegalRequest, ASC: 0x30, ASCQ: 0x05}) {
		t.Errorf("writing a closed disc: %v", err)
	}
}

func TestTargetStopsAndDies(t *testing.T) {
	j := scsitest.Start(t, scsitest.Shape{Drives: 1, Slots: 1})
	drive := open(t, j, 1)
	process, err := os.FindProcess(j.PID())
	if err != nil {
		t.Fatal(err)
	}
	signal(t, process, syscall.SIGSTOP)
	_, err = drive.Do(scsi.Command{CDB: scsi.Inquiry(36), In: make([]byte, 36), Timeout: 200 * time.Millisecond})
	if !errors.Is(err, scsi.ErrTimeout) {
		t.Errorf("a target that hangs: %v", err)
	}
	signal(t, process, syscall.SIGCONT)
	if id, err := scsi.Identify(drive); err != nil || id.Vendor == "" {
		t.Errorf("a target that goes on: %+v, %v", id, err)
	}
	j.Stop()
	if _, err := scsi.Identify(drive); !errors.Is(err, scsi.ErrGone) {
		t.Errorf("a target that was killed: %v", err)
	}
	if err := drive.Close(); err != nil {
		t.Error(err)
	}
	if _, err := drive.Do(scsi.Command{CDB: scsi.TestUnitReady()}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a closed device: %v", err)
	}
}

func TestRefusedLogin(t *testing.T) {
	j := scsitest.Start(t, scsitest.Shape{Drives: 1, Slots: 1})
	if _, err := Open(t.Context(), Config{Address: j.Address, Target: "iqn.2025-01.org.example:other", Initiator: "iqn.2025-01.org.example:me"}); err == nil {
		t.Error("logged in to a target that is not there")
	}
	if _, err := Open(t.Context(), Config{Address: j.Address, Target: scsitest.Target, Initiator: "iqn.2025-01.org.example:me", LUN: 300}); err == nil {
		t.Error("a logical unit that is not there")
	}
}

func signal(t *testing.T, p *os.Process, s syscall.Signal) {
	t.Helper()
	if err := p.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// FuzzAnswer has a target answer a command with anything.
func FuzzAnswer(f *testing.F) {
	f.Add(make([]byte, 48))
	for _, op := range []byte{opResponse, opDataIn, opR2T, opNopIn, opAsync, opReject} {
		b := make([]byte, 48, 60)
		b[0], b[7], b[19], b[47] = op, 12, 1, 8
		f.Add(append(b, make([]byte, 12)...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		near, far := net.Pipe()
		go io.Copy(io.Discard, far)
		defer near.Close()
		defer far.Close()
		s := newSession(near)
		s.tag = 1
		in, out := make([]byte, 64), make([]byte, 64)
		for _, c := range []scsi.Command{{CDB: scsi.TestUnitReady(), In: in}, {CDB: scsi.TestUnitReady(), Out: out}} {
			received := 0
			for r := bytes.NewReader(b); ; {
				p, err := readPDU(r)
				if err != nil {
					break
				}
				got, done, err := s.answer(p, 1, c, &received)
				if got.n < 0 || got.n > 64 {
					t.Fatalf("%d bytes of 64", got.n)
				}
				if done || err != nil {
					break
				}
			}
		}
		s.agree(b)
	})
}
