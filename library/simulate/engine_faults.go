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
	e.m.failed++
	d.epoch++
	d.Up = false
	id := d.task
	d.task = 0
	switching := d.Busy && id == 0
	e.use(d, Idle)
	if id != 0 {
		r := e.requests[id-1]
		d.Busy = false
		e.tell(func(p Policy) { p.Ended(id) })
		again := r.Task
		again.Avoid = d.Number
		if r.Kind == library.BurnTask {
			again.Avoid, again.Disc = 0, 0
		}
		e.tell(func(p Policy) { p.Add(again) })
	}
	if switching {
		// The picker and the mechanism end what they have begun; the disc is in the drive or in its slot.
		d.Busy = false
		if d.Full {
			d.Ejected = true
		}
		e.tell(func(p Policy) { p.Released(d.Unit) })
	}
	v := d.Drive
	e.tell(func(p Policy) { p.SetDrive(v) })
	e.push(e.m.repairTime(), happening{kind: repaired, drive: d.Number, epoch: d.epoch})
}

func (e *engine) repair(d *machine) {
	d.Up = true
	v := d.Drive
	if v.Busy {
		// It is being unloaded: what is told then overrides nothing that is under way.
		e.push(60, happening{kind: repaired, drive: d.Number, epoch: d.epoch})
		d.Up = false
		return
	}
	e.tell(func(p Policy) { p.SetDrive(v) })
}

var _ Policy = (*schedule.Planner)(nil)
