package scsi

import (
	"encoding/binary"
	"fmt"
)

// Key is what kind of trouble a device has (SPC-4 §4.5.6, table 43).
type Key byte

// The sense keys.
const (
	NoSense Key = iota
	RecoveredError
	NotReady
	MediumError
	HardwareError
	IllegalRequest
	UnitAttention
	DataProtect
	BlankCheck
	VendorSpecific
	CopyAborted
	AbortedCommand
	_
	VolumeOverflow
	Miscompare
	Completed
)

var keyNames = [...]string{
	"no sense", "recovered error", "not ready", "medium error", "hardware error", "illegal request", "unit attention",
	"data protect", "blank check", "vendor specific", "copy aborted", "aborted command", "reserved", "volume overflow",
	"miscompare", "completed",
}

func (k Key) String() string { return keyNames[k&15] }

// Code is a sense key with its additional sense code and qualifier, the three numbers of which manuals speak.
type Code struct {
	Key       Key
	ASC, ASCQ byte
}

func (c Code) String() string { return fmt.Sprintf("%X/%02X/%02X", byte(c.Key), c.ASC, c.ASCQ) }

// Sense is what a device says of a command that went wrong.
type Sense struct {
	Code
	// Deferred says that an earlier command is meant, one that had been reported good.
	Deferred bool
	// Information is the first logical block concerned, where HasInformation says that there is one.
	Information    int64
	HasInformation bool
	// Progress is how far an operation has come, 0 to 65,536, where HasProgress says that it is known.
	Progress    int
	HasProgress bool
	// Raw is all that the device sent.
	Raw []byte
}

func (s Sense) String() string {
	t := s.Code.String() + " " + s.Key.String()
	if words := s.words(); words != "" {
		t += ", " + words
	}
	if s.HasInformation {
		t += fmt.Sprintf(", at %d", s.Information)
	}
	if s.Deferred {
		t += ", of an earlier command"
	}
	return t
}

// ParseSense reads sense data in fixed or descriptor format (SPC-4 §4.5.2 and §4.5.3). It reports false for what is
// neither: a key and the codes can't be told from it.
func ParseSense(b []byte) (s Sense, ok bool) {
	if len(b) < 1 {
		return s, false
	}
	s.Raw = append([]byte(nil), b...)
	response := b[0] & 0x7F
	s.Deferred = response == 0x71 || response == 0x73
	switch response {
	case 0x70, 0x71:
		return s, s.fixed(b)
	case 0x72, 0x73:
		return s, s.descriptors(b)
	}
	return s, false
}

func (s *Sense) fixed(b []byte) bool {
	if len(b) < 3 {
		return false
	}
	s.Key = Key(b[2] & 15)
	end := len(b)
	if len(b) > 7 {
		end = min(end, 8+int(b[7]))
	}
	if end >= 7 && b[0]&0x80 != 0 {
		s.Information, s.HasInformation = int64(binary.BigEndian.Uint32(b[3:])), true
	}
	if end >= 13 {
		s.ASC = b[12]
	}
	if end >= 14 {
		s.ASCQ = b[13]
	}
	if end >= 18 && b[15]&0x80 != 0 {
		s.keySpecific(b[15:18])
	}
	return true
}

func (s *Sense) descriptors(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	s.Key, s.ASC, s.ASCQ = Key(b[1]&15), b[2], b[3]
	if len(b) < 8 {
		return true
	}
	for rest := b[8:min(len(b), 8+int(b[7]))]; len(rest) >= 2; {
		size := 2 + int(rest[1])
		if size > len(rest) {
			break
		}
		d := rest[:size]
		switch {
		case d[0] == 0x00 && size >= 12 && d[2]&0x80 != 0: // information
			if at := binary.BigEndian.Uint64(d[4:]); at < 1<<63 {
				s.Information, s.HasInformation = int64(at), true
			}
		case d[0] == 0x02 && size >= 7 && d[4]&0x80 != 0: // sense key specific
			s.keySpecific(d[4:7])
		}
		rest = rest[size:]
	}
	return true
}

// keySpecific takes the progress indication, which only these keys have (SPC-4 §4.5.2.4.4).
func (s *Sense) keySpecific(b []byte) {
	if s.Key == NoSense || s.Key == NotReady {
		s.Progress, s.HasProgress = int(binary.BigEndian.Uint16(b[1:])), true
	}
}

// words says what the codes mean, for those that discs and changers are known to give (SPC-4 annex F, robot makers' manuals).
func (s Sense) words() string {
	if w, ok := meanings[[2]byte{s.ASC, s.ASCQ}]; ok {
		return w
	}
	return meanings[[2]byte{s.ASC, 0}]
}

var meanings = map[[2]byte]string{
	{0x02, 0x00}: "no seek complete",
	{0x04, 0x00}: "not ready, cause not reportable",
	{0x04, 0x01}: "becoming ready",
	{0x04, 0x02}: "needs to be initialised",
	{0x04, 0x03}: "needs a person",
	{0x04, 0x04}: "formatting",
	{0x04, 0x07}: "operation in progress",
	{0x04, 0x08}: "long write in progress",
	{0x04, 0x12}: "off line",
	{0x04, 0x15}: "the robotics are disabled",
	{0x04, 0x17}: "it needs to be calibrated",
	{0x04, 0x18}: "a door is open",
	{0x04, 0x83}: "the door is open, or its power is off (by the makers' own codes)",
	{0x04, 0x85}: "the library is paused",
	{0x09, 0x00}: "track following error",
	{0x09, 0x01}: "tracking servo failure",
	{0x09, 0x02}: "focus servo failure",
	{0x09, 0x03}: "spindle servo failure",
	{0x0C, 0x00}: "write error",
	{0x0C, 0x07}: "write error, recovery needed",
	{0x0C, 0x08}: "write error, recovery failed",
	{0x0C, 0x09}: "write error, loss of streaming",
	{0x11, 0x00}: "unrecovered read error",
	{0x11, 0x05}: "uncorrectable sector",
	{0x11, 0x06}: "CIRC unrecovered error",
	{0x15, 0x00}: "random positioning error",
	{0x15, 0x01}: "mechanical positioning error",
	{0x17, 0x00}: "recovered data without error correction",
	{0x18, 0x00}: "recovered data with error correction",
	{0x20, 0x00}: "unknown command",
	{0x21, 0x00}: "no such block",
	{0x21, 0x01}: "no such element",
	{0x21, 0x02}: "can't write at this address",
	{0x24, 0x00}: "invalid field in the command",
	{0x25, 0x00}: "no such logical unit",
	{0x26, 0x00}: "invalid field in the parameters",
	{0x27, 0x00}: "write protected",
	{0x28, 0x00}: "the medium may have changed",
	{0x28, 0x01}: "the mail slot was opened",
	{0x29, 0x00}: "power on or reset",
	{0x2A, 0x01}: "mode parameters changed",
	{0x2C, 0x00}: "command sequence error",
	{0x30, 0x00}: "incompatible medium",
	{0x30, 0x03}: "cleaning medium",
	{0x30, 0x05}: "can't write this medium",
	{0x30, 0x09}: "session not fixated",
	{0x31, 0x00}: "format corrupted",
	{0x32, 0x00}: "no spare sectors left",
	{0x3A, 0x00}: "no medium",
	{0x3A, 0x01}: "no medium, tray closed",
	{0x3A, 0x02}: "no medium, tray open",
	{0x3B, 0x0D}: "the destination element is full",
	{0x3B, 0x0E}: "the source element is empty",
	{0x3B, 0x11}: "the magazine is not accessible",
	{0x3B, 0x12}: "the magazine is removed",
	{0x3B, 0x18}: "the element is disabled",
	{0x3E, 0x00}: "the logical unit has not configured itself yet",
	{0x40, 0x00}: "diagnostic failure",
	{0x44, 0x00}: "internal failure",
	{0x53, 0x00}: "load or eject failed",
	{0x53, 0x01}: "unloading failed",
	{0x53, 0x02}: "removal of the medium is prevented",
	{0x53, 0x03}: "removal of the medium from the drive is prevented",
	{0x53, 0x81}: "the door of the mail slot is open",
	{0x57, 0x00}: "can't recover the table of contents",
	{0x5A, 0x01}: "an operator asks for the medium",
	{0x63, 0x00}: "end of the user area",
	{0x64, 0x00}: "illegal mode for this track",
	{0x72, 0x00}: "session fixation error",
	{0x72, 0x01}: "session fixation error writing lead-in",
	{0x72, 0x02}: "session fixation error writing lead-out",
	{0x72, 0x03}: "session fixation error, incomplete track",
	{0x73, 0x01}: "power calibration area is almost full",
	{0x73, 0x02}: "power calibration area is full",
	{0x73, 0x03}: "power calibration area error",
	{0x83, 0x00}: "the volume tag was not scanned",
	{0x83, 0x02}: "no magazine there",
	{0x83, 0x04}: "no drive there",
	{0x83, 0x09}: "the volume tag can't be read",
}
