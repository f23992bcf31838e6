package image

import (
	"encoding/binary"
	"encoding/hex"
	"time"

	"github.com/odarchive/odarchive/archive"
)

// Tag identifiers (ECMA-167 3/7.2.1, 4/7.2.1).
const (
	tagPVD  = 1
	tagAVDP = 2
	tagIUVD = 4
	tagPD   = 5
	tagLVD  = 6
	tagUSD  = 7
	tagTD   = 8
	tagLVID = 9
	tagFSD  = 256
	tagFID  = 257
	tagFE   = 261
)

const revision = 0x0102 // UDF 1.02

var le = binary.LittleEndian

var crcTable = func() (t [256]uint16) {
	for i := range t {
		c := uint16(i) << 8
		for range 8 {
			if c&0x8000 != 0 {
				c = c<<1 ^ 0x1021
			} else {
				c <<= 1
			}
		}
		t[i] = c
	}
	return t
}()

// crc16 is the CRC of ECMA-167 1/7.2.6: polynomial x^16+x^12+x^5+1, starting from 0.
func crc16(b []byte) (c uint16) {
	for _, x := range b {
		c = c<<8 ^ crcTable[byte(c>>8)^x]
	}
	return c
}

// putTag fills in the descriptor tag of b, whose CRC covers length bytes behind it (ECMA-167 3/7.2).
func putTag(b []byte, id uint16, location int64, length int) {
	le.PutUint16(b, id)
	le.PutUint16(b[2:], 2)
	le.PutUint16(b[8:], crc16(b[16:16+length]))
	le.PutUint16(b[10:], uint16(length))
	le.PutUint32(b[12:], uint32(location))
	var sum byte
	for i := range 16 {
		if i != 4 {
			sum += b[i]
		}
	}
	b[4] = sum
}

// whole is the CRC length of descriptors that fill a 512-byte structure.
const whole = 496

func putDstring(b []byte, s string) {
	if s == "" {
		return
	}
	b[len(b)-1] = byte(copy(b[:len(b)-1], appendCS0(nil, s)))
}

func putCharspec(b []byte) { copy(b[1:], "OSTA Compressed Unicode") }

// putEntity writes an entity identifier (UDF 1.02 §2.1.4).
func putEntity(b []byte, id string, suffix ...byte) {
	copy(b[1:24], id)
	copy(b[24:], suffix)
}

func putDomain(b []byte) { putEntity(b, "*OSTA UDF Compliant", revision&0xFF, revision>>8, 3) }
func putImpl(b []byte)   { putEntity(b, "*odarchive", 4, 5) }

// putTime writes a timestamp in UTC (ECMA-167 1/7.3).
func putTime(b []byte, t time.Time) {
	t = t.UTC()
	le.PutUint16(b, 1<<12)
	le.PutUint16(b[2:], uint16(min(max(t.Year(), 1), 9999)))
	micro := t.Nanosecond() / 1000
	copy(b[4:], []byte{byte(t.Month()), byte(t.Day()), byte(t.Hour()), byte(t.Minute()), byte(t.Second()), byte(micro / 10000), byte(micro / 100 % 100), byte(micro % 100)})
}

func putLong(b []byte, length, block int64, unique uint32) {
	le.PutUint32(b, uint32(length))
	le.PutUint32(b[4:], uint32(block))
	le.PutUint32(b[12:], unique)
}

// volumeSet is the volume set identifier: the image's UUID, of which blkid shows the first half, and who made it.
func (o *Options) volumeSet() string { return hex.EncodeToString(o.ID[:]) + volumeSetTail }

const volumeSetTail = " odarchive"

// descriptor writes sector i of a volume descriptor sequence that begins at start.
func (l *Layout) descriptor(b []byte, i, start int64) {
	o := &l.options
	switch i {
	case 0:
		putDstring(b[24:56], o.Label)
		for _, at := range []int{56, 58, 64, 68} {
			b[at] = 1 // volume sequence number and its maximum, character set lists
		}
		b[60], b[62] = 2, 2 // interchange level
		putDstring(b[72:200], o.volumeSet())
		putCharspec(b[200:264])
		putCharspec(b[264:328])
		putTime(b[376:], o.Time)
		putImpl(b[388:])
		putTag(b, tagPVD, start, whole)
	case 1:
		b[16] = 1
		putEntity(b[20:], "*UDF LV Info", revision&0xFF, revision>>8, 4, 5)
		putCharspec(b[52:116])
		putDstring(b[116:244], o.Label)
		putImpl(b[352:])
		putTag(b, tagIUVD, start+1, whole)
	case 2:
		b[16] = 2
		b[20] = 1 // allocated
		putEntity(b[24:], "+NSR02")
		b[184] = 1 // read only
		le.PutUint32(b[188:], partitionStart)
		le.PutUint32(b[192:], uint32(l.dataEnd-partitionStart))
		putImpl(b[196:])
		putTag(b, tagPD, start+2, whole)
	case 3:
		b[16] = 3
		putCharspec(b[20:84])
		putDstring(b[84:212], o.Label)
		le.PutUint32(b[212:], sectorSize)
		putDomain(b[216:])
		putLong(b[248:], sectorSize, 0, 0)
		le.PutUint32(b[264:], 6) // one partition map
		le.PutUint32(b[268:], 1)
		putImpl(b[272:])
		le.PutUint32(b[432:], 2*sectorSize)
		le.PutUint32(b[436:], integrity)
		copy(b[440:], []byte{1, 6, 1, 0, 0, 0})
		putTag(b, tagLVD, start+3, 440+6-16)
	case 4:
		b[16] = 4
		putTag(b, tagUSD, start+4, 8)
	case 5:
		putTag(b, tagTD, start+5, whole)
	}
}

func (l *Layout) integrity(b []byte) {
	putTime(b[16:], l.options.Time)
	b[28] = 1 // closed
	le.PutUint64(b[40:], l.nextUnique())
	le.PutUint32(b[72:], 1)
	le.PutUint32(b[76:], 46)
	le.PutUint32(b[84:], uint32(l.dataEnd-partitionStart))
	putImpl(b[88:])
	le.PutUint32(b[120:], uint32(len(l.inodes)))
	le.PutUint32(b[124:], uint32(len(l.dirs)))
	for _, at := range []int{128, 130, 132} {
		le.PutUint16(b[at:], revision)
	}
	putTag(b, tagLVID, integrity, 134-16)
}

func (l *Layout) anchor(b []byte, lba int64) {
	le.PutUint32(b[16:], vdsSectors*sectorSize)
	le.PutUint32(b[20:], mainVDS)
	le.PutUint32(b[24:], vdsSectors*sectorSize)
	le.PutUint32(b[28:], uint32(l.dataEnd))
	putTag(b, tagAVDP, lba, whole)
}

func (l *Layout) fileSet(b []byte) {
	o := &l.options
	putTime(b[16:], o.Time)
	b[28], b[30] = 3, 3
	b[32], b[36] = 1, 1
	putCharspec(b[48:112])
	putDstring(b[112:240], o.Label)
	putCharspec(b[240:304])
	putDstring(b[304:336], o.Label)
	putLong(b[400:], sectorSize, l.dirBlock(0), 0)
	putDomain(b[416:])
	putTag(b, tagFSD, 0, whole)
}

// Unique identifiers: 0 for the root, the others from 16 up (UDF 1.02 §3.2.1.1).
func (l *Layout) dirUnique(d int) uint64 {
	if d == 0 {
		return 0
	}
	return 15 + uint64(d)
}
func (l *Layout) inodeUnique(i int) uint64 { return 15 + uint64(len(l.dirs)) + uint64(i) }
func (l *Layout) nextUnique() uint64       { return l.inodeUnique(len(l.inodes)) }

// Permissions of ECMA-167 4/14.9.5: five bits each for others, group and owner; 4 reads, 1 executes.
const (
	readAll    = 4 | 4<<5 | 4<<10
	executeAll = 1 | 1<<5 | 1<<10
)

// fileEntry writes what File Entries of directories and files have in common (ECMA-167 4/14.9), and ads short allocation descriptors.
func (l *Layout) fileEntry(b []byte, kind byte, permissions uint32, links uint16, size int64, t time.Time, unique uint64, start, block int64) {
	le.PutUint16(b[20:], 4) // ICB tag: strategy 4, one entry
	le.PutUint16(b[24:], 1)
	b[27] = kind
	le.PutUint32(b[36:], 1<<32-1)
	le.PutUint32(b[40:], 1<<32-1)
	le.PutUint32(b[44:], permissions)
	le.PutUint16(b[48:], links)
	le.PutUint64(b[56:], uint64(size))
	le.PutUint64(b[64:], uint64(archive.Sectors(size)))
	putTime(b[72:], t)
	putTime(b[84:], t)
	putTime(b[96:], t)
	b[108] = 1
	putImpl(b[128:])
	le.PutUint64(b[160:], unique)
	n := 0
	for left := size; left > 0; n++ {
		k := min(left, maxExtent)
		le.PutUint32(b[176+8*n:], uint32(k))
		le.PutUint32(b[180+8*n:], uint32(start))
		left -= k
		start += k / sectorSize
	}
	le.PutUint32(b[172:], uint32(8*n))
	putTag(b, tagFE, block, 176+8*n-16)
}

// File types (ECMA-167 4/14.6.6).
const (
	typeDir  = 4
	typeFile = 5
)

func (l *Layout) dirEntry(b []byte, i int) {
	d := &l.dirs[i]
	l.fileEntry(b, typeDir, readAll|executeAll, uint16(min(1+d.subdirs, 1<<16-1)), d.fidLength, l.options.Time, l.dirUnique(i), d.fidBlock, l.dirBlock(i))
}

func (l *Layout) inodeEntry(b []byte, i int) {
	n := &l.inodes[i]
	p := uint32(readAll)
	if n.mode&0o111 != 0 {
		p |= executeAll
	}
	l.fileEntry(b, typeFile, p, n.links, n.size, n.mtime, l.inodeUnique(i), n.lba-partitionStart, l.feBlock(i))
}

// parentFID is the size of the entry for a directory's parent: it has no name.
const parentFID = 40

// fidSize returns the bytes of a File Identifier Descriptor whose name takes cs0 bytes (ECMA-167 4/14.4).
func fidSize(cs0 int) int64 { return int64(38+cs0+3) / 4 * 4 }

func (l *Layout) udfName(d *directory, child int32) string {
	if name, ok := d.udf[child]; ok {
		return name
	}
	return l.childName(child)
}

func (l *Layout) fidBytes(d *directory) int64 {
	n := int64(parentFID)
	for _, c := range d.children {
		n += fidSize(cs0Length(l.udfName(d, c)))
	}
	return n
}

// fids returns the whole UDF directory i, in the order of the ISO side.
func (l *Layout) fids(i int) []byte {
	d := &l.dirs[i]
	b := make([]byte, archive.Sectors(d.fidLength)*sectorSize)
	at := l.fid(b, d, 0, 2|8, nil, l.dirBlock(d.parent), l.dirUnique(d.parent))
	var cs0 []byte
	for _, c := range d.children {
		cs0 = appendCS0(cs0[:0], l.udfName(d, c))
		if c < 0 {
			at = l.fid(b, d, at, 2, cs0, l.dirBlock(int(^c)), l.dirUnique(int(^c)))
		} else {
			n := l.files[c].Content
			at = l.fid(b, d, at, 0, cs0, l.feBlock(n), l.inodeUnique(n))
		}
	}
	return b
}

func (l *Layout) fid(dir []byte, d *directory, at int64, characteristics byte, cs0 []byte, block int64, unique uint64) int64 {
	size := fidSize(len(cs0))
	b := dir[at : at+size]
	b[16] = 1
	b[18] = characteristics
	b[19] = byte(len(cs0))
	putLong(b[20:], sectorSize, block, uint32(unique))
	copy(b[38:], cs0)
	putTag(b, tagFID, d.fidBlock+at/sectorSize, int(size)-16)
	return at + size
}
