// Package archive holds the nouns of what a disc contains: content, entries of a tree, extents.
// Its sub-packages walk trees, plan discs, lay out and read images and protect them. Nothing below
// archive knows of a network, a database or a device: alone it is the rescue reader.
package archive

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// SectorSize is the size of a sector of every optical disc that carries data, in bytes
// (ECMA-119 §6.1.2 logical sector, ECMA-167 3/7.3.1).
const SectorSize = 2048

// Sectors returns how many whole sectors n bytes occupy. n must not be negative.
func Sectors(n int64) int64 {
	return (n + SectorSize - 1) / SectorSize
}

// Hash is the SHA-256 (FIPS 180-4) of some content: its only name.
type Hash [sha256.Size]byte

// ParseHash reads the 64 hexadecimal digits that String writes.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if hex.DecodedLen(len(s)) != len(h) {
		return h, fmt.Errorf("hash %q: want %d hexadecimal digits, have %d", s, hex.EncodedLen(len(h)), len(s))
	}
	if _, err := hex.Decode(h[:], []byte(s)); err != nil {
		return h, fmt.Errorf("hash %q: %w", s, err)
	}
	return h, nil
}

// String returns h as lower-case hexadecimal digits, as sha256sum prints it.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText implements encoding.TextMarshaler with the form of String.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hash) UnmarshalText(text []byte) error {
	parsed, err := ParseHash(string(text))
	if err != nil {
		return err
	}
	*h = parsed
	return nil
}

// Content is the bytes of one distinct file, however many names it has.
type Content struct {
	Hash Hash
	Size int64 // bytes
}

// Extent is a run of one content on one image.
type Extent struct {
	Content Hash
	Offset  int64 // bytes into the content; a multiple of SectorSize
	Length  int64 // bytes; a multiple of SectorSize unless it ends the content
	Sector  int64 // first sector on the image; the run is contiguous from there
}
