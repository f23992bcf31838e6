package snapshot

import (
	"fmt"
	"math"
	"strings"
	"time"
)

const (
	mostSectors = 1 << 33 // beyond any medium: 16 TiB
	mostSeconds = 1 << 33 // a time.Duration holds it
	mostNumber  = 1 << 53 // JSON numbers are whole up to here everywhere (RFC 8259 §6)
	mostText    = 64 << 10
)

// check gathers the first thing that is wrong with a record.
type check struct{ err error }

func (c *check) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

func (c *check) uuid(name, id string) {
	if !validUUID(id) {
		c.fail("%s: %.60q is no UUID", name, id)
	}
}

func (c *check) optional(name, id string) {
	if id != "" {
		c.uuid(name, id)
	}
}

func (c *check) within(name string, n, low, high int64) {
	if n < low || n > high {
		c.fail("%s: %d is not from %d to %d", name, n, low, high)
	}
}

// counts are numbers of things, from 0.
func (c *check) counts(name string, all ...int64) {
	for _, n := range all {
		c.within(name, n, 0, mostNumber)
	}
}

func (c *check) seconds(name string, s float64) {
	if !(s >= 0 && s <= mostSeconds) || math.IsNaN(s) {
		c.fail("%s: %v is not from 0 to %d", name, s, int64(mostSeconds))
	}
}

// text is what people or drives have written; some text must not be empty.
func (c *check) text(name, s string, least int) {
	if len(s) < least || len(s) > mostText {
		c.fail("%s: a text of %d bytes", name, len(s))
	}
	if strings.ContainsRune(s, 0) { // no database takes it
		c.fail("%s: a text with a zero character", name)
	}
}

// word is a state or the like. One that isn't known is no error: whoever needs it decides.
func (c *check) word(name, s string) {
	if len(s) == 0 || len(s) > 40 {
		c.fail("%s: %.60q is no word", name, s)
	}
	for _, r := range s {
		if (r < 'a' || r > 'z') && r != '_' {
			c.fail("%s: %.60q is no word", name, s)
		}
	}
}

// time must be one that every database holds.
func (c *check) time(name string, t *time.Time) {
	if t != nil && (t.Year() < 1970 || t.Year() > 9999) {
		c.fail("%s: the year %d", name, t.Year())
	}
}

func (v *Vault) validate() error {
	var c check
	c.uuid("id", v.ID)
	c.text("name", v.Name, 1)
	c.time("created", &v.Created)
	c.within("copies", int64(v.Copies), 1, 100)
	c.within("max_wait_seconds", v.MaxWait, 0, mostSeconds)
	c.within("roots", int64(v.Roots), 0, 170)
	c.within("scrub_seconds", v.Scrub, 0, mostSeconds)
	c.within("set_wait_seconds", v.SetWait, 0, mostSeconds)
	c.within("set_data", int64(v.SetData), 0, 255)
	c.within("set_parity", int64(v.SetParity), 0, 255-int64(v.SetData))
	if v.HealAt != "" {
		c.word("heal_at", v.HealAt)
	}
	return c.err
}

func (l *Library) validate() error {
	var c check
	c.uuid("id", l.ID)
	c.text("name", l.Name, 1)
	c.text("model", l.Model, 0)
	c.within("evacuation_limit_seconds", l.EvacuationLimit, 0, mostSeconds)
	return c.err
}

func (s *Set) validate() error {
	var c check
	c.uuid("id", s.ID)
	c.uuid("vault", s.Vault)
	c.uuid("library", s.Library)
	c.text("medium", s.Medium, 1)
	c.within("capacity", s.Capacity, 1, mostSectors)
	c.within("data", int64(s.Data), 1, 254)
	c.within("parity", int64(s.Parity), 1, 255-int64(s.Data))
	c.word("state", s.State)
	c.time("created", &s.Created)
	c.time("closed", s.Closed)
	if len(s.Parities) > s.Parity {
		c.fail("parities: %d of %d", len(s.Parities), s.Parity)
	}
	for _, p := range s.Parities {
		c.uuid("parities", p.ID)
		c.within("parities", p.Number, 0, mostNumber)
	}
	return c.err
}

func (i *Image) validate() error {
	var c check
	c.uuid("id", i.ID)
	c.within("number", i.Number, 0, mostNumber)
	c.uuid("vault", i.Vault)
	c.uuid("library", i.Library)
	c.text("medium", i.Medium, 1)
	c.within("sectors", i.Sectors, 1, mostSectors)
	c.within("layer_sectors", i.Layer, 0, i.Sectors/255)
	c.within("data_sectors", i.Data, 0, i.Sectors)
	c.time("created", &i.Created)
	c.within("copies", int64(i.Copies), 1, 100)
	c.time("safe", i.Safe)
	c.optional("set", i.Set)
	if (i.Set == "") != (i.Index == nil) {
		c.fail("index: it goes with a set")
	} else if i.Index != nil {
		c.within("index", int64(*i.Index), 0, 254)
	}
	return c.err
}

func (d *Disc) validate() error {
	var c check
	c.text("label", d.Label, 1)
	c.uuid("library", d.Library)
	c.text("medium", d.Medium, 1)
	c.within("capacity", d.Capacity, 1, mostSectors)
	c.word("state", d.State)
	c.optional("image", d.Image)
	c.within("recorded", d.Recorded, 0, d.Capacity)
	for name, t := range map[string]*time.Time{
		"burned": d.Burned, "verified": d.Verified, "graded": d.Graded, "failed": d.Failed, "scrub_due": d.ScrubDue, "operator_judged": d.WordTime,
	} {
		c.time(name, t)
	}
	for name, s := range map[string]string{"reason": d.Reason, "lot": d.Lot, "media_id": d.MediaID, "grade_reason": d.Why, "operator_reason": d.WordWhy} {
		c.text(name, s, 0)
	}
	for name, s := range map[string]string{"grade": d.Grade, "operator_grade": d.Word} {
		if s != "" {
			c.word(name, s)
		}
	}
	return c.err
}

func (a *Archive) validate() error {
	var c check
	c.uuid("id", a.ID)
	c.uuid("vault", a.Vault)
	c.text("name", a.Name, 1)
	c.text("description", a.Description, 0)
	c.counts("entries and bytes", a.Entries, a.Bytes)
	c.time("sealed", &a.Sealed)
	c.time("safe", a.Safe)
	c.word("state", a.State)
	return c.err
}

func (s *Step) validate() error {
	var c check
	c.text("disc", s.Disc, 1)
	c.time("at", &s.At)
	c.word("step", s.Step)
	c.within("drive", int64(s.Drive), 0, math.MaxInt32)
	c.text("detail", s.Detail, 0)
	return c.err
}

func (r *Reading) validate() error {
	var c check
	c.text("disc", r.Disc, 1)
	c.uuid("library", r.Library)
	c.within("drive", int64(r.Drive), 0, math.MaxInt32)
	c.word("what", r.What)
	c.time("begun", &r.Begun)
	c.time("finished", &r.Finished)
	c.text("error", r.Error, 0)
	c.within("sectors", r.Sectors, 0, mostSectors)
	c.within("done", r.Done, 0, r.Sectors)
	c.seconds("seconds", r.Seconds)
	c.counts("counts", r.Retries, r.Recovered, r.Unreadable, r.Disagreed, r.Repaired, r.Wrong)
	c.within("worst_row", int64(r.WorstRow), 0, math.MaxInt32)
	c.within("roots", int64(r.Roots), 0, math.MaxInt32)
	c.within("slow", int64(r.Slow), 0, math.MaxInt32)
	c.seconds("slowest", r.Slowest)
	if (r.Metric == "") != (r.Measured == nil) {
		c.fail("measured: it goes with a metric")
	}
	c.text("metric", r.Metric, 0)
	numbers := map[int]bool{}
	for _, g := range r.Regions {
		c.within("regions", int64(g.Number), 0, math.MaxInt32)
		if numbers[g.Number] {
			c.fail("regions: %d is there twice", g.Number)
		}
		numbers[g.Number] = true
		c.within("regions", g.First, 0, mostSectors)
		c.within("regions", g.Sectors, 1, mostSectors)
		c.within("regions", int64(g.Drive), 0, math.MaxInt32)
		c.seconds("regions", g.Seconds)
		c.counts("regions", g.Retries, g.Recovered, g.Unreadable, g.Disagreed, g.Repaired, g.Errors)
		c.text("regions", g.Sense, 0)
	}
	return c.err
}
