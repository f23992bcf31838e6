package scsi

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sgIO is the ioctl; it works on /dev/sg* and on /dev/sr* alike.
const sgIO = 0x2285

// header is struct sg_io_hdr of <scsi/sg.h>, with pointers as pointers so that the collector knows them.
type header struct {
	interfaceID                   int32
	direction                     int32
	cdbLen, senseCap              uint8
	iovecCount                    uint16
	dataLen                       uint32
	data, cdb, sense              *byte
	timeout                       uint32 // milliseconds
	flags                         uint32
	packID                        int32
	user                          uintptr
	status, masked, msg, senseLen uint8
	hostStatus, driverStatus      uint16
	residual                      int32
	duration, info                uint32
}

const (
	directionNone = -1
	directionOut  = -2
	directionIn   = -3
)

// Device is a Transport over a device node of Linux.
type Device struct {
	name string
	mu   sync.Mutex
	file int // -1 when closed
}

var _ Transport = (*Device)(nil)

// OpenDevice opens /dev/sg* or /dev/sr*. It opens without waiting for a medium: an open that waits for one would pull in
// the drive's tray, perhaps with the robot's hand in it.
func OpenDevice(path string) (*Device, error) {
	f, err := unix.Open(path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open SCSI device: %w", &os.PathError{Op: "open", Path: path, Err: err})
	}
	return &Device{name: path, file: f}, nil
}

// Do follows Transport.
func (d *Device) Do(c Command) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.file < 0 {
		return 0, fmt.Errorf("%s on %s: %w", OpName(c.CDB[0]), d.name, os.ErrClosed)
	}
	sense := make([]byte, 96)
	h := &header{
		interfaceID: 'S', direction: directionNone, timeout: uint32(c.timeout() / time.Millisecond),
		cdbLen: uint8(len(c.CDB)), cdb: &c.CDB[0], senseCap: uint8(len(sense)), sense: &sense[0],
	}
	var pins runtime.Pinner
	defer pins.Unpin()
	pins.Pin(h.cdb)
	pins.Pin(h.sense)
	for _, data := range []struct {
		bytes     []byte
		direction int32
	}{{c.In, directionIn}, {c.Out, directionOut}} {
		if len(data.bytes) > 0 {
			h.direction, h.data, h.dataLen = data.direction, &data.bytes[0], uint32(len(data.bytes))
			pins.Pin(h.data)
		}
	}
	if err := ioctl(d.file, h); err != nil {
		kind := ErrPath
		if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTCONN) {
			kind = ErrGone
		}
		return 0, &PathError{Op: c.CDB[0], Kind: kind, Detail: fmt.Sprintf("SG_IO on %s: %v", d.name, err)}
	}
	return h.result(c, sense)
}

func ioctl(file int, h *header) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(file), sgIO, uintptr(unsafe.Pointer(h)))
		switch errno {
		case 0:
			return nil
		case unix.EINTR: // before it began
			continue
		}
		return errno
	}
}

// result reads all four places in which a failure can be.
func (h *header) result(c Command, sense []byte) (n int, err error) {
	op := c.CDB[0]
	n = int(h.dataLen) - int(h.residual)
	if n < 0 || n > int(h.dataLen) {
		n = int(h.dataLen)
	}
	if err := hostError(op, h.hostStatus); err != nil {
		return 0, err
	}
	if h.senseLen > 0 {
		if s, ok := ParseSense(sense[:min(int(h.senseLen), len(sense))]); ok && (Status(h.status) == Check || h.driverStatus&driverMask == driverSense) {
			return n, &CheckCondition{Op: op, Sense: s}
		}
	}
	if s := Status(h.status & 0x7E); s != Good {
		return 0, &StatusError{Op: op, Status: s}
	}
	if d := h.driverStatus & driverMask; d != 0 && d != driverSense {
		kind := ErrPath
		if d == driverTimeout {
			kind = ErrTimeout
		}
		return 0, &PathError{Op: op, Kind: kind, Detail: fmt.Sprintf("driver status %02Xh", h.driverStatus)}
	}
	return n, nil
}

// Of driver_status (the kernel's include/scsi/scsi.h up to 5.14; 0 since).
const (
	driverMask    = 0x0F
	driverTimeout = 0x06
	driverSense   = 0x08
)

// hostError says what host_status means (DID_* of the kernel's include/scsi/scsi_status.h).
func hostError(op byte, status uint16) error {
	kind := ErrPath
	switch status {
	case 0: // DID_OK
		return nil
	case 0x01, 0x04, 0x0F: // DID_NO_CONNECT, DID_BAD_TARGET, DID_TRANSPORT_FAILFAST
		kind = ErrGone
	case 0x03: // DID_TIME_OUT
		kind = ErrTimeout
	case 0x08, 0x05: // DID_RESET, DID_ABORT
		kind = ErrReset
	case 0x02, 0x0B, 0x0C: // DID_BUS_BUSY, DID_SOFT_ERROR, DID_IMM_RETRY: the kernel has tried long enough
		return &StatusError{Op: op, Status: Busy}
	}
	return &PathError{Op: op, Kind: kind, Detail: fmt.Sprintf("host status %02Xh", status)}
}

// Close follows Transport.
func (d *Device) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.file < 0 {
		return nil
	}
	err := unix.Close(d.file)
	d.file = -1
	return err
}
