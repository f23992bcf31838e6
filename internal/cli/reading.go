package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	pb "github.com/odarchive/odarchive/proto/odarchivev1"
)

var readingColumns = []column[*pb.Reading]{
	{head: "READ", cell: func(r *pb.Reading) string { return when(r.GetBegun()) }},
	{head: "IN", cell: func(r *pb.Reading) string { return fmt.Sprintf("%s/%d", r.GetLibrary(), r.GetDrive()) }},
	{head: "WHAT", cell: howMuch},
	{head: "HEALTH", cell: func(r *pb.Reading) string {
		if r.GetGrade() == pb.Grade_GRADE_UNSPECIFIED {
			return ""
		}
		return gradeName(r.GetGrade())
	}},
	{head: "UNREADABLE", cell: func(r *pb.Reading) string { return fmt.Sprint(r.GetUnreadable()) }},
	{head: "REPAIRED", cell: func(r *pb.Reading) string { return fmt.Sprint(r.GetRepaired()) }},
	{head: "DIFFERENTLY", optional: true, cell: func(r *pb.Reading) string { return count(r.GetDisagreed()) }},
	{head: "WRONG", optional: true, cell: func(r *pb.Reading) string { return count(r.GetWrong()) }},
	{head: "RETRIES", cell: func(r *pb.Reading) string { return fmt.Sprint(r.GetRetries()) }},
	{head: "MASTERED", optional: true, cell: func(r *pb.Reading) string { return count(r.GetRecovered()) }},
	{head: "WORST ROW", cell: func(r *pb.Reading) string {
		if r.GetRoots() == 0 {
			return ""
		}
		return fmt.Sprintf("%d/%d", r.GetWorstRow(), r.GetRoots())
	}},
	{head: "SLOWEST", cell: func(r *pb.Reading) string {
		if r.GetSlowest() == 0 {
			return ""
		}
		return fmt.Sprintf("%.1f×", r.GetSlowest())
	}},
	{head: "MEASURED", optional: true, cell: func(r *pb.Reading) string {
		if r.GetMetric() == "" {
			return ""
		}
		return fmt.Sprintf("%s %.4g", r.GetMetric(), r.GetMeasured())
	}},
	{head: "ERROR", cell: (*pb.Reading).GetError},
}

// howMuch of its disc a reading was of.
func howMuch(r *pb.Reading) string {
	switch {
	case r.GetWhole() && r.GetFinished() == nil && r.GetSectors() > 0:
		return fmt.Sprintf("%d %% of it", r.GetDone()*100/r.GetSectors())
	case r.GetWhole():
		return "all"
	}
	return "part"
}

// marks says by what a disc is told from others, besides its label.
func marks(d *pb.Disc) string {
	var all []string
	if d.GetTag() != "" {
		all = append(all, "barcode "+printable(d.GetTag()))
	}
	if d.GetSpareAreas() {
		all = append(all, "formatted with spare areas")
	}
	return strings.Join(all, ", ")
}

// said is how many of a drive's words are shown, those that it said of the most places.
const said = 4

// showSenses lists what drives said of places that they had trouble with, in their own words.
func showSenses(w io.Writer, regions []*pb.DiscRegion) {
	places := map[string][]string{}
	for _, r := range regions {
		if s := r.GetSense(); s != "" {
			places[s] = append(places[s], fmt.Sprint(r.GetFirst()))
		}
	}
	words := make([]string, 0, len(places))
	for s := range places {
		words = append(words, s)
	}
	slices.SortFunc(words, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(places[b]), len(places[a])), cmp.Compare(a, b))
	})
	for _, s := range words[:min(said, len(words))] {
		at, more := places[s], ""
		if len(at) > said {
			at, more = at[:said], fmt.Sprintf(" and %d other places", len(at)-said)
		}
		fmt.Fprintf(w, "  a drive said %s, in the part from sector %s on%s\n", printable(s), strings.Join(at, ", "), more)
	}
}
