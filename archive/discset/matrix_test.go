package discset

import "testing"

// TestCoefficient holds the vectors of docs/disc-format-sets.md, with a multiplication of its own.
func TestCoefficient(t *testing.T) {
	slow := func(a, b int) (p int) {
		for ; b > 0; b >>= 1 {
			if b&1 == 1 {
				p ^= a
			}
			if a <<= 1; a > 255 {
				a ^= 0x11D
			}
		}
		return p
	}
	for i := range 255 {
		for j := range 255 - i {
			if c := Coefficient(i, j); slow(int(c), (255-i)^j) != 255^j || i == 0 && c != 1 {
				t.Fatalf("parity %d of data %d: %d", i, j, c)
			}
		}
	}
	for at, want := range map[[2]int]byte{{1, 0}: 127, {1, 1}: 252, {2, 5}: 133} {
		if got := Coefficient(at[0], at[1]); got != want {
			t.Errorf("M%v = %d, want %d", at, got, want)
		}
	}
}
