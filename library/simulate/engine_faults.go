package simulate

import (
	"github.com/odarchive/odarchive/library"
	"github.com/odarchive/odarchive/library/schedule"
)

// fail takes a drive out of service in the middle of whatever it does. What it read is asked for again elsewhere; the disc of a
// burn is spent, and the image is burned on another; the robot can still take the disc out.
func (e *engine) fail(d *machine) {
	if !d.Up {
		return
	}
	if d.Busy && d.task == 0 {
		// What the picker and the mechanism have begun they end.
		e.push(60, happening{kind: fails, drive: d.Number, epoch: anyEpoch})
		return
	}
	e.m.failed++
	d.epoch++
	d.Up = false
	id := d.task
	d.task = 0
	e.use(d, Idle)
	if id != 0 {
		r := &e.requests[id-1]
		d.Busy, d.fails = false, false
		e.tell(func(p Policy) { p.Ended(id) })
		r.Avoid = d.Number
		if r.Kind == library.BurnTask {
			r.Avoid, r.Disc = 0, 0
			e.restock()
		}
		e.tell(func(p Policy) { p.Add(r.Task) })
	}
	v := d.Drive
	e.tell(func(p Policy) { p.SetDrive(v) })
	e.push(e.m.repairTime(), happening{kind: repaired, drive: d.Number, epoch: d.epoch})
}

// restock puts another blank in, for the one that was spent.
func (e *engine) restock() {
	id := int64(len(e.discs) + 1)
	d := &schedule.Disc{ID: id, Unit: 1, Slot: int(id), Capacity: e.physics.sectors(), Blank: true}
	e.discs[id] = d
	e.tell(func(p Policy) { p.SetDisc(*d) })
}

func (e *engine) repair(d *machine) {
	d.Up = true
	v := d.Drive
	if v.Busy {
		// It is being emptied: what is told then would override what is under way.
		e.push(60, happening{kind: repaired, drive: d.Number, epoch: d.epoch})
		d.Up = false
		return
	}
	e.tell(func(p Policy) { p.SetDrive(v) })
}

var _ Policy = (*schedule.Planner)(nil)
