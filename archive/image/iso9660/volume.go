// Package iso9660 reads the ISO 9660 side of discs, whoever made them: levels 1 to 3 with files of several extents, Rock Ridge names
// and relocated directories, or Joliet's tree. It is written from ECMA-119, IEEE P1281 and P1282 apart from the writer, and knows
// nothing of UDF.
//
// What it reads is not trusted: memory and time are bounded by the image's size, and a directory has one parent, so that walking ends.
// Second puts what it reads beside what another reader, which we did not write, makes of the same image.
package iso9660

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/image/extent"
)

var (
	le = binary.LittleEndian
	be = binary.BigEndian
)

// Errors that callers decide by. A sector that can't be read is the reader's own error in an *extent.Error.
var (
	ErrNone        = errors.New("no ISO 9660 volume")
	ErrUnsupported = errors.New("a kind of ISO 9660 volume that is not read")
	ErrDamaged     = errors.New("damaged")
)

func damaged(sector int64, format string, args ...any) error {
	return &extent.Error{Sector: sector, Err: fmt.Errorf("%w: "+format, append([]any{ErrDamaged}, args...)...)}
}

// Volume is an open volume. It may be used by several goroutines as far as what it reads from may.
type Volume struct {
	// Label is the volume identifier without its padding.
	Label string
	// Space is the volume space in sectors.
	Space int64
	// Joliet says that this is Joliet's tree.
	Joliet bool
	// Descriptor is the sector of the volume's descriptor, Descriptors how many there are with their terminator.
	Descriptor  int64
	Descriptors int
	// TableBytes is the size of each path table; TableL and TableM are their sectors.
	TableBytes     int64
	TableL, TableM int64
	// Faults are what is wrong with the descriptor and keeps nobody from reading on.
	Faults []error

	r    io.ReaderAt
	size int64 // sectors
	root Record
	skip int // bytes before the system use fields (IEEE P1281 §5.3); negative where there are none

	mu    sync.Mutex
	cache map[int64]*listing
	order []int64
	owner map[int64]int64 // sectors of directories of Joliet and of what they are in
}

// maxDescriptors is how many volume descriptors are read.
const maxDescriptors = 64

// Open opens the tree of the primary volume descriptor in the first sectors sectors of r. It returns ErrNone, ErrUnsupported or an
// *extent.Error.
func Open(r io.ReaderAt, sectors int64) (*Volume, error) { return open(r, sectors, false) }

// OpenJoliet opens the tree of Joliet's supplementary volume descriptor; ErrNone says that there is none.
func OpenJoliet(r io.ReaderAt, sectors int64) (*Volume, error) { return open(r, sectors, true) }

func open(r io.ReaderAt, sectors int64, joliet bool) (*Volume, error) {
	v := &Volume{r: r, size: sectors, Joliet: joliet, skip: -1, cache: map[int64]*listing{}, owner: map[int64]int64{}}
	var found []byte
	ended := false
	for lba := int64(16); lba < 16+maxDescriptors && !ended; lba++ {
		b, err := extent.Sector(r, lba)
		if err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) {
				break
			}
			return nil, err
		}
		if string(b[1:6]) != "CD001" {
			break
		}
		v.Descriptors++
		switch kind := b[0]; {
		case kind == 255:
			ended = true
		case found == nil && (kind == 1 && !joliet || kind == 2 && joliet && isJoliet(b)):
			found, v.Descriptor = b, lba
		}
	}
	if found == nil {
		return nil, ErrNone
	}
	if !ended {
		return nil, damaged(16+int64(v.Descriptors), "volume descriptors have no terminator")
	}
	return v, v.describe(found)
}

func isJoliet(b []byte) bool {
	return bytes.HasPrefix(b[88:], []byte("%/@")) || bytes.HasPrefix(b[88:], []byte("%/C")) || bytes.HasPrefix(b[88:], []byte("%/E"))
}

func (v *Volume) describe(b []byte) error {
	f := &faults{}
	v.Space = int64(f.both32(b[80:], v.Descriptor))
	f.both16(b[120:], v.Descriptor)
	f.both16(b[124:], v.Descriptor)
	if n := f.both16(b[128:], v.Descriptor); n != archive.SectorSize {
		return fmt.Errorf("blocks of %d bytes: %w", n, ErrUnsupported)
	}
	v.TableBytes = int64(f.both32(b[132:], v.Descriptor))
	v.TableL, v.TableM = int64(le.Uint32(b[140:])), int64(be.Uint32(b[148:]))
	v.Label = strings.TrimRight(string(b[40:72]), " \x00")
	if v.Joliet {
		v.Label = strings.TrimRight(ucs2(b[40:72]), " \x00")
	}
	root, err := v.record(b[156:190], v.Descriptor, f)
	if err != nil {
		return err
	}
	if !root.Dir {
		return damaged(v.Descriptor, "the root is no directory")
	}
	v.root, v.Faults = root, f.list
	if v.Joliet {
		return nil
	}
	// The root's own record says whether there are system use fields.
	first, err := extent.Sector(v.r, root.Sector)
	if err != nil {
		return err
	}
	if n := int(first[0]); n > 34+7 && string(first[34:36]) == "SP" && first[38] == 0xBE && first[39] == 0xEF {
		v.skip = int(first[40])
	}
	return nil
}

// faults gathers what is wrong and keeps nobody from reading on; the first hundred of it.
type faults struct{ list []error }

func (f *faults) add(sector int64, format string, args ...any) {
	if len(f.list) < 100 {
		f.list = append(f.list, damaged(sector, format, args...))
	}
}

// both16 and both32 read numbers in both byte orders (ECMA-119 §7.2.3, §7.3.3); the little-endian one counts.
func (f *faults) both16(b []byte, sector int64) uint16 {
	n := le.Uint16(b)
	if m := be.Uint16(b[2:]); m != n {
		f.add(sector, "%d in one byte order, %d in the other", n, m)
	}
	return n
}

func (f *faults) both32(b []byte, sector int64) uint32 {
	n := le.Uint32(b)
	if m := be.Uint32(b[4:]); m != n {
		f.add(sector, "%d in one byte order, %d in the other", n, m)
	}
	return n
}

// TableRecord is a directory in a path table (ECMA-119 §9.4).
type TableRecord struct {
	ID     string
	Sector int64
	Parent int // number of its parent, from 1
}

// PathTable reads one of the two path tables: L is little-endian, M big-endian.
func (v *Volume) PathTable(m bool) ([]TableRecord, error) {
	at, order := v.TableL, binary.ByteOrder(le)
	if m {
		at, order = v.TableM, be
	}
	if v.TableBytes > v.size*archive.SectorSize {
		return nil, damaged(v.Descriptor, "path tables of %d bytes", v.TableBytes)
	}
	b := make([]byte, v.TableBytes)
	if n, err := extent.NewReader(v.r, []extent.Extent{{Sector: at, Length: v.TableBytes}}).ReadAt(b, 0); n < len(b) {
		return nil, err
	}
	var all []TableRecord
	for len(b) >= 8 {
		n := int(b[0])
		if n == 0 || 8+n > len(b) {
			return all, damaged(at, "path table record %d", len(all)+1)
		}
		all = append(all, TableRecord{string(b[8 : 8+n]), int64(order.Uint32(b[2:])), int(order.Uint16(b[6:]))})
		b = b[min(8+n+n&1, len(b)):]
	}
	return all, nil
}
