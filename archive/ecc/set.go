package ecc

import (
	"iter"
	"math/bits"
)

// set is a set of layers.
type set [4]uint64

func (s *set) add(layer int)      { s[layer>>6] |= 1 << (layer & 63) }
func (s *set) remove(layer int)   { s[layer>>6] &^= 1 << (layer & 63) }
func (s *set) has(layer int) bool { return s[layer>>6]>>(layer&63)&1 != 0 }

// with returns the layers of both.
func (s set) with(t set) set {
	for i := range s {
		s[i] |= t[i]
	}
	return s
}

// within says whether all layers are in t.
func (s set) within(t set) bool { return s.with(t) == t }

func (s *set) len() (n int) {
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// all goes through the layers in ascending order.
func (s *set) all() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i, w := range s {
			for ; w != 0; w &= w - 1 {
				if !yield(i<<6 + bits.TrailingZeros64(w)) {
					return
				}
			}
		}
	}
}

// below returns the layers before limit, and from the others.
func (s *set) below(limit int) (layers []int) {
	for j := range s.all() {
		if j < limit {
			layers = append(layers, j)
		}
	}
	return layers
}
