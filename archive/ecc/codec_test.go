package ecc

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"testing"
)

// The matrices' hashes and the parity are facts of dvdisaster's code, found by running it.
func TestParityMatrix(t *testing.T) {
	for roots, want := range map[int]string{
		8: "be39480dc48c5383", 32: "c988504bdefb2c89", 43: "ed3184a5c27eae39", 69: "7efbbb1be49ac14a", 170: "5a1a325741e383a8",
	} {
		h := sha256.New()
		for _, row := range parityMatrix(roots) {
			h.Write(row)
		}
		if got := hex.EncodeToString(h.Sum(nil)[:8]); got != want {
			t.Errorf("%d roots: matrix %s, want %s", roots, got, want)
		}
	}
}

func TestEncodeCounting(t *testing.T) {
	c, err := newCodec(32)
	if err != nil {
		t.Fatal(err)
	}
	shards := slab(layers, 64)
	for j := range c.inputs {
		for b := range shards[j] {
			shards[j][b] = byte(j)
		}
		toKernel.rename(shards[j], shards[j])
	}
	if err := c.encoder.Encode(shards); err != nil {
		t.Fatal(err)
	}
	want, _ := hex.DecodeString("2fbd4fb4748494b9acd554627212eeb3ebed41191de1d36320ea49290b25abcf")
	for k, w := range want {
		b := shards[c.inputs+k]
		fromKernel.rename(b, b)
		if b[0] != w || b[63] != w {
			t.Fatalf("parity %d is %x, want %x", k, b[0], w)
		}
	}
}

// TestIsomorphism multiplies all pairs in both fields.
func TestIsomorphism(t *testing.T) {
	kernelMul := func(a, b int) (p int) {
		for ; b > 0; b >>= 1 {
			if b&1 != 0 {
				p ^= a
			}
			if a <<= 1; a >= 256 {
				a ^= 0x11d
			}
		}
		return p
	}
	to, from := &toKernel.table, &fromKernel.table
	for a := range 256 {
		if from[to[a]] != byte(a) {
			t.Fatalf("%x comes back as %x", a, from[to[a]])
		}
		for b := range 256 {
			if to[a^b] != to[a]^to[b] || to[mul(byte(a), byte(b))] != byte(kernelMul(int(to[a]), int(to[b]))) {
				t.Fatalf("%x and %x: the renaming is no isomorphism", a, b)
			}
		}
	}
}

func TestRenameVectors(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for size := range 400 {
		from := make([]byte, size)
		for i := range from {
			from[i] = byte(rng.Uint32())
		}
		want, got := make([]byte, size), make([]byte, size+1)
		toKernel.scalar(want, from)
		toKernel.rename(got, from)
		if !bytes.Equal(got[:size], want) || got[size] != 0 {
			t.Fatalf("%d bytes: vectors differ from the table", size)
		}
		toKernel.rename(from, from)
		if !bytes.Equal(from, want) {
			t.Fatalf("%d bytes in place: vectors differ from the table", size)
		}
	}
}

// TestSolve erases inputs of a word and gets them back from whichever parities.
func TestSolve(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, roots := range []int{8, 32, 170} {
		t.Run(fmt.Sprint(roots), func(t *testing.T) {
			m := parityMatrix(roots)
			inputs := layers - roots
			word := make([]byte, layers)
			for j := range inputs {
				word[j] = byte(rng.Uint32())
			}
			dot := func(row, word []byte) (s byte) {
				for j, c := range row {
					s ^= mul(c, word[j])
				}
				return s
			}
			for k := range m {
				word[inputs+k] = dot(m[k], word)
			}
			for range 20 {
				n := min(1+rng.IntN(roots), inputs)
				erased, spare := rng.Perm(inputs)[:n], rng.Perm(roots)[:n]
				in := bytes.Clone(word[:inputs])
				for i, j := range erased {
					in[j] = word[inputs+spare[i]]
				}
				for i, row := range solve(m, erased, spare) {
					if got := dot(row, in); got != word[erased[i]] {
						t.Fatalf("%d erased: input %d is %x, want %x", n, erased[i], got, word[erased[i]])
					}
				}
			}
		})
	}
}
