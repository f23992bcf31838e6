package scsi

import (
	"encoding/binary"
	"fmt"
)

// ElementType is a kind of place in a changer (SMC-3 §3.1, table 20).
type ElementType byte

// The element types.
const (
	MediumTransport ElementType = 1
	Storage         ElementType = 2
	ImportExport    ElementType = 3
	DataTransfer    ElementType = 4
)

// Elements is where a changer's elements of one type are.
type Elements struct {
	First uint16
	Count uint16
}

// Has says whether an address is among them.
func (e Elements) Has(address uint16) bool {
	return address >= e.First && int(address) < int(e.First)+int(e.Count)
}

// ParseElementAddresses reads mode page 1Dh as MODE SENSE(6) returns it (SMC-3 §7.3.4).
func ParseElementAddresses(b []byte) (map[ElementType]Elements, error) {
	if len(b) < 4 {
		return nil, fmt.Errorf("mode parameters of %d bytes", len(b))
	}
	at := 4 + int(b[3]) // behind block descriptors that nobody wanted
	if len(b) < at+18 || b[at]&0x3F != 0x1D {
		return nil, fmt.Errorf("mode parameters % x have no element address page", b)
	}
	all := map[ElementType]Elements{}
	for i, t := range []ElementType{MediumTransport, Storage, ImportExport, DataTransfer} {
		p := b[at+2+4*i:]
		e := Elements{First: binary.BigEndian.Uint16(p), Count: binary.BigEndian.Uint16(p[2:])}
		if int(e.First)+int(e.Count) > 1<<16 {
			return nil, fmt.Errorf("%d elements of type %d from %d on: addresses end at 65535", e.Count, t, e.First)
		}
		all[t] = e
	}
	return all, nil
}

// Exchanges says of each type of element with which others its media can change places.
type Exchanges map[ElementType]map[ElementType]bool

// ParseExchanges reads mode page 1Fh, the device capabilities, as MODE SENSE(6) returns it (SMC-3 §7.3.3).
func ParseExchanges(b []byte) (Exchanges, error) {
	if len(b) < 4 {
		return nil, fmt.Errorf("mode parameters of %d bytes", len(b))
	}
	at := 4 + int(b[3])
	if len(b) < at+16 || b[at]&0x3F != 0x1F {
		return nil, fmt.Errorf("mode parameters % x have no device capabilities page", b)
	}
	all := Exchanges{}
	for i, t := range []ElementType{MediumTransport, Storage, ImportExport, DataTransfer} {
		all[t] = map[ElementType]bool{}
		for bit, other := range []ElementType{MediumTransport, Storage, ImportExport, DataTransfer} {
			all[t][other] = b[at+12+i]>>bit&1 != 0
		}
	}
	return all, nil
}

// Element is what a changer says of one place.
type Element struct {
	Type    ElementType
	Address uint16
	Full    bool
	// Except says that something is wrong with the place, and ASC and ASCQ say what; Full may then be wrong too.
	Except    bool
	ASC, ASCQ byte
	// Access says that the picker can get at it: false while a drive has not let go of its disc.
	Access bool
	// Operator says that the disc in a mail slot was put there by hand.
	Operator bool
	// Source is the storage element from which the disc came, where HasSource says that it is known.
	Source    uint16
	HasSource bool
	// Tag is the volume tag, from a barcode; empty when there is none or it can't be read.
	Tag string
}

// Exception says what is wrong with the place, in words; empty when nothing is.
func (e Element) Exception() string {
	if !e.Except {
		return ""
	}
	s := Sense{Code: Code{ASC: e.ASC, ASCQ: e.ASCQ}}
	if w, ok := meanings[[2]byte{e.ASC, e.ASCQ}]; ok {
		return fmt.Sprintf("%s (%02X/%02X)", w, s.ASC, s.ASCQ)
	}
	return fmt.Sprintf("exception %02X/%02X", s.ASC, s.ASCQ)
}

const (
	statusHeader = 8  // of the whole answer, and of each page in it
	tagSize      = 36 // 32 characters, and a sequence number that nobody uses
)

// ElementStatusSize is how many bytes an answer to READ ELEMENT STATUS has or would have, by its header (SMC-3 §6.11.1).
func ElementStatusSize(b []byte) (int, error) {
	if len(b) < statusHeader {
		return 0, fmt.Errorf("element status of %d bytes", len(b))
	}
	return statusHeader + int(uint24(b[5:])), nil
}

// ParseElementStatus reads an answer to READ ELEMENT STATUS (SMC-3 §6.11). A descriptor that is shorter than the standard's
// lacks what would be behind its end, as those of some old changers do.
func ParseElementStatus(b []byte) ([]Element, error) {
	end, err := ElementStatusSize(b)
	if err != nil {
		return nil, err
	}
	if end > len(b) {
		return nil, fmt.Errorf("element status of %d bytes is cut off at %d", end, len(b))
	}
	var all []Element
	for b = b[statusHeader:end]; len(b) > 0; {
		if len(b) < statusHeader {
			return nil, fmt.Errorf("element status page of %d bytes", len(b))
		}
		t, tags := ElementType(b[0]), b[1]&0x80 != 0
		size, bytes := int(binary.BigEndian.Uint16(b[2:])), int(uint24(b[5:]))
		b = b[statusHeader:]
		switch {
		case t < MediumTransport || t > DataTransfer:
			return nil, fmt.Errorf("element status page of type %d", t)
		case bytes > len(b):
			return nil, fmt.Errorf("element status page of %d bytes in %d", bytes, len(b))
		case bytes > 0 && (size < 4 || bytes%size != 0):
			return nil, fmt.Errorf("element status page of %d bytes with descriptors of %d", bytes, size)
		}
		for page := b[:bytes]; len(page) > 0; page = page[size:] {
			all = append(all, parseElement(t, tags, page[:size]))
		}
		b = b[bytes:]
	}
	return all, nil
}

func parseElement(t ElementType, tags bool, d []byte) Element {
	e := Element{
		Type: t, Address: binary.BigEndian.Uint16(d),
		Full: d[2]&0x01 != 0, Operator: t == ImportExport && d[2]&0x02 != 0, Except: d[2]&0x04 != 0,
		Access: t == MediumTransport || d[2]&0x08 != 0,
	}
	if len(d) >= 6 && e.Except {
		e.ASC, e.ASCQ = d[4], d[5]
	}
	if len(d) >= 12 && d[9]&0x80 != 0 {
		e.Source, e.HasSource = binary.BigEndian.Uint16(d[10:]), true
	}
	if tags && len(d) >= 12+tagSize {
		e.Tag = ascii(d[12 : 12+tagSize-4])
	}
	return e
}

func uint24(b []byte) uint32 { return uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]) }
