package image

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// What the readers of this world hold: Linux shows at most 253 bytes of a Rock Ridge name and 254 of a UDF name in UTF-8; a UDF
// name is at most 255 bytes in CS0, its compression identifier included (ECMA-167 4/14.4.4).
const (
	maxShown = 253
	maxCS0   = 255
	// maxISO is an identifier's length without its dot and version (ECMA-119 §7.5.1), and a directory's.
	maxISO    = 30
	maxISODir = 31
)

// name gives every child of every directory its name on each side and puts them in the order of the ISO side.
func (l *Layout) name() error {
	var n isoNames
	for i := range l.dirs {
		d := &l.dirs[i]
		l.udfNames(d)
		n.give(l, d)
	}
	l.order()
	return nil
}

// udfNames finds the names that a side can't hold, and others for them that nobody else in the directory has.
func (l *Layout) udfNames(d *directory) {
	for _, c := range d.children {
		name := l.childName(c)
		if !udfHolds(name) {
			if d.udf == nil {
				d.udf = map[int32]string{}
			}
			d.udf[c] = l.unused(d, name, fitUDF)
		}
		if len(name) > maxShown {
			if d.rock == nil {
				d.rock = map[int32]string{}
			}
			d.rock[c] = l.unused(d, name, fitRock)
		}
	}
}

// unused shortens name by fit, with more and more of its hash, until no other child of d is called that.
func (l *Layout) unused(d *directory, name string, fit func(name, suffix string) string) string {
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte(name)))
	for n := 8; ; n += 8 {
		candidate := fit(name, "~"+sum[:min(n, len(sum))])
		if n > len(sum) || !slices.ContainsFunc(d.children, func(c int32) bool { return l.childName(c) == candidate }) {
			return candidate
		}
	}
}

// Holds says whether both sides of an image hold all elements of a path under their own names.
func Holds(path string) bool {
	for name := range strings.SplitSeq(path, "/") {
		if !udfHolds(name) {
			return false
		}
	}
	return true
}

func udfHolds(name string) bool {
	if ascii(name) {
		return len(name) <= maxShown
	}
	return utf8.ValidString(name) && len(name) <= maxShown && cs0Length(name) <= maxCS0 && !strings.ContainsAny(name, "\uFEFF\uFFFE")
}

// ascii says whether a name has no byte beyond ASCII, which is so of most: the rest is slow to look at.
func ascii(name string) bool {
	for i := range len(name) {
		if name[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// holdable replaces what a UDF name can't hold.
func holdable(name string) string {
	return strings.Map(func(r rune) rune {
		if r == 0xFEFF || r == 0xFFFE || r == utf8.RuneError {
			return '_'
		}
		return r
	}, strings.ToValidUTF8(name, "_"))
}

func fitUDF(name, suffix string) string {
	name = holdable(name)
	for !udfHolds(name + suffix) {
		_, n := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-n]
	}
	return name + suffix
}

// fitRock cuts a name, within no character of UTF-8 unless it is none.
func fitRock(name, suffix string) string {
	n := maxShown - len(suffix)
	for whole := utf8.ValidString(name); whole && !utf8.RuneStart(name[n]); {
		n--
	}
	return name[:n] + suffix
}

// cs0Length returns the bytes of a name in OSTA CS0 (UDF 1.02 §2.1.1): a compression identifier, then 8 or 16 bits a character.
func cs0Length(name string) int {
	if ascii(name) {
		return 1 + len(name)
	}
	n, wide := 1, false
	for _, r := range name {
		n += 1
		if r > 0xFF {
			wide = true
		}
		if r > 0xFFFF {
			n++
		}
	}
	if wide {
		return 2*n - 1
	}
	return n
}

// appendCS0 appends a name in OSTA CS0.
func appendCS0(b []byte, name string) []byte {
	wide := false
	for _, r := range name {
		wide = wide || r > 0xFF
	}
	if !wide {
		b = append(b, 8)
		for _, r := range name {
			b = append(b, byte(r))
		}
		return b
	}
	b = append(b, 16)
	for _, u := range utf16.Encode([]rune(name)) {
		b = append(b, byte(u>>8), byte(u))
	}
	return b
}

func dCharacter(r rune) bool { return r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' }

// dCharacters maps a name to the d-characters of ECMA-119 §7.4.1.
func dCharacters(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'a' && c <= 'z' {
			b[i] = c - 'a' + 'A'
		} else if !dCharacter(rune(c)) {
			b[i] = '_'
		}
	}
	return string(b)
}

// isoNames gives the children of directories their identifiers on the ISO side, one directory after the other: a million files in a
// thousand of them need no thousand maps.
type isoNames struct {
	taken map[string]bool
	next  map[string]int // by identifier: where to look for a free number
	most  int            // that were in a directory since the maps were made
	named []isoName
}

type isoName struct {
	id    string
	child int32
}

// give names the children of d, upper case, no two alike, a file with its version, and puts them in that order.
func (n *isoNames) give(l *Layout, d *directory) {
	n.reset(len(d.children))
	for _, c := range d.children {
		name := l.childName(c)
		if c < 0 {
			n.named = append(n.named, isoName{n.unique(dCharacters(name), "", maxISODir), c})
			continue
		}
		stem, ext := name, ""
		if dot := strings.LastIndexByte(name, '.'); dot > 0 {
			stem, ext = name[:dot], name[dot+1:]
		}
		ext = dCharacters(ext)
		ext = ext[:min(len(ext), 8)]
		// A file's identifier always has a dot (ECMA-119 §7.5.1).
		n.named = append(n.named, isoName{n.unique(dCharacters(stem), "."+ext, maxISO+1) + ";1", c})
	}
	slices.SortFunc(n.named, func(a, b isoName) int { return strings.Compare(a.id, b.id) })
	d.ids = make([]string, len(n.named))
	for k, x := range n.named {
		d.ids[k], d.children[k] = x.id, x.child
		if x.child < 0 {
			l.dirs[^x.child].iso = x.id
		}
	}
}

// reset makes ready for a directory. Emptying a map takes as long as it was ever large: after a large directory small ones get others.
func (n *isoNames) reset(children int) {
	if n.named = n.named[:0]; n.taken == nil || n.most > 64+8*children {
		n.taken, n.next, n.most = make(map[string]bool, children), map[string]int{}, 0
	}
	clear(n.taken)
	clear(n.next)
	n.most = max(n.most, children)
}

// unique returns stem+ext, shortened to at most limit bytes, with a number where that is taken.
func (n *isoNames) unique(stem, ext string, limit int) string {
	if stem == "" {
		stem = "_"
	}
	stem = stem[:min(len(stem), limit-len(ext))]
	id := stem + ext
	for k := n.next[id] + 1; n.taken[id]; k++ {
		number := fmt.Sprintf("_%d", k)
		n.next[stem+ext] = k
		id = stem[:min(len(stem), limit-len(ext)-len(number))] + number + ext
	}
	n.taken[id] = true
	return id
}
