package catalogue

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/odarchive/odarchive/archive"
)

// Digest is a hash with the name of its function in front: "sha256:" or "sha512:" and lower-case hexadecimal digits.
type Digest string

const (
	sha256Label = "sha256:"
	sha512Label = "sha512:"
)

// SHA256 labels a hash.
func SHA256(h archive.Hash) Digest { return Digest(sha256Label + h.String()) }

// SHA512 labels the 64 bytes of a SHA-512 (FIPS 180-4), which odarchive 0.1 knew contents by.
func SHA512(sum [64]byte) Digest { return Digest(sha512Label + hex.EncodeToString(sum[:])) }

// Hash returns the SHA-256 that d is, if it is one.
func (d Digest) Hash() (archive.Hash, bool) {
	digits, ok := strings.CutPrefix(string(d), sha256Label)
	if !ok {
		return archive.Hash{}, false
	}
	h, err := archive.ParseHash(digits)
	return h, err == nil
}

// parseDigest reads a key of a catalogue. The ancestor's have no label and are SHA-512.
func parseDigest(key string) (Digest, error) {
	label, digits, labelled := strings.Cut(key, ":")
	if !labelled {
		label, digits = "sha512", key
	}
	want, known := map[string]int{"sha256": 64, "sha512": 128}[label]
	if !known {
		return "", fmt.Errorf("hash %.40q: %.20q is no known hash function", key, label)
	}
	if len(digits) != want {
		return "", fmt.Errorf("hash %.40q has %d digits, a %s has %d", key, len(digits), label, want)
	}
	digits = strings.ToLower(digits)
	if _, err := hex.DecodeString(digits); err != nil {
		return "", fmt.Errorf("hash %.40q: %w", key, err)
	}
	return Digest(label + ":" + digits), nil
}
