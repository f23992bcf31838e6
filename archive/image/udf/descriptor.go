package udf

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"math/bits"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/odarchive/odarchive/archive/image/extent"
)

var le = binary.LittleEndian

// Tag identifiers (ECMA-167 3/7.2.1, 4/7.2.1).
const (
	tagPrimary       = 1
	tagAnchor        = 2
	tagPointer       = 3
	tagPartition     = 5
	tagLogical       = 6
	tagTerminator    = 8
	tagIntegrity     = 9
	tagFileSet       = 256
	tagIdentifier    = 257
	tagAllocation    = 258
	tagEntry         = 261
	tagExtendedEntry = 266
)

func damaged(sector int64, format string, args ...any) error {
	return &extent.Error{Sector: sector, Err: fmt.Errorf("%w: "+format, append([]any{ErrDamaged}, args...)...)}
}

// CRC is the checksum of descriptors (ECMA-167 1/7.2.6): the remainder of the bits, first to last, by x^16+x^12+x^5+1.
func CRC(b []byte) uint16 {
	var c uint16
	for _, x := range b {
		c = bits.RotateLeft16(c, 8) ^ uint16(x)
		c ^= c & 0xFF >> 4
		c ^= c << 12
		c ^= c & 0xFF << 5
	}
	return c
}

// checkTag says what is wrong with the descriptor tag of b (ECMA-167 3/7.2), which was found at a sector and is at that location by
// the reckoning of its kind.
func checkTag(b []byte, id uint16, location uint32, sector int64) error {
	if got := le.Uint16(b); got != id {
		return damaged(sector, "descriptor %d where %d should be", got, id)
	}
	var sum byte
	for i, x := range b[:16] {
		if i != 4 {
			sum += x
		}
	}
	if sum != b[4] {
		return damaged(sector, "checksum of descriptor %d's tag", id)
	}
	n := int(le.Uint16(b[10:]))
	if n > len(b)-16 {
		return damaged(sector, "descriptor %d has a CRC of %d bytes", id, n)
	}
	if CRC(b[16:16+n]) != le.Uint16(b[8:]) {
		return damaged(sector, "CRC of descriptor %d", id)
	}
	if got := le.Uint32(b[12:]); got != location {
		return damaged(sector, "descriptor %d says that it is at %d, it is at %d", id, got, location)
	}
	return nil
}

// text decodes OSTA CS0 (UDF 1.02 §2.1.1).
func text(b []byte) (string, bool) {
	if len(b) == 0 {
		return "", true
	}
	switch code, b := b[0], b[1:]; {
	case code == 8:
		var s strings.Builder
		for _, c := range b {
			s.WriteRune(rune(c))
		}
		return s.String(), true
	case code == 16 && len(b)%2 == 0:
		units := make([]uint16, len(b)/2)
		for i := range units {
			units[i] = binary.BigEndian.Uint16(b[2*i:])
		}
		return string(utf16.Decode(units)), true
	}
	return "", false
}

// dstring decodes a field of fixed length whose last byte is how much of it is used (ECMA-167 1/7.2.12); what makes no sense is "".
func dstring(b []byte) string {
	n := int(b[len(b)-1])
	if n >= len(b) {
		return ""
	}
	s, _ := text(b[:n])
	return s
}

// stamp decodes a timestamp (ECMA-167 1/7.3); one that makes no sense is the zero Time.
func stamp(b []byte) time.Time {
	kind := le.Uint16(b)
	year, month := int(int16(le.Uint16(b[2:]))), time.Month(b[4])
	if year < 1 || year > 9999 || month < 1 || month > 12 || b[5] < 1 || b[5] > 31 {
		return time.Time{}
	}
	micro := int(b[9])*10000 + int(b[10])*100 + int(b[11])
	t := time.Date(year, month, int(b[5]), int(b[6]), int(b[7]), int(b[8]), micro*1000, time.UTC)
	// Twelve bits are the minutes east of UTC, -2047 where nobody knows.
	if minutes := int(int16(kind<<4) >> 4); kind>>12 == 1 && minutes >= -1440 && minutes <= 1440 {
		t = t.Add(-time.Duration(minutes) * time.Minute)
	}
	return t
}

// extentAt decodes an extent_ad (ECMA-167 3/7.1).
func extentAt(b []byte) extent.Extent {
	return extent.Extent{Sector: int64(le.Uint32(b[4:])), Length: int64(le.Uint32(b))}
}

// address is a block of a partition (ECMA-167 4/7.1).
type address struct {
	partition uint16
	block     uint32
}

func longAddress(b []byte) address { return address{le.Uint16(b[8:]), le.Uint32(b[4:])} }

// modeOf turns a file type (ECMA-167 4/14.6.6), permissions (4/14.9.5) and ICB flags into a mode.
func modeOf(kind byte, permissions uint32, flags uint16) fs.FileMode {
	m := fs.FileMode(permissions&7 | permissions>>5&7<<3 | permissions>>10&7<<6)
	switch kind {
	case kindDirectory:
		m |= fs.ModeDir
	case kindFile, 0, 249:
	case kindSymlink:
		m |= fs.ModeSymlink
	case 6:
		m |= fs.ModeDevice
	case 7:
		m |= fs.ModeDevice | fs.ModeCharDevice
	case 9:
		m |= fs.ModeNamedPipe
	case 10:
		m |= fs.ModeSocket
	default:
		m |= fs.ModeIrregular
	}
	if flags&(1<<6) != 0 {
		m |= fs.ModeSetuid
	}
	if flags&(1<<7) != 0 {
		m |= fs.ModeSetgid
	}
	if flags&(1<<8) != 0 {
		m |= fs.ModeSticky
	}
	return m
}
