package agent

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/ecc"
	"github.com/odarchive/odarchive/archive/image"
)

// protect writes what protects an image behind it, and what closes the disc.
func protect(ctx context.Context, w *work, file *os.File, l *image.Layout, g ecc.Geometry) error {
	begin := w.done.Load()
	err := ecc.Augment(ctx, file, file, ecc.Plan{Geometry: g}, ecc.Options{Progress: func(done, total int64) {
		w.done.Store(begin + (total-l.Sectors())*done/total*archive.SectorSize)
	}})
	if err != nil {
		return err
	}
	if _, err := file.WriteAt(l.Tail(g.Sectors()), g.Sectors()*archive.SectorSize); err != nil {
		return fmt.Errorf("close image: %w", err)
	}
	return nil
}

// protection checks the geometry that a build was told against the layout: data, layers and the whole.
func protection(l *image.Layout, layer, sectors int64) (ecc.Geometry, error) {
	g := ecc.Geometry{Data: l.Sectors(), Layer: layer}
	if err := g.Validate(); err != nil {
		return g, defect("its error correction: %w", err)
	}
	if n := image.Closed(g.Sectors()); n != sectors {
		return g, defect("it comes to %d sectors with its error correction, %d were planned", n, sectors)
	}
	return g, nil
}

// sumFile returns the SHA-256 of a file's first size bytes.
func sumFile(ctx context.Context, file *os.File, size int64) ([]byte, error) {
	var h hash.Hash = sha256.New()
	for r := io.NewSectionReader(file, 0, size); ; {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if n, err := io.CopyN(h, r, transfer); n == 0 {
			return h.Sum(nil), nil
		} else if err != nil && err != io.EOF {
			return nil, fmt.Errorf("hash image: %w", err)
		}
	}
}
