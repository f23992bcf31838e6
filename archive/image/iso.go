package image

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/odarchive/odarchive/archive"
)

var be = binary.BigEndian

// Both-endian numbers (ECMA-119 §7.2.3, §7.3.3).
func putBoth16(b []byte, n uint16) { le.PutUint16(b, n); be.PutUint16(b[2:], n) }
func putBoth32(b []byte, n uint32) { le.PutUint32(b, n); be.PutUint32(b[4:], n) }

func putPadded(b []byte, s string) { copy(b, s+strings.Repeat(" ", len(b)-len(s))) }

// primary writes the primary volume descriptor (ECMA-119 §8.4).
func (l *Layout) primary(b []byte) {
	o := &l.options
	b[0], b[6] = 1, 1
	copy(b[1:], "CD001")
	putPadded(b[8:40], "")
	putPadded(b[40:72], o.Label)
	putBoth32(b[80:], uint32(l.sectors))
	putBoth16(b[120:], 1)
	putBoth16(b[124:], 1)
	putBoth16(b[128:], sectorSize)
	putBoth32(b[132:], uint32(l.tableBytes))
	le.PutUint32(b[140:], uint32(l.isoStart))
	be.PutUint32(b[148:], uint32(l.isoStart+archive.Sectors(l.tableBytes)))
	root := &l.dirs[0]
	putRecord(b[156:190], "\x00", root.isoLBA, root.isoSectors*sectorSize, o.Time, flagDir)
	putPadded(b[190:318], strings.ToUpper(o.volumeSet()[:32]))
	for _, f := range [][2]int{{318, 446}, {446, 574}, {702, 739}, {739, 776}, {776, 813}} {
		putPadded(b[f[0]:f[1]], "")
	}
	putPadded(b[574:702], "ODARCHIVE")
	stamp := o.Time.UTC().Format("20060102150405") + "00\x00"
	copy(b[813:], stamp)
	copy(b[830:], stamp)
	copy(b[847:], "0000000000000000\x00")
	copy(b[864:], stamp)
	b[881] = 1
}

// Flags of a directory record (ECMA-119 §9.1.6).
const (
	flagDir  = 0x02
	flagMore = 0x80 // another section of the same file follows
)

// putRecord writes a directory record without its system use area and returns its length (ECMA-119 §9.1).
func putRecord(b []byte, id string, lba, size int64, t time.Time, flags byte) int {
	n := 33 + len(id)
	n += n & 1
	b[0] = byte(n)
	putBoth32(b[2:], uint32(lba))
	putBoth32(b[10:], uint32(size))
	putShortTime(b[18:25], t)
	b[25] = flags
	putBoth16(b[28:], 1)
	b[32] = byte(len(id))
	copy(b[33:], id)
	return n
}

// putShortTime writes 7 bytes (ECMA-119 §9.1.5), which hold the years 1900 to 2155.
func putShortTime(b []byte, t time.Time) {
	t = t.UTC()
	if t.Year() < 1900 {
		t = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)
	} else if t.Year() > 2155 {
		t = time.Date(2155, 12, 31, 23, 59, 59, 0, time.UTC)
	}
	copy(b, []byte{byte(t.Year() - 1900), byte(t.Month()), byte(t.Day()), byte(t.Hour()), byte(t.Minute()), byte(t.Second()), 0})
}

// Sizes of Rock Ridge and SUSP fields, in bytes (IEEE P1282 §4.1, P1281 §5): POSIX attributes of RRIP 1.10, the modification
// time in short form, a name's head, a continuation's pointer, the sharing protocol indicator.
const (
	pxSize     = 36
	tfSize     = 12
	nmHead     = 5
	ceSize     = 28
	spSize     = 7
	maxRecord  = 254
	maxArea    = nmHead + 255
	rockRidge  = "RRIP_1991A"
	rockText   = "THE ROCK RIDGE INTERCHANGE PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS"
	rockSource = "PLEASE CONTACT DISC PUBLISHER FOR SPECIFICATION SOURCE."
	erSize     = 8 + len(rockRidge) + len(rockText) + len(rockSource)
)

// inlineName returns how many of a name's bytes fit into the record itself; fewer than all leave room for a continuation's pointer.
func inlineName(id, name int) int {
	base := 33 + id
	base += base & 1
	room := maxRecord - base - pxSize - tfSize - nmHead
	if name <= room {
		return name
	}
	return room - ceSize
}

// recordSize returns the bytes of a child's record, and of its area in the continuation blocks.
func recordSize(id, name int) (record, area int) {
	base := 33 + id
	base += base & 1
	in := inlineName(id, name)
	record = base + pxSize + tfSize + nmHead + in
	if in < name {
		record += ceSize
		area = nmHead + name - in
	}
	return record + record&1, area
}

// isoDir packs the records and continuation areas of a directory into sectors: with b nil it only measures.
type isoDir struct {
	b           []byte
	lba         int64
	records, ce int64 // next free byte of the records, and of the areas counted from the end of the records
	isoSectors  int64 // of records, when known
}

// room returns where a record of n bytes goes: records don't cross sectors (ECMA-119 §6.8.1.1).
func (d *isoDir) room(n int) int64 {
	if d.records%sectorSize+int64(n) > sectorSize {
		d.records = archive.Sectors(d.records) * sectorSize
	}
	at := d.records
	d.records += int64(n)
	return at
}

// area returns where a continuation area of n bytes goes; it lies within one block.
func (d *isoDir) area(n int) int64 {
	if d.ce%sectorSize+int64(n) > sectorSize {
		d.ce = archive.Sectors(d.ce) * sectorSize
	}
	at := d.ce
	d.ce += int64(n)
	return at
}

// isoSize measures directory i.
func (l *Layout) isoSize(i int) (records, areas int64) {
	var d isoDir
	l.fillISO(&d, i)
	return archive.Sectors(d.records), archive.Sectors(d.ce)
}

// isoBytes returns the whole ISO directory i with its continuation blocks.
func (l *Layout) isoBytes(i int) []byte {
	dir := &l.dirs[i]
	d := isoDir{b: make([]byte, (dir.isoSectors+dir.ceSectors)*sectorSize), lba: dir.isoLBA, isoSectors: dir.isoSectors}
	l.fillISO(&d, i)
	return d.b
}

func (l *Layout) fillISO(d *isoDir, i int) {
	dir := &l.dirs[i]
	parent := &l.dirs[dir.parent]
	dot := 34 + pxSize + tfSize
	if i == 0 {
		at, area := d.room((dot+spSize+ceSize+1)&^1), d.area(erSize)
		if d.b != nil {
			b := d.b[at:]
			n := putRecord(b, "\x00", dir.isoLBA, dir.isoSectors*sectorSize, l.options.Time, flagDir)
			n += copy(b[n:], []byte{'S', 'P', spSize, 1, 0xBE, 0xEF, 0})
			n += l.posix(b[n:], true, 0, dirLinks(dir), l.options.Time)
			n += d.pointer(b[n:], area, erSize)
			b[0] = byte(n + n&1)
			putExtension(d.b[d.isoSectors*sectorSize+area:])
		}
	} else if at := d.room(dot); d.b != nil {
		l.dotRecord(d.b[at:], "\x00", dir)
	}
	if at := d.room(dot); d.b != nil {
		l.dotRecord(d.b[at:], "\x01", parent)
	}
	for k, c := range dir.children {
		name, rocked := dir.rock[c]
		if !rocked {
			name = l.childName(c)
		}
		if c < 0 {
			sub := &l.dirs[^c]
			l.child(d, dir.ids[k], name, sub.isoLBA, sub.isoSectors*sectorSize, l.options.Time, flagDir, 0, dirLinks(sub))
			continue
		}
		f := &l.files[c]
		n := &l.inodes[f.Content]
		lba, left := n.lba, n.size
		for range sections(n.size) {
			size, flags := left, byte(0)
			if left > isoSection {
				size, flags = isoSection, flagMore
			}
			l.child(d, dir.ids[k], name, lba, size, f.ModTime, flags, f.Mode, uint32(n.links))
			lba += size / sectorSize
			left -= size
		}
	}
}

// dirLinks is a directory's link count as file systems have it: its name, its own dot, and its subdirectories' dot-dots.
func dirLinks(d *directory) uint32 { return 2 + uint32(d.subdirs) }

func (l *Layout) dotRecord(b []byte, id string, of *directory) {
	n := putRecord(b, id, of.isoLBA, of.isoSectors*sectorSize, l.options.Time, flagDir)
	n += l.posix(b[n:], true, 0, dirLinks(of), l.options.Time)
	b[0] = byte(n)
}

// child adds a record for a file's section or a directory.
func (l *Layout) child(d *isoDir, id, name string, lba, size int64, t time.Time, flags byte, mode, links uint32) {
	total, areaSize := recordSize(len(id), len(name))
	at := d.room(total)
	var area int64
	if areaSize > 0 {
		area = d.area(areaSize)
	}
	if d.b == nil {
		return
	}
	b := d.b[at : at+int64(total)]
	n := putRecord(b, id, lba, size, t, flags)
	n += l.posix(b[n:], flags&flagDir != 0, mode, links, t)
	in := inlineName(len(id), len(name))
	n += putName(b[n:], name[:in], in < len(name))
	if areaSize > 0 {
		d.pointer(b[n:], area, areaSize)
		putName(d.b[d.isoSectors*sectorSize+area:], name[in:], false)
	}
	b[0] = byte(total)
}

// posix writes PX and TF.
func (l *Layout) posix(b []byte, dir bool, mode, links uint32, t time.Time) int {
	m := uint32(0o100444) | mode&0o111
	if dir {
		m = 0o040555
	}
	copy(b, []byte{'P', 'X', pxSize, 1})
	putBoth32(b[4:], m)
	putBoth32(b[12:], links)
	copy(b[pxSize:], []byte{'T', 'F', tfSize, 1, 0x02})
	putShortTime(b[pxSize+5:pxSize+12], t)
	return pxSize + tfSize
}

func putName(b []byte, name string, more bool) int {
	copy(b, []byte{'N', 'M', byte(nmHead + len(name)), 1, 0})
	if more {
		b[4] = 1
	}
	return nmHead + copy(b[nmHead:], name)
}

// pointer writes CE: where a continuation area lies.
func (d *isoDir) pointer(b []byte, area int64, size int) int {
	copy(b, []byte{'C', 'E', ceSize, 1})
	putBoth32(b[4:], uint32(d.lba+d.isoSectors+area/sectorSize))
	putBoth32(b[12:], uint32(area%sectorSize))
	putBoth32(b[20:], uint32(size))
	return ceSize
}

func putExtension(b []byte) {
	copy(b, []byte{'E', 'R', byte(erSize), 1, byte(len(rockRidge)), byte(len(rockText)), byte(len(rockSource)), 1})
	copy(b[8:], rockRidge+rockText+rockSource)
}

// tableRecord returns the bytes of a directory's path table record (ECMA-119 §9.4).
func tableRecord(d *directory) int64 {
	n := int64(max(len(d.iso), 1))
	return 8 + n + n&1
}

// pathTable returns a whole path table in the given byte order.
func (l *Layout) pathTable(order binary.ByteOrder) []byte {
	b := make([]byte, archive.Sectors(l.tableBytes)*sectorSize)
	at := int64(0)
	for i := range l.dirs {
		d := &l.dirs[i]
		id := d.iso
		if i == 0 {
			id = "\x00"
		}
		b[at] = byte(len(id))
		order.PutUint32(b[at+2:], uint32(d.isoLBA))
		// A parent's number has 16 bits; readers that use the tables at all can't go below directory 65,535.
		order.PutUint16(b[at+6:], uint16(min(d.parent+1, 1<<16-1)))
		copy(b[at+8:], id)
		at += tableRecord(d)
	}
	if at != l.tableBytes {
		panic(fmt.Sprintf("path table of %d bytes, %d were planned", at, l.tableBytes))
	}
	return b
}
