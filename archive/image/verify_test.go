package image

import (
	"bytes"
	"testing"

	"github.com/odarchive/odarchive/archive"
)

func verify(t testing.TB, img []byte) *Report {
	t.Helper()
	r, err := Verify(bytes.NewReader(img), int64(len(img))/sectorSize)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestVerifyOwn(t *testing.T) {
	c := nasty()
	l := c.layout(t)
	img := c.image(t, l)
	r := verify(t, img)
	for _, f := range r.Findings {
		t.Error(f)
	}
	if !r.UDF || !r.ISO || !r.Ours() || r.ID != options.ID || r.Files != int64(len(c.contents)) || r.Dirs != int64(len(l.dirs)) || r.Label != options.Label {
		t.Errorf("%+v", r)
	}
	if f := l.Verify(bytes.NewReader(img)); len(f) > 0 {
		t.Error(f)
	}
	img[300*sectorSize]++
	if f := l.Verify(bytes.NewReader(img)); len(f) != 1 {
		t.Error(f)
	}
}

// TestVerifyForeignBytes: a folder whose name is not UTF-8, and what is in it, is nothing wrong.
func TestVerifyForeignBytes(t *testing.T) {
	c := &corpus{}
	c.add("a\xff/b\xfe/c", 3000)
	c.add("a\xff/d", 1)
	for _, f := range verify(t, c.image(t, c.layout(t))).Findings {
		t.Error(f)
	}
}

func TestVerifyProtected(t *testing.T) {
	l, img := protect(t, nasty())
	for _, f := range verify(t, img).Findings {
		t.Error("alone: ", f)
	}
	parity := l.Sectors() + 777
	disc := append(bytes.Clone(img), bytes.Repeat([]byte{0x55}, 777*sectorSize)...)
	disc = append(disc, l.Tail(parity)...)
	for _, f := range verify(t, disc).Findings {
		t.Error("closed: ", f)
	}
	clear(disc[len(disc)-sectorSize:])
	if len(verify(t, disc).Findings) == 0 {
		t.Error("without its last anchor: nothing was found")
	}
}

// mutation is damage that a reader of this world may not notice. Tags are given right checksums again where seal says so.
type mutation struct {
	name string
	harm func(m *mutant)
}

type mutant struct {
	img []byte
	l   *Layout
}

func (m *mutant) sector(lba int64) []byte { return m.img[lba*sectorSize:][:sectorSize] }

// seal makes the descriptor tag at b right again.
func seal(b []byte) {
	location, id := int64(le.Uint32(b[12:])), le.Uint16(b)
	putTag(b, id, location, int(le.Uint16(b[10:])))
}

// retag makes the checksum of a tag right again, whatever it says (ECMA-167 3/7.2.3).
func retag(b []byte) {
	b[4] = 0
	sum := byte(0)
	for _, c := range b[:16] {
		sum += c
	}
	b[4] = sum
}

// entry returns the File Entry of a content.
func (m *mutant) entry(content int) []byte {
	return m.sector(partitionStart + m.l.feBlock(content))
}

func (m *mutant) root() []byte { return m.sector(partitionStart + m.l.dirBlock(0)) }

// fid returns the second identifier of the root: the first is its parent.
func (m *mutant) fid() []byte {
	b := m.sector(partitionStart + m.l.dirs[0].fidBlock)
	return b[parentFID:][:fidSize(int(b[parentFID+19]))]
}

// record returns record n of the root on the ISO side.
func (m *mutant) record(n int) []byte {
	b := m.sector(m.l.dirs[0].isoLBA)
	for range n {
		b = b[b[0]:]
	}
	return b[:b[0]]
}

var mutations = []mutation{
	{"main primary descriptor: CRC", func(m *mutant) { m.sector(mainVDS)[30]++ }},
	{"main logical descriptor: checksum", func(m *mutant) { m.sector(mainVDS + 3)[4]++ }},
	{"file set descriptor: CRC", func(m *mutant) { m.sector(partitionStart)[20]++ }},
	{"root's entry: CRC", func(m *mutant) { m.root()[50]++ }},
	{"a file's entry: CRC", func(m *mutant) { m.entry(0)[80]++ }},
	{"an identifier: CRC", func(m *mutant) { m.fid()[39]++ }},
	{"a file's entry: location", func(m *mutant) { b := m.entry(3); putTag(b, tagFE, 99, int(le.Uint16(b[10:]))) }},
	{"an identifier: location", func(m *mutant) { b := m.fid(); le.PutUint32(b[12:], le.Uint32(b[12:])+1); retag(b) }},
	{"partition descriptor: location", func(m *mutant) { b := m.sector(mainVDS + 2); le.PutUint32(b[12:], 7); retag(b) }},
	{"file set descriptor: location", func(m *mutant) { b := m.sector(partitionStart); le.PutUint32(b[12:], 7); retag(b) }},
	{"integrity: location", func(m *mutant) { b := m.sector(integrity); le.PutUint32(b[12:], 7); retag(b) }},
	{"anchor at 256: location", func(m *mutant) { b := m.sector(anchor); le.PutUint32(b[12:], 7); retag(b) }},
	{"a directory's identifiers: one is gone", func(m *mutant) {
		b := m.fid()
		b[18] |= 4 // deleted (ECMA-167 4/14.4.3)
		seal(b)
	}},
	{"a file's type", func(m *mutant) { b := m.entry(9); b[27] = 7; seal(b) }},
	{"integrity: CRC", func(m *mutant) { m.sector(integrity)[45]++ }},
	{"a file's length", func(m *mutant) { b := m.entry(20); le.PutUint64(b[56:], 1<<20); seal(b) }},
	{"an extent beyond the partition", func(m *mutant) { b := m.entry(20); le.PutUint32(b[180:], 1<<24); seal(b) }},
	{"main descriptors are zero", func(m *mutant) { clear(m.img[mainVDS*sectorSize:][:vdsSectors*sectorSize]) }},
	{"anchor at 256 is zero", func(m *mutant) { clear(m.sector(anchor)) }},
	{"anchor at N-256 is zero", func(m *mutant) { clear(m.sector(m.l.sectors - 257)) }},
	{"anchor at N is zero", func(m *mutant) { clear(m.sector(m.l.sectors - 1)) }},
	{"anchors differ", func(m *mutant) { b := m.sector(m.l.sectors - 1); b[28]++; seal(b) }},
	{"no recognition sequence", func(m *mutant) { clear(m.img[(isoPVD+2)*sectorSize:][:3*sectorSize]) }},
	{"NSR02 is zero", func(m *mutant) { clear(m.sector(isoPVD + 3)) }},
	{"reserve descriptors are zero", func(m *mutant) { clear(m.img[m.l.dataEnd*sectorSize:][:vdsSectors*sectorSize]) }},
	{"reserve differs from main", func(m *mutant) { b := m.sector(m.l.dataEnd); b[24+2]++; seal(b) }},
	{"integrity: files", func(m *mutant) { b := m.sector(integrity); b[120]++; seal(b) }},
	{"integrity: directories", func(m *mutant) { b := m.sector(integrity); b[124]++; seal(b) }},
	{"integrity: next identifier", func(m *mutant) { b := m.sector(integrity); le.PutUint64(b[40:], 20); seal(b) }},
	{"integrity: open", func(m *mutant) { b := m.sector(integrity); b[28] = 0; seal(b) }},
	{"blocks recorded", func(m *mutant) { b := m.entry(9); b[64]++; seal(b) }},
	{"unique identifier twice", func(m *mutant) { b := m.entry(9); copy(b[160:168], m.entry(8)[160:168]); seal(b) }},
	{"unique identifier below 16", func(m *mutant) { b := m.entry(9); le.PutUint64(b[160:], 7); seal(b) }},
	{"root's unique identifier", func(m *mutant) { b := m.root(); le.PutUint64(b[160:], 16); seal(b) }},
	{"an identifier's unique identifier", func(m *mutant) { b := m.fid(); b[32]++; seal(b) }},
	{"extents overlap", func(m *mutant) { b := m.entry(10); copy(b[180:184], m.entry(9)[180:184]); seal(b) }},
	{"an extent on metadata", func(m *mutant) { b := m.entry(10); le.PutUint32(b[180:], 2); seal(b) }},
	{"links of a directory", func(m *mutant) { b := m.root(); b[48]++; seal(b) }},
	{"links of a file", func(m *mutant) { b := m.entry(10); b[48]++; seal(b) }},
	{"a name", func(m *mutant) { b := m.fid(); b[39] ^= 1; seal(b) }},
	{"bytes behind an identifier", func(m *mutant) { b := m.fid(); b[len(b)-1] ^= 1; seal(b) }},
	{"a time", func(m *mutant) { b := m.entry(10); b[90] ^= 1; seal(b) }},
	{"bytes behind a file's end", func(m *mutant) { n := &m.l.inodes[9]; m.sector(n.lba + n.size/sectorSize)[n.size%sectorSize] = 1 }},
	{"bytes behind a directory's end", func(m *mutant) {
		d := &m.l.dirs[0]
		m.sector(partitionStart + d.fidBlock + d.fidLength/sectorSize)[sectorSize-1] = 1
	}},
	{"path tables differ", func(m *mutant) { m.sector(m.l.isoStart)[2]++ }},
	{"both path tables lead nowhere", func(m *mutant) {
		m.sector(m.l.isoStart)[12]++
		m.sector(m.l.isoStart + archive.Sectors(m.l.tableBytes))[15]++
	}},
	{"continuation's offset", func(m *mutant) {
		b := m.img[m.l.dirs[0].isoLBA*sectorSize:]
		i := bytes.Index(b, []byte{'C', 'E', ceSize, 1})
		i += 1 + bytes.Index(b[i+1:], []byte{'C', 'E', ceSize, 1}) // the first is of ER
		putBoth32(b[i+12:], le.Uint32(b[i+12:])+5)
	}},
	{"continuation in both byte orders", func(m *mutant) {
		b := m.img[m.l.dirs[0].isoLBA*sectorSize:]
		b[bytes.Index(b, []byte{'C', 'E', ceSize, 1})+8]++
	}},
	{"a sector in both byte orders", func(m *mutant) { m.record(3)[9]++ }},
	{"a size in both byte orders", func(m *mutant) { m.record(3)[17]++ }},
	{"volume space in both byte orders", func(m *mutant) { m.sector(isoPVD)[87]++ }},
	{"volume space beyond the image", func(m *mutant) { putBoth32(m.sector(isoPVD)[80:], uint32(m.l.sectors+1)) }},
	{"a file elsewhere on the ISO side", func(m *mutant) { b := m.record(3); putBoth32(b[2:], le.Uint32(b[2:])+1) }},
	{"records out of order", func(m *mutant) { b := m.record(3); b[33] = 'Z' }},
	{"a record's identifier twice", func(m *mutant) { a, b := m.record(2), m.record(3); copy(b[33:33+b[32]], a[33:33+a[32]]) }},
}

// TestVerifyNoticesMutations: each is found, and what is found is little.
func TestVerifyNoticesMutations(t *testing.T) {
	c := nasty()
	l := c.layout(t)
	good := c.image(t, l)
	for _, x := range mutations {
		t.Run(x.name, func(t *testing.T) {
			m := &mutant{bytes.Clone(good), l}
			x.harm(m)
			if bytes.Equal(m.img, good) {
				t.Fatal("nothing was changed")
			}
			r := verify(t, m.img)
			if len(r.Findings) == 0 {
				t.Error("it was not noticed")
			}
			if testing.Verbose() {
				for _, f := range r.Findings[:min(len(r.Findings), 3)] {
					t.Log(f)
				}
			}
		})
	}
}

// FuzzVerify verifies images with bytes changed anywhere.
func FuzzVerify(f *testing.F) {
	c := &corpus{}
	c.add("a/b/c", 3000)
	c.add("d", 1)
	c.add("empty", 0)
	l := c.layout(f)
	good := c.image(f, l)
	f.Add([]byte{0, 1, 0, 10, 1})
	f.Fuzz(func(t *testing.T, edits []byte) {
		img := bytes.Clone(good)
		touched := map[int]bool{}
		for ; len(edits) >= 5; edits = edits[5:] {
			lba, at := int(le.Uint16(edits))%(len(img)/sectorSize), int(le.Uint16(edits[2:]))%sectorSize
			img[lba*sectorSize+at] = edits[4]
			touched[lba] = true
		}
		for lba := range touched {
			b := img[lba*sectorSize:][:sectorSize]
			if n := int(le.Uint16(b[10:])); n <= sectorSize-16 {
				putTag(b, le.Uint16(b), int64(le.Uint32(b[12:])), n)
			}
		}
		Verify(bytes.NewReader(img), int64(len(img))/sectorSize)
	})
}
