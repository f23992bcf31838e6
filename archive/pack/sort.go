package pack

import (
	"iter"
	"strings"

	"github.com/odarchive/odarchive/archive"
)

// group is a content with all its names in one archive: indexes into its files.
type group struct {
	first int32
	more  []int32
	cost  int64 // sectors that it takes at most, besides directories
}

// sorted is an archive's contents in the order of their first names.
type sorted struct {
	files  []File
	groups []group
	sums   []int64 // sums[i] is the cost of groups[:i] in sectors, bytes[i] their data
	bytes  []int64
}

func (s *sorted) content(g group) archive.Content { return s.files[g.first].Content }

// path is a group's first name, which decides where it belongs.
func (s *sorted) path(i int) string { return s.files[s.groups[i].first].Path }

func (s *sorted) names(g group) iter.Seq[*File] {
	return func(yield func(*File) bool) {
		if !yield(&s.files[g.first]) {
			return
		}
		for _, i := range g.more {
			if !yield(&s.files[i]) {
				return
			}
		}
	}
}

// sortOut groups an archive's files, leaving out contents that have a place.
func sortOut(files []File, placed map[archive.Hash]bool) *sorted {
	s := &sorted{files: files}
	index := make(map[archive.Hash]int32, len(files))
	for i := range files {
		h := files[i].Content.Hash
		if k, ok := index[h]; ok {
			s.groups[k].more = append(s.groups[k].more, int32(i))
			continue
		}
		index[h] = int32(len(s.groups))
		s.groups = append(s.groups, group{first: int32(i)})
	}
	s.sums, s.bytes = make([]int64, 1, len(s.groups)+1), make([]int64, 1, len(s.groups)+1)
	for i := range s.groups {
		g := &s.groups[i]
		c := s.content(*g)
		var cost, size int64
		if !placed[c.Hash] {
			names := int64(0)
			for f := range s.names(*g) {
				names += nameBytes(f.Path) * (1 + c.Size>>32)
			}
			cost, size = archive.Sectors(c.Size)+1+archive.Sectors(names), c.Size
		}
		g.cost = cost
		s.sums, s.bytes = append(s.sums, s.sums[i]+cost), append(s.bytes, s.bytes[i]+size)
	}
	return s
}

// nameBytes is more than a name adds to an image, in bytes, besides new directories: its lines in the lists and its records.
func nameBytes(path string) int64 {
	return 560 + 6*int64(len(path))
}

// dirCost is more than a new directory adds to an image, in sectors.
const dirCost = 5

// unit is what stays together: a folder with everything in it, or one file. It is the groups from lo to hi.
type unit struct {
	lo, hi int32
	cost   int64 // sectors at most
}

// units divides an archive's groups into folders of at most limit bytes and most sectors each, in the order of paths.
func (s *sorted) units(limit, most int64) []unit {
	var all []unit
	var divide func(lo, hi, prefix, depth int)
	divide = func(lo, hi, prefix, depth int) {
		for i := lo; i < hi; {
			rest := s.path(i)[prefix:]
			slash := strings.IndexByte(rest, '/')
			if slash < 0 {
				if s.groups[i].cost > 0 {
					all = append(all, unit{int32(i), int32(i + 1), s.groups[i].cost + int64(depth)*dirCost})
				}
				i++
				continue
			}
			dir := s.path(i)[:prefix+slash+1]
			end, dirs := i+1, int64(depth+1)
			for ; end < hi && strings.HasPrefix(s.path(end), dir); end++ {
				dirs += newDirs(s.path(end-1), s.path(end))
			}
			dirs += int64(strings.Count(s.path(i)[len(dir):], "/"))
			cost := s.sums[end] - s.sums[i]
			if data := s.bytes[end] - s.bytes[i]; data < limit && cost+dirs*dirCost <= most {
				if cost > 0 {
					all = append(all, unit{int32(i), int32(end), cost + dirs*dirCost})
				}
			} else {
				divide(i, end, len(dir), depth+1)
			}
			i = end
		}
	}
	divide(0, len(s.groups), 0, 0)
	return all
}

// newDirs returns how many directories of path are not those of the one before it.
func newDirs(before, path string) int64 {
	common := 0
	for i := 0; i < len(path) && i < len(before) && path[i] == before[i]; i++ {
		if path[i] == '/' {
			common = i + 1
		}
	}
	return int64(strings.Count(path[common:], "/"))
}
