package denon

import "testing"

// FuzzState: whatever the line carries, cutting takes no more than there is, and a state has slots of the machine.
func FuzzState(f *testing.F) {
	f.Add([]byte{0, 48, 0x83, 0xFF, 0xFF, 0x81, 0x80, 0x50})
	f.Add([]byte{0xDD, 0x50, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		n, token, err := split(7, []byte{0x50})(b, false)
		if n > len(b) || len(token) != n || err != nil {
			t.Fatalf("% X: %d, % X, %v", b, n, token, err)
		}
		s, err := parseState(b)
		for _, slot := range s.slots {
			if slot < 0 || slot > Slots {
				t.Errorf("% X: slot %d, %v", b, slot, err)
			}
		}
	})
}
