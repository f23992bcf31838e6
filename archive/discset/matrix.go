package discset

import (
	"fmt"
	"slices"

	"github.com/klauspost/reedsolomon"
)

// The field is GF(2^8) modulo x^8+x^4+x^3+x^2+1 (0x11D), in which x is primitive: klauspost/reedsolomon's, and that of most
// programs. powers holds x^i twice over, so that a sum of two logarithms needs no remainder.
const polynomial = 0x11D

var powers, logs = func() (p [510]byte, l [256]int) {
	x := 1
	for i := range 255 {
		p[i], p[i+255] = byte(x), byte(x)
		l[x] = i
		if x <<= 1; x > 255 {
			x ^= polynomial
		}
	}
	return p, l
}()

func mul(a, b byte) byte {
	if a == 0 || b == 0 {
		return 0
	}
	return powers[logs[a]+logs[b]]
}

// div returns a/b; b is not 0.
func div(a, b byte) byte {
	if a == 0 {
		return 0
	}
	return powers[logs[a]+255-logs[b]]
}

// Coefficient returns what data image j contributes to parity image i, both from 0: (255 xor j) / ((255-i) xor j). It is a Cauchy
// matrix with its columns scaled, so that every square part of it can be inverted, while parity 0 is the plain xor of the data. It
// depends on neither k nor m: parity images can be added to a set without touching the others.
func Coefficient(i, j int) byte { return div(byte(255^j), byte((255-i)^j)) }

// rows returns the coefficients of data images js in each of m parity images.
func rows(m int, js []int) [][]byte {
	a := make([][]byte, m)
	for i := range a {
		a[i] = make([]byte, len(js))
		for c, j := range js {
			a[i][c] = Coefficient(i, j)
		}
	}
	return a
}

// newCoder returns what computes outputs from inputs by a matrix of len(matrix) rows.
func newCoder(matrix [][]byte, options ...reedsolomon.Option) (reedsolomon.Encoder, error) {
	options = append(options, reedsolomon.WithCustomMatrix(matrix), reedsolomon.WithInversionCache(false))
	c, err := reedsolomon.New(len(matrix[0]), len(matrix), options...)
	if err != nil {
		return nil, fmt.Errorf("make a coder of %d images from %d: %w", len(matrix), len(matrix[0]), err)
	}
	return c, nil
}

// code computes out from in.
func code(c reedsolomon.Encoder, in, out [][]byte) error { return c.Encode(slices.Concat(in, out)) }

// adder adds data images to parity. Its method may be called by several goroutines.
type adder struct {
	reedsolomon.Encoder
	fresh bool // there is no parity yet
}

// newAdder returns what adds data images js to m parity images.
func newAdder(m int, js []int, fresh bool) (*adder, error) {
	c, err := newCoder(rows(m, js), reedsolomon.WithMaxGoroutines(1))
	return &adder{c, fresh}, err
}

// add adds as many bytes of each image to parity, where they are: what goes in comes through the caches once, which is half of
// what coding into other buffers moves. Images that are zero there may be left out.
func (a *adder) add(images, parity [][]byte, zero func(i int) bool) error {
	if a.fresh {
		return code(a, images, parity)
	}
	for i, b := range images {
		if zero(i) {
			continue
		}
		if err := a.EncodeIdx(b, i, parity); err != nil {
			return err
		}
	}
	return nil
}

// invert returns the inverse of a square matrix, which it destroys. Every square part of the code's matrix has one.
func invert(a [][]byte) [][]byte {
	n := len(a)
	inverse := make([][]byte, n)
	for i := range inverse {
		inverse[i] = make([]byte, n)
		inverse[i][i] = 1
	}
	for c := range n {
		p := c
		for a[p][c] == 0 {
			p++
		}
		a[c], a[p] = a[p], a[c]
		inverse[c], inverse[p] = inverse[p], inverse[c]
		if f := a[c][c]; f != 1 {
			for x := range n {
				a[c][x], inverse[c][x] = div(a[c][x], f), div(inverse[c][x], f)
			}
		}
		for r := range n {
			if f := a[r][c]; r != c && f != 0 {
				for x := range n {
					a[r][x] ^= mul(f, a[c][x])
					inverse[r][x] ^= mul(f, inverse[c][x])
				}
			}
		}
	}
	return inverse
}

// solve returns what computes the wanted images from good ones: indexes as in a set (data from 0, parity i at k+i). Data holds the
// good data images, lost the data images that are not, parity as many good parity images as are lost. The matrix has a row for each
// of wanted and a column for each of data, then of parity. A data image in none of the lists is zero.
func solve(k int, data, lost, parity, wanted []int) [][]byte {
	square := make([][]byte, len(lost))
	for r, p := range parity {
		square[r] = make([]byte, len(lost))
		for c, j := range lost {
			square[r][c] = Coefficient(p-k, j)
		}
	}
	// A lost image is the sum, over the parity images, of inverse times (that parity, less what the good data gave to it).
	inverse := invert(square)
	found := map[int][]byte{}
	for l, j := range lost {
		row := make([]byte, len(data)+len(parity))
		for r, p := range parity {
			f := inverse[l][r]
			row[len(data)+r] = f
			for c, d := range data {
				row[c] ^= mul(f, Coefficient(p-k, d))
			}
		}
		found[j] = row
	}
	matrix := make([][]byte, len(wanted))
	for w, i := range wanted {
		if i < k {
			matrix[w] = found[i]
			continue
		}
		row := make([]byte, len(data)+len(parity))
		for c, d := range data {
			row[c] = Coefficient(i-k, d)
		}
		for j, of := range found {
			f := Coefficient(i-k, j)
			for c := range row {
				row[c] ^= mul(f, of[c])
			}
		}
		matrix[w] = row
	}
	return matrix
}
