package image

import "github.com/odarchive/odarchive/archive"

// Where the fixed parts of an image lie, in sectors.
const (
	isoPVD         = 16  // then the terminator and the volume recognition sequence of UDF (ECMA-167 2/8.3, 3/9.1)
	mainVDS        = 32  // at least 16 sectors (ECMA-167 3/8.4.2.2)
	vdsSectors     = 16  //
	integrity      = 64  // logical volume integrity descriptor, and its terminator
	anchor         = 256 // first of the anchors at 256, N-256 and N (ECMA-167 3/8.4.2.1)
	partitionStart = 257
	// cluster is what drives write at a time: 32 sectors on BD, 16 on DVD.
	cluster = 32
	// firstFE is the block of the root's File Entry: after the file set descriptor and its terminator.
	firstFE = 2

	maxExtent = 1<<30 - sectorSize // bytes: two bits of a length say what kind of extent it is, and all but the last are whole blocks
	maxADs    = (sectorSize - 176) / 8
	// isoSection is the most that one directory record describes: 2^32 bytes less the last, incomplete sector.
	isoSection = 1<<32 - sectorSize
)

// place decides where everything lies.
func (l *Layout) place() {
	block := l.feBlock(len(l.inodes))
	for i := range l.dirs {
		d := &l.dirs[i]
		d.fidBlock, d.fidLength = block, l.fidBytes(d)
		n := archive.Sectors(d.fidLength)
		block += n
		l.fidBlocks += n
	}
	l.isoStart = partitionStart + block
	for i := range l.dirs {
		l.tableBytes += tableRecord(&l.dirs[i])
	}
	lba := l.isoStart + 2*archive.Sectors(l.tableBytes)
	for i := range l.dirs {
		d := &l.dirs[i]
		d.isoLBA = lba
		d.isoSectors, d.ceSectors = l.isoSize(i)
		lba += d.isoSectors + d.ceSectors
	}
	l.dataStart = lba
	for i := range l.inodes {
		if n := &l.inodes[i]; n.size > 0 {
			n.lba = lba
			lba += archive.Sectors(n.size)
		}
	}
	l.dataEnd = lba
	l.sectors = total(lba, l.options.Protected)
}

// total returns the sectors of an image whose data end at dataEnd: the reserve volume descriptors follow, and the last two
// anchors lie 256 sectors apart; a protected image has one of them.
func total(dataEnd int64, protected bool) int64 {
	n := dataEnd + vdsSectors + 1
	if protected {
		return n
	}
	return clusters(n + 256)
}

// clusters returns n sectors, rounded up to whole clusters.
func clusters(n int64) int64 { return (n + cluster - 1) / cluster * cluster }

// dirBlock and feBlock return the block of the File Entry of a directory and of a content, within the partition.
func (l *Layout) dirBlock(dir int) int64    { return firstFE + int64(dir) }
func (l *Layout) feBlock(content int) int64 { return firstFE + int64(len(l.dirs)) + int64(content) }

// Estimate counts, while files are added, how many sectors their image will have at most. It never falls short of New's and is
// above it by little: what sorting a directory's records into sectors may waste.
type Estimate struct {
	// Protected is that of the image's Options.
	Protected bool

	dirs     map[string]*dirEstimate
	contents int64
	data     int64 // sectors
	fids     int64 // blocks of directories
	table    int64 // bytes
	iso      int64 // sectors of directories
}

type dirEstimate struct{ fid, records, areas int64 } // bytes

// NewEstimate returns the estimate of an image without files.
func NewEstimate() *Estimate {
	e := &Estimate{dirs: map[string]*dirEstimate{}}
	e.dir("")
	return e
}

func (d *dirEstimate) fidBlocks() int64 { return archive.Sectors(d.fid) }

// isoSectors allows for the longest record not fitting at the end of every sector, and the longest area likewise.
func (d *dirEstimate) isoSectors() int64 {
	const worst = sectorSize - maxRecord + 2
	n := (d.records + worst - 1) / worst
	const worstArea = sectorSize - maxArea
	return n + (d.areas+worstArea-1)/worstArea
}

func (e *Estimate) dir(path string) *dirEstimate {
	if d, ok := e.dirs[path]; ok {
		return d
	}
	d := &dirEstimate{fid: parentFID, records: 2 * maxRecord}
	e.dirs[path] = d
	if path == "" {
		d.areas = maxArea
		e.table += 10
	} else {
		parent := e.dir(parentOf(path))
		name := path[len(parentOf(path)):]
		e.grow(parent, name, maxISODir, 1)
		e.table += 8 + maxISODir + 1
	}
	e.fids += d.fidBlocks()
	e.iso += d.isoSectors()
	return d
}

// grow adds a name to a directory that is counted already.
func (e *Estimate) grow(d *dirEstimate, name string, id int, sections int64) {
	e.fids -= d.fidBlocks()
	e.iso -= d.isoSectors()
	shown := min(len(name), maxShown)
	// A name that UDF can't hold gets another of at most the same limit.
	cs0 := cs0Length(name)
	if !udfHolds(name) {
		cs0 = maxCS0
	}
	d.fid += fidSize(cs0)
	record, area := recordSize(id, shown)
	d.records += int64(record) * sections
	d.areas += int64(area) * sections
	e.fids += d.fidBlocks()
	e.iso += d.isoSectors()
}

// AddContent counts a content of size bytes.
func (e *Estimate) AddContent(size int64) {
	e.contents++
	e.data += archive.Sectors(size)
}

// AddFile counts a name of a content of size bytes.
func (e *Estimate) AddFile(path string, size int64) {
	dir := parentOf(path)
	name := path[len(dir):]
	if dir != "" {
		name = name[1:]
	}
	e.grow(e.dir(dir), name, maxISO+3, sections(size))
}

// Sectors returns how many sectors the image will have at most, with more sectors of contents that AddContent was told
// nothing of yet.
func (e *Estimate) Sectors(more int64) int64 {
	return total(more+partitionStart+firstFE+int64(len(e.dirs))+e.contents+e.fids+2*archive.Sectors(e.table)+e.iso+e.data, e.Protected)
}

// sections returns how many directory records a file of size bytes has on the ISO side.
func sections(size int64) int64 { return max(1, (size+isoSection-1)/isoSection) }
