package ecc

// The kernels of github.com/klauspost/reedsolomon calculate modulo x^8+x^4+x^3+x^2+1. All fields of 256 elements are the same
// but for the names of their elements: toKernel renames RS03's to theirs, by sending x to the element 0x28, a root of
// RS03's polynomial there. The renaming is linear over GF(2), so that two tables of 16 say it all: of a byte's low half
// and of its high half.
var (
	toKernel   = renaming("\x00\x01\x28\x29\x34\x35\x1c\x1d\x73\x72\x5b\x5a\x47\x46\x6f\x6e", "\x00\x79\x74\x0d\xa1\xd8\xd5\xac\xf8\x81\x8c\xf5\x59\x20\x2d\x54")
	fromKernel = renaming("\x00\x01\xca\xcb\xe3\xe2\x29\x28\xd2\xd3\x18\x19\x31\x30\xfb\xfa", "\x00\x37\xd0\xe7\x24\x13\xf4\xc3\x91\xa6\x41\x76\xb5\x82\x65\x52")
)

// names is a renaming of the elements of a field.
type names struct {
	low, high [16]byte
	table     [256]byte
}

func renaming(low, high string) *names {
	n := &names{}
	copy(n.low[:], low)
	copy(n.high[:], high)
	for i := range n.table {
		n.table[i] = n.low[i&15] ^ n.high[i>>4]
	}
	return n
}

// rename writes the new names of what is in from to to, which has at least its length and may be the same memory.
func (n *names) rename(to, from []byte) {
	done := n.vectors(to, from)
	n.scalar(to[done:], from[done:])
}

// scalar is rename without vectors.
func (n *names) scalar(to, from []byte) {
	to = to[:len(from)]
	for i, b := range from {
		to[i] = n.table[b]
	}
}

// matrix renames the elements of a matrix.
func (n *names) matrix(m [][]byte) [][]byte {
	out := make([][]byte, len(m))
	for i, row := range m {
		out[i] = make([]byte, len(row))
		n.scalar(out[i], row)
	}
	return out
}
