package agent

import (
	"github.com/odarchive/odarchive/robot"
)

// slowPlace is how many times as long as its disc's own better half a region may take before it is worth a word.
const slowPlace = 2

// signs logs what a drive has noticed of a disc while it was read, where it keeps account of that and something is to be said.
func (a *agent) signs(b *bay, image string) {
	g, _ := b.drive.(*guarded)
	m, ok := g.Drive.(robot.Monitor)
	if !ok {
		return
	}
	s := m.Signs()
	var sum robot.Region
	slow := 0
	slowness := s.Slowness(0)
	for i, r := range s.Regions {
		sum.Retries += r.Retries
		sum.Recovered += r.Recovered
		sum.Unreadable += r.Unreadable
		sum.Disagreed += r.Disagreed
		if slowness[i] > slowPlace {
			slow++
		}
	}
	if sum == (robot.Region{}) && slow == 0 {
		return
	}
	a.log.Warn("disc shows signs of trouble", "image", image, "drive", b.drive.Name(), "retries", sum.Retries, "recovered", sum.Recovered,
		"unreadable", sum.Unreadable, "disagreed", sum.Disagreed, "slow_regions", slow, "regions", robot.Regions)
}
