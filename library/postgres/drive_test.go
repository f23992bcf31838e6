package postgres

import (
	"testing"

	"github.com/odarchive/odarchive/library"
)

// TestDriveReturns: a drive that its agent left out is in service again when the agent finds it well, unless an operator had a reason besides;
// an operator's word reaches the agent until it is obeyed, and puts no drive to work that has a fault.
func TestDriveReturns(t *testing.T) {
	t.Parallel()
	s := open(t)
	report := func(fault string, probed int64) {
		t.Helper()
		if _, err := s.Called(t.Context(), Call{Agent: "a", Instance: "1", Library: "lib", Report: &Report{
			Model: "test", Drives: []ReportedDrive{{Number: 1, Name: "sr0", Fault: fault, Probed: probed}},
		}}); err != nil {
			t.Fatal(err)
		}
	}
	is := func(up bool, reason, fault string, words int) {
		t.Helper()
		drives, err := s.Drives(t.Context(), "lib")
		if err != nil {
			t.Fatal(err)
		}
		if d := drives[0]; d.Up != up || d.Reason != reason || d.Fault != fault {
			t.Errorf("up %v, reason %q, fault %q; want %v, %q, %q", d.Up, d.Reason, d.Fault, up, reason, fault)
		}
		id, err := libraryID(t.Context(), s.pool, "lib")
		if err != nil {
			t.Fatal(err)
		}
		if _, p, err := s.Continue(t.Context(), id, -1, nil); err != nil || len(p) != words {
			t.Errorf("%v, %v; want %d words", p, err, words)
		}
	}
	set := func(up bool, reason string) {
		t.Helper()
		if err := s.SetDrive(t.Context(), "lib", 1, up, reason); err != nil {
			t.Fatal(err)
		}
	}
	report("", 0)
	is(true, "", "", 0)
	report("laser", 0)
	is(false, "laser", "laser", 0)
	report("lens", 0) // tried again, and something else is wrong
	is(false, "lens", "lens", 0)
	report("", 0)
	is(true, "", "", 0)

	report("laser", 0)
	set(true, "")
	is(false, "laser", "laser", 1)
	report("laser", 0) // from before the word
	is(false, "laser", "laser", 1)
	report("laser", 1)
	is(false, "laser", "laser", 0)
	set(true, "")
	set(true, "")
	report("", 2) // the first of two words
	is(true, "", "", 1)
	report("", 3)
	is(true, "", "", 0)

	set(false, "by the operator")
	report("laser", 0)
	is(false, "by the operator", "laser", 0)
	report("", 0)
	is(false, "by the operator", "", 0)
	set(true, "")
	is(true, "", "", 0)
	report("laser", 0)
	set(false, "by the operator")
	report("", 0)
	is(false, "by the operator", "", 0)
	if err := s.SetDrive(t.Context(), "lib", 2, true, ""); library.FaultOf(err) != library.NotFound {
		t.Error(err)
	}
}

// TestTagsAndTroubles: what the robot says of a place is kept as it last said it.
func TestTagsAndTroubles(t *testing.T) {
	t.Parallel()
	s := open(t)
	for _, e := range []ReportedElement{
		{Place: Place{Slot, 1}, Unit: 1, Fill: Full, Tag: "A00001"},
		{Place: Place{Slot, 1}, Unit: 1, Fill: Unknown, Trouble: "bar code can't be read (83/09)"},
		{Place: Place{Slot, 1}, Unit: 1, Fill: Full, Tag: "A00002"},
	} {
		if _, err := s.Called(t.Context(), Call{Agent: "a", Instance: "1", Library: "lib", Report: &Report{Elements: []ReportedElement{e}}}); err != nil {
			t.Fatal(err)
		}
		all, err := s.Elements(t.Context(), "lib", Slot, false)
		if err != nil || len(all) != 1 || all[0].Tag != e.Tag || all[0].Trouble != e.Trouble {
			t.Errorf("%+v, %v; want %+v", all, err, e)
		}
		if _, err := s.pool.Exec(t.Context(), `update element set flag = ''`); err != nil { // a disc that nobody knows is a reason of its own
			t.Fatal(err)
		}
		flagged, err := s.Elements(t.Context(), "lib", Slot, true)
		if libs, err2 := s.Libraries(t.Context()); err != nil || err2 != nil || (len(flagged) == 1) != (e.Trouble != "") || libs[0].Flagged != len(flagged) {
			t.Errorf("with the trouble %q %d places are to be looked at, and %d are counted: %v %v", e.Trouble, len(flagged), libs[0].Flagged, err, err2)
		}
	}
	r := &Report{
		Elements: []ReportedElement{{Place: Place{DriveBay, 1}, Unit: 1, Fill: Full, Tag: "A00003", Trouble: "its tray is crooked"}},
		Drives:   []ReportedDrive{{Number: 1, Name: "sr0"}},
	}
	if _, err := s.Called(t.Context(), Call{Agent: "a", Instance: "1", Library: "lib", Report: r}); err != nil {
		t.Fatal(err)
	}
	if drives, err := s.Drives(t.Context(), "lib"); err != nil || drives[0].Tag != "A00003" || drives[0].Trouble != "its tray is crooked" {
		t.Errorf("%+v %v", drives, err)
	}
}

// TestSpareAreas: a vault keeps to what it began with, and each disc that is burned for it says so.
func TestSpareAreas(t *testing.T) {
	t.Parallel()
	s := open(t)
	v, err := s.CreateVault(t.Context(), Vault{Name: "spared", Copies: 1})
	if err != nil {
		t.Fatal(err)
	}
	keep := func(spare bool) error { return s.KeepSpareAreas(t.Context(), v.ID, spare) }
	for _, spare := range []bool{true, true, false, true} {
		if err := keep(spare); err != nil {
			t.Fatal(err)
		}
	}
	newAgent(t, s, "lib", 1)
	if _, err := s.pool.Exec(t.Context(), `update image set vault_id = $1`, v.ID); err != nil {
		t.Fatal(err)
	}
	if err := keep(false); library.FaultOf(err) != library.Exists {
		t.Errorf("%v; want it refused", err)
	}
	if err := keep(true); err != nil {
		t.Error(err)
	}
	if spare, err := s.SpareAreas(t.Context(), v.ID); err != nil || !spare {
		t.Errorf("%v, %v", spare, err)
	}
}
