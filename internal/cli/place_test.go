package cli

import (
	"bytes"
	"strings"
	"testing"

	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

// Tags and troubles are seen by people where there are any, and take no room where there are none.
func TestTagsAndTroubles(t *testing.T) {
	at := func(n int32) *pb.Address { return &pb.Address{Kind: pb.ElementKind_ELEMENT_KIND_SLOT, Number: n} }
	for _, c := range []struct {
		name        string
		show        func(a *app) error
		want, never []string
	}{
		{
			name: "plain elements", show: func(a *app) error {
				return listElements(a, []*pb.Element{{Address: at(1), Fill: pb.Fill_FILL_FULL, Disc: "0001"}})
			},
			want: []string{"PLACE   UNIT  FILL  DISC  FLAG", "slot 1  0     full  0001  -"}, never: []string{"TAG", "TROUBLE"},
		},
		{
			name: "elements", show: func(a *app) error {
				return listElements(a, []*pb.Element{{Address: at(1), Tag: "OD0001L6"}, {Address: at(2), Trouble: "bar code\x1b unreadable", Flag: "look"}})
			},
			want: []string{"OD0001L6", "TROUBLE", `bar code\x1b unreadable`, "look"},
		},
		{
			name: "plain drives", show: func(a *app) error {
				return listDrives(a, []*pb.Drive{{Library: "north", Number: 1, Name: "sr0", Fault: "worn", Reason: "worn"}})
			},
			want: []string{"north", "sr0", "worn"}, never: []string{"TAG", "TROUBLE", "FAULT"},
		},
		{
			name: "drives", show: func(a *app) error {
				return listDrives(a, []*pb.Drive{{Number: 1, Bytes: 200, BytesDone: 50, Tag: "OD0001L6", Trouble: "in an exceptional state"}, {Number: 2, Reason: "by the operator", Fault: "worn"}, {Number: 3, Suspect: "it failed"}})
			},
			want: []string{"25 %", "OD0001L6", "in an exceptional state", "by the operator", "FAULT", "worn", "it failed"},
		},
		{
			name: "discs", show: func(a *app) error {
				return listDiscs(a, []*pb.Disc{{Label: "0001", Place: at(1), Tag: "OD0001L6", Capacity: 1000}, {Label: "0002"}})
			},
			want: []string{"OD0001L6", "TAG", "slot 1", "2.0 MB"},
		},
	} {
		var out bytes.Buffer
		if err := c.show(&app{stdout: &out}); err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: %q is missing:\n%s", c.name, want, out.String())
			}
		}
		for _, never := range c.never {
			if strings.Contains(out.String(), never) {
				t.Errorf("%s: %q is there:\n%s", c.name, never, out.String())
			}
		}
	}
}
