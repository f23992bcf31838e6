package iscsi

import (
	"encoding/binary"
	"net"
	"time"

	"github.com/odarchive/odarchive/robot/scsi"
)

// session is one session with one connection in full feature phase.
type session struct {
	conn net.Conn
	parameters
	tag    uint32 // of the last task
	cmdSN  uint32 // of the next command
	statSN uint32 // that is expected next
}

func newSession(conn net.Conn) *session {
	return &session{conn: conn, parameters: defaults, cmdSN: 1}
}

// stamp puts the sequence numbers into a request.
func (s *session) stamp(p *pdu) {
	p.put(24, s.cmdSN)
	p.put(28, s.statSN)
}

// result is how a command ended.
type result struct {
	status scsi.Status
	sense  []byte
	n      int
}

// command runs one command. An error means that the session can't be used further.
func (s *session) command(lun uint16, c scsi.Command, end time.Time) (result, error) {
	if err := s.conn.SetDeadline(end); err != nil {
		return result{}, err
	}
	s.tag++
	request := &pdu{}
	request.header[0], request.header[1] = opCommand, finalBit|0x01 // simple task
	switch {
	case len(c.In) > 0:
		request.header[1] |= 0x40
		request.put(20, uint32(len(c.In)))
	case len(c.Out) > 0:
		request.header[1] |= 0x20
		request.put(20, uint32(len(c.Out)))
		if s.immediateData {
			request.data = c.Out[:min(len(c.Out), s.firstBurst, s.maxSend)]
		}
	}
	request.header[9] = byte(lun) // peripheral device addressing (SAM-5 §4.7.7.2)
	request.put(16, s.tag)
	s.stamp(request)
	copy(request.header[32:], c.CDB)
	s.cmdSN++
	if err := writePDU(s.conn, request); err != nil {
		return result{}, err
	}
	for received := 0; ; {
		p, err := readPDU(s.conn)
		if err != nil {
			return result{}, err
		}
		r, done, err := s.answer(p, lun, c, &received)
		if done || err != nil {
			return r, err
		}
	}
}

// answer handles one PDU that came while a command runs.
func (s *session) answer(p *pdu, lun uint16, c scsi.Command, received *int) (r result, done bool, err error) {
	if op := p.op(); (op == opResponse || op == opDataIn || op == opR2T) && p.word(16) != s.tag {
		return r, true, protocolf("an answer to task %d in the middle of task %d", p.word(16), s.tag)
	}
	switch p.op() {
	case opResponse:
		s.statSN = p.word(24) + 1
		if p.header[2] != 0 {
			return r, true, protocolf("the target could not carry out the command: response %02Xh", p.header[2])
		}
		r.status, r.n = scsi.Status(p.header[3]), transferred(p, c, *received)
		if len(p.data) >= 2 {
			r.sense = p.data[2:min(len(p.data), 2+int(binary.BigEndian.Uint16(p.data)))]
		}
		return r, true, nil
	case opDataIn:
		at := int64(p.word(40))
		if at+int64(len(p.data)) > int64(len(c.In)) {
			return r, true, protocolf("%d bytes at %d for a buffer of %d", len(p.data), at, len(c.In))
		}
		copy(c.In[at:], p.data)
		*received = max(*received, int(at)+len(p.data))
		if p.header[1]&0x01 != 0 { // the status rides along
			s.statSN = p.word(24) + 1
			return result{status: scsi.Status(p.header[3]), n: transferred(p, c, *received)}, true, nil
		}
	case opR2T:
		return r, false, s.sendData(p, lun, c.Out)
	case opNopIn:
		return r, false, s.pong(p, lun)
	case opAsync:
		if event := p.header[36]; event != 0 {
			return r, true, protocolf("the target ends the session: event %d", event)
		}
		s.statSN = p.word(24) + 1
	case opReject:
		return r, true, protocolf("the target refuses a request: reason %02Xh", p.header[2])
	default:
		return r, true, protocolf("an answer of operation %02Xh", p.op())
	}
	return r, false, nil
}

// transferred is how many bytes a command has moved, by the residual count of its last PDU (RFC 7143 §11.4.5).
func transferred(p *pdu, c scsi.Command, received int) int {
	n := received
	if len(c.Out) > 0 {
		n = len(c.Out)
		if p.header[1]&0x02 != 0 { // underflow
			n -= min(n, int(p.word(44)))
		}
	}
	return n
}

// sendData answers a request for data.
func (s *session) sendData(r2t *pdu, lun uint16, out []byte) error {
	at, left := int64(r2t.word(40)), int64(r2t.word(44))
	if at+left > int64(len(out)) {
		return protocolf("the target wants %d bytes at %d of %d", left, at, len(out))
	}
	for n := uint32(0); left > 0; n++ {
		size := min(left, int64(s.maxSend))
		p := &pdu{data: out[at : at+size]}
		p.header[0] = opDataOut
		if size == left {
			p.header[1] = finalBit
		}
		p.header[9] = byte(lun)
		p.put(16, s.tag)
		copy(p.header[20:24], r2t.header[20:24])
		p.put(28, s.statSN)
		p.put(36, n)
		p.put(40, uint32(at))
		if err := writePDU(s.conn, p); err != nil {
			return err
		}
		at, left = at+size, left-size
	}
	return nil
}

// pong answers a target that wants to know whether we are there.
func (s *session) pong(ping *pdu, lun uint16) error {
	if ping.word(20) == noTag {
		return nil
	}
	p := &pdu{}
	p.header[0], p.header[1], p.header[9] = opNopOut|immediateBit, finalBit, byte(lun)
	p.put(16, noTag)
	copy(p.header[20:24], ping.header[20:24])
	s.stamp(p)
	return writePDU(s.conn, p)
}

// logoutLimit is how long the end of a session may take: the connection is closed anyhow.
const logoutLimit = time.Second

func (s *session) logout() error {
	p := &pdu{}
	p.header[0], p.header[1] = opLogout|immediateBit, finalBit // reason 0: close the session
	s.tag++
	p.put(16, s.tag)
	s.stamp(p)
	if err := s.conn.SetDeadline(time.Now().Add(logoutLimit)); err == nil && writePDU(s.conn, p) == nil {
		for range 10 {
			if a, err := readPDU(s.conn); err != nil || a.op() == opLogoutAnswer {
				break
			}
		}
	}
	return s.conn.Close()
}
