package simulate

import (
	"testing"
)

func row(drives int, rate float64, policy string) Config {
	c := Default()
	c.Drives, c.Workload.Rate, c.Workload.Requests, c.Policy = drives, rate, 20000, policy
	return c
}

func TestRows(t *testing.T) {
	for _, r := range []struct {
		drives int
		rate   float64
	}{{2, 80}, {2, 160}, {2, 240}, {2, 800}, {4, 240}, {4, 800}} {
		for _, p := range []string{"by-disc", "planner"} {
			m, err := Run(row(r.drives, r.rate, p))
			if err != nil {
				t.Fatal(err)
			}
			c := m.Completion(Standard)
			t.Logf("%d %v %-8s mean %.0f p99.9 %.0f moves %.2f picker %.2f switch %.3f idle %.3f", r.drives, r.rate, p, c.Mean, c.P999, m.PerRequest, m.Picker, m.Drives["switch"], m.Drives["idle"])
		}
	}
}
