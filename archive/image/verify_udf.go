package image

import (
	"bytes"
	"slices"

	"github.com/odarchive/odarchive/archive"
	"github.com/odarchive/odarchive/archive/image/extent"
	"github.com/odarchive/odarchive/archive/image/udf"
)

// volume verifies what describes the UDF volume.
func (v *verifier) volume(u *udf.Volume) {
	if id, err := ReadIdentity(v.r); err == nil {
		v.ID = id.ID
	}
	v.recognition()
	v.anchors(u)
	if u.Fallback != nil {
		v.wrong("", u.Fallback)
	}
	main, err := u.Sequence(u.Main)
	if err != nil && u.Fallback == nil {
		v.wrong("", err)
	}
	reserve, err := u.Sequence(u.Reserve)
	if err != nil {
		v.wrong("", err)
	}
	v.sequences(u, main, reserve)
	v.occupy(u.Main.Sector, archive.Sectors(u.Main.Length), "main volume descriptors")
	v.occupy(u.Reserve.Sector, archive.Sectors(u.Reserve.Length), "reserve volume descriptors")
	v.occupy(u.Integrity.Sector, archive.Sectors(u.Integrity.Length), "integrity descriptors")
	v.occupy(u.FileSet(), 1, "file set descriptor")
}

// recognition verifies the volume recognition sequence (ECMA-167 2/8.3.1): it ends with the first sector that is no descriptor.
func (v *verifier) recognition() {
	var seen []string
	for lba := int64(isoPVD); lba < isoPVD+64; lba++ {
		b, err := extent.Sector(v.r, lba)
		if err != nil {
			v.wrong("", err)
			return
		}
		id := string(b[1:6])
		if id != "CD001" && id != "BEA01" && id != "NSR02" && id != "NSR03" && id != "TEA01" && id != "BOOT2" {
			break
		}
		if id != "CD001" {
			seen = append(seen, id)
		}
	}
	nsr := slices.Index(seen, "NSR02")
	if nsr < 0 {
		nsr = slices.Index(seen, "NSR03")
	}
	begin, end := slices.Index(seen, "BEA01"), slices.Index(seen, "TEA01")
	if begin < 0 || nsr < begin || end < nsr {
		v.find(isoPVD, "", "volume recognition sequence %q: want BEA01, NSR and TEA01 in it", seen)
	}
}

// anchors verifies that there are enough of them and that all say the same.
func (v *verifier) anchors(u *udf.Volume) {
	places := []int64{anchor, v.sectors - 1}
	switch {
	case !v.Ours():
	case v.ISO && v.Space != v.sectors:
		// What protects the image lies behind ISO 9660's volume space, which has an anchor of its own.
		places = append(places, v.Space-1)
	case v.sectors > u.Reserve.Sector+archive.Sectors(u.Reserve.Length)+1:
		places = append(places, v.sectors-1-256)
	}
	var first []byte
	good := 0
	for _, lba := range places {
		b, err := readTag(v.r, lba, tagAVDP)
		if err != nil {
			if v.Ours() || lba == anchor {
				v.find(lba, "", "no good anchor here: %v", err)
			}
			continue
		}
		v.occupy(lba, 1, "anchor")
		good++
		if first == nil {
			first = b
		} else if !bytes.Equal(first[16:], b[16:]) {
			v.find(lba, "", "the anchor here says something else than the first")
		}
	}
	if good < 2 && len(u.Anchors) < 2 {
		v.find(anchor, "", "%d good anchors: UDF wants two of those at 256, N-256 and N", good)
	}
}

// sequences holds the main and the reserve descriptors against each other: only where they lie may differ.
func (v *verifier) sequences(u *udf.Volume, main, reserve []udf.Descriptor) {
	if len(main) != len(reserve) {
		v.find(u.Reserve.Sector, "", "%d reserve volume descriptors, %d main ones", len(reserve), len(main))
	}
	for i := range min(len(main), len(reserve)) {
		a, err := extent.Sector(v.r, main[i].Sector)
		if err != nil {
			continue // it was found before
		}
		b, err := extent.Sector(v.r, reserve[i].Sector)
		if err == nil && (main[i].Tag != reserve[i].Tag || !bytes.Equal(a[16:], b[16:])) {
			v.find(reserve[i].Sector, "", "it is not the main volume descriptor at sector %d", main[i].Sector)
		}
	}
}

// seenNode is a File Entry as a name in a directory led to it.
type seenNode struct {
	sector int64
	unique uint64
	links  uint16
	path   string
}

// udfTree verifies files, directories and what is said of them.
func (v *verifier) udfTree(u *udf.Volume) {
	var files []seenNode
	uniques := []uint64{}
	subdirs := map[string]int{} // of directories that are being walked
	links := map[string]*udf.Node{}
	for x := range u.Walk {
		if x.Err != nil {
			v.wrong(x.Path, x.Err)
		}
		for _, err := range x.Faults {
			v.wrong(x.Path, err)
		}
		n := x.Node
		if n == nil {
			continue
		}
		if x.Entry != nil && x.Entry.Unique != uint32(n.Unique) {
			v.find(x.Entry.Sector, x.Path, "its directory calls it number %d, it calls itself %d", x.Entry.Unique, n.Unique)
		}
		if !n.IsDir() {
			files = append(files, seenNode{n.Sector, n.Unique, n.Links, x.Path})
			if last := len(files) - 1; last > 0 && files[last-1].sector == n.Sector {
				continue
			}
			v.node(n, x.Path)
			continue
		}
		v.Dirs++
		v.node(n, x.Path)
		v.padDirectory(n, x.Path)
		if x.Entry == nil {
			if n.Unique != 0 {
				v.find(n.Sector, x.Path, "the root is number %d", n.Unique)
			}
		} else {
			uniques = append(uniques, n.Unique)
			subdirs[parentPath(x.Path)]++
		}
		links[x.Path] = n
	}
	for path, n := range links {
		if want := min(1+subdirs[path], 1<<16-1); int(n.Links) != want {
			v.find(n.Sector, path, "it counts %d links, there are %d", n.Links, want)
		}
	}
	v.files(files, uniques, u)
}

func parentPath(p string) string {
	if parent := parentOf(p); parent != "" {
		return parent
	}
	return "."
}

// node verifies one File Entry and notes where it lies.
func (v *verifier) node(n *udf.Node, path string) {
	var blocks uint64
	for _, e := range n.Extents {
		if e.Sector >= 0 {
			blocks += uint64(archive.Sectors(e.Length))
		}
	}
	if n.Recorded != blocks {
		v.find(n.Sector, path, "it has %d blocks, it says %d", blocks, n.Recorded)
	}
}

// files verifies what concerns files by all their names, and unique identifiers.
func (v *verifier) files(files []seenNode, uniques []uint64, u *udf.Volume) {
	counts, err := u.Counts()
	if err != nil {
		v.wrong("", err)
	} else if !counts.Closed {
		v.find(counts.Sector, "", "the volume was not closed")
	}
	slices.SortStableFunc(files, func(a, b seenNode) int { return int(a.sector - b.sector) })
	for i := 0; i < len(files); {
		f := files[i]
		names := 0
		for ; i < len(files) && files[i].sector == f.sector; i++ {
			names++
		}
		v.Files++
		uniques = append(uniques, f.unique)
		if int(f.links) != min(names, 1<<16-1) {
			v.find(f.sector, f.path, "it counts %d links, it has %d names", f.links, names)
		}
		v.occupyFile(u, f)
	}
	slices.Sort(uniques)
	for i, n := range uniques {
		if i > 0 && n == uniques[i-1] {
			v.find(-1, "", "two files are number %d", n)
		}
		if n < 16 {
			v.find(-1, "", "a file is number %d: only the root is below 16", n)
		}
		if err == nil && n >= counts.NextUnique {
			v.find(counts.Sector, "", "a file is number %d, the next to be given is %d", n, counts.NextUnique)
		}
	}
	if err == nil && (int64(counts.Files) != v.Files || int64(counts.Dirs) != v.Dirs) {
		v.find(counts.Sector, "", "it counts %d files and %d directories, there are %d and %d", counts.Files, counts.Dirs, v.Files, v.Dirs)
	}
}

// occupyFile notes where a file lies and verifies what is behind its end.
func (v *verifier) occupyFile(u *udf.Volume, f seenNode) {
	v.occupy(f.sector, 1, "entry of "+f.path)
	info, err := u.Stat(f.path)
	if err != nil {
		v.wrong(f.path, err)
		return
	}
	n := info.Sys().(*udf.Node)
	v.Bytes += n.Size
	v.extents(n, f.path)
}

func (v *verifier) extents(n *udf.Node, path string) {
	for _, e := range n.Extents {
		if e.Sector >= 0 {
			v.occupy(e.Sector, archive.Sectors(e.Length), path)
			v.padding(path, e.Sector, e.Length)
		}
	}
}

func (v *verifier) padDirectory(n *udf.Node, path string) {
	v.occupy(n.Sector, 1, "entry of "+path)
	v.extents(n, path+" (UDF)")
}
