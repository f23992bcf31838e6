package ecc

import (
	"context"
	"crypto/md5"
	"fmt"
	"io"
)

// Dump copies an image of so many sectors from its first to its last, with dead sector markers in place of those that can't be
// read, and returns how many those are. What comes of it is what Repair and dvdisaster take.
func Dump(ctx context.Context, source Source, sectors int64, out io.Writer, o Options) (unreadable int64, err error) {
	var print [md5.Size]byte
	b := make([]byte, batch*sectorSize)
	readable := true
	if err := source.read(b[:sectorSize], fingerprintSector, func(int) { readable = false }); err != nil {
		return 0, fmt.Errorf("dump image: %w", err)
	}
	if readable {
		print = md5.Sum(b[:sectorSize])
	}
	for at := int64(0); at < sectors; at += batch {
		if ctx.Err() != nil {
			return unreadable, context.Cause(ctx)
		}
		b = b[:min(batch, sectors-at)*sectorSize]
		err := source.read(b, at, func(i int) {
			PutDead(row(b, i), at+int64(i), print)
			unreadable++
		})
		if err != nil {
			return unreadable, fmt.Errorf("dump image: %w", err)
		}
		if _, err := out.Write(b); err != nil {
			return unreadable, fmt.Errorf("dump image: sector %d: %w", at, err)
		}
		if o.Progress != nil {
			o.Progress(min(at+batch, sectors), sectors)
		}
	}
	return unreadable, nil
}
