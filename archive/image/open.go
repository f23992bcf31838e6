package image

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/odarchive/odarchive/archive/image/iso9660"
	"github.com/odarchive/odarchive/archive/image/udf"
)

// Sides are the file systems of an image, anybody's. Each is an fs.FS whose files are *extent.File: they read at any place, and say
// where they lie. A sector that can't be read is an *extent.Error in what comes back; everything else still can be.
type Sides struct {
	UDF *udf.Volume     // nil where there is none or it can't be read
	ISO *iso9660.Volume // nil likewise
	// UDFErr and ISOErr are why.
	UDFErr, ISOErr error
}

// Open opens both sides of the image in the first sectors sectors of r. It fails when there is neither.
func Open(r io.ReaderAt, sectors int64) (*Sides, error) {
	s := &Sides{}
	if v, err := udf.Open(r, sectors); err != nil {
		s.UDFErr = err
	} else {
		s.UDF = v
	}
	if v, err := iso9660.Open(r, sectors); err != nil {
		s.ISOErr = err
	} else {
		s.ISO = v
	}
	if s.UDF == nil && s.ISO == nil {
		return nil, fmt.Errorf("open image: %w", errors.Join(s.UDFErr, s.ISOErr))
	}
	return s, nil
}

// FS returns the side that says most of its files: UDF where there is one, whose names are those of the archive as long as they are
// Unicode; else ISO 9660, whose names are Rock Ridge's.
func (s *Sides) FS() fs.FS {
	if s.UDF != nil {
		return s.UDF
	}
	return s.ISO
}
