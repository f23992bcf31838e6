//go:build !purego

package ecc

import "golang.org/x/sys/cpu"

var hasVectors = cpu.X86.HasAVX2

// vectors renames as many whole vectors as from has, and returns how many bytes they are.
func (n *names) vectors(to, from []byte) int {
	size := len(from) &^ 63
	if !hasVectors || size == 0 {
		return 0
	}
	renameAVX2(&to[:size][0], &from[0], size, &n.low, &n.high)
	return size
}

// renameAVX2 renames size bytes, a multiple of 64.
//
//go:noescape
func renameAVX2(to, from *byte, size int, low, high *[16]byte)
