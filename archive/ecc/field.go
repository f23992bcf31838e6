package ecc

// The field of RS03 is GF(2^8) modulo x^8+x^7+x^2+x+1, its primitive element x; the code is that of CCSDS 131.0-B in the
// conventional basis: roots alpha^(11*(112+i)), and layer j the coefficient of x^(254-j).
const (
	polynomial = 0x187
	firstRoot  = 112
	primitive  = 11
)

// expTable has two periods, so that sums of two logarithms need no reduction.
var expTable, logTable = func() (exp [510]byte, log [256]int) {
	v := 1
	for i := range layers {
		exp[i], exp[i+layers], log[v] = byte(v), byte(v), i
		if v <<= 1; v >= 1<<8 {
			v ^= polynomial
		}
	}
	return
}()

// products are those of all pairs.
var products = func() (p [256][256]byte) {
	for a := 1; a < 256; a++ {
		for b := 1; b < 256; b++ {
			p[a][b] = expTable[logTable[a]+logTable[b]]
		}
	}
	return
}()

func mul(a, b byte) byte { return products[a][b] }

func div(a, b byte) byte {
	if a == 0 {
		return 0
	}
	return expTable[logTable[a]+layers-logTable[b]]
}

// power returns alpha^n for n ≥ 0.
func power(n int) byte { return expTable[n%layers] }

// locator returns the locator of a layer, and evaluation that of root i.
func locator(layer int) byte   { return power(primitive * (layers - 1 - layer)) }
func evaluation(root int) byte { return power(primitive * (firstRoot + root)) }

// generator returns the generator polynomial, the highest coefficient first.
func generator(roots int) []byte {
	g := []byte{1}
	for i := range roots {
		x := evaluation(i)
		next := make([]byte, len(g)+1)
		for k, c := range g {
			next[k] ^= c
			next[k+1] ^= mul(c, x)
		}
		g = next
	}
	return g
}

// parityMatrix returns what each input layer adds to each parity layer: one row for each root.
func parityMatrix(roots int) [][]byte {
	inputs := layers - roots
	m := make([][]byte, roots)
	for k := range m {
		m[k] = make([]byte, inputs)
	}
	g := generator(roots)[1:]
	// x^roots mod g is the last input's column; the one before it is that times x.
	column := append([]byte(nil), g...)
	for j := inputs - 1; ; j-- {
		for k, c := range column {
			m[k][j] = c
		}
		if j == 0 {
			return m
		}
		lead := column[0]
		copy(column, column[1:])
		column[roots-1] = 0
		for k, c := range g {
			column[k] ^= mul(lead, c)
		}
	}
}

// solve makes the matrix that gives the erased inputs from the others and from as many parity layers: one row for each
// erased input, of which column j is what input j adds, or where j is erased, the parity layer in its place.
func solve(parity [][]byte, erased, spare []int) [][]byte {
	n, inputs := len(erased), len(parity[0])
	// The parities in spare give n equations for the n erased inputs: left of the bar their coefficients, right of it
	// what the known add. Gauss-Jordan turns the left side into the identity; the code is MDS, so that there is a pivot.
	rows := make([][]byte, n)
	for i, k := range spare {
		row := make([]byte, n+inputs)
		copy(row[n:], parity[k])
		for c, j := range erased {
			row[c] = parity[k][j]
			row[n+j] = 0
		}
		row[n+erased[i]] = 1
		rows[i] = row
	}
	for c := range n {
		p := c
		for rows[p][c] == 0 {
			p++
		}
		rows[c], rows[p] = rows[p], rows[c]
		scale(rows[c], div(1, rows[c][c]))
		for r := range rows {
			if r != c && rows[r][c] != 0 {
				addScaled(rows[r], rows[c], rows[r][c])
			}
		}
	}
	for i := range rows {
		rows[i] = rows[i][n:]
	}
	return rows
}

func scale(row []byte, by byte) {
	t := &products[by]
	for i, v := range row {
		row[i] = t[v]
	}
}

func addScaled(to, from []byte, by byte) {
	t := &products[by]
	for i, v := range from {
		to[i] ^= t[v]
	}
}
