// Command decoder rebuilds a lost or damaged disc image of a disc set. It stands alone: Go's standard library is all that it
// needs, and it shares no code with the program that made the set. set.json and README.txt on a parity disc describe the format.
//
//	go run decode.go -set set.json -checks set.crc32c -out 3.iso -image 3  0=disc0.iso 1=disc1.iso … 12=parity.bin
//
// Images are given by index: data images from 0, parity file i as number of data images + i. What is not given is lost.
package main

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"os"
	"slices"
	"strconv"
	"strings"
)

const sector = 2048

type image struct {
	Index   int    `json:"index"`
	Sectors int64  `json:"sectors"`
	SHA256  string `json:"sha256"`

	file   *os.File
	checks []byte // 4 bytes for each block; nil when unknown
}

type set struct {
	Format   string  `json:"format"`
	Version  int     `json:"version"`
	Data     int     `json:"data"`
	Parity   int     `json:"parity"`
	Sectors  int64   `json:"sectors"`
	Block    int64   `json:"block_sectors"`
	Members  []image `json:"members"`
	Parities []image `json:"parities"`
	Checks   string  `json:"checks_sha256"`

	images map[int]*image
}

// The field GF(2^8) modulo x^8+x^4+x^3+x^2+1; 2 generates it.
var (
	power     [510]byte
	logarithm [256]int
)

func init() {
	for i, x := 0, 1; i < 255; i++ {
		power[i], power[i+255], logarithm[x] = byte(x), byte(x), i
		if x *= 2; x > 255 {
			x ^= 0x11D
		}
	}
}

func mul(a, b byte) byte {
	if a == 0 || b == 0 {
		return 0
	}
	return power[logarithm[a]+logarithm[b]]
}

func div(a, b byte) byte { return mul(a, power[255-logarithm[b]]) }

// coefficient is what byte j of the data adds to parity i.
func coefficient(i, j int) byte { return div(byte(255^j), byte((255-i)^j)) }

// addMul adds f times src to dst.
func addMul(dst, src []byte, f byte) {
	var table [256]byte
	for x := range table {
		table[x] = mul(f, byte(x))
	}
	for n, x := range src {
		dst[n] ^= table[x]
	}
}

func main() {
	setFile := flag.String("set", "set.json", "the set's description, from a parity disc")
	checksFile := flag.String("checks", "", "its checksums (set.crc32c): finds bytes that changed unnoticed")
	out := flag.String("out", "", "where to write the image")
	index := flag.Int("image", -1, "which image to rebuild")
	flag.Parse()
	lost, err := run(*setFile, *checksFile, *out, *index, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "decode:", err)
		os.Exit(1)
	}
	if lost > 0 {
		fmt.Fprintf(os.Stderr, "decode: %d sectors are lost; they are zero in %s\n", lost, *out)
		os.Exit(2)
	}
}

func run(setFile, checksFile, out string, index int, args []string) (lost int64, err error) {
	s, err := load(setFile, checksFile)
	if err != nil {
		return 0, err
	}
	target := s.images[index]
	if target == nil {
		return 0, fmt.Errorf("the set has no image %d", index)
	}
	for _, arg := range args {
		number, name, _ := strings.Cut(arg, "=")
		i, err := strconv.Atoi(number)
		if err != nil || s.images[i] == nil {
			return 0, fmt.Errorf("%s: want INDEX=FILE with an index of the set", arg)
		}
		if s.images[i].file, err = os.Open(name); err != nil {
			return 0, err
		}
		defer s.images[i].file.Close()
	}
	w, err := os.Create(out)
	if err != nil {
		return 0, err
	}
	sum := sha256.New()
	for first := int64(0); first < target.Sectors; first += s.Block {
		b, bad := s.rebuild(target, first)
		for n, isBad := range bad {
			if isBad {
				fmt.Fprintf(os.Stderr, "decode: sector %d is lost\n", first+int64(n))
				lost++
			}
		}
		b = b[:min(int64(len(b)), (target.Sectors-first)*sector)]
		sum.Write(b)
		if _, err := w.Write(b); err != nil {
			return lost, err
		}
	}
	if got := hex.EncodeToString(sum.Sum(nil)); lost == 0 && got != target.SHA256 {
		return 0, fmt.Errorf("the image has the SHA-256 %s and should have %s: a disc that was read has changed", got, target.SHA256)
	}
	return lost, w.Close()
}

func load(setFile, checksFile string) (*set, error) {
	b, err := os.ReadFile(setFile)
	if err != nil {
		return nil, err
	}
	s := &set{images: map[int]*image{}}
	if err := json.Unmarshal(b, s); err != nil {
		return nil, err
	}
	if s.Format != "odarchive-disc-set" || s.Version != 1 || s.Data < 1 || s.Parity < 1 || s.Data+s.Parity > 255 || s.Block < 1 || len(s.Parities) != s.Parity {
		return nil, errors.New(setFile + " is not a set.json of version 1")
	}
	var checks []byte
	if checksFile != "" {
		if checks, err = os.ReadFile(checksFile); err != nil {
			return nil, err
		}
		if sum := sha256.Sum256(checks); hex.EncodeToString(sum[:]) != s.Checks {
			return nil, errors.New(checksFile + " is damaged; take that of another parity disc")
		}
	}
	all := append(append([]image{}, s.Members...), s.Parities...)
	for n := range all {
		i := &all[n]
		s.images[i.Index] = i
		if checks != nil {
			size := (i.Sectors + s.Block - 1) / s.Block * 4
			i.checks, checks = checks[:size:size], checks[size:]
		}
	}
	return s, nil
}

// read returns the block of an image that begins at sector first, and which of its sectors are bad. Behind its end an image is zero.
func (s *set) read(i *image, first int64) (b []byte, bad []bool) {
	b, bad = make([]byte, s.Block*sector), make([]bool, s.Block)
	inside := max(min(s.Block, i.Sectors-first), 0)
	some := false
	for n := range inside {
		at := b[n*sector : (n+1)*sector]
		if i.file != nil {
			if _, err := i.file.ReadAt(at, (first+n)*sector); err == nil {
				continue
			}
		}
		clear(at)
		bad[n], some = true, true
	}
	if !some && inside > 0 && !i.matches(b[:inside*sector], first/s.Block) {
		for n := range inside {
			bad[n] = true
		}
	}
	return b, bad
}

// matches says whether a block has its CRC-32C; without checksums it does.
func (i *image) matches(b []byte, block int64) bool {
	return i.checks == nil || crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) == binary.LittleEndian.Uint32(i.checks[block*4:])
}

// rebuild returns a block of the target and which of its sectors can't be had.
func (s *set) rebuild(target *image, first int64) ([]byte, []bool) {
	out, outBad := s.read(target, first)
	if !slices.Contains(outBad, true) {
		return out, outBad
	}
	data, bad := map[int][]byte{}, map[int][]bool{}
	for n, i := range s.images {
		data[n], bad[n] = s.read(i, first)
	}
	for row := range s.Block {
		if outBad[row] {
			outBad[row] = !s.solve(target.Index, row, data, bad, out[row*sector:(row+1)*sector])
		}
	}
	if slices.Contains(outBad, true) {
		return out, outBad
	}
	if !target.matches(out[:max(min(s.Block, target.Sectors-first), 0)*sector], first/s.Block) {
		for n := range outBad {
			outBad[n] = true // a sector that was read in a block with bad ones has changed
		}
	}
	return out, outBad
}

// solve computes the sector of image index in a row from those that are good, into out; false when too many are bad.
func (s *set) solve(index int, row int64, data map[int][]byte, bad map[int][]bool, out []byte) bool {
	at := func(i int) []byte { return data[i][row*sector : (row+1)*sector] }
	var lost, parity []int
	for j := range s.Data {
		if bad[j] != nil && bad[j][row] {
			lost = append(lost, j)
		}
	}
	for p := s.Data; p < s.Data+s.Parity && len(parity) < len(lost); p++ {
		if !bad[p][row] {
			parity = append(parity, p)
		}
	}
	if len(parity) < len(lost) {
		return false
	}
	// One equation for each lost sector: the sum of coefficient times lost sector is the parity less what the good data gave to it.
	n := len(lost)
	a, right := make([][]byte, n), make([][]byte, n)
	for r, p := range parity {
		right[r] = append([]byte{}, at(p)...)
		for _, j := range lost {
			a[r] = append(a[r], coefficient(p-s.Data, j))
		}
		for j := range s.Data {
			if bad[j] != nil && !bad[j][row] {
				addMul(right[r], at(j), coefficient(p-s.Data, j))
			}
		}
	}
	for c := range n { // Gauss and Jordan
		p := c
		for a[p][c] == 0 {
			p++
		}
		a[c], a[p], right[c], right[p] = a[p], a[c], right[p], right[c]
		f := div(1, a[c][c])
		addMul(a[c], append([]byte{}, a[c]...), f^1) // x + (f+1)x = fx
		addMul(right[c], append([]byte{}, right[c]...), f^1)
		for r := range n {
			if f := a[r][c]; r != c && f != 0 {
				addMul(a[r], append([]byte{}, a[c]...), f)
				addMul(right[r], right[c], f)
			}
		}
	}
	solved := map[int][]byte{}
	for c, j := range lost {
		solved[j] = right[c]
	}
	clear(out)
	if index < s.Data {
		copy(out, solved[index])
		return true
	}
	for j := range s.Data { // a parity image is made anew from the data
		if b, ok := solved[j]; ok {
			addMul(out, b, coefficient(index-s.Data, j))
		} else if bad[j] != nil {
			addMul(out, at(j), coefficient(index-s.Data, j))
		}
	}
	return true
}
