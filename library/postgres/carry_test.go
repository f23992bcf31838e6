package postgres

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/odarchive/odarchive/library"
)

// Two copies lie in one library. One of them is carried to the other: on an operator's word, or because an inventory finds it there. What was to be done with
// it is done there, a scrub that somebody asked for included.
func TestDiscIsCarried(t *testing.T) {
	p := newPair(t, 2, 4, 0)
	first, _ := p.plan()
	second, _ := p.plan()
	p.run()
	if a, b := p.copies(first), p.copies(second); a != "here here" || b != "here here" {
		t.Fatalf("copies are in %q and %q", a, b)
	}
	p.blanks(p.there, 2)
	p.exec(`update disc set state = 'retired' where state = 'blank'`)
	p.exec(`update element set fill = 'empty', disc_id = null where library_id = $1 and kind = 'slot'`, p.there.lib)
	label := func(image string) string { return p.said(`select max(label) from disc where image_id = $1`, image) }
	move := func(disc string, fill Fill, slot int) error {
		_, err := p.s.SetElement(t.Context(), "there", Place{Slot, slot}, fill, disc)
		return err
	}

	// The other library has drives, so somebody is told; which discs could be carried is listed.
	found, err := p.s.Alerts(t.Context())
	found = slices.DeleteFunc(found, func(a Alert) bool { return a.Kind != "copies" })
	if err != nil || len(found) != 1 || found[0].Library != "here" || !strings.Contains(found[0].Text, "2 images of vault v") || !strings.Contains(found[0].Next, "--together --library here") {
		t.Errorf("%v %v", found, err)
	}
	discs, err := p.s.Discs(t.Context(), DiscFilter{Together: true})
	if err != nil || len(discs) != 2 || discs[0].Label != label(first) || discs[1].Label != label(second) {
		t.Errorf("%+v %v", discs, err)
	}

	disc := label(first)
	scrub, err := p.s.StartScrub(t.Context(), uuid.NewString(), []string{disc}, false)
	if err != nil {
		t.Fatal(err)
	}
	p.exec(`update task set state = 'leased', epoch = 1, drive = 1 where kind = 'verify' and state = 'queued'`)
	if err := move(disc, Full, 1); library.FaultOf(err) != library.Precondition {
		t.Errorf("a disc that its library is at work with: %v", err)
	}
	p.exec(`update task set state = 'queued', drive = null where kind = 'verify' and state = 'leased'`)
	slot := p.count(`select number from element where kind = 'slot' and disc_id = (select id from disc where label = $1)`, disc)
	for _, place := range []string{`kind = 'drive' and number = 3`, fmt.Sprintf(`kind = 'slot' and number = %d`, slot)} {
		p.exec(`update element set disc_id = null, fill = 'empty' where disc_id = (select id from disc where label = $1)`, disc)
		p.exec(`update element set disc_id = (select id from disc where label = $1), fill = 'full' where library_id = $2 and `+place, disc, p.here.lib)
		if err := move(disc, Full, 1); (library.FaultOf(err) == library.Precondition) != strings.Contains(place, "drive") {
			t.Errorf("a disc in %s: %v", place, err)
		}
	}
	if err := move("nope", Full, 1); library.FaultOf(err) != library.NotFound {
		t.Errorf("no such disc: %v", err)
	}
	if got := p.copies(first); got != "here there" {
		t.Errorf("copies are in %q", got)
	}
	sameView(t, p.here)
	sameView(t, p.there)
	p.run()
	if j, err := p.s.Job(t.Context(), scrub.ID); err != nil || j.State != library.Succeeded {
		t.Errorf("%+v %v", j, err)
	}
	if got := p.said(`select string_agg(l.name || ' ' || t.state, ', ' order by t.id) from task t join library l on l.id = t.library_id join task_job k on k.task_id = t.id
 where t.kind = 'verify' and k.job_id = $1`, scrub.ID); got != "here cancelled, there done" {
		t.Errorf("it was scrubbed: %s", got)
	}

	// The other one is taken out, said to be out, and found by an inventory where it was put.
	disc = label(second)
	p.exec(`update element set disc_id = null, fill = 'empty' where disc_id = (select id from disc where label = $1)`, disc)
	p.there.fail = func(task Task, r *Result) {
		if p.answer(task, r); task.Kind == library.MoveTask && task.From.Kind == Slot && task.From.Number == 2 {
			r.Identity = Identity{State: Ours, ImageID: second}
		}
	}
	p.exec(`update element set fill = 'full' where library_id = $1 and kind = 'slot' and number = 2`, p.there.lib)
	p.exec(`update library set inventory = now() where name = 'there'`)
	p.exec(`update library set want_report = false`)
	if _, err := p.s.Called(t.Context(), Call{Agent: "there", Instance: "1", Library: "there", Report: &Report{Model: "test", SensesSlots: true, Elements: []ReportedElement{
		{Place: Place{Slot, 1}, Unit: 1, Fill: Full},
		{Place: Place{Slot, 2}, Unit: 1, Fill: Full},
		{Place: Place{DriveBay, 1}, Unit: 1, Fill: Empty},
		{Place: Place{DriveBay, 2}, Unit: 1, Fill: Empty},
		{Place: Place{DriveBay, 3}, Unit: 1, Fill: Empty},
		{Place: Place{DriveBay, 4}, Unit: 1, Fill: Empty},
	}}}); err != nil {
		t.Fatal(err)
	}
	p.run()
	if got := p.copies(second); got != "here there" {
		t.Errorf("copies are in %q; the slot says %q", got, p.said(`select flag from element where kind = 'slot' and number = 2 and library_id = $1`, p.there.lib))
	}
	if found, err = p.s.Alerts(t.Context()); err != nil || slices.ContainsFunc(found, func(a Alert) bool { return a.Kind == "copies" }) {
		t.Errorf("%v %v", found, err)
	}
	if n := p.count(`select count(*) from disc where image_id = $1`, second); n != 2 {
		t.Errorf("the catalogue has %d discs of the image", n)
	}
	sameView(t, p.here)
	sameView(t, p.there)
}
