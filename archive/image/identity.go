package image

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrForeign says that a disc can be read and carries no image of ours.
var ErrForeign = errors.New("not an odarchive disc")

// Identity is what a disc says of itself.
type Identity struct {
	ID    [16]byte
	Label string
}

// ReadIdentity reads the identity of the image in r, a handful of sectors. It returns ErrForeign when there is another image or none;
// any other error is r's.
func ReadIdentity(r io.ReaderAt) (Identity, error) {
	at, err := readTag(r, anchor, tagAVDP)
	if err != nil {
		return Identity{}, err
	}
	var failed error
	for _, extent := range []int{16, 24} { // the main sequence, or the reserve
		start := int64(le.Uint32(at[extent+4:]))
		for lba := start; lba < start+vdsSectors; lba++ {
			pvd, err := readTag(r, lba, tagPVD)
			if errors.Is(err, ErrForeign) {
				continue
			} else if err != nil {
				failed = err
				break
			}
			return identityOf(pvd)
		}
	}
	if failed != nil {
		return Identity{}, failed
	}
	return Identity{}, ErrForeign
}

// readTag returns sector lba when it holds a good descriptor of that kind.
func readTag(r io.ReaderAt, lba int64, id uint16) ([]byte, error) {
	b := make([]byte, sectorSize)
	if n, err := r.ReadAt(b, lba*sectorSize); n < len(b) {
		if errors.Is(err, io.EOF) {
			return nil, ErrForeign
		}
		return nil, fmt.Errorf("read identity: sector %d: %w", lba, err)
	}
	length := int(le.Uint16(b[10:]))
	if le.Uint16(b) != id || int64(le.Uint32(b[12:])) != lba || length > sectorSize-16 || crc16(b[16:16+length]) != le.Uint16(b[8:]) {
		return nil, ErrForeign
	}
	return b, nil
}

func identityOf(pvd []byte) (i Identity, err error) {
	digits, ours := strings.CutSuffix(dstring(pvd[72:200]), volumeSetTail)
	if !ours {
		return i, ErrForeign
	}
	if n, err := hex.Decode(i.ID[:], []byte(digits)); err != nil || n != len(i.ID) || len(digits) != 2*len(i.ID) {
		return i, ErrForeign
	}
	i.Label = dstring(pvd[24:56])
	return i, nil
}

// dstring reads a dstring of 8-bit characters (ECMA-167 1/7.2.12); ours have no others.
func dstring(b []byte) string {
	n := int(b[len(b)-1])
	if n < 1 || n >= len(b) || b[0] != 8 {
		return ""
	}
	return string(b[1:n])
}
