package catalogue

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// AppendMapping appends a line of NAMES.TSV: a path on the disc that a side of its file system can't hold as it is, and what
// stands there instead. Each field is quoted as a Go or C string where it holds anything but printable ASCII.
func AppendMapping(b []byte, original, udf, iso string) []byte {
	for i, s := range []string{original, udf, iso} {
		if i > 0 {
			b = append(b, '\t')
		}
		b = strconv.AppendQuoteToASCII(b, s)
	}
	return append(b, '\n')
}

// NamesHead is the first line of NAMES.TSV.
const NamesHead = "# name in the archive\tname on the UDF side\tname on the ISO 9660 side\n"

// Mapping is a line of NAMES.TSV: paths from the root of the disc.
type Mapping struct{ Original, UDF, ISO string }

// maxMapping bounds a line of NAMES.TSV, in bytes: three paths, four bytes for each of theirs.
const maxMapping = 64 << 10

// ReadMappings reads a NAMES.TSV that may be damaged or hostile.
func ReadMappings(r io.Reader) ([]Mapping, error) {
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxMapping)
	var all []Mapping
	for line := 1; s.Scan(); line++ {
		if strings.HasPrefix(s.Text(), "#") {
			continue
		}
		var paths [3]string
		fields := strings.Split(s.Text(), "\t")
		if len(fields) != len(paths) {
			return nil, fmt.Errorf("read %s: line %d has %d fields, want %d", NamesName, line, len(fields), len(paths))
		}
		for i, f := range fields {
			p, err := strconv.Unquote(f)
			if err != nil {
				return nil, fmt.Errorf("read %s: line %d: field %d is not a quoted path", NamesName, line, i+1)
			}
			paths[i] = p
		}
		all = append(all, Mapping{paths[0], paths[1], paths[2]})
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", NamesName, err)
	}
	return all, nil
}

// Renamed gives every element of a path the name that stands for it on a side of the disc. names has the last elements' names there by
// the whole path in the archive, of those that are others.
func Renamed(names map[string]string, path string) string {
	if len(names) == 0 {
		return path
	}
	elements := strings.Split(path, "/")
	at := 0
	for i, e := range elements {
		at += len(e)
		if name, ok := names[path[:at]]; ok {
			elements[i] = name
		}
		at++
	}
	return strings.Join(elements, "/")
}
