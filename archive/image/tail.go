package image

import (
	"errors"
	"fmt"
	"io"
)

// A protected image is one part of what is burned:
//
//	0                 the image: all of UDF and ISO 9660, both volume descriptor sequences, an anchor in its last sector
//	Sectors()         what protects it, made by others from the image alone: header, checksums, parity
//	protected         the tail: zeros, and an anchor in its last sector
//	Closed(protected) nothing
//
// UDF wants two anchors of those at 256, N-256 and N, where N is the last sector of all (ECMA-167 3/8.4.2.1): 256 and the
// tail's. The one at the end of the image is for a copy of it that stops where ISO 9660 says that the volume ends. The tail is
// not protected and holds nothing that is not at sector 256 too.

// Closed returns how many sectors a disc has whose first protected sectors are an image and what protects it, with the tail. It
// is a multiple of 32, the cluster of BD-R, and above protected by 1 to 32.
func Closed(protected int64) int64 { return clusters(protected + 1) }

// Tail returns the sectors from protected on to the end of the disc: Closed(protected)-protected of them. A drive fills the
// cluster that it writes last; so these cost nothing, or one cluster.
func (l *Layout) Tail(protected int64) []byte {
	var at [sectorSize]byte
	l.anchor(at[:], anchor)
	return tail(at[:], protected)
}

// ReadTail returns what Tail does for an image that r holds, which may be anybody's with UDF. It returns ErrForeign for an image
// without; any other error is r's.
func ReadTail(r io.ReaderAt, protected int64) ([]byte, error) {
	at, err := readTag(r, anchor, tagAVDP)
	if errors.Is(err, ErrForeign) {
		return nil, fmt.Errorf("no anchor at sector %d: %w", anchor, err)
	} else if err != nil {
		return nil, err
	}
	return tail(at, protected), nil
}

// tail closes a disc with the anchor at, moved.
func tail(at []byte, protected int64) []byte {
	total := Closed(protected)
	b := make([]byte, (total-protected)*sectorSize)
	last := b[len(b)-sectorSize:]
	copy(last[16:32], at[16:32])
	putTag(last, tagAVDP, total-1, whole)
	return b
}
