package tree

import (
	"path"
	"slices"

	"github.com/odarchive/odarchive/archive"
)

// Below returns the entries at or below one of paths; all of them when there are no paths.
func Below(entries []archive.Entry, paths []string) []archive.Entry {
	if len(paths) == 0 {
		return entries
	}
	return slices.DeleteFunc(entries, func(e archive.Entry) bool {
		return !slices.ContainsFunc(paths, func(p string) bool {
			p = path.Clean(p)
			return p == "." || e.Path == p || len(e.Path) > len(p) && e.Path[:len(p)+1] == p+"/"
		})
	})
}
