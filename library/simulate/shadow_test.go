package simulate

import (
	"testing"

	"github.com/odarchive/odarchive/library/schedule"
)

// What the planner learns beside its own queue is how long oldest first would have let requests wait, whatever the machines take.
func TestShadow(t *testing.T) {
	for _, l := range []struct {
		drives     int
		rate, slow float64
	}{{2, 240, 1}, {4, 800, 1}, {4, 400, 2}} {
		c := Default()
		c.Drives, c.Workload.Rate, c.Workload.Requests = l.drives, l.rate, 6000
		p := &c.Physics
		p.Move, p.Eject, p.Load = p.Move*l.slow, p.Eject*l.slow, p.Load*l.slow
		c.Policy = "by-disc"
		m, err := Run(c)
		if err != nil {
			t.Fatal(err)
		}
		c.Policy = "planner"
		e := c.engine(&Measures{}, 0)
		for (e.open > 0 || e.next < e.arrivals) && e.step() {
		}
		if e.err != nil {
			t.Fatal(e.err)
		}
		longest, limit := m.Completion(Standard).P999, e.policy.(*schedule.Planner).Experience()[1][0].Limit.Seconds()
		t.Logf("%d drives, %.0f requests/h, machines %.0f times as slow: by disc 99.9 %% within %.0f s, learned %.0f s", l.drives, l.rate, l.slow, longest, limit)
		if limit < .92*longest || limit > 1.05*longest {
			t.Errorf("%d drives, %.0f requests/h: the limit is %.0f s, by disc 99.9 %% are served within %.0f s", l.drives, l.rate, limit, longest)
		}
	}
}
