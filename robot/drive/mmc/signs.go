package mmc

import (
	"github.com/odarchive/odarchive/robot"
)

// account keeps what reading has told of the disc.
type account struct {
	sectors int64 // of the disc
	regions [robot.Regions]robot.Region
}

// at is the region of a sector.
func (a *account) at(sector int64) *robot.Region {
	if a.sectors < 1 {
		return &a.regions[0]
	}
	return &a.regions[min(sector*robot.Regions/a.sectors, robot.Regions-1)]
}

// Signs follows robot.Monitor.
func (d *Drive) Signs() robot.Signs {
	d.mu.Lock()
	defer d.mu.Unlock()
	return robot.Signs{Sectors: d.signs.sectors, Regions: d.signs.regions}
}

var _ robot.Monitor = (*Drive)(nil)
