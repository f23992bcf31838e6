package mmc

import (
	"testing"

	"github.com/odarchive/odarchive/robot/scsi"
)

func TestMaker(t *testing.T) {
	const readDiscStructure = 0xAD
	answers := func(media, format byte, put map[int]string) func(scsi.Command) error {
		return func(c scsi.Command) error {
			if c.CDB[0] != readDiscStructure || c.CDB[1] != media || c.CDB[7] != format {
				return sense(scsi.IllegalRequest, 0x24, 0)
			}
			clear(c.In)
			for at, s := range put {
				copy(c.In[at:], s)
			}
			return nil
		}
	}
	bd := map[int]string{4: "DI", 4 + 100: "SONY\x00\x00", 4 + 106: "NQ1", 4 + 111: "\x01"}
	plus := map[int]string{4 + 19: "MCC\x00\x00\x00\x00\x00", 4 + 27: "004"}
	for _, c := range []struct {
		medium string
		do     func(scsi.Command) error
		want   bool
	}{
		{"BD-R", answers(1, 0, bd), true},
		{"BD-R", answers(1, 0, nil), false}, // it gives zeros
		{"BD-R", answers(2, 0, bd), false},  // it knows no such command
		{"DVD+R", answers(0, 0x11, plus), true},
		{"DVD+R", answers(0, 0, plus), true}, // it refuses the ADIP
		{"DVD+R", answers(0, 5, plus), false},
		{"DVD-R", answers(0, 0, plus), false},
		{"CD-R", answers(0, 0, plus), false},
	} {
		if id := played(c.medium, 50, c.do).maker(t.Context(), c.medium); (id != "") != c.want {
			t.Errorf("%s: %q", c.medium, id)
		}
	}
	if id := played("BD-R", 50, answers(1, 0, bd)).maker(t.Context(), "BD-R"); id != "SONY-NQ1-001" {
		t.Errorf("%q", id)
	}
}
