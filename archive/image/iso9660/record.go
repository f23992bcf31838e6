package iso9660

import (
	"encoding/binary"
	"io/fs"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/image/extent"
)

// Record is a directory record (ECMA-119 §9.1) with its system use fields.
type Record struct {
	// ID is the identifier as recorded, with its version.
	ID string
	// Name is Rock Ridge's or Joliet's; else the identifier without its version and final dot.
	Name string
	Dir  bool
	// More says that another section of the same file follows.
	More    bool
	Sector  int64 // of the file's first byte
	Size    int64 // bytes of this section
	Mode    fs.FileMode
	Links   uint32 // Rock Ridge's; 0 without
	ModTime time.Time
	// Target is where a symbolic link points.
	Target string
	// At is the sector of the record.
	At int64

	head                      int  // bytes of a Rock Ridge name that are in its first field
	child, parent, relocated  bool // CL, PL and RE of Rock Ridge
	childSector, parentSector int64
}

// Flags of a directory record (ECMA-119 §9.1.6).
const (
	flagDir  = 0x02
	flagMore = 0x80
)

// record decodes a record without its system use fields.
func (v *Volume) record(b []byte, at int64, f *faults) (Record, error) {
	n := int(b[32])
	if len(b) < 33+n || n == 0 {
		return Record{}, damaged(at, "a record of %d bytes with an identifier of %d", len(b), n)
	}
	r := Record{
		ID: string(b[33 : 33+n]), At: at, Dir: b[25]&flagDir != 0, More: b[25]&flagMore != 0,
		Size: int64(f.both32(b[10:], at)), ModTime: shortTime(b[18:25]),
	}
	// The extended attribute record comes first (ECMA-119 §9.1.2).
	r.Sector = int64(f.both32(b[2:], at)) + int64(b[1])
	f.both16(b[28:], at)
	r.Mode = 0o444
	if r.Dir {
		r.Mode = fs.ModeDir | 0o555
	}
	r.Name = r.ID
	if v.Joliet && n > 1 {
		r.Name = ucs2([]byte(r.ID))
	}
	if !r.Dir {
		r.Name, _, _ = strings.Cut(r.Name, ";")
		r.Name = strings.TrimSuffix(r.Name, ".")
	}
	if r.Size > v.size*archive.SectorSize && v.Space != 0 {
		return r, damaged(at, "%q has %d bytes", r.Name, r.Size)
	}
	return r, nil
}

func ucs2(b []byte) string {
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}

// shortTime decodes 7 bytes (ECMA-119 §9.1.5).
func shortTime(b []byte) time.Time {
	if b[1] < 1 || b[1] > 12 || b[2] < 1 || b[2] > 31 {
		return time.Time{}
	}
	t := time.Date(1900+int(b[0]), time.Month(b[1]), int(b[2]), int(b[3]), int(b[4]), int(b[5]), 0, time.UTC)
	return t.Add(-time.Duration(int8(b[6])) * 15 * time.Minute)
}

const (
	maxAreas = 64      // continuation areas of one record
	maxArea  = 1 << 16 // bytes of one of them
)

// systemUse reads the fields behind a record (IEEE P1281 §4), and those in its continuation areas.
func (v *Volume) systemUse(r *Record, b []byte, f *faults) error {
	var name, link strings.Builder
	var slash bool // before the next component of a link
	named := false
	for areas := 0; ; areas++ {
		var next extent.Extent
		var within int64
		for len(b) >= 4 {
			n := int(b[2])
			if n < 4 || n > len(b) {
				break
			}
			d := b[4:n]
			switch id := string(b[:2]); {
			case id == "CE" && n >= 28:
				next = extent.Extent{Sector: int64(f.both32(d, r.At)), Length: int64(f.both32(d[16:], r.At))}
				within = int64(f.both32(d[8:], r.At))
			case id == "NM" && n >= 5 && d[0]&(2|4) == 0:
				if !named {
					r.head = len(d) - 1
				}
				named = true
				name.Write(d[1:])
			case id == "PX" && n >= 36:
				r.Mode = unixMode(f.both32(d, r.At))
				r.Links = f.both32(d[8:], r.At)
				f.both32(d[16:], r.At)
				f.both32(d[24:], r.At)
			case id == "TF" && n >= 5:
				if t, ok := modified(d); ok {
					r.ModTime = t
				}
			case id == "SL" && n >= 5:
				slash = components(&link, d[1:], slash)
			case id == "CL" && n >= 12:
				r.child, r.childSector = true, int64(f.both32(d, r.At))
			case id == "PL" && n >= 12:
				r.parent, r.parentSector = true, int64(f.both32(d, r.At))
			case id == "RE":
				r.relocated = true
			}
			if string(b[:2]) == "ST" {
				break
			}
			b = b[n:]
		}
		if next.Length == 0 {
			break
		}
		if areas >= maxAreas || next.Length > maxArea || within >= archive.SectorSize {
			return damaged(r.At, "continuation area of %d bytes at %d in sector %d", next.Length, within, next.Sector)
		}
		next.Length += within
		b = make([]byte, next.Length)
		if n, err := extent.NewReader(v.r, []extent.Extent{next}).ReadAt(b, 0); n < len(b) {
			return err
		}
		b = b[within:]
	}
	if named {
		r.Name = name.String()
	}
	r.Target = link.String()
	return nil
}

func unixMode(m uint32) fs.FileMode {
	mode := fs.FileMode(m & 0o777)
	switch m & 0o170000 {
	case 0o040000:
		mode |= fs.ModeDir
	case 0o120000:
		mode |= fs.ModeSymlink
	case 0o100000:
	case 0o010000:
		mode |= fs.ModeNamedPipe
	case 0o140000:
		mode |= fs.ModeSocket
	case 0o020000:
		mode |= fs.ModeDevice | fs.ModeCharDevice
	case 0o060000:
		mode |= fs.ModeDevice
	default:
		mode |= fs.ModeIrregular
	}
	return mode
}

// modified returns the modification time of TF (IEEE P1282 §4.1.6): times come in the order of their flags.
func modified(d []byte) (time.Time, bool) {
	const creation, modification, long = 1, 2, 0x80
	if d[0]&modification == 0 || d[0]&long != 0 {
		return time.Time{}, false
	}
	at := 1
	if d[0]&creation != 0 {
		at += 7
	}
	if len(d) < at+7 {
		return time.Time{}, false
	}
	return shortTime(d[at:]), true
}

// components appends what SL holds to a link's target (IEEE P1282 §4.1.3) and says whether a slash belongs before what follows.
func components(link *strings.Builder, d []byte, slash bool) bool {
	const more, current, parent, root = 1, 2, 4, 8
	for len(d) >= 2 {
		flags, n := d[0], int(d[1])
		if 2+n > len(d) {
			break
		}
		if slash {
			link.WriteByte('/')
		}
		switch {
		case flags&root != 0:
			link.WriteByte('/')
		case flags&current != 0:
			link.WriteByte('.')
		case flags&parent != 0:
			link.WriteString("..")
		default:
			link.Write(d[2 : 2+n])
		}
		slash = flags&(more|root) == 0
		d = d[2+n:]
	}
	return slash
}
