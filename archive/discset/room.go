package discset

import (
	"fmt"
	"time"

	"github.com/odarchive/odarchive/archive"
)

const (
	// reserved is the part of a disc that data images leave, at least, to the snapshot of the catalogue on parity discs: of 25 GB, 95 MiB,
	// which is enough for that of 10,000 discs several times over (archive/snapshot's benchmarks).
	reserved = 256
	// leastReserved is what is left at least, in sectors.
	leastReserved = 32
	// mostInfo is the most that a parity disc's disc_info.json is counted with, in bytes. A longer one takes from the snapshot's room.
	mostInfo = 8 << 10
)

// reserve returns how many sectors of a disc of capacity sectors are left to the snapshot.
func reserve(capacity int64) int64 { return max(leastReserved, capacity/reserved) }

// SnapshotRoom returns how many bytes a snapshot may have so that parity disc i, with that disc_info.json, takes at most capacity
// sectors. It is 0 where there is no room at all, and negative where not even disc_info.json has any.
func (s *Set) SnapshotRoom(i int, info []byte, capacity int64) (int64, error) {
	d, err := s.Compose(i, Extras{Info: info, Snapshot: Blob{Size: 1}})
	if err != nil {
		return 0, err
	}
	// An image has whole blocks of 32 sectors, so one with so many blocks more of snapshot behind the first sector still fits.
	if room := capacity/blockSectors*blockSectors - d.Layout.Sectors(); room >= 0 {
		return (room + 1) * sectorSize, nil
	}
	if d, err = s.Compose(i, Extras{Info: info}); err != nil || d.Layout.Sectors() <= capacity {
		return 0, err
	}
	return -1, nil
}

// LargestImage returns how many sectors a data image may have so that the set's parity discs fit media of capacity sectors, with a
// snapshot of the catalogue. It is a multiple of 32, as images are.
func LargestImage(capacity int64, g Geometry) (int64, error) {
	if err := g.Validate(); err != nil {
		return 0, err
	}
	// Everything that the set will say, as long as it can be.
	const uuid, label = "00000000-0000-0000-0000-000000000000", "WWWWWWWWWWWWWWW"
	s := &Set{ID: uuid, Geometry: g, Created: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)}
	for j := range g.Data {
		s.Members = append(s.Members, Member{j, fmt.Sprintf("00000000-0000-0000-0000-%012d", j), label, mostSectors, archive.Hash{}, mostSectors})
	}
	for i := range g.Parity {
		s.Parities = append(s.Parities, Parity{ImageID: fmt.Sprintf("00000000-0000-0000-0001-%012d", i), Label: label})
	}
	js, err := s.JSON()
	if err != nil {
		return 0, err
	}
	files := s.files(archive.Hash{}, js, Extras{Info: make([]byte, mostInfo), Snapshot: Blob{Size: reserve(capacity) * sectorSize}})
	fits := func(sectors int64) (bool, error) {
		for n := range files {
			switch files[n].name {
			case ChecksName:
				files[n].Size = int64(g.images()) * blocks(sectors) * checkSize
			case ParityFile:
				files[n].Size = sectors * sectorSize
			}
		}
		l, err := s.layout(s.Parities[0], files)
		return err == nil && l.Sectors() <= capacity, err
	}
	low, high := int64(0), capacity/blockSectors // in blocks: low fits, or nothing does
	for low < high {
		middle := (low + high + 1) / 2
		ok, err := fits(middle * blockSectors)
		if err != nil {
			return 0, fmt.Errorf("largest image on a disc of %d sectors: %w", capacity, err)
		}
		if ok {
			low = middle
		} else {
			high = middle - 1
		}
	}
	if low == 0 {
		return 0, fmt.Errorf("a parity disc of %d sectors: %w", capacity, ErrTooSmall)
	}
	return low * blockSectors, nil
}
