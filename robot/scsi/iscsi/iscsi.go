// Package iscsi is a SCSI transport to an iSCSI target: an initiator in user space with one session of one connection,
// no digests, no authentication, error recovery level 0 (RFC 7143). With it the drivers run against targets that need no
// kernel; it knows nothing of what the commands do.
package iscsi

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/odarchive/odarchive/robot/scsi"
)

// Device is a logical unit of a target; it is a scsi.Transport. A connection that failed is made anew by the next command,
// never repeating the one that failed.
type Device struct {
	address, target, initiator string
	lun                        uint16

	mu      sync.Mutex
	session *session // nil when there is none
	closed  bool
}

var _ scsi.Transport = (*Device)(nil)

// Config is where a logical unit is.
type Config struct {
	Address   string // "127.0.0.1:3260"
	Target    string // "iqn.2025-01.org.example:jukebox"
	Initiator string // our own name, of the same form
	LUN       uint16 // 0 to 255
}

// dialLimit is how long a connection and its login may take.
const dialLimit = 10 * time.Second

// Open logs in to a target. Ctx ends the attempt.
func Open(ctx context.Context, c Config) (*Device, error) {
	if c.LUN > 255 {
		return nil, fmt.Errorf("iscsi: logical unit %d: want 0 to 255", c.LUN)
	}
	d := &Device{address: c.Address, target: c.Target, initiator: c.Initiator, lun: c.LUN}
	if err := d.connect(ctx); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *Device) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", d.address)
	if err != nil {
		return fmt.Errorf("iscsi: connect: %w", err)
	}
	end, _ := ctx.Deadline()
	if err := conn.SetDeadline(end); err != nil {
		return errors.Join(err, conn.Close())
	}
	s := newSession(conn)
	if err := s.login(d.initiator, d.target); err != nil {
		return errors.Join(fmt.Errorf("iscsi: log in to %s at %s: %w", d.target, d.address, err), conn.Close())
	}
	d.session = s
	return nil
}

// Do follows scsi.Transport.
func (d *Device) Do(c scsi.Command) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	op := c.CDB[0]
	if d.closed {
		return 0, fmt.Errorf("%s: %w", scsi.OpName(op), os.ErrClosed)
	}
	if d.session == nil {
		if err := d.connect(context.Background()); err != nil {
			return 0, &scsi.PathError{Op: op, Kind: scsi.ErrGone, Detail: err.Error()}
		}
	}
	limit := c.Timeout
	if limit == 0 {
		limit = scsi.DefaultTimeout
	}
	r, err := d.session.command(d.lun, c, time.Now().Add(limit))
	if err != nil {
		// What was outstanding can't be told from what will be: start anew.
		d.session.conn.Close()
		d.session = nil
		kind := scsi.ErrGone
		if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
			kind = scsi.ErrTimeout
		} else if _, ok := errors.AsType[protocolError](err); ok {
			kind = scsi.ErrPath
		}
		return 0, &scsi.PathError{Op: op, Kind: kind, Detail: err.Error()}
	}
	switch r.status {
	case scsi.Good:
		return r.n, nil
	case scsi.Check:
		sense, ok := scsi.ParseSense(r.sense)
		if !ok {
			return 0, &scsi.PathError{Op: op, Kind: scsi.ErrPath, Detail: fmt.Sprintf("sense data % x", r.sense)}
		}
		return r.n, &scsi.CheckCondition{Op: op, Sense: sense}
	}
	return 0, &scsi.StatusError{Op: op, Status: r.status}
}

// Close follows scsi.Transport; it logs out.
func (d *Device) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	if d.session == nil {
		return nil
	}
	return d.session.logout()
}

// protocolError is a target that doesn't keep to the protocol, or one that has given up the session.
type protocolError string

func (e protocolError) Error() string { return string(e) }

func protocolf(format string, args ...any) error { return protocolError(fmt.Sprintf(format, args...)) }

// Operation codes (RFC 7143 §11.2.1.2).
const (
	opNopOut       = 0x00
	opCommand      = 0x01
	opLogin        = 0x03
	opDataOut      = 0x05
	opLogout       = 0x06
	opNopIn        = 0x20
	opResponse     = 0x21
	opLoginAnswer  = 0x23
	opDataIn       = 0x25
	opLogoutAnswer = 0x26
	opR2T          = 0x31
	opAsync        = 0x32
	opReject       = 0x3F

	immediateBit = 0x40
	finalBit     = 0x80
	noTag        = 0xFFFFFFFF
)

const (
	headerSize = 48
	// mostData is how much data one PDU may carry to us; we declare it.
	mostData = 256 << 10
)

// pdu is one protocol data unit without padding.
type pdu struct {
	header [headerSize]byte
	data   []byte
}

func (p *pdu) op() byte             { return p.header[0] & 0x3F }
func (p *pdu) word(at int) uint32   { return binary.BigEndian.Uint32(p.header[at:]) }
func (p *pdu) put(at int, v uint32) { binary.BigEndian.PutUint32(p.header[at:], v) }

// readPDU reads one PDU. Its additional header segments, which nobody asked for, are dropped.
func readPDU(r io.Reader) (*pdu, error) {
	p := new(pdu)
	if _, err := io.ReadFull(r, p.header[:]); err != nil {
		return nil, err
	}
	more, size := 4*int(p.header[4]), int(p.word(4)&0xFFFFFF)
	if size > mostData {
		return nil, protocolf("the target sent %d bytes in one go, want at most %d", size, mostData)
	}
	b := make([]byte, more+(size+3)&^3)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, err
	}
	p.data = b[more : more+size]
	return p, nil
}

func writePDU(w io.Writer, p *pdu) error {
	p.put(4, uint32(len(p.data)))
	b := make([]byte, 0, headerSize+len(p.data)+3)
	b = append(append(b, p.header[:]...), p.data...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	_, err := w.Write(b)
	return err
}
