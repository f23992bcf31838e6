package simulate

import (
	"slices"
	"time"

	"github.com/odarchive/odarchive/library/schedule"
)

// baseline is what schedule.Planner is compared with: first come first served, or the disc of the oldest request with all that is
// wanted from it. Both leave a disc in its drive until another is wanted there, and exchange the two in one go. They serve reads
// and know of no faults.
type baseline struct {
	byDisc  bool
	drives  []*baseDrive
	discs   map[int64]*baseDisc
	waiting []schedule.Task // by arrival; of FIFO
	picker  bool
	swaps   []*baseDrive // that wait for the picker, in order
	out     []schedule.Action
	clock   int64
}

type baseDrive struct {
	schedule.Drive
	target *baseDisc // the disc that it is to have
	first  *schedule.Task
	used   int64
}

type baseDisc struct {
	schedule.Disc
	wanted []schedule.Task // by arrival
	taken  bool            // it is in a drive, or about to be
}

func newBaseline(byDisc bool) *baseline {
	return &baseline{byDisc: byDisc, discs: map[int64]*baseDisc{}}
}

func (b *baseline) SetDrive(d schedule.Drive) { b.drives = append(b.drives, &baseDrive{Drive: d}) }
func (b *baseline) SetDisc(d schedule.Disc)   { b.discs[d.ID] = &baseDisc{Disc: d} }
func (b *baseline) drive(n int) *baseDrive    { return b.drives[n-1] }

func (b *baseline) Add(t schedule.Task) {
	if b.byDisc {
		d := b.discs[t.Disc]
		d.wanted = append(d.wanted, t)
		return
	}
	b.waiting = append(b.waiting, t)
}

func (b *baseline) Ended(id int64) {
	for _, d := range b.drives {
		if d.Running.ID == id {
			d.Busy, d.Running = false, schedule.Task{}
		}
	}
}

func (b *baseline) Stopped(int64, int64) {}
func (b *baseline) Loaded(n int)         { b.drive(n).Busy = false }
func (b *baseline) Ejected(n int)        { b.drive(n).Ejected = true }
func (b *baseline) Released(int)         { b.picker = false }
func (b *baseline) SetStill(bool)        {}

func (b *baseline) Unloaded(n int) {
	d := b.drive(n)
	b.discs[d.Disc].taken = false
	d.Full, d.Ejected, d.Disc = false, false, 0
}

func (b *baseline) Decide(time.Duration) []schedule.Action {
	b.out = b.out[:0]
	b.clock++
	for _, d := range b.drives {
		if !d.Busy && d.Full && b.byDisc {
			b.read(d)
		}
	}
	if b.byDisc {
		b.assignDiscs()
	} else {
		b.assignRequests()
	}
	b.exchange()
	return b.out
}

func (b *baseline) start(d *baseDrive, t schedule.Task) {
	d.Busy, d.Running, d.used = true, t, b.clock
	b.out = append(b.out, schedule.Action{Task: t.ID, Drive: d.Number, Disc: d.Disc})
}

// read starts the read of the lowest sector that is wanted from the disc in d.
func (b *baseline) read(d *baseDrive) {
	disc := b.discs[d.Disc]
	if len(disc.wanted) == 0 {
		return
	}
	i := 0
	for j, t := range disc.wanted {
		if t.Sector < disc.wanted[i].Sector {
			i = j
		}
	}
	t := disc.wanted[i]
	disc.wanted = slices.Delete(disc.wanted, i, i+1)
	b.start(d, t)
}

// idle returns an idle drive: an empty one, or the one least lately used.
func (b *baseline) idle() (best *baseDrive) {
	for _, d := range b.drives {
		if d.Busy {
			continue
		}
		if best == nil || !d.Full && best.Full || d.Full == best.Full && d.used < best.used {
			best = d
		}
	}
	return best
}

func (b *baseline) assign(d *baseDrive, disc *baseDisc) {
	d.target, d.Busy, disc.taken, d.used = disc, true, true, b.clock
	if d.Full {
		b.out = append(b.out, schedule.Action{Eject: true, Drive: d.Number, Disc: d.Disc})
	}
	b.swaps = append(b.swaps, d)
}

func (b *baseline) assignDiscs() {
	for {
		d := b.idle()
		if d == nil {
			return
		}
		var best *baseDisc
		for id := int64(1); id <= int64(len(b.discs)); id++ {
			c := b.discs[id]
			if !c.taken && len(c.wanted) > 0 && (best == nil || c.wanted[0].ID < best.wanted[0].ID) {
				best = c
			}
		}
		if best == nil {
			return
		}
		b.assign(d, best)
	}
}

func (b *baseline) assignRequests() {
	for _, d := range b.drives {
		if !d.Busy && d.first != nil {
			t := *d.first
			d.first = nil
			b.start(d, t)
		}
	}
	for i := 0; i < len(b.waiting); {
		t := b.waiting[i]
		disc := b.discs[t.Disc]
		var d *baseDrive
		if disc.taken {
			for _, o := range b.drives {
				if o.Disc == t.Disc && !o.Busy {
					d = o
				}
			}
			if d == nil {
				i++
				continue
			}
			b.waiting = slices.Delete(b.waiting, i, i+1)
			b.start(d, t)
			continue
		}
		if d = b.idle(); d == nil {
			return
		}
		b.waiting = slices.Delete(b.waiting, i, i+1)
		d.first = &t
		b.assign(d, disc)
	}
}

// exchange lets the picker carry: the old disc home and the new one in, drive after drive.
func (b *baseline) exchange() {
	if b.picker {
		return
	}
	for i, d := range b.swaps {
		if d.Full && !d.Ejected {
			continue
		}
		b.picker = true
		if d.Full {
			b.out = append(b.out, schedule.Action{Unload: true, Drive: d.Number, Disc: d.Disc, Slot: d.Home})
			// It is this drive's turn again when the picker is back.
			b.swaps = slices.Insert(slices.Delete(b.swaps, i, i+1), 0, d)
			return
		}
		disc := d.target
		b.swaps = slices.Delete(b.swaps, i, i+1)
		d.Full, d.Disc, d.Home, d.target = true, disc.ID, disc.Slot, nil
		b.out = append(b.out, schedule.Action{Load: true, Drive: d.Number, Disc: disc.ID, Slot: disc.Slot})
		return
	}
}
