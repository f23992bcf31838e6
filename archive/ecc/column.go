package ecc

// column is a decoder of single codewords for errors at unknown places beside erasures, after Berlekamp, Massey and Forney
// (Blahut, Algebraic Codes for Data Transmission, 2003, §7.4 and 7.2).
type column struct {
	roots     int
	erasures  []byte // the erasure locator polynomial, the constant first
	n         int    // erasures
	syndromes []byte
}

// erratum is a place and what to add to it.
type erratum struct {
	layer int
	value byte
}

func newColumn(roots int, erased set) *column {
	c := &column{roots: roots, erasures: make([]byte, roots+1), syndromes: make([]byte, roots)}
	c.erasures[0] = 1
	for j := range erased.all() {
		x := locator(j)
		c.n++
		for i := c.n; i > 0; i-- {
			c.erasures[i] ^= mul(c.erasures[i-1], x)
		}
	}
	return c
}

// decode finds the errata of a codeword from its parity as read plus that made from its data as read, the residual: one byte for
// each root. It is not ok when there are more errors than twice which, with the erasures, there are roots.
func (c *column) decode(residual []byte) (errata []erratum, ok bool) {
	s := c.syndromes
	for i := range s {
		x, sum := evaluation(i), byte(0)
		for _, v := range residual {
			sum = mul(sum, x) ^ v
		}
		s[i] = sum
	}
	locators := c.locators()
	degree := 0
	for i, v := range locators {
		if v != 0 {
			degree = i
		}
	}
	// Errors are at the layers whose locators' inverses are roots.
	omega := make([]byte, c.roots)
	for i := range omega {
		for k := 0; k <= min(i, degree); k++ {
			omega[i] ^= mul(s[i-k], locators[k])
		}
	}
	for layer := range layers {
		inverse := div(1, locator(layer))
		if evaluate(locators[:degree+1], inverse) != 0 {
			continue
		}
		// The derivative has the odd coefficients only, each one place down.
		slope, power2 := byte(0), byte(1)
		for i := 1; i <= degree; i += 2 {
			slope ^= mul(locators[i], power2)
			power2 = mul(power2, mul(inverse, inverse))
		}
		if slope == 0 {
			return nil, false
		}
		value := div(evaluate(omega, inverse), slope)
		// X^(1-112) is X^-111.
		for range firstRoot - 1 {
			value = mul(value, inverse)
		}
		errata = append(errata, erratum{layer, value})
	}
	return errata, len(errata) == degree
}

// locators returns the polynomial whose roots say where erasures and errors are.
func (c *column) locators() []byte {
	lambda := append([]byte(nil), c.erasures...)
	b := append([]byte(nil), lambda...)
	t := make([]byte, c.roots+1)
	length := c.n
	for r := c.n + 1; r <= c.roots; r++ {
		discrepancy := byte(0)
		for i := range r {
			discrepancy ^= mul(lambda[i], c.syndromes[r-1-i])
		}
		if discrepancy == 0 {
			copy(b[1:], b)
			b[0] = 0
			continue
		}
		t[0] = lambda[0]
		for i := range c.roots {
			t[i+1] = lambda[i+1] ^ mul(discrepancy, b[i])
		}
		if 2*length <= r+c.n-1 {
			length = r + c.n - length
			for i, v := range lambda {
				b[i] = div(v, discrepancy)
			}
		} else {
			copy(b[1:], b)
			b[0] = 0
		}
		copy(lambda, t)
	}
	return lambda
}

// evaluate returns the value of a polynomial, the constant first.
func evaluate(p []byte, x byte) (sum byte) {
	for i := len(p) - 1; i >= 0; i-- {
		sum = mul(sum, x) ^ p[i]
	}
	return sum
}
