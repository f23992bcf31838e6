package ecc

import "fmt"

// Places in a CRC block.
const (
	blockCookie  = 1024
	blockSelfCRC = 1120
)

// putBlock writes a sector of the CRC layer around the CRCs that are in its beginning already, one for each data layer. The MD5
// of the data is in the header alone.
func (h *Header) putBlock(b []byte) {
	clear(b[4*h.dataLayers():])
	copy(b[blockCookie:], cookie)
	le.PutUint32(b[1044:], creatorVersion)
	le.PutUint32(b[1048:], neededVersion)
	le.PutUint32(b[1052:], fingerprintSector)
	copy(b[1056:], h.Fingerprint[:])
	le.PutUint64(b[1088:], uint64(h.Data))
	le.PutUint32(b[1096:], uint32(h.Last))
	le.PutUint32(b[1100:], uint32(h.inputs()))
	le.PutUint32(b[1104:], uint32(h.Roots()))
	le.PutUint64(b[1112:], uint64(h.Layer))
	le.PutUint32(b[blockSelfCRC:], seed)
	le.PutUint32(b[blockSelfCRC:], checksum(b))
}

// isBlock says whether a sector is a whole CRC block, of whichever image.
func isBlock(b []byte) bool {
	return string(b[blockCookie:blockCookie+len(cookie)]) == cookie && selfChecked(b, blockSelfCRC)
}

// parseBlock reads the header that a CRC block repeats.
func parseBlock(b []byte) (Header, error) {
	if !isBlock(b) {
		return Header{}, fmt.Errorf("no CRC block: %w", ErrNotFound)
	}
	if b[1040]&eccFile != 0 {
		return Header{}, fmt.Errorf("CRC block of an error correction file: %w", ErrNotFound)
	}
	h := Header{Creator: le.Uint32(b[1044:])}
	copy(h.Fingerprint[:], b[1056:])
	return h, h.set(le.Uint64(b[1088:]), le.Uint64(b[1112:]), le.Uint32(b[1096:]), le.Uint32(b[1048:]), le.Uint32(b[1052:]))
}

// ours says whether a sector is a CRC block of this image.
func (h *Header) ours(b []byte) bool {
	return isBlock(b) && le.Uint64(b[1088:]) == uint64(h.Data) && le.Uint64(b[1112:]) == uint64(h.Layer) &&
		string(b[1056:1072]) == string(h.Fingerprint[:])
}
