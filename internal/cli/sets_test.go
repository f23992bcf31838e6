package cli

import "testing"

func TestParseSet(t *testing.T) {
	for text, want := range map[string][2]int32{"": {0, 0}, "12+2": {12, 2}, "1+1": {1, 1}, "254+1": {254, 1}} {
		if data, parity, err := parseSet(text); err != nil || data != want[0] || parity != want[1] {
			t.Errorf("%q: %d+%d, %v", text, data, parity, err)
		}
	}
	for _, text := range []string{"12", "12+", "+2", "0+1", "1+0", "255+1", "12+2x", "-1+2", "12+2 3", "a+b"} {
		if data, parity, err := parseSet(text); err == nil {
			t.Errorf("%q is taken as %d+%d", text, data, parity)
		}
	}
}
