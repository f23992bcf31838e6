package iscsi

import (
	"crypto/rand"
	"strconv"
	"strings"
)

// parameters are what both sides have agreed on.
type parameters struct {
	maxSend       int // bytes in one PDU to the target
	firstBurst    int // bytes that go without being asked for
	immediateData bool
}

// defaults are the values of RFC 7143 §13 for keys that a target leaves out.
var defaults = parameters{maxSend: 8192, firstBurst: 65536, immediateData: true}

// Stages of a login.
const (
	stageSecurity    = 0
	stageOperational = 1
	stageFull        = 3
)

// mostRounds is how many exchanges a login may take.
const mostRounds = 10

func securityKeys(initiator, target string) []string {
	return []string{"InitiatorName=" + initiator, "TargetName=" + target, "SessionType=Normal", "AuthMethod=None"}
}

var operationalKeys = []string{
	"HeaderDigest=None", "DataDigest=None", "ErrorRecoveryLevel=0", "InitialR2T=Yes", "ImmediateData=Yes",
	"MaxRecvDataSegmentLength=" + strconv.Itoa(mostData), "MaxBurstLength=" + strconv.Itoa(mostData),
	"FirstBurstLength=" + strconv.Itoa(mostData), "MaxConnections=1", "MaxOutstandingR2T=1", "DataPDUInOrder=Yes",
	"DataSequenceInOrder=Yes", "DefaultTime2Wait=2", "DefaultTime2Retain=0",
}

// login brings the session into full feature phase (RFC 7143 §6.3).
func (s *session) login(initiator, target string) error {
	var isid [6]byte
	rand.Read(isid[3:])
	isid[0] = 0x80 // random (RFC 7143 §11.12.5)
	sent := map[int]bool{}
	for stage, round := stageSecurity, 0; round < mostRounds; round++ {
		p := &pdu{}
		next, keys := stageOperational, securityKeys(initiator, target)
		if stage == stageOperational {
			next, keys = stageFull, operationalKeys
		}
		if !sent[stage] {
			p.data = []byte(strings.Join(keys, "\x00") + "\x00")
			sent[stage] = true
		}
		p.header[0], p.header[1] = opLogin|immediateBit, finalBit|byte(stage)<<2|byte(next)
		copy(p.header[8:], isid[:])
		p.put(16, s.tag)
		s.stamp(p)
		if err := writePDU(s.conn, p); err != nil {
			return err
		}
		a, err := readPDU(s.conn)
		switch {
		case err != nil:
			return err
		case a.op() != opLoginAnswer:
			return protocolf("the answer to a login is of operation %02Xh", a.op())
		case a.header[36] != 0:
			return protocolf("refused, class %d detail %d: %s", a.header[36], a.header[37], refusals[[2]byte{a.header[36], a.header[37]}])
		}
		s.statSN = a.word(24) + 1
		if err := s.agree(a.data); err != nil {
			return err
		}
		if a.header[1]&finalBit == 0 {
			continue
		}
		if stage = int(a.header[1] & 3); stage == stageFull {
			return nil
		}
	}
	return protocolf("the login has not ended after %d rounds", mostRounds)
}

var refusals = map[[2]byte]string{
	{2, 1}: "authentication failed", {2, 2}: "not allowed", {2, 3}: "no such target", {3, 1}: "the target is out of service",
}

// agree takes the target's answers and declarations.
func (s *session) agree(data []byte) error {
	for field := range strings.SplitSeq(string(data), "\x00") {
		key, value, _ := strings.Cut(field, "=")
		number, err := strconv.Atoi(value)
		switch key {
		case "MaxRecvDataSegmentLength", "FirstBurstLength":
			if err != nil || number < 512 {
				return protocolf("the target answers %q", field)
			}
			if key == "FirstBurstLength" {
				s.firstBurst = number
			} else {
				s.maxSend = number
			}
		case "ImmediateData":
			s.immediateData = value == "Yes"
		case "HeaderDigest", "DataDigest":
			if value != "None" {
				return protocolf("the target insists on %q", field)
			}
		}
	}
	return nil
}
