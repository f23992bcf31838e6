package simulate

import (
	"os"
	"testing"
)

func TestTable(t *testing.T) {
	requests := 2000
	if os.Getenv("ODARCHIVE_SLOW") != "" {
		requests = 20000
	}
	rows, err := runLoads(requests, 1) // the bounds have tests of their own
	if err != nil {
		t.Fatal(err)
	}
	WriteTable(t.Output(), rows)
	for _, r := range rows {
		if r.Planner.Mean > r.ByDisc.Mean*1.001 {
			t.Errorf("%d drives, %.0f requests/h: the planner's mean is %.0f s, by disc %.0f s", r.Drives, r.Rate, r.Planner.Mean, r.ByDisc.Mean)
		}
		if r.Planner.P999 > 1.02*r.ByDisc.P999 {
			t.Errorf("%d drives, %.0f requests/h: the planner's 99.9th percentile is %.0f s, by disc %.0f s", r.Drives, r.Rate, r.Planner.P999, r.ByDisc.P999)
		}
	}
}
