package ecc

import (
	"bytes"
	"strconv"
)

// What dvdisaster writes into sectors that have no data: padding behind the data, and dead sector markers in place of sectors
// that could not be read. Both are zero but for lines of text at fixed places; its users know them by these.
const (
	paddingText = "dvdisaster padding sector       This is a padding sector needed for augmenting the image with error correction data."
	paddingEnd  = "dvdisaster padding sector end marker"

	deadText = "dvdisaster dead sector marker\n" +
		"This sector could not be read from the image.\n" +
		"Its contents have been substituted by the dvdisaster read routine.\n"
	deadEnd = "dvdisaster dead sector end marker\n"
	// Both end markers are followed by what is left of the sector.
	paddingEndAt = 0x7db
	deadEndAt    = 2046 - len(deadEnd)
)

func putPadding(b []byte, sector int64, fingerprint [16]byte) {
	clear(b)
	copy(b, paddingText)
	putMarker(b, "Padding", sector, fingerprint)
	copy(b[paddingEndAt:], paddingEnd)
}

func putMarker(b []byte, kind string, sector int64, fingerprint [16]byte) {
	copy(b[0x100:], kind+" sector marker version")
	copy(b[0x120:], "1.00")
	copy(b[0x140:], kind+" sector number")
	copy(b[0x160:], strconv.FormatInt(sector, 10))
	copy(b[0x180:], "Medium fingerprint")
	copy(b[0x1a0:], fingerprint[:])
	copy(b[0x1c0:], "Medium fingerprint sector")
	copy(b[0x1e0:], strconv.Itoa(fingerprintSector))
}

// PutDead fills the 2,048 bytes of b with the dead sector marker of a sector, so that a dump of a damaged disc tells
// dvdisaster and this package alike what could not be read. The fingerprint is the MD5 of the image's sector 16, zero when it is
// not known.
func PutDead(b []byte, sector int64, fingerprint [16]byte) {
	b = b[:sectorSize]
	clear(b)
	copy(b, deadText)
	putMarker(b, "Dead", sector, fingerprint)
	copy(b[0x200:], "Volume label (if any)")
	copy(b[0x220:], "none")
	copy(b[deadEndAt:], deadEnd)
}

// IsDead says whether a sector is a dead sector marker, of whichever sector and disc.
func IsDead(b []byte) bool {
	return bytes.HasPrefix(b, []byte(deadText)) && bytes.HasPrefix(b[deadEndAt:], []byte(deadEnd))
}
