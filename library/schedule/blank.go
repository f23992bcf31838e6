package schedule

import (
	"slices"
	"time"
)

// burn is a burn that is queued and ready, as it was asked for: of these there are few.
type burn struct {
	Task
	task *task
}

// fits says whether t, a burn, can be recorded on a blank disc.
func (t *Task) fits(d *Disc) bool {
	switch {
	case t.SpareAreas && d.WithSpares > 0:
		return t.Sectors <= d.WithSpares
	case d.Spared && !t.SpareAreas:
		return false
	}
	return t.Sectors <= d.Capacity
}

// blank returns the blank disc of u that d can burn and on which t fits: of the medium that t was planned for before others, of the smallest size,
// of the lot whose turn it is, in the lowest slot. It is nil when there is none.
func (u *unit) blank(d *drive, t *burn) (best *disc) {
	for _, b := range u.blanks {
		if len(b.discs) == 0 || !d.takes(b.medium) {
			continue
		}
		c := b.discs[0].disc
		if t.fits(&c.Disc) && (best == nil || u.rather(t, c, best)) {
			best = c
		}
	}
	return best
}

// rather says that a is the better blank for t than b. Lots take turns, so that what is burned one after the other, the copies of an image and the
// images of a set, does not age together.
func (u *unit) rather(t *burn, a, b *disc) bool {
	switch own := a.Medium == t.Medium; {
	case t.Medium != "" && own != (b.Medium == t.Medium):
		return own
	case a.Capacity != b.Capacity:
		return a.Capacity < b.Capacity
	case u.taken[a.Lot] != u.taken[b.Lot]:
		return u.taken[a.Lot] < u.taken[b.Lot]
	}
	return a.Slot < b.Slot
}

// take notes that a blank disc is loaded.
func (u *unit) take(d *disc) {
	if u.taken == nil {
		u.taken = map[string]int{}
	}
	u.loads++
	u.taken[d.Lot] = u.loads
}

// burn returns the burn that d should be given, with its blank: the most urgent one that fits on one. Those that need others don't hold up the rest.
func (p *Planner) burn(u *unit, d *drive) candidate {
	best := candidate{rank: none}
	if d.ReadOnly || !p.burnable() || !u.stocked() {
		return best
	}
	for _, t := range p.burns {
		if best.burn != nil && !d.sooner(t, best.burn) {
			continue
		}
		if b := u.blank(d, t); b != nil {
			best = candidate{disc: b, burn: t, rank: due, score: t.Due}
		}
	}
	return best
}

// stocked says whether u has a blank disc.
func (u *unit) stocked() bool {
	return slices.ContainsFunc(u.blanks, func(b *blanks) bool { return len(b.discs) > 0 })
}

// burnFor returns the burn that a blank disc in d should get: the most urgent one that fits on it, of those that were planned for its medium
// before others. It is nil when there is none.
func (p *Planner) burnFor(d *drive, disc *disc) (best *burn) {
	own := func(t *burn) bool { return t.Medium == "" || t.Medium == disc.Medium }
	for _, t := range p.burns {
		if !t.fits(&disc.Disc) {
			continue
		}
		if best == nil || own(t) && !own(best) || own(t) == own(best) && d.sooner(t, best) {
			best = t
		}
	}
	return best
}

// unburn takes t from the burns that are queued, if it is one of them.
func (p *Planner) unburn(t *task) {
	p.burns = slices.DeleteFunc(p.burns, func(o *burn) bool { return o.task == t })
}

// elsewhere is how much later a burn may be due that is done before one whose last copy was burned in the same drive.
const elsewhere = time.Hour

// sooner says that d burns a before b.
func (d *drive) sooner(a, b *burn) bool {
	x, y := a.Due, b.Due
	if a.Burned == d.Number {
		x += elsewhere
	}
	if b.Burned == d.Number {
		y += elsewhere
	}
	return x < y || x == y && a.ID < b.ID
}
