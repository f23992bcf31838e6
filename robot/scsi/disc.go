package scsi

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Profile is what a medium is to the drive that holds it (MMC-6 §5.3.1, table 89).
type Profile uint16

// The profiles that callers decide by.
const (
	NoProfile        Profile = 0x00
	CDROM            Profile = 0x08
	CDR              Profile = 0x09
	CDRW             Profile = 0x0A
	DVDROM           Profile = 0x10
	DVDRAM           Profile = 0x12
	DVDRWOverwrite   Profile = 0x13
	DVDPlusRW        Profile = 0x1A
	DVDPlusR         Profile = 0x1B
	DVDPlusRWDL      Profile = 0x2A
	DVDPlusRDL       Profile = 0x2B
	BDROM            Profile = 0x40
	BDRSequential    Profile = 0x41
	BDRRandom        Profile = 0x42
	BDRE             Profile = 0x43
	ProfileUndefined Profile = 0xFFFF
)

var profileNames = map[Profile]string{
	CDROM: "CD-ROM", CDR: "CD-R", CDRW: "CD-RW", DVDROM: "DVD-ROM", 0x11: "DVD-R", DVDRAM: "DVD-RAM", DVDRWOverwrite: "DVD-RW",
	0x14: "DVD-RW", 0x15: "DVD-R DL", 0x16: "DVD-R DL", DVDPlusRW: "DVD+RW", DVDPlusR: "DVD+R", DVDPlusRWDL: "DVD+RW DL",
	DVDPlusRDL: "DVD+R DL", BDROM: "BD-ROM", BDRSequential: "BD-R", BDRRandom: "BD-R", BDRE: "BD-RE",
}

func (p Profile) String() string {
	if n, ok := profileNames[p]; ok {
		return n
	}
	return fmt.Sprintf("profile %04Xh", uint16(p))
}

// Overwritable says that a medium is no write-once disc: it never counts as burned or spent.
func (p Profile) Overwritable() bool {
	switch p {
	case DVDRAM, DVDRWOverwrite, DVDPlusRW, DVDPlusRWDL, BDRE:
		return true
	}
	return false
}

// ParseProfile reads the current profile from an answer to GET CONFIGURATION.
func ParseProfile(b []byte) (Profile, error) {
	if len(b) < 8 {
		return 0, fmt.Errorf("configuration of %d bytes", len(b))
	}
	return Profile(binary.BigEndian.Uint16(b[6:])), nil
}

// DiscStatus is how far a disc is recorded (MMC-6 §6.21.3.1.3, table 371).
type DiscStatus byte

// The disc states.
const (
	DiscEmpty DiscStatus = iota
	DiscAppendable
	DiscComplete
	DiscOther
)

// DiscInformation is an answer to READ DISC INFORMATION.
type DiscInformation struct {
	Status      DiscStatus
	LastSession byte // 0 empty, 1 incomplete, 2 damaged, 3 complete
	Erasable    bool
	Sessions    int
	LastTrack   int // of the last session
}

// ParseDiscInformation reads an answer of the standard type to READ DISC INFORMATION.
func ParseDiscInformation(b []byte) (DiscInformation, error) {
	if len(b) < 12 {
		return DiscInformation{}, fmt.Errorf("disc information of %d bytes", len(b))
	}
	if t := b[2] >> 5; t != 0 {
		return DiscInformation{}, fmt.Errorf("disc information of type %d", t)
	}
	return DiscInformation{
		Status: DiscStatus(b[2] & 3), LastSession: b[2] >> 2 & 3, Erasable: b[2]&0x10 != 0,
		Sessions: int(b[9])<<8 | int(b[4]), LastTrack: int(b[11])<<8 | int(b[6]),
	}, nil
}

// TrackInformation is an answer to READ TRACK INFORMATION, in sectors.
type TrackInformation struct {
	Track         int
	Start         int64
	Free          int64
	Size          int64
	Blank, Damage bool
	// NextWritable is where recording goes on, where HasNextWritable says that it is known.
	NextWritable    int64
	HasNextWritable bool
}

// ParseTrackInformation reads an answer to READ TRACK INFORMATION (MMC-6 §6.26.3).
func ParseTrackInformation(b []byte) (TrackInformation, error) {
	if len(b) < 28 {
		return TrackInformation{}, fmt.Errorf("track information of %d bytes", len(b))
	}
	t := TrackInformation{
		Track: int(b[2]), Damage: b[5]&0x20 != 0, Blank: b[6]&0x40 != 0,
		Start: int64(binary.BigEndian.Uint32(b[8:])), Free: int64(binary.BigEndian.Uint32(b[16:])),
		Size:            int64(binary.BigEndian.Uint32(b[24:])),
		HasNextWritable: b[7]&1 != 0,
	}
	if len(b) > 32 {
		t.Track |= int(b[32]) << 8
	}
	if t.HasNextWritable {
		// Two drives are known that say -150 of a blank disc.
		t.NextWritable = max(int64(int32(binary.BigEndian.Uint32(b[12:]))), t.Start)
	}
	return t, nil
}

// ParseCapacity reads an answer to READ CAPACITY: the number of blocks and bytes in one. A blank disc has none.
func ParseCapacity(b []byte) (blocks int64, size int, err error) {
	if len(b) < 8 {
		return 0, 0, fmt.Errorf("capacity of %d bytes", len(b))
	}
	last := binary.BigEndian.Uint32(b)
	if last == 0 || last == 0xFFFFFFFF {
		return 0, int(binary.BigEndian.Uint32(b[4:])), nil
	}
	return int64(last) + 1, int(binary.BigEndian.Uint32(b[4:])), nil
}

// FormatCapacity is a size that a medium has or could be formatted to.
type FormatCapacity struct {
	Blocks int64
	Type   byte // of the current one: 1 unformatted, 2 formatted, 3 no medium; of others: the format type
}

// ParseFormatCapacities reads an answer to READ FORMAT CAPACITIES (MMC-6 §6.23.3): what the medium has now, and what it
// could be formatted to.
func ParseFormatCapacities(b []byte) (current FormatCapacity, others []FormatCapacity, err error) {
	if len(b) < 12 {
		return current, nil, fmt.Errorf("format capacities of %d bytes", len(b))
	}
	list := b[4:min(len(b), 4+int(b[3]))]
	if len(list) < 8 {
		return current, nil, fmt.Errorf("format capacity list of %d bytes", len(list))
	}
	current = FormatCapacity{int64(binary.BigEndian.Uint32(list)), list[4] & 3}
	for list = list[8:]; len(list) >= 8; list = list[8:] {
		others = append(others, FormatCapacity{int64(binary.BigEndian.Uint32(list)), list[4] >> 2})
	}
	return current, others, nil
}

// ParseBDMediaID reads who made a BD from disc information, format 00h of READ DISC STRUCTURE: "VERBAT-IMe-000".
func ParseBDMediaID(b []byte) string {
	if len(b) < 4+112 || string(b[4:6]) != "DI" {
		return ""
	}
	return mediaID(b[4+100:4+106], b[4+106:4+109], b[4+111])
}

// ParseDVDPlusMediaID reads who made a DVD+R from its ADIP, format 11h or 00h of READ DISC STRUCTURE.
func ParseDVDPlusMediaID(b []byte) string {
	if len(b) < 4+30 {
		return ""
	}
	return mediaID(b[4+19:4+27], b[4+27:4+30], 0)
}

func mediaID(maker, kind []byte, revision byte) string {
	m, k := ascii(maker), ascii(kind)
	if strings.Trim(m+k, "?") == "" {
		return ""
	}
	return fmt.Sprintf("%s-%s-%03d", m, k, revision)
}
