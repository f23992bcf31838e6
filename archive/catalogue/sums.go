package catalogue

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/odarchive/odarchive/archive"
)

// Sum is a line of SHA256SUMS.
type Sum struct {
	Path string // from the root of the disc, by the name of the UDF side
	Hash archive.Hash
}

// maxSum bounds a line of SHA256SUMS, in bytes: a path of which every byte is escaped, and what stands before it.
const maxSum = 2*(archive.MaxPath+len(DataDir)) + 256

// ReadSums yields the lines of a SHA256SUMS that may be damaged or hostile, and ends with the first error.
func ReadSums(r io.Reader) iter.Seq2[Sum, error] {
	return func(yield func(Sum, error) bool) {
		s := bufio.NewScanner(r)
		s.Buffer(make([]byte, 0, 4096), maxSum)
		for line := 1; s.Scan(); line++ {
			sum, err := parseSum(s.Text())
			if err != nil {
				err = fmt.Errorf("read %s: line %d: %w", SumsName, line, err)
			}
			if !yield(sum, err) || err != nil {
				return
			}
		}
		if err := s.Err(); err != nil {
			yield(Sum{}, fmt.Errorf("read %s: %w", SumsName, err))
		}
	}
}

// parseSum reads what appendSumLine writes.
func parseSum(line string) (s Sum, err error) {
	rest, escapes := strings.CutPrefix(line, `\`)
	digits, name, ok := strings.Cut(rest, "  ")
	if !ok {
		return s, fmt.Errorf("%.60q is no hash and name", line)
	}
	if s.Hash, err = archive.ParseHash(digits); err != nil {
		return s, err
	}
	if escapes {
		if name, err = unescape(name); err != nil {
			return s, err
		}
	}
	s.Path = name
	return s, archive.ValidPath(name)
}

// unescape undoes the escapes of a name whose line begins with a backslash.
func unescape(name string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c == '\\' {
			i++
			at := -1
			if i < len(name) {
				at = strings.IndexByte(`\nr`, name[i])
			}
			if at < 0 {
				return "", fmt.Errorf("name %.60q has an escape that is none", name)
			}
			c = "\\\n\r"[at]
		}
		b.WriteByte(c)
	}
	return b.String(), nil
}
