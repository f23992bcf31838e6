//go:build !amd64 || purego

package ecc

// vectors does nothing where there are no vectors of ours.
func (n *names) vectors(_, _ []byte) int { return 0 }
