package catalogue

import (
	"bytes"
	"fmt"
	"time"
)

const archivesHead = "ARCHIVES ON THIS DISC\n"

const protectedText = `IF SOME OF THIS DISC CAN'T BE READ
  It carries error correction (RS03) behind its files. The program dvdisaster
  copies what can be read and repairs the copy:
      dvdisaster -i copy.iso -r
      dvdisaster -i copy.iso -f --truncate
  So does odarchive:   odarchive ecc repair /dev/sr0 --to copy.iso

`

const parityText = `IF THIS DISC CAN'T BE READ AT ALL
  It is number %d of a set of discs that share parity,
  %s. As long as no more than %d of them are
  lost, the others give it back bit by bit. The set's parity discs say how.

`

const programText = `THE PROGRAM THAT MADE THIS DISC
  It is in the folder odarchive, with its source. Nobody needs it to read the files.
  It brings back owners, exact times and links, joins files that are split over
  discs, and repairs what can't be read:
      cp odarchive/* /tmp && cd /tmp && ./odarchive restore DISC... --to FOLDER
  From its source it is built with the language Go (go.dev), without a network:
      tar xzf odarchive-source.tar.gz && cd odarchive-source
      go build -mod=vendor ./cmd/odarchive
`

// Readme returns README.txt: plain words for whoever finds the disc.
func Readme(d *Disc) []byte {
	var b bytes.Buffer
	b.WriteString("THIS DISC IS PART OF AN ARCHIVE\n\n")
	switch {
	case d.Discs > 1:
		fmt.Fprintf(&b, "Disc number %d of a set of %d discs, which are counted from 0 to %d.\nMade %s.\n", d.Number, d.Discs, d.Discs-1, d.Created.UTC().Format(time.DateOnly))
	case d.Discs == 1:
		fmt.Fprintf(&b, "It is the only disc of its set, made %s.\n", d.Created.UTC().Format(time.DateOnly))
	default:
		fmt.Fprintf(&b, "Disc %s, number %d of vault \"%s\", made %s.\n", d.Label, d.Number, d.Vault, d.Created.UTC().Format(time.DateOnly))
	}
	fmt.Fprintf(&b, "Its identity is %s.\n", d.ImageID)
	if d.SetID != "" {
		fmt.Fprintf(&b, "The identity of the set is %s.\n", d.SetID)
	}
	catalogue, missing := "the files on this disc by the SHA-256 of their contents", "on this disc or on another one of this vault"
	if d.CatalogueSize > 0 {
		catalogue = "all files of the set by the SHA-256 of their contents, and\n                        which disc each is on (\"disc_num\")"
		missing = "and catalogue.json says\n  on which disc"
	}
	fmt.Fprintf(&b, `
You need no special software: the files are below the folder Data, as they were,
and any computer that reads UDF or ISO 9660 discs can copy them.

WHAT IS WHERE
  Data/...              the files
  archives/*.jsonl      the whole list of each archive's files, also of those on
                        other discs: one line of JSON text each, with owner,
                        permissions, times and the SHA-256 of the contents
  catalogue.json        %s
  disc_info.json        which disc this is, and where the archives are
  SHA256SUMS            to check the files (below)
  NAMES.TSV             names that a disc can't hold, and what stands for them

TO CHECK THE FILES
  cd to the top of this disc and run:   sha256sum -c SHA256SUMS

A FILE THAT IS SPLIT OVER SEVERAL DISCS
  Its parts are named NAME.part0001-of-0003 and so on. Copy all of them into one
  folder and join them:   cat NAME.part*-of-0003 > NAME
  Its SHA-256 is in the list in archives/.

A FILE THAT SEEMS TO BE MISSING
  A content is stored once, however many discs and archives want it. Look its
  SHA-256 up in the list in archives/: a file with the same SHA-256 has the same
  content, %s. Symbolic links,
  owners and exact times are only in that list.

`, catalogue, missing)
	if len(d.Program) > 0 {
		b.WriteString(programText)
		for _, t := range d.Program {
			fmt.Fprintf(&b, "  %s, %d bytes\n", t.Name, t.Size)
		}
		b.WriteString("\n")
	}
	if d.Protected {
		b.WriteString(protectedText)
	}
	if p := d.Parity; p != nil {
		fmt.Fprintf(&b, parityText, p.Index, p.Set, p.Images)
	}
	b.WriteString(archivesHead)
	for _, a := range d.Archives {
		fmt.Fprintf(&b, "  %s  %s\n    sealed %s, list\n    archives/%s%s\n    SHA-256 of that list:\n    %s\n",
			a.Name, below(a.Directory), a.Sealed.UTC().Format(time.DateTime), a.ID, manifestType, a.RootHash)
	}
	fmt.Fprintf(&b, "\nThe format is odarchive's, version %d. It is open: docs/disc-format.md of the\nprogram describes it.\n", infoVersion)
	return b.Bytes()
}
