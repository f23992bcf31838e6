package ecc

import (
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

const (
	cookie            = "*dvdisaster*RS03"
	headerSectors     = 2
	headerSize        = headerSectors * sectorSize
	fingerprintSector = 16
	creatorVersion    = 7905 // of the dvdisaster whose images ours equal byte by byte: 0.79.5
	neededVersion     = 7900

	hasSum  = 1 << 0 // of the first flag byte: the MD5 of the data is valid
	eccFile = 1 << 1 // it belongs to a file of its own and not to an image
	// seed stands in the place of a structure's own CRC while that is calculated.
	seed = 0x4c5047
)

// Header is what an augmented image says about itself.
type Header struct {
	Geometry
	// Last is how many bytes of the last data sector the file had that was augmented: 1 to 2,048. An image of whole
	// sectors has 2,048.
	Last int
	// Fingerprint is the MD5 of sector 16.
	Fingerprint [md5.Size]byte
	// Sum is the MD5 of the data when HasSum says so.
	Sum    [md5.Size]byte
	HasSum bool
	// Creator is the version of what made it, as 10000*major+100*minor+micro.
	Creator uint32
}

// checksum is the CRC-32 of RS03, that of ISO 3309 without its last inversion.
func checksum(b []byte) uint32 { return ^crc32.ChecksumIEEE(b) }

var le = binary.LittleEndian

// encode writes the header's 4,096 bytes.
func (h *Header) encode(b []byte) {
	clear(b)
	copy(b, cookie)
	if h.HasSum {
		b[16] = hasSum
		copy(b[36:], h.Sum[:])
	}
	copy(b[20:], h.Fingerprint[:])
	le.PutUint64(b[68:], uint64(h.Data))
	le.PutUint32(b[76:], uint32(h.inputs()))
	le.PutUint32(b[80:], uint32(h.Roots()))
	le.PutUint32(b[84:], creatorVersion)
	le.PutUint32(b[88:], neededVersion)
	le.PutUint32(b[92:], fingerprintSector)
	le.PutUint32(b[96:], seed)
	le.PutUint32(b[116:], uint32(h.Last))
	le.PutUint64(b[120:], uint64(h.Layer))
	le.PutUint32(b[96:], checksum(b[:headerSize]))
}

// parseHeader reads a header of 4,096 bytes.
func parseHeader(b []byte) (Header, error) {
	switch {
	case string(b[:len(cookie)]) != cookie:
		return Header{}, fmt.Errorf("no header: %w", ErrNotFound)
	case b[16]&eccFile != 0:
		return Header{}, fmt.Errorf("header of an error correction file: %w", ErrNotFound)
	case !selfChecked(b[:headerSize], 96):
		return Header{}, fmt.Errorf("header with a wrong checksum: %w", ErrNotFound)
	}
	h := Header{Creator: le.Uint32(b[84:]), HasSum: b[16]&hasSum != 0}
	copy(h.Fingerprint[:], b[20:])
	copy(h.Sum[:], b[36:])
	return h, h.set(le.Uint64(b[68:]), le.Uint64(b[120:]), le.Uint32(b[116:]), le.Uint32(b[88:]), le.Uint32(b[92:]))
}

// set takes over numbers that were read, when they make sense.
func (h *Header) set(data, layer uint64, last, needed, sector uint32) error {
	if data > layers*maxLayer || layer > maxLayer {
		return fmt.Errorf("header of %d sectors in layers of %d: %w", data, layer, ErrNotFound)
	}
	h.Geometry, h.Last = Geometry{Data: int64(data), Layer: int64(layer)}, int(last)
	if err := h.Validate(); err != nil {
		return fmt.Errorf("header: %w: %w", ErrNotFound, err)
	}
	switch {
	case needed > creatorVersion+99:
		return fmt.Errorf("header that needs version %d: %w", needed, ErrNotFound)
	case sector != fingerprintSector:
		return fmt.Errorf("header with its fingerprint in sector %d: %w", sector, ErrNotFound)
	case last < 1 || last > sectorSize:
		return fmt.Errorf("header with %d bytes in its last sector: %w", last, ErrNotFound)
	}
	return nil
}

// selfChecked says whether the CRC of b at that place is that of b with the seed there.
func selfChecked(b []byte, at int) bool {
	var stand [4]byte
	le.PutUint32(stand[:], seed)
	sum := crc32.ChecksumIEEE(b[:at])
	sum = crc32.Update(sum, crc32.IEEETable, stand[:])
	sum = crc32.Update(sum, crc32.IEEETable, b[at+4:])
	return ^sum == le.Uint32(b[at:])
}
