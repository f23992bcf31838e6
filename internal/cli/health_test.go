package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

func TestParseTime(t *testing.T) {
	const day = 24 * time.Hour
	for s, want := range map[string]time.Duration{"0": 0, "72h": 72 * time.Hour, "180d": 180 * day, "26w": 182 * day, "2y": 730 * day, "90m": 90 * time.Minute, "292y": 292 * 365 * day} {
		if got, err := parseTime(s); err != nil || got != want {
			t.Errorf("%s: %v %v", s, got, err)
		}
	}
	for _, s := range []string{"", "d", "5", "-3d", "-1h", "1.5y", "293y", "585y", "99999999y", "soon"} {
		if got, err := parseTime(s); err == nil {
			t.Errorf("%q is taken for %v", s, got)
		}
	}
}

// The picture has a mark for each region, the worst of what it showed; what was not read is seen to be so.
func TestPicture(t *testing.T) {
	regions := []*pb.DiscRegion{
		{Number: 0, Slowness: 1.1},
		{Number: 1, Slowness: 3},
		{Number: 2, Slowness: 3, Retries: 1},
		{Number: 3, Recovered: 1},
		{Number: 4, Disagreed: 1, Retries: 7},
		{Number: 5, Unreadable: 1, Disagreed: 1},
		{Number: 6, Repaired: 2, Disagreed: 1},
		{Number: 63},
		{Number: 64, Unreadable: 1},
		{Number: -1}, // no such place
	}
	want := "▁▃▅▅▆█▇" + strings.Repeat("·", 56) + "▁"
	if got := picture(regions); got != want || utf8.RuneCountInString(got) != 64 {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, r := range picture(regions) {
		if !strings.ContainsRune(legend, r) {
			t.Errorf("the legend doesn't explain %c", r)
		}
	}
}

func TestShowDiscHealth(t *testing.T) {
	at := timestamppb.New(time.Date(2031, 5, 6, 12, 0, 0, 0, time.UTC))
	h := &pb.DiscHealth{
		Disc: &pb.Disc{
			Label: "0042", State: pb.DiscState_DISC_STATE_GOOD, Grade: pb.Grade_GRADE_MIGRATE_SOON, GradeReason: "28 % of the worst row's error correction is used up",
			Recorded: 12000000, Capacity: 12219392, Medium: "BD-R", MediaId: "VERBAT-IMe-000", Lot: "A", Vault: "photos\x1b[31m",
			Tag: "OD0042L6", SpareAreas: true,
		},
		BadIn: []string{"north/1"},
		Readings: []*pb.Reading{
			{Begun: at, Whole: true, Sectors: 200, Done: 50, Library: "north", Drive: 2},
			{Begun: at, Finished: at, Whole: true, Library: "north", Drive: 1, Grade: pb.Grade_GRADE_MIGRATE_SOON, WorstRow: 9, Roots: 32, Repaired: 77, Slowest: 2.5, Recovered: 5, Disagreed: 6, Metric: "C2", Measured: 0.25},
		},
		Trends: []*pb.Trend{
			{Indicator: "margin", Readings: 5, Told: true, Next: pb.Grade_GRADE_MIGRATE_NOW, Earliest: at, Likely: at},
			{Indicator: "retries", Readings: 3, Next: pb.Grade_GRADE_WATCH, Earliest: at, Likely: at},
		},
		Steps: []*pb.DiscStep{{At: at, Step: "other_drive", Drive: 1, Detail: "another drive shall say"}},
	}
	for n := range int32(64) {
		h.Regions = append(h.Regions, &pb.DiscRegion{Number: n})
	}
	for _, n := range []int{3, 9, 4, 60, 61, 62} {
		h.Regions[n].First, h.Regions[n].Sense = int64(n)*1000, "03/11/05 L-EC uncorrectable"
	}
	h.Regions[5].Sense = "01/17/01 \x1b[31mrecovered"
	var out bytes.Buffer
	showDiscHealth(&out, h)
	for _, want := range []string{
		"disc 0042: good, migrate soon\n  because 28 %", "not confirmed: only drive north/1 says so", "9 of 32 roots; 77 sectors", "hub ▁▁", "BD-R (VERBAT-IMe-000) of lot A",
		"margin gets worse over 5 readings: migrate now about 2031-05-06", "maybe never", "retries grows over 3 readings, which may be chance", "25 % of it", "2.5×", "other drive",
		"barcode OD0042L6, formatted with spare areas", "DIFFERENTLY", "MASTERED", "C2 0.25",
		"a drive said 03/11/05 L-EC uncorrectable, in the part from sector 3000, 4000, 9000, 60000 on and 2 other places",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("a vault's name reaches the terminal as it is")
	}
	if strings.Contains(out.String(), "WRONG") {
		t.Error("a column with nothing in it is shown")
	}
	h.Disc.GradeConfirmed = true
	h.BadIn = []string{"north/1", "north/2"}
	out.Reset()
	showVerdict(&out, h)
	if !strings.Contains(out.String(), "drives north/1, north/2 agree") || shortGrade(h.Disc) != "migrate soon" {
		t.Error(out.String())
	}
}
