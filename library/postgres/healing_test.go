package postgres

import (
	"fmt"
	"strings"
	"testing"

	"github.com/odarchive/odarchive/library"
	"github.com/odarchive/odarchive/library/health"
)

// worn reads a disc whose worst row needs so many of its 32 roots, whichever drive it is in; all others are well.
func (b *bench) worn(label string, row int) func(Task) Result {
	b.Helper()
	disc := int64(b.count(`select id from disc where label = $1`, label))
	return func(t Task) Result {
		if t.DiscID == disc {
			return Result{Repairable: true, Repaired: 5, Damaged: 5, WorstRow: row, Roots: 32}
		}
		return well(t)
	}
}

// A disc that two drives find worn is replaced without anybody's having said so, if that is what its vault wants.
func TestHealsByItself(t *testing.T) {
	for _, c := range []struct {
		policy health.Grade
		row    int
		want   library.DiscState
	}{
		{health.MigrateNow, 16, library.Retired},
		{health.MigrateNow, 10, library.Good},
		{health.MigrateSoon, 10, library.Retired},
		{health.Ungraded, 16, library.Good},
	} {
		t.Run(fmt.Sprintf("%d of 32, policy %q", c.row, c.policy), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, 2, 4)
			b.blanks(3, 2)
			if v, err := b.s.CreateVault(t.Context(), Vault{Name: "another", Copies: 1}); err != nil || v.HealAt != health.MigrateNow.String() {
				t.Errorf("a new vault's policy: %v %v", v.HealAt, err)
			}
			if v, err := b.s.SetHealing(t.Context(), "v", c.policy); err != nil || v.HealAt != c.policy.String() {
				t.Fatalf("%v %v", v.HealAt, err)
			}
			b.verify, b.copy = b.worn("lib-1", c.row), well
			b.scrub("lib-1")
			h := b.record("lib-1")
			if h.Disc.State != c.want || !h.Disc.Confirmed {
				t.Errorf("%+v", h.Disc)
			}
			alerts, err := b.s.Alerts(t.Context())
			if want := c.want == library.Good; err != nil || (len(alerts) == 1) != want || want && strings.Contains(alerts[0].Text, "replaced") {
				t.Errorf("%v %v", alerts, err)
			}
		})
	}
	b := newBench(t, 1, 1)
	if _, err := b.s.SetHealing(t.Context(), "v", health.Watch); library.FaultOf(err) != library.Invalid {
		t.Error(err)
	}
	if _, err := b.s.SetHealing(t.Context(), "nobody", health.MigrateNow); library.FaultOf(err) != library.NotFound {
		t.Error(err)
	}
}

// Of many bad discs some are replaced at a time, those first without which least is left. One that was given up is tried again a week later.
func TestHealsInOrderOfRisk(t *testing.T) {
	b := newBench(t, 8, 4)
	b.exec(`update vault set heal_at = 'migrate_now'`)
	b.verify, b.copy = well, well
	// lib-3 and lib-4 are copies of one image, and lib-5's has a good one: lib-6.
	b.exec(`update disc set image_id = (select image_id from disc where label = 'lib-4') where label = 'lib-3'`)
	b.exec(`update disc set image_id = (select image_id from disc where label = 'lib-6') where label = 'lib-5'`)
	b.exec(`update disc set grade = 'migrate_now', grade_confirmed = true, grade_reason = 'old', state = 'suspect' where label in ('lib-3', 'lib-4', 'lib-5')`)
	b.exec(`update disc set grade = 'migrate_now', grade_confirmed = true, grade_reason = 'old' where label in ('lib-1', 'lib-2')`)
	b.exec(`update disc set grade = 'migrate_now' where label = 'lib-7'`) // one drive's word
	for label := range b.images {
		b.images[label] = "" // what the catalogue says
	}
	heals := func() string {
		t.Helper()
		var labels string
		if err := b.s.pool.QueryRow(t.Context(), `
select coalesce(string_agg(d.label, ' ' order by d.label), '') from heal h join disc d on d.id = h.disc_id where h.finished is null and h.automatic`).Scan(&labels); err != nil {
			t.Fatal(err)
		}
		return labels
	}
	tend := func() {
		t.Helper()
		if err := b.s.Tend(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	tend()
	tend()
	if got := heals(); got != "lib-3 lib-4" {
		t.Errorf("%s are replaced first", got)
	}
	alerts, err := b.s.Alerts(t.Context())
	var said []string
	for _, a := range alerts {
		said = append(said, a.Text)
	}
	all := strings.Join(said, "\n")
	if err != nil || strings.Count(all, "; it is being replaced") != 2 || !strings.Contains(all, "2 discs are to be replaced, and no blank disc is left") {
		t.Errorf("%s\n%v", all, err)
	}
	b.blanks(9, 6)
	b.copy = func(task Task) Result {
		if b.count(`select count(*) from disc where id = $1 and label = 'lib-2'`, task.DiscID) == 1 {
			return dead(task)
		}
		return well(task)
	}
	b.settle()
	for n := 1; n <= 8; n++ {
		label := fmt.Sprint("lib-", n)
		h := b.record(label)
		want := map[int]library.DiscState{1: library.Retired, 3: library.Retired, 4: library.Retired, 5: library.Retired}[n]
		if want == "" {
			want = library.Good
		}
		if h.Disc.State != want {
			t.Errorf("%s: %+v", label, h.Disc)
		}
	}
	if n := b.count(`select count(*) from heal where error <> ''`); n != 1 || heals() != "" {
		t.Fatalf("%d were given up, %q go on", n, heals())
	}
	tend()
	if heals() != "" {
		t.Errorf("%q was given up a moment ago", heals())
	}
	if alerts, err := b.s.Alerts(t.Context()); err != nil || len(alerts) != 1 || !strings.Contains(alerts[0].Text, "replacing it was given up: no disc that is in a library gives") {
		t.Errorf("%v %v", alerts, err)
	}
	b.exec(`update heal set asked = now() - interval '9 days', finished = now() - interval '8 days' where error <> ''`)
	b.exec(`update task set finished = finished - interval '8 days' where state = 'failed'`)
	b.copy = well
	tend()
	b.settle()
	if h := b.record("lib-2"); h.Disc.State != library.Retired {
		t.Errorf("%+v", h.Disc)
	}
}
