// Package udf reads UDF volumes of optical discs, whoever made them: revisions 1.02 to 2.60 with one partition or a metadata
// partition. It is written from ECMA-167 and OSTA's UDF apart from the writer, and knows nothing of ISO 9660.
//
// What it reads is not trusted: every descriptor's checksum, CRC and location must be right, and whatever an image claims, memory
// and time are bounded by the image's size. A directory has one parent, so that walking ends.
package udf

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/image/extent"
)

// Errors that callers decide by. A sector that can't be read is the reader's own error in an *extent.Error.
var (
	// ErrNone says that there is no UDF volume.
	ErrNone = errors.New("no UDF volume")
	// ErrUnsupported says that there is one of a kind that this package doesn't read: packet-written, with a virtual or sparable
	// partition, or with blocks that aren't sectors.
	ErrUnsupported = errors.New("a kind of UDF volume that is not read")
	// ErrDamaged says that what a sector holds makes no sense.
	ErrDamaged = errors.New("damaged")
)

// Descriptor is where a volume descriptor was found.
type Descriptor struct {
	Sector int64
	Tag    uint16
}

// Volume is an open volume. It may be used by several goroutines as far as what it reads from may.
type Volume struct {
	// Label is the logical volume's identifier, VolumeSet the set's.
	Label, VolumeSet string
	// Revision is that of the domain, in BCD: 0x0102 is UDF 1.02.
	Revision uint16
	// Time is when the volume was recorded.
	Time time.Time
	// Anchors are the sectors of the good anchors that were found; Main and Reserve are what the first of them points to.
	Anchors       []int64
	Main, Reserve extent.Extent
	// Fallback is why the reserve descriptors were taken; nil when the main ones are good.
	Fallback error
	// Integrity is the first sector of the logical volume integrity sequence.
	Integrity extent.Extent
	// Start and Sectors are the physical partition's.
	Start, Sectors int64

	r       io.ReaderAt
	size    int64 // sectors
	parts   []partition
	root    address
	fileSet int64

	mu    sync.Mutex
	cache map[int64]*listing
	order []int64
}

// partition is an entry of the partition map table.
type partition struct {
	number        uint16
	start, length int64 // sectors
	meta          []run // where a metadata partition's blocks are; nil for a physical one
}

// Open opens the volume in the first sectors sectors of r. It returns ErrNone, ErrUnsupported, or an *extent.Error.
func Open(r io.ReaderAt, sectors int64) (*Volume, error) {
	v := &Volume{r: r, size: sectors, cache: map[int64]*listing{}}
	if err := v.anchors(); err != nil {
		return nil, err
	}
	err := v.describe(v.Main)
	if err != nil && !errors.Is(err, ErrUnsupported) {
		v.Fallback = err
		if second := v.describe(v.Reserve); second != nil {
			return nil, fmt.Errorf("main volume descriptors: %w; reserve: %w", err, second)
		}
	} else if err != nil {
		return nil, err
	}
	return v, nil
}

// anchors looks where anchors may be (ECMA-167 3/8.4.2.1, UDF 1.02 §2.2.3), and at the last sector of the ISO 9660 volume space
// where readers of less than the whole disc find it.
func (v *Volume) anchors() error {
	var failed error
	for _, lba := range []int64{256, v.size - 1, v.size - 257, 512} {
		if lba < 256 || lba >= v.size {
			continue
		}
		b, err := extent.Sector(v.r, lba)
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		if checkTag(b, tagAnchor, uint32(lba), lba) != nil {
			continue
		}
		if v.Anchors == nil {
			v.Main, v.Reserve = extentAt(b[16:]), extentAt(b[24:])
		}
		v.Anchors = append(v.Anchors, lba)
	}
	if v.Anchors == nil {
		return errors.Join(ErrNone, failed)
	}
	return nil
}

// Sequence returns the volume descriptors in an extent, which ends with its terminator or a sector that holds none.
func (v *Volume) Sequence(e extent.Extent) (found []Descriptor, err error) {
	// A pointer leads to the rest of a sequence (ECMA-167 3/10.3); a handful of them is more than anybody records.
	for hops := 0; hops < 8; hops++ {
		var next extent.Extent
		for lba := e.Sector; lba < e.Sector+min(archive.Sectors(e.Length), 1024); lba++ {
			b, err := extent.Sector(v.r, lba)
			if err != nil {
				return found, err
			}
			id := le.Uint16(b)
			if id == 0 {
				break
			}
			if err := checkTag(b, id, uint32(lba), lba); err != nil {
				return found, err
			}
			found = append(found, Descriptor{lba, id})
			if id == tagPointer {
				next = extentAt(b[20:])
			}
			if id == tagTerminator {
				return found, nil
			}
		}
		if next.Length == 0 {
			return found, nil
		}
		e = next
	}
	return found, damaged(e.Sector, "volume descriptors go on and on")
}

// describe reads the volume descriptors of a sequence and all that follows from them, down to the root's address.
func (v *Volume) describe(e extent.Extent) error {
	found, err := v.Sequence(e)
	if err != nil {
		return err
	}
	// Of descriptors of one kind the one with the highest number prevails (ECMA-167 3/8.4.3).
	prevails := map[uint16][]byte{}
	partitions := map[uint16][]byte{}
	for _, d := range found {
		b, err := extent.Sector(v.r, d.Sector)
		if err != nil {
			return err
		}
		number := le.Uint32(b[16:])
		if d.Tag == tagPartition {
			if p, ok := partitions[le.Uint16(b[22:])]; !ok || number >= le.Uint32(p[16:]) {
				partitions[le.Uint16(b[22:])] = b
			}
		} else if p, ok := prevails[d.Tag]; !ok || number >= le.Uint32(p[16:]) {
			prevails[d.Tag] = b
		}
	}
	primary, logical := prevails[tagPrimary], prevails[tagLogical]
	if primary == nil || logical == nil || len(partitions) == 0 {
		return damaged(e.Sector, "volume descriptors are missing")
	}
	v.VolumeSet = dstring(primary[72:200])
	v.Time = stamp(primary[376:])
	v.Label = dstring(logical[84:212])
	v.Revision = le.Uint16(logical[216+24:])
	if n := le.Uint32(logical[212:]); n != archive.SectorSize {
		return fmt.Errorf("blocks of %d bytes: %w", n, ErrUnsupported)
	}
	if !strings.HasPrefix(string(logical[216+1:216+24]), "*OSTA UDF Compliant") {
		return fmt.Errorf("domain %q: %w", logical[217:217+23], ErrUnsupported)
	}
	v.Integrity = extentAt(logical[432:])
	if err := v.maps(logical, partitions, e.Sector); err != nil {
		return err
	}
	return v.files(longAddress(logical[248:]))
}

// maps reads the partition maps (ECMA-167 3/10.7, UDF 2.50 §2.2.10).
func (v *Volume) maps(logical []byte, partitions map[uint16][]byte, sector int64) error {
	v.parts = nil
	table := logical[440:]
	n := le.Uint32(logical[264:])
	if int64(n) > int64(len(table)) {
		return damaged(sector, "partition maps of %d bytes", n)
	}
	type metadata struct {
		index int
		block [2]uint32
	}
	var metas []metadata
	for table = table[:n]; len(table) >= 2 && len(v.parts) < int(le.Uint32(logical[268:])); {
		kind, length := table[0], int(table[1])
		if length < 6 || length > len(table) || kind == 2 && length != 64 {
			return damaged(sector, "a partition map of %d bytes", length)
		}
		at := 4
		if kind == 2 {
			id := strings.TrimRight(string(table[5:28]), "\x00")
			if id != "*UDF Metadata Partition" {
				return fmt.Errorf("partition %q: %w", id, ErrUnsupported)
			}
			metas = append(metas, metadata{len(v.parts), [2]uint32{le.Uint32(table[40:]), le.Uint32(table[44:])}})
			at = 38
		}
		number := le.Uint16(table[at:])
		d, ok := partitions[number]
		if !ok {
			return damaged(sector, "there is no partition %d", number)
		}
		p := partition{number: number, start: int64(le.Uint32(d[188:])), length: int64(le.Uint32(d[192:]))}
		// Images that stop before the parity behind them, or are cut short, still have their first sectors.
		p.length = max(min(p.length, v.size-p.start), 0)
		v.parts = append(v.parts, p)
		table = table[length:]
	}
	if len(v.parts) == 0 {
		return damaged(sector, "there are no partition maps")
	}
	v.Start, v.Sectors = v.parts[0].start, v.parts[0].length
	for _, m := range metas {
		if err := v.metadata(m.index, m.block); err != nil {
			return err
		}
	}
	return nil
}

// metadata finds the blocks of a metadata partition: they are the contents of a file in the physical one, or of its mirror.
func (v *Volume) metadata(index int, blocks [2]uint32) error {
	physical := -1
	for i, p := range v.parts {
		if i != index && p.meta == nil && p.number == v.parts[index].number {
			physical = i
		}
	}
	if physical < 0 {
		return damaged(v.parts[index].start, "a metadata partition without a physical one")
	}
	var failed error
	for _, block := range blocks {
		n, err := v.node(address{uint16(physical), block})
		if err == nil && len(n.runs) == 0 {
			err = damaged(n.Sector, "an empty metadata file")
		}
		if err == nil {
			v.parts[index].meta = n.runs
			v.parts[index].length = archive.Sectors(n.Size)
			return nil
		}
		failed = errors.Join(failed, err)
	}
	return failed
}

func (v *Volume) files(at address) error {
	sector, err := v.locate(at)
	if err != nil {
		return err
	}
	b, err := extent.Sector(v.r, sector)
	if err != nil {
		return err
	}
	if err := checkTag(b, tagFileSet, at.block, sector); err != nil {
		return err
	}
	v.fileSet = sector
	v.root = longAddress(b[400:])
	_, err = v.node(v.root)
	return err
}

// locate returns the sector of a block.
func (v *Volume) locate(a address) (int64, error) {
	if int(a.partition) >= len(v.parts) {
		return 0, damaged(v.Main.Sector, "block %d in partition %d of %d", a.block, a.partition, len(v.parts))
	}
	p := &v.parts[a.partition]
	if int64(a.block) >= p.length {
		return 0, damaged(p.start, "block %d of a partition of %d", a.block, p.length)
	}
	if p.meta == nil {
		return p.start + int64(a.block), nil
	}
	block := int64(a.block)
	for _, run := range p.meta {
		if n := archive.Sectors(run.Length); block >= n {
			block -= n
		} else if run.Sector >= 0 {
			return run.Sector + block, nil
		} else {
			break
		}
	}
	return 0, damaged(p.start, "block %d of the metadata partition is not recorded", a.block)
}
