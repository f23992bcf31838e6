package postgres

import "testing"

func TestTendNothing(t *testing.T) {
	s := open(t)
	newAgent(t, s, "north", 3)
	if err := s.Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
}
