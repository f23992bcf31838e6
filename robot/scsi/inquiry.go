package scsi

import (
	"errors"
	"fmt"
	"strings"
)

// Device types of INQUIRY (SPC-4 §6.6.2, table 175).
const (
	TypeMMC     = 0x05
	TypeChanger = 0x08
)

// Identity is what a device says it is.
type Identity struct {
	Type      byte // TypeMMC, TypeChanger or another one
	Removable bool
	Vendor    string
	Product   string
	Revision  string
	Serial    string // empty when it has none, as many drives
}

func (i Identity) String() string {
	return strings.Join(strings.Fields(i.Vendor+" "+i.Product+" "+i.Revision), " ")
}

// Identify asks a device what it is. Most drives have no serial number that could be asked for, and that is no error.
func Identify(t Transport) (Identity, error) {
	data := make([]byte, 96)
	n, err := t.Do(Command{CDB: Inquiry(uint8(len(data))), In: data})
	if err != nil {
		return Identity{}, err
	}
	id, err := ParseInquiry(data[:n])
	if err != nil {
		return id, err
	}
	page := make([]byte, 252)
	n, err = t.Do(Command{CDB: InquiryVPD(0x80, uint8(len(page))), In: page})
	if _, sense := SenseOf(err); err != nil && !sense {
		return id, err
	} else if err == nil && n >= 4 && page[1] == 0x80 {
		id.Serial = ascii(page[4:min(n, 4+int(page[3]))])
	}
	return id, nil
}

// ParseInquiry reads standard inquiry data.
func ParseInquiry(b []byte) (Identity, error) {
	if len(b) < 36 {
		return Identity{}, fmt.Errorf("inquiry data of %d bytes, want 36", len(b))
	}
	if b[0]>>5 != 0 {
		return Identity{}, errors.New("no device there: the logical unit is not connected")
	}
	return Identity{
		Type: b[0] & 0x1F, Removable: b[1]&0x80 != 0,
		Vendor: ascii(b[8:16]), Product: ascii(b[16:32]), Revision: ascii(b[32:36]),
	}, nil
}

// ascii returns a field without what pads it; bytes that are no printable ASCII become '?'.
func ascii(b []byte) string {
	text := make([]byte, len(b))
	for i, c := range b {
		switch {
		case c == 0:
			text[i] = ' '
		case c < 0x20 || c > 0x7E:
			text[i] = '?'
		default:
			text[i] = c
		}
	}
	return strings.TrimSpace(string(text))
}
