package cli

import (
	"strings"
	"testing"

	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

func TestParseSet(t *testing.T) {
	for text, want := range map[string][2]int32{"": {0, 0}, "12+2": {12, 2}, "1+1": {1, 1}, "254+1": {254, 1}} {
		if data, parity, err := parseSet(text); err != nil || data != want[0] || parity != want[1] {
			t.Errorf("%q: %d+%d, %v", text, data, parity, err)
		}
	}
	for _, text := range []string{"12", "12+", "+2", "0+1", "1+0", "255+1", "12+2x", "-1+2", "12+2 3", "a+b"} {
		if data, parity, err := parseSet(text); err == nil {
			t.Errorf("%q is taken as %d+%d", text, data, parity)
		}
	}
}

// A set shows "none" as long as none of its parity discs is good.
func TestShowSetWithoutParity(t *testing.T) {
	s := &pb.DiscSet{Id: "s", State: pb.DiscSet_STATE_SEALED, Data: 1, Parity: 1, Members: []*pb.SetMember{{Discs: []string{"1"}}, {Index: 1}}}
	if got := showSet(s); hasParity(s) || !strings.Contains(got, "\tnone\t") {
		t.Error(got)
	}
	s.Members[1].Discs = []string{"2"}
	if got := showSet(s); !hasParity(s) || strings.Contains(got, "none") || !strings.Contains(got, "\t1\t2\t") {
		t.Error(got)
	}
}
