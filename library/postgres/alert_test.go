package postgres

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/odarchive/odarchive/library"
)

// alert returns the only alert of a kind.
func (b *bench) alert(kind string) (one Alert) {
	b.Helper()
	alerts, err := b.s.Alerts(b.Context())
	n := 0
	for _, a := range alerts {
		if a.Next == "" {
			b.Errorf("nobody is told what to do about %q", a.Text)
		}
		if a.Kind == kind {
			one, n = a, n+1
		}
	}
	if err != nil || n != 1 {
		b.Errorf("%d alerts of kind %s: %+v %v", n, kind, alerts, err)
	}
	return one
}

// What settles a suspect disc is said, and doing it does.
func TestAlertSettlesSuspect(t *testing.T) {
	b := newBench(t, 3, 2)
	b.verify = dirty(1)
	b.exec(`update drive set up = number = 1`)
	b.scrub("lib-1") // drive 1 alone says that it is bad
	a := b.alert("disc")
	for _, want := range []string{"'odarchive drives up 2', then 'odarchive scrub lib-1'", "odarchive discs condemn lib-1 --reason", "odarchive discs clear lib-1 --reason"} {
		if !strings.Contains(a.Next, want) {
			t.Errorf("without %q: %s", want, a.Next)
		}
	}
	b.exec(`update drive set up = number <= 2`)
	if a := b.alert("disc"); !strings.HasPrefix(a.Next, "'odarchive scrub lib-1' reads it in another drive than drive 1") {
		t.Error(a.Next)
	}
	if _, err := b.s.StartScrub(t.Context(), uuid.NewString(), []string{"lib-1"}, false); err != nil {
		t.Fatal(err)
	}
	if a := b.alert("disc"); !strings.HasPrefix(a.Next, "nothing yet") {
		t.Error(a.Next)
	}
	b.drives = nil
	b.settle()
	if h := b.record("lib-1"); h.Disc.State != library.Good || len(b.drives) != 1 || b.drives[0] != 2 {
		t.Errorf("it was read in drives %v: %+v", b.drives, h.Disc)
	}
	if alerts, err := b.s.Alerts(t.Context()); err != nil || strings.Contains(fmt.Sprint(alerts), "disc lib-1") {
		t.Errorf("%+v %v", alerts, err)
	}
}

func TestAilingNext(t *testing.T) {
	for _, c := range []struct {
		disc ailing
		says string
	}{
		{ailing{placed: true, others: 1}, "'odarchive scrub 7' reads it whole"},
		{ailing{placed: true, bad: 2, others: 1}, "another drive than drive 2, and settles it; or say yourself"},
		{ailing{placed: true, bad: 2, down: 3}, "'odarchive drives up 3 --library north', then 'odarchive scrub 7'"},
		{ailing{placed: true, bad: 2}, "no drive besides drive 2"},
		{ailing{placed: true}, "take a drive into service"},
		{ailing{placed: true, bad: 2, others: 1, asked: true}, "about to be read"},
		{ailing{placed: true, bad: 2, asked: true, down: 3}, "drives up 3"}, // it would wait for ever
		{ailing{placed: true, bad: 2, others: 1, asked: true, reading: 4}, "drive 4 is reading it"},
		{ailing{bad: 2, others: 1}, "set-element slot NUMBER full --disc 7 --library north"},
		{ailing{grade: "migrate_now"}, "'odarchive discs heal 7' replaces it"},
		{ailing{placed: true, grade: "migrate_soon", replacing: true}, "nothing, if there are blank discs"},
		{ailing{placed: true, grade: "migrate_now", healed: true, gaveUp: "nothing gives it"}, "'odarchive discs heal 7' tries again"},
	} {
		c.disc.label = "7"
		if got := c.disc.next(" --library north"); !strings.Contains(got, c.says) {
			t.Errorf("%+v: %q, want %q", c.disc, got, c.says)
		}
	}
}

// Places that need a look are told one by one, so many of them; the rest are counted.
func TestAlertPlaces(t *testing.T) {
	b := newBench(t, 20, 4)
	b.exec(`update element set flag = 'a strange disc is here', fill = 'full', disc_id = null where kind = 'slot' and number = 1`)
	if a := b.alert("element"); a.Text != "slot 1: a strange disc is here" || !strings.Contains(a.Next, "'odarchive library set-element slot 1 empty'") {
		t.Errorf("%+v", a)
	}
	b.exec(`update element set flag = '', fill = 'unknown' where kind = 'slot' and number = 1`)
	b.exec(`update element set flag = 'it is not known how a move ended', fill = 'unknown' where kind = 'slot' and number = 2`)
	if a := b.alert("element"); !strings.Contains(a.Next, "nothing is moved into it") {
		t.Errorf("%+v", a)
	}
	if _, err := b.s.SetElement(t.Context(), "lib", Place{Slot, 2}, Full, "lib-2"); err != nil {
		t.Fatal(err)
	}
	b.exec(`update element set trouble = 'jammed' where kind = 'slot' and number = 3`)
	if a := b.alert("element"); a.Text != "slot 3: the robot says: jammed" {
		t.Errorf("%+v", a)
	}
	b.exec(`update element set flag = 'look' where kind = 'slot' and number <= 15`)
	alerts, err := b.s.Alerts(t.Context())
	n := 0
	for _, a := range alerts {
		if a.Kind == "element" {
			n++
		}
	}
	if all := fmt.Sprint(alerts); err != nil || n != listed+1 || !strings.Contains(all, "5 more places need a look; next: 'odarchive library elements --flagged'") {
		t.Errorf("%s %v", all, err)
	}
}

// A set without parity is told of when a rebuild has found it so, and any other a day after it was closed; until it has parity.
func TestAlertWithoutParity(t *testing.T) {
	b := newBench(t, 3, 4)
	set := uuid.NewString()
	b.exec(`
insert into disc_set (id, vault_id, library_id, medium, capacity, data, parity, state, closed, parity_ids, parity_numbers)
select $1, v.id, l.id, 'BD-R', 1000, 3, 1, 'closed', now(), array[gen_random_uuid()], array[77] from vault v, library l limit 1`, set)
	b.exec(`update image i set set_id = $1, set_index = d.id % 3, data_sectors = i.sectors, gathered = null from disc d where d.image_id = i.id and d.label in ('lib-1', 'lib-2', 'lib-3')`, set)
	bare := func(want int) {
		t.Helper()
		if libs, err := b.s.Libraries(t.Context()); err != nil || libs[0].WithoutParity != want {
			t.Errorf("%+v %v", libs, err)
		}
	}
	bare(1)
	if alerts, err := b.s.Alerts(t.Context()); err != nil || len(alerts) != 0 {
		t.Errorf("its parity is being made: %+v %v", alerts, err)
	}
	b.exec(`insert into rebuild_image (image_id, place, lost, set_id, set_index, set_data, set_parity, label, sectors, layer, data) select image_id, 'x', false, $1, 1, 3, 1, label, 1, 0, 1 from disc where label = 'lib-1'`, set)
	if a := b.alert("set"); !strings.HasPrefix(a.Text, "set "+set+" of vault v is without parity: its 3 discs") || !strings.Contains(a.Next, "has 0 of 3 discs") {
		t.Errorf("%+v", a)
	}
	b.exec(`delete from rebuild_image`)
	b.exec(`update disc_set set closed = now() - interval '2 days'`)
	b.exec(`update element set disc_id = null, fill = 'empty' where disc_id = (select id from disc where label = 'lib-2')`)
	if a := b.alert("set"); !strings.Contains(a.Next, "put lib-2 into slots") {
		t.Errorf("%+v", a)
	}
	b.exec(`update disc_set set state = 'open', closed = null, parity_ids = null, parity_numbers = null`)
	bare(0)
	if alerts, err := b.s.Alerts(t.Context()); err != nil || len(alerts) != 0 {
		t.Errorf("discs still join it: %+v %v", alerts, err)
	}
	b.exec(`update disc_set set state = 'closed', closed = now() - interval '2 days', parity_ids = array[gen_random_uuid()], parity_numbers = array[77]`)
	b.exec(`update image set set_index = 3 where id = (select image_id from disc where label = 'lib-3')`)
	bare(0)
	if alerts, err := b.s.Alerts(t.Context()); err != nil || len(alerts) != 0 {
		t.Errorf("it has a good parity disc: %+v %v", alerts, err)
	}
}

// An agent that has fallen silent is told of, and what is done when its host is gone.
func TestAlertSilent(t *testing.T) {
	b := newBench(t, 1, 1)
	b.exec(`update drive set up = true`)
	b.exec(`update library set silent = true`)
	if a := b.alert("agent"); !strings.Contains(a.Next, "end-leases lib") {
		t.Errorf("%+v", a)
	}
}
