package scsi

import (
	"encoding/binary"
	"fmt"
)

// Operation codes.
const (
	opTestUnitReady        = 0x00
	opRequestSense         = 0x03
	opInitializeElements   = 0x07
	opInquiry              = 0x12
	opModeSense6           = 0x1A
	opStartStop            = 0x1B
	opPreventAllow         = 0x1E
	opReadFormatCapacities = 0x23
	opReadCapacity         = 0x25
	opRead10               = 0x28
	opWrite10              = 0x2A
	opPositionToElement    = 0x2B // of changers; SEEK (10) of drives
	opSynchronizeCache     = 0x35
	opReadTOC              = 0x43
	opGetConfiguration     = 0x46
	opReadDiscInformation  = 0x51
	opReadTrackInformation = 0x52
	opCloseTrackSession    = 0x5B
	opMaintenanceIn        = 0xA3
	opMoveMedium           = 0xA5
	opExchangeMedium       = 0xA6
	opRead12               = 0xA8
	opReadDiscStructure    = 0xAD
	opSetStreaming         = 0xB6
	opReadElementStatus    = 0xB8
	opSetCDSpeed           = 0xBB
	opReadCD               = 0xBE
)

var opNames = map[byte]string{
	opTestUnitReady: "TEST UNIT READY", opRequestSense: "REQUEST SENSE", opInitializeElements: "INITIALIZE ELEMENT STATUS",
	opInquiry: "INQUIRY", opModeSense6: "MODE SENSE", opStartStop: "START STOP UNIT", opPreventAllow: "PREVENT ALLOW MEDIUM REMOVAL",
	opReadFormatCapacities: "READ FORMAT CAPACITIES", opReadCapacity: "READ CAPACITY", opRead10: "READ(10)", opWrite10: "WRITE(10)",
	opPositionToElement: "POSITION TO ELEMENT", opSynchronizeCache: "SYNCHRONIZE CACHE", opReadTOC: "READ TOC",
	opGetConfiguration: "GET CONFIGURATION", opReadDiscInformation: "READ DISC INFORMATION",
	opReadTrackInformation: "READ TRACK INFORMATION", opCloseTrackSession: "CLOSE TRACK SESSION", opMoveMedium: "MOVE MEDIUM", opMaintenanceIn: "REPORT SUPPORTED OPERATION CODES",
	opExchangeMedium: "EXCHANGE MEDIUM", opRead12: "READ(12)", opReadDiscStructure: "READ DISC STRUCTURE",
	opReadElementStatus: "READ ELEMENT STATUS", opSetCDSpeed: "SET CD SPEED", opSetStreaming: "SET STREAMING", opReadCD: "READ CD",
}

// OpName is what the standards call an operation code.
func OpName(op byte) string {
	if n, ok := opNames[op]; ok {
		return n
	}
	return fmt.Sprintf("command %02Xh", op)
}

// TestUnitReady asks whether a medium can be used (SPC-4 §6.47).
func TestUnitReady() []byte { return make([]byte, 6) }

// Inquiry asks for the standard data of a device, up to size bytes, at most 255 as old devices want it (SPC-4 §6.6).
func Inquiry(size uint8) []byte { return []byte{opInquiry, 0, 0, 0, size, 0} }

// InquiryVPD asks for a page of vital product data, up to size bytes.
func InquiryVPD(page, size uint8) []byte { return []byte{opInquiry, 1, page, 0, size, 0} }

// ModeSense6 asks for a mode page without block descriptors (SPC-4 §6.11).
func ModeSense6(page, size uint8) []byte { return []byte{opModeSense6, 8, page & 0x3F, 0, size, 0} }

// PreventRemoval locks the medium in, or lets it go (SPC-4 §6.15).
func PreventRemoval(prevent bool) []byte { return []byte{opPreventAllow, 0, 0, 0, bit(prevent), 0} }

// Tray is what START STOP UNIT does.
type Tray byte

// The movements (MMC-6 §6.42, table 627: LoEj and Start).
const (
	SpinDown Tray = 0
	SpinUp   Tray = 1
	Eject    Tray = 2
	Load     Tray = 3
)

// StartStop moves the tray and waits for it.
func StartStop(t Tray) []byte { return []byte{opStartStop, 0, 0, 0, byte(t), 0} }

// ReadCapacity asks for the last block that can be read (MMC-6 §6.24).
func ReadCapacity() []byte { return []byte{opReadCapacity, 0, 0, 0, 0, 0, 0, 0, 0, 0} }

// ReadFormatCapacities asks how many blocks a medium has or could have (MMC-6 §6.23).
func ReadFormatCapacities(size uint16) []byte {
	return put16(make10(opReadFormatCapacities), 7, size)
}

// Read10 reads sectors (SBC-3 §5.11). Force unit access has them read from the medium, not from the drive's memory.
func Read10(lba uint32, sectors uint16, force bool) []byte {
	b := put16(put32(make10(opRead10), 2, lba), 7, sectors)
	b[1] = bit(force) << 3
	return b
}

// Read12 is Read10 with room for more sectors.
func Read12(lba, sectors uint32, force bool) []byte {
	b := put32(put32(make12(opRead12), 2, lba), 6, sectors)
	b[1] = bit(force) << 3
	return b
}

// Write10 records sectors (MMC-6 §6.44).
func Write10(lba uint32, sectors uint16) []byte {
	return put16(put32(make10(opWrite10), 2, lba), 7, sectors)
}

// SynchronizeCache has the drive record what it still holds in its memory, and waits (MMC-6 §6.43).
func SynchronizeCache() []byte { return make10(opSynchronizeCache) }

// Close is what CLOSE TRACK SESSION closes (MMC-6 §6.3, table 267).
type Close byte

// What is closed. Which of the last three a medium takes depends on its profile.
const (
	CloseTrack    Close = 1
	CloseSession  Close = 2
	FinalizeMinor Close = 5 // DVD+R: finalise, with the least lead-out
	Finalize      Close = 6 // BD-R, DVD+R DL: no further session
)

// CloseTrackSession closes a track, or the session or disc. Immediate returns at once: poll with TestUnitReady.
func CloseTrackSession(what Close, track uint16, immediate bool) []byte {
	b := put16(make10(opCloseTrackSession), 4, track)
	b[1], b[2] = bit(immediate), byte(what)
	return b
}

// ReadTOC asks for the table of contents in a format: 0 tracks, 1 sessions, 4 ATIP of CD-R (MMC-6 §6.25).
func ReadTOC(format byte, track byte, size uint16) []byte {
	b := put16(make10(opReadTOC), 7, size)
	b[2], b[6] = format&15, track
	return b
}

// GetConfiguration asks for the current profile and the features that are current (MMC-6 §6.5).
func GetConfiguration(feature, size uint16) []byte {
	b := put16(put16(make10(opGetConfiguration), 2, feature), 7, size)
	b[1] = 1
	return b
}

// ReadDiscInformation asks how far a disc is recorded (MMC-6 §6.21).
func ReadDiscInformation(size uint16) []byte { return put16(make10(opReadDiscInformation), 7, size) }

// ReadTrackInformation asks for a track by its number, from 1 (MMC-6 §6.26).
func ReadTrackInformation(track uint32, size uint16) []byte {
	b := put16(put32(make10(opReadTrackInformation), 2, track), 7, size)
	b[1] = 1
	return b
}

// Media types of READ DISC STRUCTURE.
const (
	StructureDVD = 0
	StructureBD  = 1
)

// ReadDiscStructure asks for what a disc's maker has pressed into it (MMC-6 §6.22).
func ReadDiscStructure(media, format byte, size uint16) []byte {
	b := put16(make12(opReadDiscStructure), 8, size)
	b[1], b[7] = media&15, format
	return b
}

// SetCDSpeed sets reading and writing speeds in kB/s of 1,000 bytes; FFFFh is as fast as it goes (MMC-6 §6.37).
func SetCDSpeed(read, write uint16) []byte {
	return put16(put16(make12(opSetCDSpeed), 2, read), 4, write)
}

// SetStreaming hands over a performance descriptor (MMC-6, SET STREAMING, type 00h): what SetCDSpeed is for other media than CDs.
func SetStreaming() []byte { return put16(make12(opSetStreaming), 9, performanceSize) }

// performanceSize is the length of a performance descriptor.
const performanceSize = 28

// Performance is a descriptor that asks for a speed in kB/s of 1,000 bytes, for all sectors up to last; speed 0 asks for the drive's own.
func Performance(last uint32, speed uint32) []byte {
	const restore = 1 << 2 // RDD: the drive's own again
	b := make([]byte, performanceSize)
	b[0] = bit(speed == 0) * restore
	for at, v := range map[int]uint32{8: last, 12: speed, 16: 1000, 20: speed, 24: 1000} {
		put32(b, at, v)
	}
	return b
}

// ReadCDWithC2 reads CD sectors of any type with their C2 error bits: 2,352 bytes and 294 bytes each (MMC-6 §6.19).
func ReadCDWithC2(lba uint32, sectors uint32) []byte {
	b := put32(make12(opReadCD), 2, lba)
	b[6], b[7], b[8], b[9] = byte(sectors>>16), byte(sectors>>8), byte(sectors), 0xFA
	return b
}

// Seek10 sends the drive's head to a sector (MMC-5 §6.40).
func Seek10(lba uint32) []byte {
	b := make([]byte, 10)
	b[0] = opPositionToElement
	return put32(b, 2, lba)
}

// MediaTekErrors asks a drive on a MediaTek chip how far it has read and what it has mended since it was asked last: 16 bytes. A maker's command, of
// which nothing is published; QPxTool's users have scanned with it.
func MediaTekErrors(dvd bool) []byte {
	b := make12(0xF3)
	if b[1] = 0x0E; dvd {
		b[8] = 0x10
	}
	return b
}

// MoveMedium carries a medium from one element to another; transport 0 is the changer's first (SMC-3 §6.6).
func MoveMedium(transport, source, destination uint16) []byte {
	return put16(put16(put16(make12(opMoveMedium), 2, transport), 4, source), 6, destination)
}

// ExchangeMedium carries a medium from source to first, and what lay there to second (SMC-3 §6.1).
func ExchangeMedium(transport, source, first, second uint16) []byte {
	return put16(put16(put16(put16(make12(opExchangeMedium), 2, transport), 4, source), 6, first), 8, second)
}

// ReportSupported asks whether a device knows an operation code (SPC-4 §6.35, one command's format).
func ReportSupported(op byte) []byte {
	b := make12(opMaintenanceIn)
	b[1], b[2], b[3], b[9] = 0x0C, 0x01, op, 4
	return b
}

// ParseSupported reads the answer to ReportSupported. A device that doesn't say is not believed to know the code.
func ParseSupported(b []byte) bool { return len(b) >= 2 && (b[1]&7 == 3 || b[1]&7 == 5) }

// PositionToElement brings the transport before an element (SMC-3 §6.9).
func PositionToElement(transport, destination uint16) []byte {
	return put16(put16(make10(opPositionToElement), 2, transport), 4, destination)
}

// InitializeElementStatus has the changer look at every element; that can take half an hour (SMC-3 §6.4).
func InitializeElementStatus() []byte { return []byte{opInitializeElements, 0, 0, 0, 0, 0} }

// ReadElementStatus asks for up to count elements of a type from an address on, with volume tags or without (SMC-3 §6.11).
func ReadElementStatus(t ElementType, tags bool, first, count uint16, size uint32) []byte {
	b := put16(put16(make12(opReadElementStatus), 2, first), 4, count)
	b[1] = byte(t)&15 | bit(tags)<<4
	b[7], b[8], b[9] = byte(size>>16), byte(size>>8), byte(size)
	return b
}

func make10(op byte) []byte { return []byte{op, 9: 0} }
func make12(op byte) []byte { return []byte{op, 11: 0} }

func put16(b []byte, at int, v uint16) []byte {
	binary.BigEndian.PutUint16(b[at:], v)
	return b
}

func put32(b []byte, at int, v uint32) []byte {
	binary.BigEndian.PutUint32(b[at:], v)
	return b
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}
