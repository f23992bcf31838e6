package scsi

import (
	"encoding/hex"
	"testing"
)

// TestCDBs holds the commands to bytes that were taken from the standards and from what other programs send.
func TestCDBs(t *testing.T) {
	for _, c := range []struct {
		name string
		cdb  []byte
		want string
	}{
		{"test unit ready", TestUnitReady(), "000000000000"},
		{"inquiry", Inquiry(96), "120000006000"},
		{"serial number", InquiryVPD(0x80, 252), "12018000fc00"},
		{"element addresses, as mtx asks", ModeSense6(0x1D, 136), "1a081d008800"},
		{"unlock", PreventRemoval(false), "1e0000000000"},
		{"lock", PreventRemoval(true), "1e0000000100"},
		{"eject", StartStop(Eject), "1b0000000200"},
		{"load", StartStop(Load), "1b0000000300"},
		{"capacity", ReadCapacity(), "25000000000000000000"},
		{"format capacities", ReadFormatCapacities(252), "23000000000000 00fc00"},
		{"read 10", Read10(0x01020304, 0x0506, false), "28000102030400050600"},
		{"read 10 from the medium", Read10(1, 1, true), "28080000000100000100"},
		{"read 12", Read12(0x01020304, 0x05060708, false), "a8000102030405060708 0000"},
		{"write 10", Write10(0x01020304, 32), "2a000102030400002000"},
		{"synchronize cache", SynchronizeCache(), "35000000000000000000"},
		{"close track", CloseTrackSession(CloseTrack, 1, false), "5b000100000100000000"},
		{"finalize a BD-R", CloseTrackSession(Finalize, 0, true), "5b010600000000000000"},
		{"ATIP", ReadTOC(4, 0, 28), "43000400000000001c00"},
		{"configuration", GetConfiguration(0, 256), "46010000000000010000"},
		{"disc information", ReadDiscInformation(34), "51000000000000002200"},
		{"track information", ReadTrackInformation(1, 36), "52010000000100002400"},
		{"BD disc information", ReadDiscStructure(StructureBD, 0, 116), "ad0100000000000000740000"},
		{"speed", SetCDSpeed(0xFFFF, 0xFFFF), "bb00ffffffff000000000000"},
		{"streaming", SetStreaming(), "b60000000000000000001c00"},
		{"performance", Performance(0x1234, 8991), "0000000000000000000012340000231f000003e80000231f000003e8"},
		{"own performance", Performance(0x1234, 0), "04000000000000000000123400000000000003e800000000000003e8"},
		{"read CD with C2", ReadCDWithC2(0x10203, 27), "be000001020300001bfa0000"},
		{"move", MoveMedium(0x10, 0x400, 1), "a5000010040000010000 0000"},
		{"exchange", ExchangeMedium(0x10, 0x401, 1, 0x402), "a60000100401000104020000"},
		{"position", PositionToElement(0x10, 0x401), "2b000010040100000000"},
		{"initialize elements", InitializeElementStatus(), "070000000000"},
		{"element status", ReadElementStatus(Storage, true, 0x400, 20, 0x10203), "b8120400001400010203 0000"},
	} {
		want, err := hex.DecodeString(unspaced(c.want))
		if err != nil {
			t.Fatal(err)
		}
		if string(want) != string(c.cdb) {
			t.Errorf("%s: %x, want %x", c.name, c.cdb, want)
		}
	}
}

func unspaced(s string) string {
	out := []byte{}
	for i := range len(s) {
		if s[i] != ' ' {
			out = append(out, s[i])
		}
	}
	return string(out)
}
