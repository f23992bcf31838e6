package postgres

import "testing"

// What is burned one after the other lies on discs of different lots, also when the lots are told after the plan was made.
func TestLotsTakeTurns(t *testing.T) {
	b := newBench(t, 4, 1)
	b.verify, b.copy = well, well
	b.blanks(5, 6)
	b.heal("lib-1") // the plan is made
	if _, err := b.s.SetLot(t.Context(), "lib", []SlotRange{{6, 7}}, "A"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.s.SetLot(t.Context(), "lib", []SlotRange{{8, 10}}, "B"); err != nil {
		t.Fatal(err)
	}
	for _, label := range []string{"lib-2", "lib-3", "lib-4"} {
		if err := b.s.HealDisc(t.Context(), label); err != nil {
			t.Fatal(err)
		}
	}
	b.settle()
	var lots string
	if err := b.s.pool.QueryRow(t.Context(), `
select string_agg(n.lot, ' ' order by n.burned) from heal h join disc o on o.id = h.disc_id join disc n on n.id = h.new_disc where o.label <> 'lib-1'`).Scan(&lots); err != nil {
		t.Fatal(err)
	}
	if lots != "A B A" && lots != "B A B" {
		t.Errorf("one after the other, the lots are %s", lots)
	}
}
