package ecc

// column is a decoder of single codewords for errors at unknown places beside erasures, after Berlekamp, Massey and Forney
// (Blahut, Algebraic Codes for Data Transmission, 2003, §7.4 and 7.2).
type column struct {
	roots     int
	erasures  []byte // the erasure locator polynomial, the constant first
	n         int    // erasures
	syndromes []byte
	lambda    []byte
	b, t      []byte
	omega     []byte
	errata    []erratum
}

// erratum is a place and what to add to it.
type erratum struct {
	layer int
	value byte
}

func newColumn(roots int, erased set) *column {
	c := &column{
		roots: roots, erasures: make([]byte, roots+1), syndromes: make([]byte, roots),
		lambda: make([]byte, roots+1), b: make([]byte, roots+1), t: make([]byte, roots+1), omega: make([]byte, roots),
	}
	c.erasures[0] = 1
	for j := range erased.all() {
		x := &products[locator(j)]
		c.n++
		for i := c.n; i > 0; i-- {
			c.erasures[i] ^= x[c.erasures[i-1]]
		}
	}
	return c
}

// decode finds the errata of a codeword from its parity as read plus that made from its data as read, the residual: one byte for
// each root. It is not ok when there are more errors than twice which, with the erasures, there are roots. The errata are good until
// the next call.
func (c *column) decode(residual []byte) (errata []erratum, ok bool) {
	s := c.syndromes
	for i := range s {
		x, sum := &products[evaluation(i)], byte(0)
		for _, v := range residual {
			sum = x[sum] ^ v
		}
		s[i] = sum
	}
	c.locate()
	degree := 0
	for i, v := range c.lambda {
		if v != 0 {
			degree = i
		}
	}
	locators := c.lambda[:degree+1]
	omega := c.omega
	for i := range omega {
		omega[i] = 0
		for k := 0; k <= min(i, degree); k++ {
			omega[i] ^= products[s[i-k]][locators[k]]
		}
	}
	// Errors are at the layers whose locators' inverses are roots.
	c.errata = c.errata[:0]
	for layer := 0; layer < layers && len(c.errata) < degree; layer++ {
		inverse := div(1, locator(layer))
		if evaluate(locators, inverse) != 0 {
			continue
		}
		// The derivative has the odd coefficients only, each one place down.
		slope, power2 := byte(0), byte(1)
		square := &products[mul(inverse, inverse)]
		for i := 1; i <= degree; i += 2 {
			slope ^= products[locators[i]][power2]
			power2 = square[power2]
		}
		if slope == 0 {
			return nil, false
		}
		// X^(1-112) is X^-111.
		value := mul(div(evaluate(omega, inverse), slope), power(logTable[inverse]*(firstRoot-1)))
		c.errata = append(c.errata, erratum{layer, value})
	}
	return c.errata, len(c.errata) == degree
}

// locate makes lambda the polynomial whose roots say where erasures and errors are.
func (c *column) locate() {
	lambda, b, t := c.lambda, c.b, c.t
	copy(lambda, c.erasures)
	copy(b, c.erasures)
	length := c.n
	for r := c.n + 1; r <= c.roots; r++ {
		discrepancy := byte(0)
		for i := range min(r, length+1) { // its degree is length at most
			discrepancy ^= products[lambda[i]][c.syndromes[r-1-i]]
		}
		if discrepancy == 0 {
			copy(b[1:], b)
			b[0] = 0
			continue
		}
		by := &products[discrepancy]
		t[0] = lambda[0]
		for i := range c.roots {
			t[i+1] = lambda[i+1] ^ by[b[i]]
		}
		if 2*length <= r+c.n-1 {
			length = r + c.n - length
			by = &products[div(1, discrepancy)]
			for i, v := range lambda {
				b[i] = by[v]
			}
		} else {
			copy(b[1:], b)
			b[0] = 0
		}
		copy(lambda, t)
	}
}

// evaluate returns the value of a polynomial, the constant first.
func evaluate(p []byte, x byte) (sum byte) {
	t := &products[x]
	for i := len(p) - 1; i >= 0; i-- {
		sum = t[sum] ^ p[i]
	}
	return sum
}
