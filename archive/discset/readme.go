package discset

import (
	"bytes"
	"fmt"
	"time"
)

// Names of what lies beside a set's parity.
const (
	ReadmeName  = "README.txt"
	SetName     = "set.json"
	ChecksName  = "set.crc32c"
	DecoderName = "decode.go"
)

// ParityName returns the name of parity file i in a folder that holds all of a set.
func ParityName(i int) string { return fmt.Sprintf("parity%03d.bin", i) }

// Decoder returns the source of the stand-alone decoder.
func Decoder() []byte { return bytes.Clone(decoder) }

// Readme returns README.txt: plain words for whoever finds the parity.
func (s *Set) Readme() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `THIS IS THE PARITY OF A SET OF DISCS

Set %s, closed %s.
It rebuilds any %d lost or damaged discs of the %d below, bit by bit. It holds no files
that anybody archived: those are on the data discs, which need no set to be read.

TO REBUILD A DISC
  1. Copy the other discs of the set into files, as many as can be read, for
     instance:   dd if=/dev/sr0 of=0.iso bs=2048 conv=noerror,sync
     A disc that can be read in part is of use too.
  2. With Go (go.dev), run for disc 3 of the list below:
       go run decode.go -set set.json -checks set.crc32c -image 3 -out 3.iso \
         0=0.iso 1=1.iso ... %d=parity.bin
     where parity file i goes by the number %[5]d+i (PARITY DISCS, below). Where all
     parity files lie in one folder they are called parity000.bin, parity001.bin ...
  3. Burn 3.iso on a new disc.

HOW IT WORKS
  Sector r (2,048 bytes) of all discs is one row; behind its end a disc counts as
  zero. Byte by byte, in the field GF(2^8) modulo x^8+x^4+x^3+x^2+1, parity i is the
  sum over all data discs j of d(j) times (255 xor j) / ((255-i) xor j). Parity 0
  is therefore the plain xor of all data discs. set.json has the discs' sizes and
  SHA-256; set.crc32c a CRC-32C for each 32 sectors of each disc, in the order of
  the list below. The program's docs/disc-format-sets.md says the same at length.

DATA DISCS (index, label, identity, sectors)
`, s.ID, s.Created.UTC().Format(time.DateOnly), s.Geometry.Parity, len(s.Members)+s.Geometry.Parity, s.Geometry.Data)
	for _, m := range s.Members {
		fmt.Fprintf(&b, "  %3d  %-15s  %s  %d\n", m.Index, m.Label, m.ImageID, m.Sectors)
	}
	b.WriteString("\nPARITY DISCS\n")
	for i, p := range s.Parities {
		fmt.Fprintf(&b, "  %3d  %-15s  %s  %d\n", s.Geometry.Data+i, p.Label, p.ImageID, s.Sectors())
	}
	return b.Bytes()
}

// snapshotReadme is what README.txt says besides where the disc carries a snapshot.
const snapshotReadme = `
WHAT THE LIBRARY KNEW
  snapshot.jsonl.zst is what the library's catalogue knew when the set was closed and what
  the other discs don't say of themselves: which discs there are and should be, which
  sets they make, how the vaults are to be kept, and how well the discs read. It is text,
  one JSON object a line, to be seen with:    zstd -dc snapshot.jsonl.zst | less
  Its first line may name another one that it follows, which is on another parity disc.
  The program's docs/disc-format-snapshot.md describes it.
`
