package scsi

import (
	"reflect"
	"strings"
	"testing"
	"unsafe"
)

func TestElementStatus(t *testing.T) {
	tag := func(s string) string { return s + strings.Repeat(" ", 32-len(s)) + "\x00\x00\x00\x00" }
	page := "\x02\x80\x00\x34\x00\x00\x00\x68" + // storage, tags, 52 bytes each, two
		"\x04\x00\x09\x00\x00\x00\x00\x00\x00\x80\x04\x05" + tag("OD0001D1") + "\x00\x00\x00\x00" +
		"\x04\x01\x0c\x00\x83\x02\x00\x00\x00\x00\x00\x00" + tag("") + "\x00\x00\x00\x00"
	short := "\x03\x00\x00\x04\x00\x00\x00\x04" + "\x02\x00\x03\x00" // mail slot of four bytes
	all := "\x02\x00\x00\x03\x00\x00\x00" + string(rune(len(page)+len(short))) + page + short
	got, err := ParseElementStatus([]byte(all))
	want := []Element{
		{Type: Storage, Address: 0x400, Full: true, Access: true, Source: 0x405, HasSource: true, Tag: "OD0001D1"},
		{Type: Storage, Address: 0x401, Except: true, ASC: 0x83, ASCQ: 0x02, Access: true},
		{Type: ImportExport, Address: 0x200, Full: true, Operator: true},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if e := got[1].Exception(); e != "no magazine there (83/02)" {
		t.Error(e)
	}
	for cut := range len(all) {
		if _, err := ParseElementStatus([]byte(all[:cut])); err == nil {
			t.Errorf("cut off at %d of %d it was taken", cut, len(all))
		}
	}
}

func TestDiscParsers(t *testing.T) {
	// READ FORMAT CAPACITIES of a blank BD-R 25 (current: unformatted, 12,219,392 blocks) as a real drive gave it.
	current, others, err := ParseFormatCapacities(bytesOf(t, "00000018 00ba7400 01000800 00b47400 00003000 00b87400 c8000000"))
	if err != nil || current != (FormatCapacity{12219392, 1}) || len(others) != 2 || others[0] != (FormatCapacity{11826176, 0}) || others[1].Type != 0x32 {
		t.Errorf("%+v, %+v, %v", current, others, err)
	}
	di := make([]byte, 4+112)
	copy(di[4:], "DI")
	copy(di[104:], "VERBATIMe")
	if id := ParseBDMediaID(di); id != "VERBAT-IMe-000" {
		t.Errorf("BD: %q", id)
	}
	// Two drives say -150 of a blank disc.
	ti, err := ParseTrackInformation(bytesOf(t, "0022 01 01 00 04 40 01 00000000 ffffff6a 00230540 00000010 00230540"+"0000000000000000"))
	if err != nil || ti.NextWritable != 0 || !ti.HasNextWritable || ti.Free != 2295104 || !ti.Blank {
		t.Errorf("%+v, %v", ti, err)
	}
	if blocks, size, err := ParseCapacity(bytesOf(t, "00000fff00000800")); blocks != 4096 || size != 2048 || err != nil {
		t.Errorf("%d, %d, %v", blocks, size, err)
	}
}

// TestHeader: sg_io_hdr has 88 bytes where pointers have eight (<scsi/sg.h>).
func TestHeader(t *testing.T) {
	if size := unsafe.Sizeof(header{}); unsafe.Sizeof(uintptr(0)) == 8 && size != 88 {
		t.Errorf("%d bytes", size)
	}
}

func TestSGResult(t *testing.T) {
	sense := bytesOf(t, "70 00 02 00000000 0a 00000000 3a 00 00 000000")
	recovered := bytesOf(t, "70 00 01 00000000 0a 00000000 17 01 00 000000")
	for _, c := range []struct {
		name  string
		h     header
		sense []byte
		n     int
		want  string
		done  bool
	}{
		{"good", header{dataLen: 36}, nil, 36, "", true},
		{"short", header{dataLen: 96, residual: 60}, nil, 36, "", true},
		{"an absurd residual", header{dataLen: 96, residual: -5}, nil, 96, "", true},
		{"check condition", header{status: 2, driverStatus: 8, senseLen: 18}, sense, 0, "TEST UNIT READY: 2/3A/00 not ready, no medium", false},
		{"check condition of a new kernel", header{status: 2, senseLen: 18}, sense, 0, "TEST UNIT READY: 2/3A/00 not ready, no medium", false},
		{"recovered", header{dataLen: 36, status: 2, senseLen: 18}, recovered, 36, "TEST UNIT READY: 1/17/01 recovered error, recovered data without error correction", true},
		{"check condition without sense", header{status: 2}, nil, 0, "TEST UNIT READY: check condition", false},
		{"busy", header{status: 8}, nil, 0, "TEST UNIT READY: busy", false},
		{"no connection", header{hostStatus: 1}, nil, 0, "TEST UNIT READY: the device is gone (host status 01h)", false},
		{"time out", header{hostStatus: 3}, nil, 0, "TEST UNIT READY: no answer in time (host status 03h)", false},
		{"driver time out", header{driverStatus: 6}, nil, 0, "TEST UNIT READY: no answer in time (driver status 06h)", false},
	} {
		n, err := c.h.result(Command{CDB: TestUnitReady()}, append(c.sense, make([]byte, 96)...))
		text := ""
		if err != nil {
			text = err.Error()
		}
		if n != c.n || text != c.want || Done(err) != c.done {
			t.Errorf("%s: %d, %q, done %v; want %d, %q, %v", c.name, n, text, Done(err), c.n, c.want, c.done)
		}
	}
}

func TestSGOnAnotherDevice(t *testing.T) {
	d, err := OpenDevice("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Identify(d); err == nil || !strings.Contains(err.Error(), "/dev/null") {
		t.Errorf("SG_IO on /dev/null: %v", err)
	}
	for range 2 {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := OpenDevice("/dev/nonexistent"); err == nil || !strings.Contains(err.Error(), "/dev/nonexistent") {
		t.Errorf("a device that is not there: %v", err)
	}
}

// TestParseExchanges: the page as SMC-3's table has it, of a changer that exchanges between slots and drives.
func TestParseExchanges(t *testing.T) {
	page := []byte{
		23, 0, 0, 0, 0x1F, 18, 0x0F, 0, 0x0F, 0x0F, 0x0F, 0x0F, 0, 0, 0, 0,
		0x00, 0x08, 0x00, 0x0A, 0, 0, 0, 0,
	}
	x, err := ParseExchanges(page)
	if err != nil || !x[Storage][DataTransfer] || !x[DataTransfer][Storage] || x[DataTransfer][MediumTransport] ||
		x[Storage][Storage] || x[ImportExport][DataTransfer] || x[MediumTransport][MediumTransport] {
		t.Errorf("%v, %v", x, err)
	}
	for n := range len(page) - 4 {
		if _, err := ParseExchanges(page[:n]); err == nil {
			t.Errorf("%d bytes were enough", n)
		}
	}
	if ParseSupported([]byte{0, 1}) || !ParseSupported([]byte{0, 3, 0, 12}) || ParseSupported(nil) {
		t.Error("what a device knows")
	}
}
