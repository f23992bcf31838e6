package image

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sort"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/odarchive/odarchive/archive"
)

// joliet is a third tree for readers that know neither UDF nor Rock Ridge: ISO 9660 with names of 16-bit characters.
//
// Source: Microsoft's Joliet Specification of 1995.
type joliet struct {
	dirs       []jolietDir // in the order of the layout's
	order      []int       // of path tables
	number     []int       // of a directory in the path tables, from 0
	tableBytes int64
	start      int64 // first sector of the path tables
}

type jolietDir struct {
	children []int32 // as in directory, in ascending order of identifiers
	ids      []string
	id       string
	lba      int64
	sectors  int64
}

const (
	maxJoliet       = 64                   // characters of an identifier
	maxJolietRecord = 34 + 2*(maxJoliet+2) // bytes, with a version
	maxJolietTable  = 8 + 2*maxJoliet      // bytes of a path table record
)

// jolietUnits maps a name to the characters that Joliet has, 16 bits each.
func jolietUnits(name string) []uint16 {
	units := make([]uint16, 0, len(name))
	for _, r := range name {
		if r < 0x20 || r > 0xFFFF || r == utf8.RuneError || strings.ContainsRune(`*/:;?\`, r) {
			r = '_'
		}
		units = append(units, uint16(r))
	}
	return units
}

func units(s string) []uint16 { return utf16.Encode([]rune(s)) }

func wide(u []uint16) string {
	b := make([]byte, 0, 2*len(u))
	for _, c := range u {
		b = binary.BigEndian.AppendUint16(b, c)
	}
	return string(b)
}

// jolietIDs gives the children of a directory identifiers that no two share.
func (l *Layout) jolietIDs(d *directory) map[int32]string {
	ids := make(map[int32]string, len(d.children))
	taken := make(map[string]bool, len(d.children))
	next := map[string]int{}
	for _, c := range d.children {
		stem, ext := jolietUnits(l.childName(c)), []uint16(nil)
		if dot := lastDot(stem); c >= 0 && dot > 0 && len(stem)-dot <= 16 {
			stem, ext = stem[:dot], stem[dot:]
		}
		stem = stem[:min(len(stem), maxJoliet-len(ext))]
		whole := wide(stem) + wide(ext)
		id := whole
		for n := next[whole] + 1; taken[id]; n++ {
			next[whole] = n
			number := units(fmt.Sprintf("_%d", n))
			id = wide(stem[:min(len(stem), maxJoliet-len(ext)-len(number))]) + wide(number) + wide(ext)
		}
		taken[id] = true
		if c >= 0 {
			id += wide(units(";1"))
		}
		ids[c] = id
	}
	return ids
}

func lastDot(u []uint16) int {
	for i := len(u) - 1; i >= 0; i-- {
		if u[i] == '.' {
			return i
		}
	}
	return -1
}

// placeJoliet lays out the tree from a sector on and returns the one behind it.
func (l *Layout) placeJoliet(lba int64) int64 {
	j := &joliet{dirs: make([]jolietDir, len(l.dirs)), number: make([]int, len(l.dirs)), start: lba}
	l.joliet = j
	for i := range l.dirs {
		d := &j.dirs[i]
		ids := l.jolietIDs(&l.dirs[i])
		d.children = slices.Clone(l.dirs[i].children)
		slices.SortFunc(d.children, func(a, b int32) int { return strings.Compare(ids[a], ids[b]) })
		d.ids = make([]string, len(d.children))
		for k, c := range d.children {
			d.ids[k] = ids[c]
			if c < 0 {
				j.dirs[^c].id = ids[c]
			}
		}
	}
	j.order = append(j.order, 0)
	for done := 0; done < len(j.order); done++ {
		j.number[j.order[done]] = done
		for _, c := range j.dirs[j.order[done]].children {
			if c < 0 {
				j.order = append(j.order, int(^c))
			}
		}
	}
	for i := range j.dirs {
		n := int64(max(len(j.dirs[i].id), 1))
		j.tableBytes += 8 + n + n&1
	}
	lba += 2 * archive.Sectors(j.tableBytes)
	for _, i := range j.order {
		d := &j.dirs[i]
		d.lba = lba
		var size isoDir
		l.fillJoliet(&size, i)
		d.sectors = archive.Sectors(size.records)
		lba += d.sectors
	}
	return lba
}

// supplementary writes Joliet's volume descriptor.
func (l *Layout) supplementary(b []byte) {
	l.primary(b)
	j := l.joliet
	b[0] = 2
	copy(b[88:], "%/E") // level 3
	for _, f := range [][2]int{{8, 40}, {40, 72}, {190, 318}, {318, 446}, {446, 574}, {574, 702}, {702, 739}, {739, 776}, {776, 813}} {
		text := strings.TrimRight(string(b[f[0]:f[1]]), " ")
		clear(b[f[0]:f[1]])
		for k := f[0]; k+1 < f[1]; k += 2 {
			b[k+1] = ' '
			if n := (k - f[0]) / 2; n < len(text) {
				b[k+1] = text[n]
			}
		}
	}
	putBoth32(b[132:], uint32(j.tableBytes))
	le.PutUint32(b[140:], uint32(j.start))
	be.PutUint32(b[148:], uint32(j.start+archive.Sectors(j.tableBytes)))
	clear(b[156:190])
	putRecord(b[156:190], "\x00", j.dirs[0].lba, j.dirs[0].sectors*sectorSize, l.options.Time, flagDir)
}

func (l *Layout) jolietBytes(i int) []byte {
	d := isoDir{b: make([]byte, l.joliet.dirs[i].sectors*sectorSize)}
	l.fillJoliet(&d, i)
	return d.b
}

// fillJoliet packs the records of directory i; with d.b nil it only measures.
func (l *Layout) fillJoliet(d *isoDir, i int) {
	j := l.joliet
	record := func(id string, lba, size int64, f *File, flags byte) {
		n := 33 + len(id)
		at := d.room(n + n&1)
		if d.b == nil {
			return
		}
		t := l.options.Time
		if f != nil {
			t = f.ModTime
		}
		putRecord(d.b[at:], id, lba, size, t, flags)
	}
	directory := func(id string, i int) {
		record(id, j.dirs[i].lba, j.dirs[i].sectors*sectorSize, nil, flagDir)
	}
	directory("\x00", i)
	directory("\x01", l.dirs[i].parent)
	for k, c := range j.dirs[i].children {
		id := j.dirs[i].ids[k]
		if c < 0 {
			directory(id, int(^c))
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
			record(id, lba, size, f, flags)
			lba += size / sectorSize
			left -= size
		}
	}
}

func (l *Layout) jolietTable(order binary.ByteOrder) []byte {
	j := l.joliet
	b := make([]byte, 0, archive.Sectors(j.tableBytes)*sectorSize)
	for _, i := range j.order {
		id := j.dirs[i].id
		if i == 0 {
			id = "\x00"
		}
		var head [8]byte
		head[0] = byte(len(id))
		order.PutUint32(head[2:], uint32(j.dirs[i].lba))
		order.PutUint16(head[6:], uint16(min(j.number[l.dirs[i].parent]+1, 1<<16-1)))
		b = append(append(b, head[:]...), id...)
		if len(id)%2 != 0 {
			b = append(b, 0)
		}
	}
	return b[:cap(b)]
}

// jolietSector writes a sector of the tree.
func (m *meta) jolietSector(b []byte, lba int64) {
	j := m.l.joliet
	tables := archive.Sectors(j.tableBytes)
	if at := lba - j.start; at < 2*tables {
		if m.jolietPaths == nil {
			m.jolietPaths = append(m.l.jolietTable(le), m.l.jolietTable(be)...)
		}
		copy(b, m.jolietPaths[at*sectorSize:])
		return
	}
	k := sort.Search(len(j.order), func(k int) bool { return j.dirs[j.order[k]].lba > lba })
	if m.jolietDir != k {
		m.jolietDir, m.jolietBytes = k, m.l.jolietBytes(j.order[k-1])
	}
	copy(b, m.jolietBytes[(lba-j.dirs[j.order[k-1]].lba)*sectorSize:])
}
