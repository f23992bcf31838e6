package tree

import (
	"bytes"
	"context"
	"fmt"
	"maps"

	"github.com/odarchive/odarchive/archive"
)

// Difference is something that two trees don't have in common.
type Difference struct {
	Path string
	What string // in words
}

func (d Difference) String() string { return fmt.Sprintf("%q: %s", d.Path, d.What) }

// Compare returns what differs between the trees at a and b: names, contents, and everything that an entry holds. Owners are
// compared only when asked, since restoring them takes privileges.
func Compare(ctx context.Context, a, b string, owners bool) ([]Difference, error) {
	left, err := Scan(ctx, a, Options{})
	if err != nil {
		return nil, err
	}
	right, err := Scan(ctx, b, Options{})
	if err != nil {
		return nil, err
	}
	return CompareEntries(left, right, owners), nil
}

// CompareEntries returns what differs between two trees' entries, both in ascending order of paths.
func CompareEntries(a, b []archive.Entry, owners bool) (diff []Difference) {
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].Path < b[0].Path:
			diff = append(diff, Difference{a[0].Path, "only in the first tree"})
			a = a[1:]
		case len(a) == 0 || b[0].Path < a[0].Path:
			diff = append(diff, Difference{b[0].Path, "only in the second tree"})
			b = b[1:]
		default:
			if what := differ(&a[0], &b[0], owners); what != "" {
				diff = append(diff, Difference{a[0].Path, what})
			}
			a, b = a[1:], b[1:]
		}
	}
	return diff
}

func differ(a, b *archive.Entry, owners bool) string {
	switch {
	case a.Kind != b.Kind:
		return fmt.Sprintf("a %v in the first tree, a %v in the second", a.Kind, b.Kind)
	case a.Content != b.Content:
		return fmt.Sprintf("contents differ (%d and %d bytes)", a.Content.Size, b.Content.Size)
	case a.Target != b.Target:
		return fmt.Sprintf("%v of %q and %q", a.Kind, a.Target, b.Target)
	case a.Mode != b.Mode && a.Kind != archive.Symlink: // Linux symlinks have no mode of their own
		return fmt.Sprintf("modes %04o and %04o", a.Mode, b.Mode)
	case !a.ModTime.Equal(b.ModTime):
		return fmt.Sprintf("modified %v and %v", a.ModTime, b.ModTime)
	case owners && (a.UID != b.UID || a.GID != b.GID):
		return fmt.Sprintf("owners %d:%d and %d:%d", a.UID, a.GID, b.UID, b.GID)
	case a.HardLink != b.HardLink:
		return fmt.Sprintf("hard links to %q and %q", a.HardLink, b.HardLink)
	case !maps.EqualFunc(a.Xattrs, b.Xattrs, bytes.Equal):
		return "extended attributes differ"
	}
	return ""
}
